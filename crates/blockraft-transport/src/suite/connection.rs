//! Checks of connections: who is there, who is gone, who is there again.

use core::time::Duration;

use blockraft_types::NodeId;

use crate::bulk::{Bulk, BulkError};
use crate::peer::Peer;
use crate::send::SendError;
use crate::suite::fixture::{Fixture, Started};
use crate::suite::wait::{connected_pair, expect, next, peer, race, send, within};
use crate::transport::Incoming;

/// Connected, a frame, disconnected, connected again: as seen from both sides, and in the status.
pub async fn events_alternate_and_name_the_peer(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    send(fixture, &two, NodeId(1), "hello".into()).await;
    expect(fixture, &one, Incoming::Message { from: peer(2, 1), frame: "hello".into() }).await;
    assert_eq!(connected_peers(&one), [peer(2, 1)]);
    assert_eq!(connected_peers(&two), [peer(1, 1)]);

    within(fixture, "a close", two.transport.close()).await;
    expect(fixture, &one, Incoming::Disconnected(NodeId(2))).await;
    assert_eq!(connected_peers(&one), []);
    assert_eq!(one.transport.send(NodeId(2), "gone?".into()), Err(SendError::NotConnected { peer: NodeId(2) }));
}

/// A node is closed and comes back with another boot nonce: both sides dial, and meet.
pub async fn a_restarted_peer_is_found_again_under_its_new_boot(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    within(fixture, "a close", two.transport.close()).await;
    drop(two);
    expect(fixture, &one, Incoming::Disconnected(NodeId(2))).await;

    let two = fixture.start(peer(2, 2)).await;
    one.transport.set_peer(NodeId(2), Some(two.address.clone()));
    two.transport.set_peer(NodeId(1), Some(one.address.clone()));
    exchange(fixture, &one, &two, peer(2, 2)).await;
}

/// A second life connects while the first one's connection still looks alive.
pub async fn a_new_connection_replaces_the_old_one_at_once(fixture: &impl Fixture) {
    let one = fixture.start(peer(1, 1)).await;
    let first = fixture.start(peer(2, 1)).await;
    one.transport.set_peer(NodeId(2), Some(first.address.clone()));
    expect(fixture, &one, Incoming::Connected(peer(2, 1))).await;

    let second = fixture.start(peer(2, 2)).await;
    second.transport.set_peer(NodeId(1), Some(one.address.clone()));
    expect(fixture, &one, Incoming::Disconnected(NodeId(2))).await;
    expect(fixture, &one, Incoming::Connected(peer(2, 2))).await;
    send(fixture, &one, NodeId(2), "to the living".into()).await;
    expect(fixture, &second, Incoming::Connected(peer(1, 1))).await;
    expect(fixture, &second, Incoming::Message { from: peer(1, 1), frame: "to the living".into() }).await;
    drop(first);
}

/// Both dial at the same moment; what remains is one connection that stays.
pub async fn peers_that_dial_each_other_settle_on_one_connection(fixture: &impl Fixture) {
    let one = fixture.start(peer(1, 1)).await;
    let two = fixture.start(peer(2, 1)).await;
    one.transport.set_peer(NodeId(2), Some(two.address.clone()));
    two.transport.set_peer(NodeId(1), Some(one.address.clone()));
    exchange(fixture, &one, &two, peer(2, 1)).await;

    let quiet = race(one.transport.receive(), fixture.sleep(Duration::from_millis(1_500))).await;
    assert_eq!(quiet, None, "a settled connection came or went");
    for _ in 0..50 {
        send(fixture, &one, NodeId(2), "steady".into()).await;
    }
    let mut steady = 0;
    while steady < 50 {
        match next(fixture, &two).await {
            Incoming::Message { frame, .. } if frame == "steady" => steady += 1,
            Incoming::Message { .. } => {}
            event => panic!("a settled connection came or went: {event:?}"),
        }
    }
}

