//! Who gets in and who doesn't, each for its own reason; and nobody else notices.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use blockraft_transport::{Incoming, Peer, SendError, Transport};
use blockraft_types::{ClusterId, Incarnation, NodeId};

use crate::client::connection::{ClientConnection, ConnectError};
use crate::endpoint::{self, Purpose, ResetKey};
use crate::hello::{Hello, Lane};
use crate::limits::QuicLimits;
use crate::peer::handshake::SERVER_NAME;
use crate::pki::authority::{Authority, Validity};
use crate::pki::credentials::{Credentials, CredentialsError};
use crate::policy::{IdentityPolicy, IdentityRefusal};
use crate::refusal::Refusal;
use crate::tests::harness::{CLUSTER, Cluster, Node, loopback, peer, soon, start, subject};
use crate::tls;
use crate::transport::{BindError, QuicTransport};

/// Node 1, and an intruder's raw QUIC connection to it.
async fn raw(
    node: &Node,
    credentials: &Credentials,
    protocol: &[u8],
) -> Result<(quinn::Endpoint, quinn::Connection), quinn::ConnectionError> {
    let tls = tls::config::client(credentials, CLUSTER, protocol).unwrap();
    let config = endpoint::client_config(tls, Purpose::Bulk, &QuicLimits::default()).unwrap();
    raw_with(node, config).await
}

async fn raw_with(
    node: &Node,
    config: quinn::ClientConfig,
) -> Result<(quinn::Endpoint, quinn::Connection), quinn::ConnectionError> {
    let limits = QuicLimits::default();
    let endpoint = endpoint::endpoint(loopback(), &ResetKey::from_bytes([9; 64]), None, &limits).unwrap().0;
    let connecting = endpoint.connect_with(config, node.transport.local_address(), SERVER_NAME).unwrap();
    let connection = soon("an answer", connecting).await?;
    Ok((endpoint, connection))
}

/// Says these bytes as a Hello on a connection of node 2, and gives the code that it is closed with.
async fn said(node: &Node, cluster: &Cluster, hello: &[u8]) -> Option<Refusal> {
    let credentials = cluster.credentials(peer(2, 1));
    let (_endpoint, connection) = raw(node, &credentials, tls::config::PEER_ALPN).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&(hello.len() as u16).to_be_bytes()).await.unwrap();
    send.write_all(hello).await.unwrap();
    Refusal::of(&soon("a close", connection.closed()).await)
}

/// Two honest nodes still talk, after all that was done to the first.
async fn honest_traffic_flows(node: &Node, cluster: &Cluster) {
    let honest = cluster.start(peer(7, 1));
    honest.dial(node, 1);
    honest.expect(Incoming::Connected(peer(1, 1))).await;
    honest.transport.send(NodeId(1), "honest".into()).unwrap();
    node.expect(Incoming::Connected(peer(7, 1))).await;
    node.expect(Incoming::Message { from: peer(7, 1), frame: "honest".into() }).await;
}

#[tokio::test]
async fn a_node_of_another_authority_is_refused_by_both_ends() {
    let (cluster, stranger) = (Cluster::new(), Cluster::new());
    let (node, intruder) = (cluster.start(peer(1, 1)), stranger.start(peer(2, 1)));
    intruder.dial(&node, 1);
    node.refuses(Refusal::Handshake).await;
    node.dial(&intruder, 2);
    intruder.refuses(Refusal::Handshake).await;
    honest_traffic_flows(&node, &cluster).await;
    assert_eq!(intruder.transport.send(NodeId(1), "x".into()), Err(SendError::NotConnected { peer: NodeId(1) }));
}

/// The same authority key signs for another cluster's name: the name alone has to decide.
#[tokio::test]
async fn a_name_of_another_cluster_is_refused_although_the_signature_is_good() {
    let cluster = Cluster::new();
    let other = ClusterId::from_bytes([0xdd; 16]);
    let (certificate, key) = (cluster.authority.certificate_pem().to_owned(), cluster.authority.key_pem());
    let twisted = Authority::from_pem(other, &certificate, &key).unwrap();
    let twisted = twisted.issue(&subject(other, peer(2, 1))).unwrap();
    let node = cluster.start(peer(1, 1));
    let refused = match raw(&node, &twisted, tls::config::PEER_ALPN).await {
        Err(_) => true,
        Ok((_endpoint, connection)) => Refusal::of(&soon("a close", connection.closed()).await).is_some(),
    };
    assert!(refused);
    node.refuses(Refusal::Handshake).await;
    honest_traffic_flows(&node, &cluster).await;
}

