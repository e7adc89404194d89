//! Duties of a replica, one at a time.

use blockraft_core::ProposalTicket;
use blockraft_log::Anchor;
use blockraft_types::message::{AppendEntries, StreamEpoch};
use blockraft_types::{BodyDigest, Entry, EntryHead, EntryKind, LogIndex, Message, NodeId, Position, Term};
use bytes::Bytes;

use crate::event::Event;
use crate::proposal::NotProposed;
use crate::tests::cluster::{Cluster, NOTHING_CAN_BE_KEPT, Node, SPACE_IS_SHORT, anchor_of, birth, membership, tight};

fn alone() -> Node {
    let mut node = Node::new(1, &membership(1), tight());
    while !node.leads() {
        node.tick(1);
        node.settle();
    }
    node
}

#[test]
fn a_proposal_waits_for_its_payload_and_enters_once_it_is_here() {
    let mut node = alone();
    let (early, late) = (Bytes::from_static(b"early"), Bytes::from_static(b"late"));
    node.step(Event::Propose { ticket: ProposalTicket(1), term: None, body: late.clone() });
    node.announce(early.clone());
    node.step(Event::Propose { ticket: ProposalTicket(2), term: None, body: early });
    assert_eq!(node.accepted.keys().collect::<Vec<_>>(), [&ProposalTicket(2)]);
    node.announce(late.clone());
    node.settle();
    assert_eq!(node.applied.last().map(|entry| entry.body.clone()), Some(late));
    assert_eq!(node.replica.gate().leases(), 0);
}

#[test]
fn proposals_that_wait_are_refused_when_leadership_is_lost() {
    let mut cluster = Cluster::new(3, tight());
    let leader = cluster.elect();
    let node = cluster.node(leader);
    node.step(Event::Propose { ticket: ProposalTicket(1), term: None, body: Bytes::from_static(b"nowhere") });
    assert_eq!(node.replica.status().waiting_proposals, 1);
    node.tick(100);
    assert!(!node.leads(), "a leader that hears nobody steps down");
    assert_eq!(node.refused, [(ProposalTicket(1), NotProposed::NotLeader)]);
    assert_eq!(node.replica.gate().leases(), 0);
}

#[test]
fn a_proposal_that_never_left_the_core_ends_its_lease_when_another_leader_takes_its_place() {
    let mut cluster = Cluster::new(3, tight());
    let leader = cluster.elect();
    cluster.run(10);
    let bodies: Vec<Bytes> = (1..=3).map(|number| Bytes::from(format!("body {number}"))).collect();
    bodies.iter().for_each(|body| cluster.announce(body));
    let node = cluster.node(leader);
    for (ticket, body) in (1..).zip(&bodies) {
        node.step(Event::Propose { ticket: ProposalTicket(ticket), term: None, body: body.clone() });
    }
    assert_eq!((node.batches.len(), node.accepted.len()), (2, 3), "the third proposal waits in the core");
    // Another leader got the first two and orders something else in the third place.
    let second = anchor_of(node.batches[1].entries.last().unwrap());
    let term = Term(second.position.term.0 + 1);
    let position = Position { term, index: second.position.index.next() };
    let head = EntryHead::chained(second.chain, position, EntryKind::Blank, 0, BodyDigest::of(&[]));
    let message = Message::AppendEntries(AppendEntries {
        term,
        stream: StreamEpoch(1),
        prev: second.position,
        prev_chain: second.chain,
        heads: vec![head],
        leader_commit: LogIndex::ZERO,
    });
    node.receive(NodeId(1 + leader % 3), message, vec![Bytes::new()]);
    node.settle();
    assert_eq!((node.log_last(), node.replica.gate().leases()), (position, 0));
}

#[test]
fn a_leader_whose_disk_stands_still_for_an_election_timeout_steps_down() {
    let mut cluster = Cluster::new(3, tight());
    let leader = cluster.elect();
    let body = Bytes::from_static(b"stuck");
    cluster.announce(&body);
    cluster.node(leader).step(Event::Propose { ticket: ProposalTicket(1), term: None, body });
    for _ in 0..40 {
        cluster.nodes.values_mut().for_each(|node| node.tick(1));
        cluster.nodes.iter_mut().filter(|(id, _)| id.0 != leader).for_each(|(_, node)| node.settle());
        cluster.gather();
        core::mem::take(&mut cluster.packets).into_iter().for_each(|packet| cluster.deliver(packet));
    }
    let node = cluster.node(leader);
    assert!(!node.leads());
    assert_eq!(node.replica.status().persist_stalls, 1);
    assert!(node.alarms.iter().any(|alarm| alarm == "PersistStalled"));
    assert_ne!(cluster.elect(), leader, "another one takes over");
}

/// The log was compacted up to there by other ways while the snapshot was on its way.
#[test]
fn a_snapshot_at_the_compacted_end_of_the_log_changes_nothing() {
    let mut node = alone();
    for number in 0..40_u64 {
        let body = Bytes::from(number.to_le_bytes().to_vec());
        node.announce(body.clone());
        node.step(Event::Propose { ticket: ProposalTicket(number), term: None, body });
        node.settle();
    }
    node.tick(200);
    node.settle();
    let end = node.replica.status().core.anchor;
    assert!(LogIndex::ZERO < end.index, "it was compacted");
    // More than may be on their way to the disk: the last one waits in the core.
    let bodies = [b"one", b"two", b"six"].map(|body| Bytes::from_static(body));
    for (ticket, body) in (90..).zip(&bodies) {
        node.announce(body.clone());
        node.step(Event::Propose { ticket: ProposalTicket(ticket), term: None, body: body.clone() });
    }
    let state = node.applied.iter().take_while(|entry| entry.head.position.index <= end.index).cloned().collect();
    node.complete(state);
    node.settle();
    assert_eq!((node.replica.gate().installed, node.replica.gate().unneeded), (0, 1));
    assert_eq!(node.applied.last().map(|entry| entry.body.clone()).as_ref(), bodies.last());
    assert_eq!(node.replica.gate().leases(), 0);
}