/// `set_peer(_, None)` ends the connection, on both sides, and the peer leaves the status.
pub async fn a_forgotten_peer_is_disconnected(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    two.transport.set_peer(NodeId(1), None);
    expect(fixture, &one, Incoming::Disconnected(NodeId(2))).await;
    expect(fixture, &two, Incoming::Disconnected(NodeId(1))).await;
    assert_eq!(two.transport.peers(), []);
    assert_eq!(two.transport.send(NodeId(1), "gone".into()), Err(SendError::NotConnected { peer: NodeId(1) }));
}

/// A transfer waits for a consumer that never comes; then the consumer's side closes.
pub async fn a_transfer_under_way_fails_when_its_peer_closes(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    let body = vec![3; 1 << 20];
    let blocked = async {
        loop {
            match two.transport.bulk(NodeId(1), Bulk { header: "".into(), body: body.clone().into() }).await {
                Ok(()) | Err(BulkError::Refused { .. }) => {}
                Err(error) => return error,
            }
        }
    };
    let close = async {
        fixture.sleep(Duration::from_millis(200)).await;
        one.transport.close().await;
        core::future::pending::<()>().await;
    };
    let error = within(fixture, "the transfer fails", race(blocked, close)).await;
    let gone = [Some(BulkError::Lost { peer: NodeId(1) }), Some(BulkError::NotConnected { peer: NodeId(1) })];
    assert!(gone.contains(&error), "found {error:?}");
}

/// Everything answers after a close, twice closed, with unread frames and transfers left behind.
pub async fn closing_is_prompt_and_final(fixture: &impl Fixture) {
    let (one, two) = connected_pair(fixture).await;
    for _ in 0..10 {
        send(fixture, &two, NodeId(1), "never read".into()).await;
    }
    let transfer = Bulk { header: "never".into(), body: "read".into() };
    assert_eq!(within(fixture, "a transfer", two.transport.bulk(NodeId(1), transfer.clone())).await, Ok(()));

    within(fixture, "a close", one.transport.close()).await;
    within(fixture, "a second close", one.transport.close()).await;
    assert_eq!(within(fixture, "the end", one.transport.receive()).await, None);
    assert_eq!(within(fixture, "the end", one.transport.receive_bulk()).await, None);
    assert_eq!(one.transport.send(NodeId(2), "closed".into()), Err(SendError::Closed));
    assert_eq!(within(fixture, "an answer", one.transport.bulk(NodeId(2), transfer)).await, Err(BulkError::Closed));
    assert_eq!(one.transport.peers(), []);
    one.transport.set_peer(NodeId(2), Some(two.address.clone()));
    expect(fixture, &two, Incoming::Disconnected(NodeId(1))).await;
}

/// Sends from `one` to `two` until a frame comes through, and takes what leads up to it: only connections of `two`.
async fn exchange(fixture: &impl Fixture, one: &Started, two: &Started, expected: Peer) {
    within(fixture, "a frame comes through", async {
        loop {
            let _maybe = two.transport.send(NodeId(1), "are you there?".into());
            match race(one.transport.receive(), fixture.sleep(Duration::from_millis(20))).await {
                Some(Some(Incoming::Message { from, .. })) => return assert_eq!(from, expected),
                Some(Some(Incoming::Connected(found))) => assert_eq!(found, expected),
                Some(Some(Incoming::Disconnected(node))) => assert_eq!(node, expected.node),
                Some(None) => panic!("nobody closed this transport"),
                None => {}
            }
        }
    })
    .await;
    while race(one.transport.receive(), fixture.sleep(Duration::from_millis(200))).await.is_some() {}
    while race(two.transport.receive(), fixture.sleep(Duration::from_millis(200))).await.is_some() {}
}

fn connected_peers(at: &Started) -> Vec<Peer> {
    at.transport.peers().into_iter().filter_map(|status| status.connected).collect()
}
