//! A node's endpoint: one UDP port for its peers and its clients.

use core::fmt;
use core::ops::RangeInclusive;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use blockraft_transport::bulk_inbox::BulkInbox;
use blockraft_transport::connections::{Connections, OpenError};
use blockraft_transport::{Bulk, BulkError, Incoming, PathStatus, Peer, PeerAddress, PeerStatus, SendError, Transport};
use blockraft_types::{BootNonce, ClusterId, Incarnation, NodeId};
use bytes::Bytes;
use quinn::crypto::rustls::HandshakeData;
use thiserror::Error;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::client::listener::{Admissions, ClientListener};
use crate::endpoint::{self, Purpose, ResetKey};
use crate::handshakes::{Address, Admission, Handshakes, Place};
use crate::hello::Lane;
use crate::limits::QuicLimits;
use crate::peer::backoff::Backoff;
use crate::peer::handshake::{DialError, Ourselves, SERVER_NAME};
use crate::peer::link::{self, Route};
use crate::peer::pairing::{Pair, Pairing};
use crate::peer::{bulk_lane, handshake};
use crate::pki::credentials::{Credentials, CredentialsError};
use crate::policy::IdentityPolicy;
use crate::refusal::{Refusal, Refusals};
use crate::socket::PortReleased;
use crate::subject::Subject;
use crate::tasks::Tasks;
use crate::tls;

/// What a node needs to talk.
#[derive(Clone, Debug)]
pub struct QuicConfig {
    /// The UDP address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Certificate, key and authority. The certificate has to name exactly this cluster, node and incarnation.
    pub credentials: Credentials,
    /// The cluster.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// This start of its process, drawn at random.
    pub boot: BootNonce,
    /// The key that outlives restarts.
    pub reset_key: ResetKey,
    /// The versions of the messages above the transport that this node speaks.
    pub wire_versions: RangeInclusive<u16>,
    /// Whom to refuse although the certificate is good.
    pub policy: Arc<dyn IdentityPolicy>,
    /// Bounds.
    pub limits: QuicLimits,
}

/// Why a node can't talk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The credentials are another node's, or unreadable.
    #[error("credentials of node {node}")]
    Credentials {
        /// The node.
        node: NodeId,
        /// What is wrong with them.
        source: CredentialsError,
    },
    /// The address can't be listened on.
    #[error("listening on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The TLS provider lacks the suite that QUIC begins with.
    #[error("setting up QUIC")]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

/// [`Transport`] over QUIC. Dropping it ends its tasks and connections; [`close`](Transport::close) also waits, for a second
/// at most each, until the peers have heard of it and until the UDP port is free. A request of a client that is still
/// being answered keeps the port.
#[derive(Debug)]
pub struct QuicTransport {
    shared: Arc<Shared>,
}

impl QuicTransport {
    /// Listens, for nodes and for clients. Call it inside a tokio runtime, whose tasks it uses from then on.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    pub fn bind(config: QuicConfig) -> Result<(Self, ClientListener), BindError> {
        let QuicConfig { listen, credentials, cluster, node, incarnation, boot, limits, .. } = config;
        let tls = Tls::new(&credentials, Subject::Node { cluster, node, incarnation }, &limits);
        let Tls { server, control, bulk } = tls.map_err(|error| match error {
            TlsError::Credentials(source) => BindError::Credentials { node, source },
            TlsError::Quic(source) => BindError::Quic(source),
        })?;
        let (endpoint, released) = endpoint::endpoint(listen, &config.reset_key, Some(server), &limits)
            .map_err(|source| BindError::Listen { listen, source })?;
        let local = endpoint.local_addr().map_err(|source| BindError::Listen { listen, source })?;
        let peer = Peer { node, incarnation, boot };
        let (admissions, clients) = Admissions::new(cluster, &limits);
        let shared = Arc::new(Shared {
            ourselves: Ourselves { cluster, peer, wire_versions: config.wire_versions, policy: config.policy },
            endpoint: Mutex::new(Some(endpoint)),
            released,
            local,
            control,
            bulk,
            connections: Connections::new(node, limits.connections),
            bulks: BulkInbox::new(limits.bulk_unread_bytes_max),
            pairing: Pairing::default(),
            handshakes: Handshakes::new(&limits),
            admissions,
            refusals: Refusals::new(),
            dialers: Mutex::default(),
            tasks: Tasks::default(),
            limits,
        });
        let accepting = Arc::clone(&shared);
        shared.tasks.spawn(async move { accepting.accept().await });
        Ok((Self { shared }, clients))
    }

    /// The address that is listened on, with the port that the system chose.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.shared.local
    }

    /// How many connections were refused by this end, by reason, since the start.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<Refusal, u64> {
        self.shared.refusals.counts()
    }
}

