use std::sync::Arc;

use blockraft_types::{BootNonce, Incarnation, NodeId};

use crate::bulk::{Bulk, BulkError};
use crate::faulty::{Faults, Faulty};
use crate::network::Network;
use crate::peer::Peer;
use crate::transport::{Incoming, Transport};

fn peer(id: u64) -> Peer {
    Peer { node: NodeId(id), incarnation: Incarnation::from_bytes([id as u8; 16]), boot: BootNonce(1) }
}

/// What node 2 hears when node 1 sends the numbers 0 to 199 through these faults.
async fn heard(faults: Faults, seed: u64) -> Vec<u8> {
    let network = Network::new();
    let one = Faulty::new(Arc::new(network.endpoint(peer(1))), faults, seed);
    let two = network.endpoint(peer(2));
    one.set_peer(NodeId(2), Some(network.address()));
    assert_eq!(two.receive().await, Some(Incoming::Connected(peer(1))));
    for number in 0..200 {
        one.send(NodeId(2), vec![number].into()).unwrap();
    }
    one.release();
    one.close().await;
    let mut heard = Vec::new();
    loop {
        match two.receive().await {
            Some(Incoming::Connected(_)) => {}
            Some(Incoming::Message { frame, .. }) => heard.push(frame[0]),
            Some(Incoming::Disconnected(_)) | None => return heard,
        }
    }
}

#[tokio::test]
async fn without_faults_everything_passes_as_it_is() {
    assert_eq!(heard(Faults::default(), 1).await, (0..200).collect::<Vec<u8>>());
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults() {
    let faults = Faults {
        frames_dropped_per_mille: 200,
        frames_duplicated_per_mille: 200,
        frames_delayed_per_mille: 200,
        ..Faults::default()
    };
    assert_eq!(heard(faults, 7).await, heard(faults, 7).await);
    assert_ne!(heard(faults, 7).await, heard(faults, 8).await);
}

#[tokio::test]
async fn each_fault_does_what_it_is_called() {
    let everything: Vec<u8> = (0..200).collect();
    let dropped = heard(Faults { frames_dropped_per_mille: 300, ..Faults::default() }, 3).await;
    assert!(dropped.len() < 190 && dropped.is_sorted());

    let duplicated = heard(Faults { frames_duplicated_per_mille: 300, ..Faults::default() }, 3).await;
    assert!(210 < duplicated.len() && duplicated.is_sorted());

    let mut delayed = heard(Faults { frames_delayed_per_mille: 300, ..Faults::default() }, 3).await;
    assert!(!delayed.is_sorted());
    delayed.sort_unstable();
    assert_eq!(delayed, everything, "a delayed frame arrives in the end");
}

#[tokio::test]
async fn a_refused_transfer_never_arrives_and_a_lost_one_may() {
    let network = Network::new();
    let refusing = Faults { bulks_refused_per_mille: 1_000, ..Faults::default() };
    let one = Faulty::new(Arc::new(network.endpoint(peer(1))), refusing, 5);
    let two = network.endpoint(peer(2));
    one.set_peer(NodeId(2), Some(network.address()));
    let transfer = Bulk { header: "h".into(), body: "b".into() };
    assert_eq!(one.bulk(NodeId(2), transfer.clone()).await, Err(BulkError::Refused { peer: NodeId(2) }));
    one.set_faults(Faults { bulks_lost_per_mille: 1_000, ..Faults::default() });
    for _ in 0..20 {
        assert_eq!(one.bulk(NodeId(2), transfer.clone()).await, Err(BulkError::Lost { peer: NodeId(2) }));
    }
    let arrived = one.peers()[0].bulks_sent;
    assert!(0 < arrived && arrived < 20, "some lost transfers arrive, {arrived} of 20 did");
    assert_eq!(two.receive_bulk().await, Some((peer(1), transfer)));
}
