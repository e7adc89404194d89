use std::collections::BTreeSet;
use std::time::Duration;

use blockraft_transport::{Incoming, Network, Peer, Transport};
use blockraft_types::{BootNonce, ClusterId, GroupId, Incarnation, LogIndex, NodeId, Term};
use blockraft_wire::node::{self, NodeMessage, RecallReply};
use tokio::time::Instant;

use super::Recollection;
use crate::config::Identity;
use crate::start_error::StartError;
use crate::witness::Past;

fn peer(node: u64) -> Peer {
    Peer { node: NodeId(node), incarnation: Incarnation::from_bytes([node as u8; 16]), boot: BootNonce(node) }
}

fn past(term: u64, index: u64) -> Past {
    Past { term: Term(term), index: LogIndex(index) }
}

/// A node that has come to term 5 and entry 50 asks the others.
fn question<const N: usize>(transport: &dyn Transport, node: u64, others: [u64; N]) -> Recollection<'_> {
    let Peer { node, incarnation, boot } = peer(node);
    let identity = Identity { cluster: ClusterId::from_bytes([7; 16]), node, incarnation, boot };
    let (others, patience) = (others.map(NodeId).into(), Duration::from_secs(1));
    Recollection { transport, identity, group: GroupId(0), others, own: past(5, 50), patience }
}

/// Node 2 remembers this of whoever asks; it loses the first question.
async fn remembers(network: &Network, remembered: Past) {
    let endpoint = network.endpoint(peer(2));
    let mut lost = false;
    while let Some(incoming) = endpoint.receive().await {
        let Incoming::Message { from, frame } = incoming else { continue };
        let Ok(NodeMessage::Recall(question)) = node::decode(frame) else { panic!("something else is said") };
        if !lost {
            lost = true;
            continue;
        }
        let (term, index) = (remembered.term, remembered.index);
        let reply = RecallReply { group: question.group, ticket: question.ticket, term, index };
        let _gone = endpoint.send(from.node, node::encode(&NodeMessage::RecallReply(reply)).unwrap());
    }
}

async fn asked(remembered: Past) -> Result<BTreeSet<NodeId>, StartError> {
    let network = Network::new();
    let endpoint = network.endpoint(peer(1));
    endpoint.set_peer(NodeId(2), Some(network.address()));
    tokio::select! {
        asked = question(&endpoint, 1, [2]).ask() => asked,
        () = remembers(&network, remembered) => unreachable!("node 2 answers for ever"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_remembers_more_ends_the_start_and_one_that_does_not_lets_it_go_on() {
    for fine in [past(0, 0), past(5, 50), past(4, 49)] {
        assert_eq!(asked(fine).await.unwrap(), [NodeId(2)].into());
    }
    for beyond in [past(6, 50), past(5, 51)] {
        let refused = asked(beyond).await;
        let Err(StartError::BehindItsPast { node, by, remembered, own }) = refused else { panic!("{refused:?}") };
        assert_eq!((node, by, remembered, own), (NodeId(1), NodeId(2), beyond, past(5, 50)));
    }
}

#[tokio::test(start_paused = true)]
async fn members_that_are_away_are_waited_for_so_long_and_no_longer() {
    let network = Network::new();
    let endpoint = network.endpoint(peer(1));
    let begun = Instant::now();
    assert_eq!(question(&endpoint, 1, [2, 3]).ask().await.unwrap(), BTreeSet::new());
    assert_eq!(begun.elapsed(), Duration::from_secs(1));
    assert_eq!(question(&endpoint, 1, []).ask().await.unwrap(), BTreeSet::new());
    assert_eq!(begun.elapsed(), Duration::from_secs(1), "a lone node asks nobody");
}

#[tokio::test(start_paused = true)]
async fn members_that_start_together_do_not_wait_for_each_other() {
    let network = Network::new();
    let (one, two) = (network.endpoint(peer(1)), network.endpoint(peer(2)));
    one.set_peer(NodeId(2), Some(network.address()));
    let begun = Instant::now();
    let (first, second) = tokio::join!(question(&one, 1, [2]).ask(), question(&two, 2, [1]).ask());
    assert_eq!((first.unwrap(), second.unwrap()), ([NodeId(2)].into(), [NodeId(1)].into()));
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
}