/// The disk's log holds them until then, and a crash brings them back.
#[test]
fn entries_that_a_snapshot_covers_keep_their_leases_until_it_is_installed() {
    let members = membership(3);
    let mut node = Node::new(1, &members, tight());
    let log_of = |term, bodies: &[&'static [u8]]| {
        let mut last = birth(&members);
        let entry = |body: &&'static [u8]| {
            let position = Position { term: Term(term), index: last.position.index.next() };
            let digest = BodyDigest::of(body);
            let head = EntryHead::chained(last.chain, position, EntryKind::Command, body.len() as u32, digest);
            last = Anchor { position, chain: head.chain };
            Entry { head, body: Bytes::from_static(body) }
        };
        bodies.iter().map(entry).collect::<Vec<Entry>>()
    };
    let old = log_of(1, &[b"one", b"two", b"six", b"ten"]);
    old.iter().for_each(|entry| node.announce(entry.body.clone()));
    let append = AppendEntries {
        term: Term(1),
        stream: StreamEpoch(1),
        prev: Position::ZERO,
        prev_chain: birth(&members).chain,
        heads: old.iter().map(|entry| entry.head.clone()).collect(),
        leader_commit: LogIndex::ZERO,
    };
    node.receive(NodeId(2), Message::AppendEntries(append), old.iter().map(|entry| entry.body.clone()).collect());
    assert_eq!(node.replica.gate().leases(), 4);
    let new = log_of(2, &[b"seven", b"eight", b"nine"]);
    node.complete(new.clone());
    assert_eq!((node.replica.gate().installed, node.replica.gate().leases()), (0, 3));
    node.settle();
    assert_eq!((node.replica.gate().installed, node.replica.gate().leases()), (1, 0));
    assert_eq!((node.applied.clone(), node.log_last()), (new.clone(), new[2].head.position));
}

#[test]
fn a_leader_whose_gate_is_obstructed_hands_over_and_rests_when_the_role_comes_back() {
    let mut cluster = Cluster::new(3, tight());
    let first = cluster.elect();
    cluster.run(20);
    for id in 1..=3 {
        cluster.node(id).announce(Bytes::from_static(NOTHING_CAN_BE_KEPT));
    }
    cluster.run(200);
    let terms = |cluster: &mut Cluster| (1..=3).map(|id| cluster.node(id).replica.role().term).max();
    let after_one_round = terms(&mut cluster);
    let handed_over = |node: &mut Node| node.alarms.iter().filter(|alarm| alarm.contains("ObstructedLeader")).count();
    assert_eq!([1, 2, 3].map(|id| handed_over(cluster.node(id))), [1, 1, 1]);
    assert_eq!(cluster.elect(), first, "the role went round the ring");
    cluster.run(2_000);
    assert_eq!(terms(&mut cluster), after_one_round);
}

#[test]
fn a_disk_that_moves_slowly_is_no_stalled_disk() {
    let mut node = alone();
    for ticket in 1..=10 {
        let body = Bytes::from(vec![ticket; 3]);
        node.announce(body.clone());
        node.step(Event::Propose { ticket: ProposalTicket(ticket.into()), term: None, body });
        node.tick(1);
    }
    for _ in 0..10 {
        node.tick(15);
        node.persist();
    }
    assert!(node.leads());
    assert_eq!(node.replica.status().persist_stalls, 0, "each batch took less than an election timeout");
}

#[test]
fn the_log_is_compacted_as_far_as_everyone_and_the_gate_allow() {
    let mut cluster = Cluster::new(3, tight());
    let leader = cluster.elect();
    for ticket in 1..=40 {
        let body = Bytes::from(format!("body {ticket}"));
        cluster.announce(&body);
        cluster.node(leader).step(Event::Propose { ticket: ProposalTicket(ticket), term: None, body });
        cluster.run(3);
    }
    cluster.run(30);
    for node in cluster.nodes.values() {
        assert!(0 < node.compactions);
        assert!(node.replica.status().log_entries <= 16, "{}", node.replica.status().log_entries);
    }
}

#[test]
fn a_gate_that_needs_the_log_keeps_it() {
    let mut node = alone();
    let floor = LogIndex(3);
    node.hold_log_from(floor);
    for ticket in 1..=40 {
        let body = Bytes::from(format!("body {ticket}"));
        node.announce(body.clone());
        node.step(Event::Propose { ticket: ProposalTicket(ticket), term: None, body });
        node.settle();
        node.tick(3);
    }
    assert!(node.replica.status().core.anchor.index <= floor);
    assert!(0 < node.compactions, "up to the floor it is compacted");
}

/// Deleted blocks are given back only behind a compaction. A short log would never have one, and the disk would stay full.
#[test]
fn a_gate_that_is_short_of_space_has_a_short_log_compacted() {
    let mut node = alone();
    let wait = |node: &mut Node| {
        for _ in 0..300 {
            node.tick(1);
            node.settle();
        }
        node.compactions
    };
    assert_eq!(wait(&mut node), 0, "the log is short");
    node.announce(Bytes::from_static(SPACE_IS_SHORT));
    assert_eq!(wait(&mut node), 1, "once, and not for entries that give nothing back");
}
