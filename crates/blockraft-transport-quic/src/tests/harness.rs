//! Nodes of a test cluster, on loopback, on ports that the system chooses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use blockraft_transport::{Incoming, Peer, PeerAddress, Transport};
use blockraft_types::{BootNonce, ClusterId, Incarnation, NodeId};
use tokio::time::timeout;

use crate::client::listener::ClientListener;
use crate::endpoint::ResetKey;
use crate::limits::QuicLimits;
use crate::pki::authority::Authority;
use crate::pki::credentials::Credentials;
use crate::policy::AdmitAll;
use crate::refusal::Refusal;
use crate::subject::Subject;
use crate::transport::{QuicConfig, QuicTransport};

pub(crate) const CLUSTER: ClusterId = ClusterId::from_bytes([0xc1; 16]);

/// A cluster's authority and what its nodes have in common.
pub(crate) struct Cluster {
    pub(crate) id: ClusterId,
    pub(crate) authority: Authority,
}

pub(crate) struct Node {
    pub(crate) transport: QuicTransport,
    pub(crate) clients: ClientListener,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self { id: CLUSTER, authority: Authority::generate(CLUSTER).unwrap() }
    }

    pub(crate) fn credentials(&self, peer: Peer) -> Credentials {
        self.authority.issue(&subject(self.id, peer)).unwrap()
    }

    pub(crate) fn client(&self, name: &str) -> Credentials {
        self.authority.issue(&Subject::Client { cluster: self.id, name: name.parse().unwrap() }).unwrap()
    }

    pub(crate) fn config(&self, peer: Peer) -> QuicConfig {
        QuicConfig {
            listen: loopback(),
            credentials: self.credentials(peer),
            cluster: self.id,
            node: peer.node,
            incarnation: peer.incarnation,
            boot: peer.boot,
            reset_key: ResetKey::from_bytes([peer.node.0 as u8; 64]),
            wire_versions: 1..=1,
            policy: Arc::new(AdmitAll),
            limits: QuicLimits::default(),
        }
    }

    pub(crate) fn start(&self, peer: Peer) -> Node {
        start(self.config(peer))
    }
}

impl Node {
    pub(crate) fn address(&self) -> PeerAddress {
        self.transport.local_address().into()
    }

    pub(crate) fn dial(&self, other: &Self, node: u64) {
        self.transport.set_peer(NodeId(node), Some(other.address()));
    }

    pub(crate) async fn next(&self) -> Incoming {
        soon("something arrives", self.transport.receive()).await.expect("the transport is open")
    }

    pub(crate) async fn expect(&self, expected: Incoming) {
        assert_eq!(self.next().await, expected);
    }

    /// Waits until this node has refused somebody for this reason.
    pub(crate) async fn refuses(&self, refusal: Refusal) {
        let noted = async {
            while !self.transport.refusals().contains_key(&refusal) {
                tokio::task::yield_now().await;
            }
        };
        let waited = timeout(PATIENCE, noted).await;
        assert!(waited.is_ok(), "expected {refusal:?}, found {:?}", self.transport.refusals());
    }
}

pub(crate) fn start(config: QuicConfig) -> Node {
    let (transport, clients) = QuicTransport::bind(config).unwrap();
    Node { transport, clients }
}

pub(crate) fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

pub(crate) fn peer(id: u64, boot: u64) -> Peer {
    Peer { node: NodeId(id), incarnation: Incarnation::from_bytes([id as u8; 16]), boot: BootNonce(boot) }
}

pub(crate) fn subject(cluster: ClusterId, peer: Peer) -> Subject {
    Subject::Node { cluster, node: peer.node, incarnation: peer.incarnation }
}

pub(crate) async fn soon<T>(expected: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("expected within {PATIENCE:?}: {expected}"))
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
