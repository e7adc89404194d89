//! Peers that vanish, restart, or stop reading.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blockraft_transport::{Bulk, BulkError, Incoming, Transport};
use blockraft_types::NodeId;
use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::runtime;
use tokio::time::timeout;

use crate::client::connection::{ClientConnection, RequestError};
use crate::endpoint::{self, ResetKey};
use crate::limits::{MTU_BYTES_MAX, QuicLimits};
use crate::refusal::Refusal;
use crate::tests::harness::{CLUSTER, Cluster, Node, loopback, peer, soon};

async fn connected(cluster: &Cluster) -> (Node, Node) {
    let (one, two) = (cluster.start(peer(1, 1)), cluster.start(peer(2, 1)));
    two.dial(&one, 1);
    one.expect(Incoming::Connected(peer(2, 1))).await;
    two.expect(Incoming::Connected(peer(1, 1))).await;
    (one, two)
}

/// A node that is dialled before it listens hears of that when the dialling end repeats itself, up to a second later. By
/// then a connection that it dialled itself carries frames, which aren't worth losing.
#[tokio::test]
async fn a_dial_that_was_overtaken_replaces_no_connection_that_lives() {
    let cluster = Cluster::new();
    let (one, two) = (cluster.start(peer(1, 1)), cluster.start(peer(2, 1)));
    let listening = UdpSocket::bind(loopback()).await.unwrap();
    one.transport.set_peer(NodeId(2), Some(listening.local_addr().unwrap().into()));
    soon("the dial has begun", listening.readable()).await.unwrap();
    two.dial(&one, 1);
    one.expect(Incoming::Connected(peer(2, 1))).await;
    two.expect(Incoming::Connected(peer(1, 1))).await;

    let relaying = tokio::spawn(relay(listening, two.transport.local_address()));
    two.refuses(Refusal::Settled).await;
    relaying.abort();
    one.transport.send(NodeId(2), "to two".into()).unwrap();
    two.transport.send(NodeId(1), "to one".into()).unwrap();
    one.expect(Incoming::Message { from: peer(2, 1), frame: "to one".into() }).await;
    two.expect(Incoming::Message { from: peer(1, 1), frame: "to two".into() }).await;
}

