use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blockraft_transport::{PeerAddress, Transport};
use blockraft_transport_quic::{
    AdmitAll, Authority, ClientListener, QuicConfig, QuicLimits, QuicTransport, ResetKey, Subject,
};
use blockraft_types::{BootNonce, ClusterId, Incarnation, NodeId};
use blockraft_wire::client::{Consistency, Request, Response};

use crate::client::{Client, ConnectError};
use crate::config::{ClientConfig, Member};
use crate::tests::scripted::{Reply, block, honest};
use crate::unavailable::Trouble;

struct Cluster {
    id: ClusterId,
    authority: Authority,
}

impl Cluster {
    fn new(id: u8) -> Self {
        let id = ClusterId::from_bytes([id; 16]);
        Self { id, authority: Authority::generate(id).unwrap() }
    }

    fn start(&self, node: u64) -> (QuicTransport, ClientListener) {
        let (node, incarnation) = (NodeId(node), Incarnation::from_bytes([node as u8; 16]));
        QuicTransport::bind(QuicConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            credentials: self.authority.issue(&Subject::Node { cluster: self.id, node, incarnation }).unwrap(),
            cluster: self.id,
            node,
            incarnation,
            boot: BootNonce(1),
            reset_key: ResetKey::from_bytes([node.0 as u8; 64]),
            wire_versions: 1..=1,
            policy: Arc::new(AdmitAll),
            limits: QuicLimits::default(),
        })
        .unwrap()
    }

    fn config(&self, members: &[(u64, PeerAddress)]) -> ClientConfig {
        let subject = Subject::Client { cluster: self.id, name: "test".parse().unwrap() };
        let member = |(node, address): &(u64, PeerAddress)| Member { node: NodeId(*node), address: address.clone() };
        let members = members.iter().map(member).collect();
        let config = ClientConfig::new(self.id, members, self.authority.issue(&subject).unwrap());
        ClientConfig { prefer: Some(NodeId(1)), ..config }
    }
}

/// Serves one request after the other.
async fn serve(listener: ClientListener, mut script: impl FnMut(&Request) -> Reply) {
    while let Some(request) = listener.accept().await {
        let asked = Request::decode_parts(request.header, request.body).unwrap();
        let Reply::Answer(response): Reply = script(&asked) else { panic!("only answers are scripted here") };
        let response: Response = response;
        let (header, body) = response.encode().unwrap().into_parts();
        let _client_gone = request.responder.respond(header, body).await;
    }
}

/// An address of this machine where nobody listens.
fn nobody() -> PeerAddress {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().into()
}

#[tokio::test]
async fn a_client_talks_to_a_node_over_quic_though_another_is_not_there() {
    let cluster = Cluster::new(1);
    let (transport, listener) = cluster.start(2);
    let hello = block("hello");
    let serving = tokio::spawn(serve(listener, honest(3, std::slice::from_ref(&hello))));
    let begun = Instant::now();
    let config = cluster.config(&[(1, nobody()), (2, transport.local_address().into())]);
    let client = Client::connect(config).await.unwrap();
    client.put(hello.clone()).await.unwrap();
    assert_eq!(client.get(hello.multihash(), Consistency::Confirmed).await.unwrap(), Some(hello));
    // A handshake at the closed port would have taken five seconds.
    assert!(begun.elapsed() < Duration::from_secs(4), "took {:?}", begun.elapsed());
    client.close().await;
    serving.abort();
    transport.close().await;
}

#[tokio::test]
async fn a_closed_port_is_known_at_once() {
    let cluster = Cluster::new(1);
    let begun = Instant::now();
    let error = Client::connect(cluster.config(&[(1, nobody())])).await.unwrap_err();
    let ConnectError::Unreachable { source, .. } = error else { panic!("{error}") };
    assert!(matches!(source.members[0].trouble, Trouble::NobodyListens), "{source}");
    assert!(begun.elapsed() < Duration::from_secs(4), "took {:?}", begun.elapsed());
}

#[tokio::test]
async fn another_node_at_the_address_is_not_asked() {
    let cluster = Cluster::new(1);
    let (transport, _listener) = cluster.start(2);
    let error = Client::connect(cluster.config(&[(1, transport.local_address().into())])).await.unwrap_err();
    let ConnectError::Unreachable { source, .. } = error else { panic!("{error}") };
    assert!(matches!(source.members[0].trouble, Trouble::OtherNode { found: NodeId(2) }), "{source}");
}

#[tokio::test]
async fn credentials_of_a_node_or_of_another_cluster_are_refused_before_anything_is_sent() {
    let (cluster, other) = (Cluster::new(1), Cluster::new(2));
    let mut config = cluster.config(&[(1, nobody())]);
    config.credentials = other.config(&[]).credentials;
    assert!(matches!(Client::connect(config).await, Err(ConnectError::WrongSubject { .. })));

    let subject = Subject::Node { cluster: cluster.id, node: NodeId(1), incarnation: Incarnation::from_bytes([1; 16]) };
    let mut config = cluster.config(&[(1, nobody())]);
    config.credentials = cluster.authority.issue(&subject).unwrap();
    assert!(matches!(Client::connect(config).await, Err(ConnectError::WrongSubject { .. })));
}