#[tokio::test]
async fn the_dialler_refuses_another_node_than_the_expected_one() {
    let cluster = Cluster::new();
    let (node, other) = (cluster.start(peer(1, 1)), cluster.start(peer(3, 1)));
    node.transport.set_peer(NodeId(2), Some(other.address()));
    // It asks for node 2 where node 3 lives; node 3 answers truthfully.
    node.refuses(Refusal::UnexpectedNode).await;
    assert_eq!(node.transport.send(NodeId(2), "x".into()), Err(SendError::NotConnected { peer: NodeId(2) }));
}

#[tokio::test]
async fn a_clients_certificate_is_refused_on_the_peers_lane() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let credentials = cluster.client("mallory");
    let (_endpoint, connection) = raw(&node, &credentials, tls::config::PEER_ALPN).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    let hello = Hello::new(CLUSTER, peer(2, 1), Lane::Control, 1, &(1..=1)).encode();
    send.write_all(&(hello.len() as u16).to_be_bytes()).await.unwrap();
    send.write_all(&hello).await.unwrap();
    assert_eq!(Refusal::of(&soon("a close", connection.closed()).await), Some(Refusal::WrongRole));
    node.refuses(Refusal::WrongRole).await;
    honest_traffic_flows(&node, &cluster).await;
}

#[tokio::test]
async fn a_nodes_certificate_is_refused_on_the_clients_lane() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let credentials = cluster.credentials(peer(2, 1));
    let (_endpoint, connection) = raw(&node, &credentials, tls::config::CLIENT_ALPN).await.unwrap();
    assert_eq!(Refusal::of(&soon("a close", connection.closed()).await), Some(Refusal::WrongRole));
    node.refuses(Refusal::WrongRole).await;
}

/// A node must not be impersonated by a client's certificate towards those who dial.
#[tokio::test]
async fn a_server_with_a_clients_certificate_is_refused_by_who_dials_it() {
    let cluster = Cluster::new();
    let limits = QuicLimits::default();
    let tls = tls::config::server(&cluster.client("mallory"), CLUSTER).unwrap();
    let server = endpoint::server_config(tls, &limits).unwrap();
    let false_node = endpoint::endpoint(loopback(), &ResetKey::from_bytes([9; 64]), Some(server), &limits).unwrap().0;
    let address = false_node.local_addr().unwrap().into();
    let client = cluster.client("alice");
    let (accepted, refused) = tokio::join!(
        async { soon("a dial", false_node.accept()).await.unwrap().await },
        ClientConnection::connect(&address, &client, CLUSTER)
    );
    assert!(accepted.is_err());
    assert!(matches!(refused, Err(ConnectError::Handshake { .. })), "{refused:?}");
}

#[tokio::test]
async fn whoever_shows_no_certificate_is_refused() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let with = tls::config::client(&cluster.credentials(peer(2, 1)), CLUSTER, tls::config::PEER_ALPN).unwrap();
    let mut without = with.clone();
    without.client_auth_cert_resolver = Arc::new(NoCertificate);
    let config = endpoint::client_config(without, Purpose::Control, &QuicLimits::default()).unwrap();
    if let Ok((_endpoint, connection)) = raw_with(&node, config).await {
        assert_eq!(Refusal::of(&soon("a close", connection.closed()).await), Some(Refusal::Handshake));
    }
    node.refuses(Refusal::Handshake).await;
    honest_traffic_flows(&node, &cluster).await;
}

#[derive(Debug)]
struct NoCertificate;

impl rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_certificate_is_refused_before_and_after_its_time() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let now = SystemTime::now();
    let (hour, year) = (Duration::from_secs(3_600), Duration::from_secs(365 * 86_400));
    let expired = Validity { from: now - year, until: now - hour };
    let future = Validity { from: now + hour, until: now + year };
    for (refusals, validity) in [(1, expired), (2, future)] {
        let credentials = cluster.authority.issue_for(&subject(CLUSTER, peer(2, 1)), validity).unwrap();
        if let Ok((_endpoint, connection)) = raw(&node, &credentials, tls::config::PEER_ALPN).await {
            assert_eq!(Refusal::of(&soon("a close", connection.closed()).await), Some(Refusal::Handshake));
        }
        node.refuses(Refusal::Handshake).await;
        assert_eq!(node.transport.refusals().get(&Refusal::Handshake), Some(&refusals));
    }
    honest_traffic_flows(&node, &cluster).await;
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    for protocol in [&b"h3"[..], b"blockraft-peer/2"] {
        let refused = raw(&node, &cluster.credentials(peer(2, 1)), protocol).await;
        assert!(refused.is_err());
    }
    node.refuses(Refusal::Handshake).await;
    honest_traffic_flows(&node, &cluster).await;
}