#[async_trait]
impl Transport for QuicTransport {
    fn send(&self, to: NodeId, frame: Bytes) -> Result<(), SendError> {
        self.shared.connections.send(to, frame)
    }

    async fn bulk(&self, to: NodeId, transfer: Bulk) -> Result<(), BulkError> {
        let give = |route: Route, transfer| async move { bulk_lane::give(&route.bulk, to, transfer).await };
        self.shared.connections.carry_bulk(to, transfer, give).await
    }

    async fn receive(&self) -> Option<Incoming> {
        self.shared.connections.receive().await
    }

    async fn receive_bulk(&self) -> Option<(Peer, Bulk)> {
        self.shared.bulks.receive().await
    }

    fn set_peer(&self, node: NodeId, address: Option<PeerAddress>) {
        let shared = &self.shared;
        let mut dialers = shared.dialers.lock().unwrap_or_else(PoisonError::into_inner);
        if address.is_some() && shared.connections.address(node) == address {
            return;
        }
        shared.connections.set_address(node, address.clone());
        if let Some(old) = dialers.remove(&node) {
            old.abort();
        }
        if let Some(address) = address {
            let dialling = Arc::clone(shared);
            let dialer = shared.tasks.spawn(async move { dialling.keep_dialling(node, address).await });
            dialers.extend(dialer.map(|dialer| (node, dialer)));
        }
    }

    fn peers(&self) -> Vec<PeerStatus> {
        let peers = self.shared.connections.peers().into_iter();
        peers.map(|(status, route)| PeerStatus { path: route.map(|route| path(&route)), ..status }).collect()
    }

    async fn close(&self) {
        let shared = &self.shared;
        shared.connections.close();
        shared.bulks.close();
        shared.admissions.close();
        let endpoint = shared.lock_endpoint().take();
        if let Some(endpoint) = endpoint {
            endpoint.close(quinn::VarInt::from_u32(Refusal::Closing.code()), Refusal::Closing.name().as_bytes());
            shared.tasks.end();
            shared.pairing.close();
            let _late = timeout(CLOSE_TIME_MAX, endpoint.wait_idle()).await;
        }
        let _late = timeout(CLOSE_TIME_MAX, shared.released.clone().wait()).await;
    }
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        self.shared.tasks.end();
    }
}

struct Shared {
    ourselves: Ourselves,
    /// `None` once closed.
    endpoint: Mutex<Option<quinn::Endpoint>>,
    released: PortReleased,
    local: SocketAddr,
    control: quinn::ClientConfig,
    bulk: quinn::ClientConfig,
    connections: Connections<Route>,
    bulks: BulkInbox,
    pairing: Pairing,
    handshakes: Handshakes,
    admissions: Admissions,
    refusals: Refusals,
    dialers: Mutex<BTreeMap<NodeId, AbortHandle>>,
    tasks: Tasks,
    limits: QuicLimits,
}

impl Shared {
    fn lock_endpoint(&self) -> MutexGuard<'_, Option<quinn::Endpoint>> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint, unless the transport is closed.
    fn endpoint(&self) -> Option<quinn::Endpoint> {
        self.lock_endpoint().clone()
    }

