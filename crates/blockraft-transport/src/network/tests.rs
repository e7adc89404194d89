use core::time::Duration;
use std::sync::Arc;

use async_trait::async_trait;
use blockraft_types::{BootNonce, Incarnation, NodeId};

use crate::network::Network;
use crate::peer::Peer;
use crate::suite::{Fixture, Started};
use crate::transport::{Incoming, Transport};

fn peer(id: u64, boot: u64) -> Peer {
    Peer { node: NodeId(id), incarnation: Incarnation::from_bytes([id as u8; 16]), boot: BootNonce(boot) }
}

#[tokio::test]
async fn a_cut_link_loses_frames_one_way_and_nobody_is_told() {
    let network = Network::new();
    let (one, two) = (network.endpoint(peer(1, 1)), network.endpoint(peer(2, 1)));
    one.set_peer(NodeId(2), Some(network.address()));
    network.cut(NodeId(1), NodeId(2));
    one.send(NodeId(2), "lost".into()).unwrap();
    two.send(NodeId(1), "heard".into()).unwrap();
    network.heal(NodeId(1), NodeId(2));
    one.send(NodeId(2), "found".into()).unwrap();
    assert_eq!(one.receive().await, Some(Incoming::Connected(peer(2, 1))));
    assert_eq!(one.receive().await, Some(Incoming::Message { from: peer(2, 1), frame: "heard".into() }));
    assert_eq!(two.receive().await, Some(Incoming::Connected(peer(1, 1))));
    assert_eq!(two.receive().await, Some(Incoming::Message { from: peer(1, 1), frame: "found".into() }));
}

#[tokio::test]
async fn a_disconnected_pair_is_told_and_meets_again_when_reconnected() {
    let network = Network::new();
    let (one, two) = (network.endpoint(peer(1, 1)), network.endpoint(peer(2, 1)));
    one.set_peer(NodeId(2), Some(network.address()));
    assert_eq!(two.receive().await, Some(Incoming::Connected(peer(1, 1))));
    network.disconnect(NodeId(2), NodeId(1));
    assert_eq!(two.receive().await, Some(Incoming::Disconnected(NodeId(1))));
    network.reconnect(NodeId(1), NodeId(2));
    assert_eq!(two.receive().await, Some(Incoming::Connected(peer(1, 1))));
}

struct InProcess(Network);

#[async_trait]
impl Fixture for InProcess {
    async fn start(&self, peer: Peer) -> Started {
        Started { transport: Arc::new(self.0.endpoint(peer)), address: self.0.address() }
    }

    #[expect(clippy::disallowed_methods, reason = "the suite has no clock of its own: its caller lends it one")]
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

crate::transport_suite!(InProcess(Network::new()));