#[tokio::test]
async fn a_hello_that_disagrees_with_the_certificate_is_refused() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let of = |cluster, peer| Hello::new(cluster, peer, Lane::Control, 1, &(1..=1)).encode();
    let other_incarnation = Peer { incarnation: Incarnation::from_bytes([0xee; 16]), ..peer(2, 1) };
    for hello in
        [of(ClusterId::from_bytes([0xdd; 16]), peer(2, 1)), of(CLUSTER, peer(3, 1)), of(CLUSTER, other_incarnation)]
    {
        assert_eq!(said(&node, &cluster, &hello).await, Some(Refusal::HelloDisagrees));
    }
    assert_eq!(node.transport.refusals().get(&Refusal::HelloDisagrees), Some(&3));
    honest_traffic_flows(&node, &cluster).await;
}

#[tokio::test]
async fn a_hello_that_is_garbage_cut_or_too_large_is_refused() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let good = Hello::new(CLUSTER, peer(2, 1), Lane::Control, 1, &(1..=1)).encode();
    let mut later_version = good.clone();
    later_version[0] = 2;
    let trailing = [&good[..], &[0]].concat();
    for hello in [&[][..], &[0xff; 200], &good[..good.len() - 1], &trailing, &later_version, &[1; 5_000]] {
        assert_eq!(said(&node, &cluster, hello).await, Some(Refusal::MalformedHello));
    }
    honest_traffic_flows(&node, &cluster).await;
}

#[tokio::test]
async fn without_a_common_version_there_is_no_connection() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let hello = Hello::new(CLUSTER, peer(2, 1), Lane::Control, 1, &(2..=9)).encode();
    assert_eq!(said(&node, &cluster, &hello).await, Some(Refusal::NoCommonVersion));
    honest_traffic_flows(&node, &cluster).await;
}

#[derive(Debug)]
struct Knows {
    node: NodeId,
    incarnation: Incarnation,
    removed: NodeId,
}