    async fn accept(self: Arc<Self>) {
        let Some(endpoint) = self.endpoint() else { return };
        while let Some(incoming) = endpoint.accept().await {
            let remote = incoming.remote_address();
            let address = if incoming.remote_address_validated() { Address::Proven } else { Address::Claimed };
            match self.handshakes.admit(remote, address) {
                Admission::Begin(place) => {
                    let greeting = Arc::clone(&self);
                    self.tasks.spawn(async move { greeting.greet(incoming, place).await });
                }
                // It fails only for an address that has proven itself.
                Admission::Prove => drop(incoming.retry()),
                Admission::Refuse => {
                    self.refusals.note(Refusal::TooMany, remote, &"handshakes");
                    incoming.refuse();
                }
            }
        }
    }

    /// Finishes a handshake that somebody else began, and sends it to its lane.
    async fn greet(self: Arc<Self>, incoming: quinn::Incoming, place: Place) {
        let remote = incoming.remote_address();
        let connection = match timeout(self.limits.handshake_time_max, incoming.into_future()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return self.refusals.note(Refusal::Handshake, remote, &error),
            Err(_elapsed) => return self.refusals.note(Refusal::Handshake, remote, &"timed out"),
        };
        let greeted = match protocol(&connection).as_deref() {
            Some(tls::config::PEER_ALPN) => self.greet_peer(&connection, place).await,
            Some(tls::config::CLIENT_ALPN) => {
                drop(place);
                self.admissions.serve(&connection).await
            }
            _ => Err(Refusal::Handshake),
        };
        if let Err(refusal) = greeted {
            refusal.close(&connection);
            self.refusals.note(refusal, remote, &handshake::subject(&connection).ok());
        }
    }

    async fn greet_peer(self: &Arc<Self>, connection: &quinn::Connection, place: Place) -> Result<(), Refusal> {
        let patience = self.limits.handshake_time_max;
        let half = timeout(patience, self.ourselves.accept(connection.clone()));
        let half = half.await.map_err(|_elapsed| Refusal::MalformedHello)??;
        let Some(mut pair) = self.pairing.meet(half, patience).await? else { return Ok(()) };
        drop(place);
        let peer = pair.control.hello.peer();
        let opened = self.connections.open(peer, peer.node, pair.route()).map_err(refused);
        let answered = match opened {
            Ok(link) => self.answer(&mut pair).await.map(|()| link),
            Err(refusal) => Err(refusal),
        };
        match answered {
            Ok(link) => self.carry(link, pair),
            Err(refusal) => {
                pair.close(refusal);
                return Err(refusal);
            }
        }
        Ok(())
    }

    async fn answer(&self, pair: &mut Pair) -> Result<(), Refusal> {
        for half in [&mut pair.control, &mut pair.bulk] {
            self.ourselves.say(&mut half.send, half.hello.lane, half.hello.dial).await?;
        }
        Ok(())
    }

    /// Keeps a connection to `node` alive, until it is aborted.
    async fn keep_dialling(self: Arc<Self>, node: NodeId, address: PeerAddress) {
        let mut backoff = Backoff::new(self.limits.dial_pause_max);
        loop {
            self.connections.disconnected(node).await;
            match self.dial(node, &address).await {
                Ok(()) => backoff.reset(),
                Err(error) => tracing::debug!(%node, %address, %error, source = source_of(&error), "dial_failed"),
            }
            sleep(backoff.pause()).await;
        }
    }

