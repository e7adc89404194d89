//! What a leader sends to a follower that is behind.

use std::collections::BTreeSet;

use blockraft_core::{AppendRange, ProposalTicket};
use blockraft_log::Anchor;
use blockraft_types::message::{Heartbeat, ReadRound, StreamEpoch};
use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, LogIndex, Message, NodeId, Position, Term,
};
use bytes::Bytes;

use crate::body_cache::BodyCache;
use crate::event::Event;
use crate::ranges::{Plan, Ranges};
use crate::tests::cluster::{Cluster, Node, tight};

/// A leader whose follower 3 lacks everything and is being read for.
fn lagging() -> (Cluster, u64) {
    let mut cluster = Cluster::new(3, tight());
    let leader = cluster.elect();
    let behind = (1..=3).find(|id| *id != leader).unwrap();
    for ticket in 1..=6 {
        let body = Bytes::from(format!("body {ticket}"));
        cluster.announce(&body);
        cluster.node(leader).step(Event::Propose { ticket: ProposalTicket(ticket), term: None, body });
        // The follower that is behind hears nothing.
        for _ in 0..4 {
            cluster.nodes.values_mut().for_each(Node::settle);
            cluster.gather();
            let packets = core::mem::take(&mut cluster.packets);
            packets.into_iter().filter(|packet| packet.to != NodeId(behind)).for_each(|packet| cluster.deliver(packet));
        }
    }
    cluster.packets.clear();
    for _ in 0..20 {
        cluster.node(leader).tick(1);
        cluster.gather();
        if !cluster.node(leader).reads.is_empty() {
            return (cluster, leader);
        }
        core::mem::take(&mut cluster.packets).into_iter().for_each(|packet| cluster.deliver(packet));
        let others = cluster.nodes.iter_mut().filter(|(id, _)| id.0 != leader);
        others.for_each(|(_, node)| node.settle());
        cluster.node(leader).persist();
        cluster.gather();
    }
    panic!("a follower that is far behind is fed from the log");
}

fn appends_with_entries(node: &Node) -> usize {
    let sent = node.sent.iter().filter(|(_, message)| match message {
        Message::AppendEntries(append) => !append.heads.is_empty(),
        _ => false,
    });
    sent.count()
}

#[test]
fn a_follower_that_is_far_behind_is_fed_from_the_log() {
    let (mut cluster, leader) = lagging();
    let before = appends_with_entries(cluster.node(leader));
    assert!(cluster.node(leader).answer_read(0));
    assert!(before < appends_with_entries(cluster.node(leader)));
    cluster.run(100);
    assert!(level(&cluster));
}

/// Everyone has applied the same number of entries.
fn level(cluster: &Cluster) -> bool {
    let applied: BTreeSet<usize> = cluster.nodes.values().map(|node| node.applied.len()).collect();
    applied.len() == 1
}

#[test]
fn what_was_read_for_a_leader_of_the_past_is_not_sent() {
    let (mut cluster, leader) = lagging();
    let term = cluster.node(leader).replica.role().term;
    let message = Message::Heartbeat(Heartbeat {
        term: Term(term.0 + 1),
        round: ReadRound(1),
        commit: LogIndex::ZERO,
        held_by_all: LogIndex::ZERO,
    });
    let other = NodeId(1 + leader % 3);
    cluster.node(leader).receive(other, message, Vec::new());
    let before = appends_with_entries(cluster.node(leader));
    assert!(cluster.node(leader).answer_read(0));
    assert_eq!(appends_with_entries(cluster.node(leader)), before);
}

#[test]
fn bodies_of_another_term_never_leave_in_an_append() {
    let (mut cluster, leader) = lagging();
    let node = cluster.node(leader);
    node.read(0);
    // The log was truncated and written again before it was read: the same indexes, a later term.
    let mut entries = node.applied.clone();
    entries.iter_mut().for_each(|entry| entry.head.position.term = Term(entry.head.position.term.0 + 1));
    node.reads[0].replace(Ok(entries));
    let before = appends_with_entries(node);
    assert!(node.answer_read(0));
    assert_eq!(appends_with_entries(node), before);
    assert!(node.alarms.iter().any(|alarm| alarm.starts_with("UnreadableRange")), "{:?}", node.alarms);
    cluster.run(100);
    assert!(level(&cluster), "the next reading is good");
}

/// The entry before the range is read along for its digest. Where it is large, nothing else fits into the reading: the
/// range has to be read next, or the follower would stay behind for ever.
#[test]
fn a_large_entry_before_the_range_doesnt_keep_the_range_from_being_read() {
    let birth = Anchor { position: Position::ZERO, chain: ChainDigest::from_bytes([0; 16]) };
    let mut chain = birth.chain;
    let entries: Vec<Entry> = (1..=3)
        .map(|index| {
            let body = Bytes::from(vec![index as u8; 10_000]);
            let position = Position { term: Term(1), index: LogIndex(index) };
            let digest = BodyDigest::of(&body);
            let head = EntryHead::chained(chain, position, EntryKind::Command, body.len() as u32, digest);
            chain = head.chain;
            Entry { head, body }
        })
        .collect();
    let range = AppendRange {
        to: NodeId(2),
        term: Term(1),
        stream: StreamEpoch(1),
        prev: entries[0].head.position,
        prev_chain: None,
        last: LogIndex(3),
        terms: vec![entries[1].head.position],
        known: None,
        bytes_max: 12_000,
        leader_commit: LogIndex(3),
    };
    let (mut ranges, nothing) = (Ranges::new(birth), BodyCache::new(0, 0));
    let mut plan = ranges.plan(range, &nothing, LogIndex(3));
    for _ in 0..3 {
        plan = match plan {
            Plan::Read { request, first, last, bytes_max } => {
                // As much as the budget allows, and at least one.
                let fitting = (bytes_max / 10_100).max(1) as usize;
                let wanted = &entries[first.0 as usize - 1..last.0 as usize];
                let read = wanted.iter().take(fitting).cloned().collect();
                ranges.read(request, Ok(read), &nothing, LogIndex(3)).expect("it waits for this")
            }
            Plan::Send(filled) => {
                assert_eq!(filled.message.heads, [entries[1].head.clone()]);
                return;
            }
            Plan::Refuse(_, unfilled) => panic!("{unfilled:?}"),
        };
    }
    panic!("{plan:?}");
}