impl IdentityPolicy for Knows {
    fn admit(&self, peer: Peer) -> Result<(), IdentityRefusal> {
        if peer.node == self.removed {
            return Err(IdentityRefusal::Removed);
        }
        if peer.node == self.node && peer.incarnation != self.incarnation {
            return Err(IdentityRefusal::OtherIncarnation);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_wiped_and_a_removed_node_are_refused_by_policy_and_an_unknown_one_is_admitted() {
    let cluster = Cluster::new();
    let incarnation = Incarnation::from_bytes([0xaa; 16]);
    let mut config = cluster.config(peer(1, 1));
    config.policy = Arc::new(Knows { node: NodeId(2), incarnation, removed: NodeId(3) });
    let node = start(config);
    let (wiped, removed) = (cluster.start(peer(2, 1)), cluster.start(peer(3, 1)));
    wiped.dial(&node, 1);
    node.refuses(Refusal::OtherIncarnation).await;
    removed.dial(&node, 1);
    node.refuses(Refusal::Removed).await;
    let known = cluster.start(Peer { incarnation, ..peer(2, 2) });
    known.dial(&node, 1);
    node.expect(Incoming::Connected(Peer { incarnation, ..peer(2, 2) })).await;
    honest_traffic_flows(&node, &cluster).await;
}

/// Admits everybody, and passes on who refused it.
#[derive(Debug)]
struct Listens(tokio::sync::mpsc::UnboundedSender<(NodeId, IdentityRefusal)>);

impl IdentityPolicy for Listens {
    fn admit(&self, _peer: Peer) -> Result<(), IdentityRefusal> {
        Ok(())
    }

    fn refused_by(&self, node: NodeId, reason: IdentityRefusal) {
        let _nobody_waits = self.0.send((node, reason));
    }
}

#[tokio::test]
async fn who_is_refused_by_policy_hears_by_whom_and_why() {
    let cluster = Cluster::new();
    let mut config = cluster.config(peer(1, 1));
    let incarnation = Incarnation::from_bytes([0xaa; 16]);
    config.policy = Arc::new(Knows { node: NodeId(2), incarnation, removed: NodeId(3) });
    let node = start(config);
    for (dialler, reason) in [(2, IdentityRefusal::OtherIncarnation), (3, IdentityRefusal::Removed)] {
        let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
        let mut config = cluster.config(peer(dialler, 1));
        config.policy = Arc::new(Listens(told));
        let refused = start(config);
        refused.dial(&node, 1);
        assert_eq!(soon("a judgement", hears.recv()).await, Some((NodeId(1), reason)));
    }
}

#[tokio::test]
async fn policy_is_asked_by_the_dialler_too() {
    let cluster = Cluster::new();
    let mut config = cluster.config(peer(1, 1));
    config.policy =
        Arc::new(Knows { node: NodeId(2), incarnation: Incarnation::from_bytes([0xaa; 16]), removed: NodeId(9) });
    let node = start(config);
    let wiped = cluster.start(peer(2, 1));
    node.dial(&wiped, 2);
    node.refuses(Refusal::OtherIncarnation).await;
}

#[tokio::test]
async fn a_node_with_our_own_id_is_refused() {
    let cluster = Cluster::new();
    let (node, double) = (cluster.start(peer(1, 1)), cluster.start(peer(1, 2)));
    double.transport.set_peer(NodeId(1), Some(node.address()));
    node.refuses(Refusal::Ourselves).await;
}

#[tokio::test]
async fn credentials_of_another_node_are_refused_before_listening() {
    let cluster = Cluster::new();
    let mut config = cluster.config(peer(1, 1));
    config.credentials = cluster.credentials(peer(2, 1));
    let refused = QuicTransport::bind(config).map(|_| ());
    assert!(
        matches!(refused, Err(BindError::Credentials { source: CredentialsError::OtherSubject { .. }, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn garbage_datagrams_are_dropped_and_honest_traffic_goes_on() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let socket = UdpSocket::bind(loopback()).unwrap();
    for number in 0..2_000u32 {
        let garbage: Vec<u8> = (0..number % 1_400).map(|at| (at * 131 + number * 7) as u8).collect();
        socket.send_to(&garbage, node.transport.local_address()).unwrap();
    }
    // The first byte of an Initial packet, then nothing that makes sense.
    for byte in 0..=255 {
        let mut packet = vec![byte; 1_200];
        packet[..5].copy_from_slice(&[0xc0, 0, 0, 0, 1]);
        socket.send_to(&packet, node.transport.local_address()).unwrap();
    }
    honest_traffic_flows(&node, &cluster).await;
}

#[tokio::test]
async fn early_data_and_resumption_are_refused_on_a_second_connection_too() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let mut eager = tls::config::client(&cluster.credentials(peer(2, 1)), CLUSTER, tls::config::PEER_ALPN).unwrap();
    // A client that would resume and send early data if only it were let.
    eager.enable_early_data = true;
    eager.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let config = endpoint::client_config(eager, Purpose::Control, &QuicLimits::default()).unwrap();
    for _ in 0..2 {
        let limits = QuicLimits::default();
        let endpoint = endpoint::endpoint(loopback(), &ResetKey::from_bytes([9; 64]), None, &limits).unwrap().0;
        let connecting = endpoint.connect_with(config.clone(), node.transport.local_address(), SERVER_NAME).unwrap();
        let Err(connecting) = connecting.into_0rtt() else { panic!("early data was possible") };
        let connection = soon("a full handshake", connecting).await.unwrap();
        // A round trip, so that a ticket would have arrived by now.
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(&[0, 1, 0xff]).await.unwrap();
        soon("a close", connection.closed()).await;
    }
}

#[tokio::test]
async fn an_authority_read_back_from_its_pem_issues_for_the_same_cluster() {
    let cluster = Cluster::new();
    let node = cluster.start(peer(1, 1));
    let (certificate, key) = (cluster.authority.certificate_pem().to_owned(), cluster.authority.key_pem());
    let authority = Authority::from_pem(CLUSTER, &certificate, &key).unwrap();
    honest_traffic_flows(&node, &Cluster { id: CLUSTER, authority }).await;
}