/// Carries datagrams between whoever sends to `front` and `target`.
async fn relay(front: UdpSocket, target: SocketAddr) {
    let back = UdpSocket::bind(loopback()).await.unwrap();
    let (mut there, mut here) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut source = None;
    loop {
        tokio::select! {
            received = front.recv_from(&mut there) => {
                let (bytes, from) = received.unwrap();
                source = Some(from);
                back.send_to(&there[..bytes], target).await.unwrap();
            }
            received = back.recv_from(&mut here) => {
                let (bytes, _) = received.unwrap();
                front.send_to(&here[..bytes], source.expect("nothing comes back unasked")).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_transport_has_given_its_port_back() {
    let cluster = Cluster::new();
    let (one, two) = connected(&cluster).await;
    let (address, credentials) = (one.address(), cluster.client("alice"));
    let client = soon("a connection", ClientConnection::connect(&address, &credentials, CLUSTER)).await.unwrap();
    let (answer, ()) = tokio::join!(client.request("a".into(), Bytes::new()), async {
        one.clients.accept().await.unwrap().responder.refuse();
    });
    assert_eq!(answer, Err(RequestError::Busy));

    // All three still hold their ends.
    one.transport.close().await;
    let bound = std::net::UdpSocket::bind(one.transport.local_address());
    assert!(bound.is_ok(), "{bound:?}");
    drop((two, client));
}

/// The peer dies without a word, and something with its reset key listens on its address: the next datagram is answered
/// with a reset. Without the key the silence lasts for the whole idle timeout, which the control shows.
#[tokio::test]
async fn a_peer_restarted_with_its_reset_key_is_noticed_long_before_the_idle_timeout() {
    let noticed = noticed_after(ResetKey::from_bytes([1; 64])).await.expect("the restart was never noticed");
    assert!(noticed < QuicLimits::default().idle_time_max / 4, "noticed after {noticed:?}");
    println!("a restart was noticed after {noticed:?}");
}

#[tokio::test]
async fn a_peer_restarted_with_another_reset_key_goes_unnoticed_for_a_while() {
    assert_eq!(noticed_after(ResetKey::from_bytes([0x55; 64])).await, None);
}

/// How long node 2 takes to notice that node 1 was replaced by an endpoint with this key, up to 2.5 s.
async fn noticed_after(key: ResetKey) -> Option<Duration> {
    let cluster = Arc::new(Cluster::new());
    // Node 1 has a runtime of its own: when that is gone, nothing says goodbye.
    let machine = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let starting = Arc::clone(&cluster);
    let one = machine.spawn(async move { starting.start(peer(1, 1)) }).await.unwrap();
    let two = cluster.start(peer(2, 1));
    two.dial(&one, 1);
    two.expect(Incoming::Connected(peer(1, 1))).await;
    let address = one.transport.local_address();
    machine.shutdown_background();
    drop(one);

    let limits = QuicLimits::default();
    let begun = Instant::now();
    let reborn = loop {
        match endpoint::endpoint(address, &key, None, &limits) {
            Ok((endpoint, _released)) => break endpoint,
            Err(_still_bound) => tokio::task::yield_now().await,
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "the port is never free");
    };
    let begun = Instant::now();
    two.transport.send(NodeId(1), "are you there?".into()).unwrap();
    let event = timeout(Duration::from_millis(2_500), two.transport.receive()).await;
    drop(reborn);
    event.ok().map(|event| {
        assert_eq!(event, Some(Incoming::Disconnected(NodeId(1))));
        begun.elapsed()
    })
}

/// Transfers of 64 MiB rain on a node that never takes one, while a frame makes its round trip again and again: each is
/// there in a fraction of a heartbeat's interval, as without the rain.
#[tokio::test]
async fn bulk_that_nobody_reads_delays_no_frame() {
    let cluster = Cluster::new();
    let (one, two) = connected(&cluster).await;
    let quiet = slowest_round_trip(&one, &two, 200).await;
    let rain = async {
        let body = Bytes::from(vec![7; 1 << 20]);
        let transfers: Vec<_> = (0..64)
            .map(|_| async {
                loop {
                    let transfer = Bulk { header: Bytes::new(), body: body.clone() };
                    match two.transport.bulk(NodeId(1), transfer).await {
                        Ok(()) | Err(BulkError::Refused { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            })
            .collect();
        all(transfers).await;
    };
    let loaded = tokio::select! {
        () = rain => unreachable!("the rain never ends"),
        slowest = slowest_round_trip(&one, &two, 2_000) => slowest,
    };
    println!("slowest round trip of a frame: {quiet:?} alone, {loaded:?} beside unread bulk");
    assert!(loaded < Duration::from_secs(1), "a frame took {loaded:?}");
    let status = &two.transport.peers()[0];
    assert_eq!(status.connected, Some(peer(1, 1)));
    assert!(status.bulks_sent <= 16, "{} MiB were received without a reader", status.bulks_sent);
}

/// What isn't taken is refused after a while: the sender learns it, instead of waiting for ever.
#[tokio::test]
async fn a_transfer_that_finds_no_room_is_refused_in_bounded_time() {
    let cluster = Cluster::new();
    let (one, two) = connected(&cluster).await;
    let transfer = Bulk { header: "h".into(), body: vec![1; 8 << 20].into() };
    let refused = async {
        loop {
            if let Err(error) = two.transport.bulk(NodeId(1), transfer.clone()).await {
                return error;
            }
        }
    };
    assert_eq!(soon("a refusal", refused).await, BulkError::Refused { peer: NodeId(1) });
    assert_eq!(two.transport.peers()[0].bulks_refused, 1);
    assert_eq!(one.transport.receive_bulk().await, Some((peer(2, 1), transfer)));
}

#[tokio::test]
async fn the_path_grows_to_large_datagrams_and_is_told_in_the_status() {
    let cluster = Cluster::new();
    let (one, two) = connected(&cluster).await;
    let grown = async {
        loop {
            let transfer = Bulk { header: Bytes::new(), body: vec![1; 1 << 20].into() };
            let (sent, received) = tokio::join!(two.transport.bulk(NodeId(1), transfer), one.transport.receive_bulk());
            assert_eq!((sent, received.is_some()), (Ok(()), true));
            let path = two.transport.peers()[0].path.expect("a connected peer has a path");
            if MTU_BYTES_MAX - 100 <= path.mtu_bytes {
                return path;
            }
        }
    };
    let path = soon("the path grows", grown).await;
    println!("path: {path:?}");
    assert!(path.round_trip < Duration::from_secs(1));
}

async fn slowest_round_trip(one: &Node, two: &Node, rounds: u32) -> Duration {
    let mut slowest = Duration::ZERO;
    for number in 0..rounds {
        let frame = Bytes::copy_from_slice(&number.to_be_bytes());
        let begun = Instant::now();
        two.transport.send(NodeId(1), frame.clone()).unwrap();
        one.expect(Incoming::Message { from: peer(2, 1), frame: frame.clone() }).await;
        one.transport.send(NodeId(2), frame.clone()).unwrap();
        two.expect(Incoming::Message { from: peer(1, 1), frame }).await;
        slowest = slowest.max(begun.elapsed());
    }
    slowest
}

async fn all(futures: Vec<impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
