use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use blockraft_transport::{Incoming, Network, Peer, Transport};
use blockraft_types::{BootNonce, ClusterId, GroupId, Incarnation, LogIndex, NodeId, Term};
use blockraft_wire::node::{self, NodeMessage, RecallReply};
use tokio::time::Instant;

use super::Introductions;
use crate::config::Identity;
use crate::recall::{BehindItsPast, Recollection};
use crate::witness::{Past, Witness};

fn peer(node: u64) -> Peer {
    Peer { node: NodeId(node), incarnation: Incarnation::from_bytes([node as u8; 16]), boot: BootNonce(node) }
}

fn past(term: u64, index: u64) -> Past {
    Past { term: Term(term), voted_for: None, index: LogIndex(index) }
}

/// A node that has come to term 5 and entry 50 asks the others.
fn starting<const N: usize>(transport: Arc<dyn Transport>, node: u64, others: [u64; N]) -> Introductions {
    let Peer { node, incarnation, boot } = peer(node);
    let identity = Identity { cluster: ClusterId::from_bytes([7; 16]), node, incarnation, boot };
    let recollection = Mutex::new(Recollection::new(node, past(5, 50), others.map(NodeId).into()));
    Introductions { transport, identity, group: GroupId(0), recollection, witness: Mutex::new(Witness::default()) }
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
        let Past { term, voted_for, index } = remembered;
        let reply = RecallReply { group: question.group, ticket: question.ticket, term, voted_for, index };
        let _gone = endpoint.send(from.node, node::encode(&NodeMessage::RecallReply(reply)).unwrap());
    }
}

async fn asked(remembered: Past) -> Result<BTreeSet<NodeId>, BehindItsPast> {
    let network = Network::new();
    let endpoint = Arc::new(network.endpoint(peer(1)));
    endpoint.set_peer(NodeId(2), Some(network.address()));
    let starting = starting(endpoint, 1, [2]);
    tokio::select! {
        asked = starting.ask_all(PATIENCE) => asked,
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
        let behind = BehindItsPast { node: NodeId(1), by: NodeId(2), remembered: beyond, own: past(5, 50) };
        assert_eq!(refused, Err(behind));
    }
}

#[tokio::test(start_paused = true)]
async fn members_that_are_away_are_waited_for_so_long_and_no_longer() {
    let network = Network::new();
    let endpoint = Arc::new(network.endpoint(peer(1)));
    let begun = Instant::now();
    let trio = starting(Arc::clone(&endpoint) as _, 1, [2, 3]);
    assert_eq!(trio.ask_all(PATIENCE).await.unwrap(), BTreeSet::new());
    assert_eq!(begun.elapsed(), PATIENCE);
    assert_eq!(starting(endpoint, 1, []).ask_all(PATIENCE).await.unwrap(), BTreeSet::new());
    assert_eq!(begun.elapsed(), PATIENCE, "a lone node asks nobody");
}

#[tokio::test(start_paused = true)]
async fn members_that_start_together_do_not_wait_for_each_other() {
    let network = Network::new();
    let (one, two) = (Arc::new(network.endpoint(peer(1))), Arc::new(network.endpoint(peer(2))));
    one.set_peer(NodeId(2), Some(network.address()));
    let begun = Instant::now();
    let (one, two) = (starting(one, 1, [2]), starting(two, 2, [1]));
    let (first, second) = tokio::join!(one.ask_all(PATIENCE), two.ask_all(PATIENCE));
    assert_eq!((first.unwrap(), second.unwrap()), ([NodeId(2)].into(), [NodeId(1)].into()));
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
}

const PATIENCE: Duration = Duration::from_secs(1);