    async fn dial(self: &Arc<Self>, node: NodeId, address: &PeerAddress) -> Result<(), DialError> {
        let looked_up = tokio::net::lookup_host(address.as_str()).await.map_err(DialError::Lookup)?;
        let looked_up: Vec<_> = looked_up.take(ADDRESSES_TRIED_MAX).collect();
        self.handshakes.set_member(node, &looked_up);
        let mut last = DialError::NoHost;
        for remote in looked_up {
            match timeout(self.limits.handshake_time_max, self.dial_one(node, self.reachable(remote))).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => last = error,
                Err(_elapsed) => last = DialError::TimedOut,
            }
        }
        Err(last)
    }

    async fn dial_one(self: &Arc<Self>, node: NodeId, remote: SocketAddr) -> Result<(), DialError> {
        let endpoint = self.endpoint().ok_or(DialError::RefusedByUs(Refusal::Closing))?;
        let dial = rand::random();
        let lane = |config: &quinn::ClientConfig, lane| {
            let connecting = endpoint.connect_with(config.clone(), remote, SERVER_NAME);
            async move {
                let connection = connecting?.await?;
                // The peer dialled, too, and was faster: by a whole second if it was just starting and our first datagram
                // found nobody. What its connection carries by now isn't worth losing.
                if self.connections.connected(node).is_some() {
                    Refusal::Settled.close(&connection);
                    return Err(DialError::RefusedByUs(Refusal::Settled));
                }
                self.ourselves.greet(connection, node, (lane, dial)).await
            }
        };
        let halves = tokio::try_join!(lane(&self.control, Lane::Control), lane(&self.bulk, Lane::Bulk));
        let (control, bulk) = halves.inspect_err(|error| {
            if let DialError::RefusedByUs(refusal) = error {
                self.refusals.note(*refusal, remote, &node);
            }
        })?;
        let pair = Pair { control, bulk };
        let peer = pair.control.hello.peer();
        if pair.bulk.hello.peer() != peer {
            pair.close(Refusal::HelloDisagrees);
            return Err(DialError::RefusedByUs(Refusal::HelloDisagrees));
        }
        match self.connections.open(peer, self.ourselves.peer.node, pair.route()).map_err(refused) {
            Ok(link) => self.carry(link, pair),
            Err(refusal) => {
                pair.close(refusal);
                return Err(DialError::RefusedByUs(refusal));
            }
        }
        Ok(())
    }

    fn carry(self: &Arc<Self>, link: blockraft_transport::connections::Connection<Route>, pair: Pair) {
        let peer = link.peer();
        let remote = pair.control.connection.remote_address();
        tracing::info!(node = %peer.node, boot = %peer.boot, %remote, "peer_connected");
        let budget = self.bulks.budget(peer);
        let limits = self.limits;
        self.tasks.spawn(async move {
            let why = link::carry(link, pair, budget, &limits).await;
            tracing::info!(node = %peer.node, boot = %peer.boot, %remote, why, "peer_disconnected");
        });
    }

    /// An IPv6 socket reaches IPv4 addresses in their mapped form only.
    fn reachable(&self, remote: SocketAddr) -> SocketAddr {
        match (self.local.ip(), remote.ip()) {
            (IpAddr::V6(_), IpAddr::V4(ip)) => SocketAddr::new(ip.to_ipv6_mapped().into(), remote.port()),
            _ => remote,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("ourselves", &self.ourselves).field("local", &self.local).finish_non_exhaustive()
    }
}

struct Tls {
    server: quinn::ServerConfig,
    control: quinn::ClientConfig,
    bulk: quinn::ClientConfig,
}

#[derive(Debug, Error)]
enum TlsError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Quic(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
}

impl Tls {
    fn new(credentials: &Credentials, subject: Subject, limits: &QuicLimits) -> Result<Self, TlsError> {
        let cluster = subject.cluster();
        credentials.check_subject(subject)?;
        let client = tls::config::client(credentials, cluster, tls::config::PEER_ALPN)?;
        Ok(Self {
            server: endpoint::server_config(tls::config::server(credentials, cluster)?, limits)?,
            control: endpoint::client_config(client.clone(), Purpose::Control, limits)?,
            bulk: endpoint::client_config(client, Purpose::Bulk, limits)?,
        })
    }
}

fn protocol(connection: &quinn::Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

fn refused(error: OpenError) -> Refusal {
    match error {
        OpenError::Settled { .. } => Refusal::Settled,
        OpenError::Ourselves { .. } => Refusal::Ourselves,
        OpenError::Closed => Refusal::Closing,
    }
}

fn path(route: &Route) -> PathStatus {
    let mtu = route.bulk.stats().path.current_mtu;
    PathStatus { round_trip: route.control.rtt(), mtu_bytes: mtu }
}

fn source_of(error: &DialError) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

/// Addresses of one name that a dial tries.
const ADDRESSES_TRIED_MAX: usize = 4;

/// How long a close waits for the peers to have heard of it, and then for the port to be free.
const CLOSE_TIME_MAX: core::time::Duration = core::time::Duration::from_secs(1);
