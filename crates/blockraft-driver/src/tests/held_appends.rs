//! What a follower does with appends whose payloads come late.

use blockraft_log::Anchor;
use blockraft_types::message::{AppendEntries, AppendVerdict, Heartbeat, ReadRound, StreamEpoch};
use blockraft_types::{BodyDigest, Entry, EntryHead, EntryKind, LogIndex, Message, NodeId, Position, Term};
use bytes::Bytes;

use crate::event::Event;
use crate::tests::cluster::{GateEvent, Node, anchor_of, birth, membership, tight};

const LEADER: NodeId = NodeId(1);

/// Commands of one term, as a leader would have made them.
fn commands(term: u64, bodies: &[&'static str]) -> Vec<Entry> {
    commands_after(birth(&membership(3)), term, bodies)
}

fn commands_after(mut previous: Anchor, term: u64, bodies: &[&'static str]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for body in bodies {
        let body = Bytes::from_static(body.as_bytes());
        let position = Position { term: Term(term), index: previous.position.index.next() };
        let (bytes, digest) = (body.len() as u32, BodyDigest::of(&body));
        let head = EntryHead::chained(previous.chain, position, EntryKind::Command, bytes, digest);
        let entry = Entry { head, body };
        previous = anchor_of(&entry);
        entries.push(entry);
    }
    entries
}

/// The append of `entries[range]`.
fn append(entries: &[Entry], range: core::ops::Range<usize>, term: u64, stream: u64) -> Event<GateEvent> {
    let prev = range.start.checked_sub(1).map_or(birth(&membership(3)), |prev| anchor_of(&entries[prev]));
    let (heads, bodies) = entries[range].iter().map(|entry| (entry.head.clone(), entry.body.clone())).unzip();
    let message = Message::AppendEntries(AppendEntries {
        term: Term(term),
        stream: StreamEpoch(stream),
        prev: prev.position,
        prev_chain: prev.chain,
        heads,
        leader_commit: LogIndex::ZERO,
    });
    Event::Received { from: LEADER, message, bodies }
}

fn heartbeat(term: u64, round: u64) -> Event<GateEvent> {
    let message = Message::Heartbeat(Heartbeat {
        term: Term(term),
        round: ReadRound(round),
        commit: LogIndex::ZERO,
        held_by_all: LogIndex::ZERO,
    });
    Event::Received { from: LEADER, message, bodies: Vec::new() }
}

fn payload(body: &'static str) -> Event<GateEvent> {
    Event::Gate(GateEvent::Payload(Bytes::from_static(body.as_bytes())))
}

/// What the last heartbeat's answer said to wait for.
fn waiting_for(node: &Node) -> Option<u64> {
    let replies = node.sent.iter().rev();
    let mut replies = replies.filter_map(|(_, message)| match message {
        Message::HeartbeatReply(reply) => Some(reply.waiting_for.map(|index| index.0)),
        _ => None,
    });
    replies.next().expect("heartbeats are answered at once")
}

fn verdicts(node: &Node) -> Vec<AppendVerdict> {
    let replies = node.sent.iter().filter_map(|(_, message)| match message {
        Message::AppendEntriesReply(reply) => Some(reply.verdict),
        _ => None,
    });
    replies.collect()
}

#[test]
fn in_every_order_of_arrival_nothing_overtakes_and_everything_enters() {
    let bodies = ["a", "b", "c"];
    let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for arrivals in permutations {
        let entries = commands(1, &bodies);
        let mut node = Node::new(2, &membership(3), tight());
        (0..3).for_each(|nth| node.step(append(&entries, nth..nth + 1, 1, 1)));
        // Nothing is answered in a term that isn't durable.
        node.settle();
        let mut here = [false; 3];
        for (round, arrival) in (1..).zip(arrivals) {
            let first_missing = here.iter().position(|here| !here).unwrap();
            assert_eq!(node.log_last().index.0 as usize, first_missing, "{arrivals:?}");
            node.step(heartbeat(1, round));
            assert_eq!(waiting_for(&node), Some(first_missing as u64 + 1), "{arrivals:?}");
            node.step(payload(bodies[arrival]));
            here[arrival] = true;
        }
        node.step(heartbeat(1, 9));
        assert_eq!(waiting_for(&node), None);
        node.settle();
        assert_eq!(node.log_last().index, LogIndex(3));
        let matched = |index| AppendVerdict::Matched { match_index: LogIndex(index) };
        let verdicts = verdicts(&node);
        assert!(verdicts.iter().all(|verdict| matches!(verdict, AppendVerdict::Matched { .. })), "{verdicts:?}");
        assert_eq!(verdicts.last(), Some(&matched(3)));
        assert_eq!(node.replica.gate().leases(), 0);
    }
}

#[test]
fn an_append_is_cut_to_what_may_enter() {
    let entries = commands(1, &["a", "b", "c"]);
    let mut node = Node::new(2, &membership(3), tight());
    node.step(payload("a"));
    node.step(payload("c"));
    node.step(append(&entries, 0..3, 1, 1));
    assert_eq!(node.log_last().index, LogIndex(1));
    node.step(payload("b"));
    assert_eq!(node.log_last().index, LogIndex(3));
}

#[test]
fn a_newer_term_voids_what_is_held() {
    let (old, new) = (commands(1, &["a", "b"]), commands(2, &["x", "y", "z"]));
    let mut node = Node::new(2, &membership(3), tight());
    ["a", "x", "y", "z"].into_iter().for_each(|body| node.step(payload(body)));
    node.step(append(&old, 0..2, 1, 1));
    assert_eq!(node.replica.status().held_appends, 1);
    node.step(append(&new, 0..3, 2, 1));
    assert_eq!(node.replica.status().held_appends, 0);
    node.step(payload("b"));
    node.settle();
    assert_eq!(node.log_last(), Position { term: Term(2), index: LogIndex(3) });
    assert_eq!(node.replica.gate().leases(), 0);
}

#[test]
fn a_heartbeat_of_a_newer_term_voids_what_is_held() {
    let old = commands(1, &["a"]);
    let mut node = Node::new(2, &membership(3), tight());
    node.step(append(&old, 0..1, 1, 1));
    node.step(heartbeat(2, 1));
    assert_eq!(node.replica.status().held_appends, 0);
    node.step(payload("a"));
    node.settle();
    assert_eq!(node.log_last(), Position::ZERO);
}

#[test]
fn a_newer_stream_voids_what_is_held_and_an_older_one_is_dropped() {
    let entries = commands(1, &["a", "b"]);
    let mut node = Node::new(2, &membership(3), tight());
    node.step(append(&entries, 0..2, 1, 2));
    node.step(append(&entries, 0..1, 1, 1));
    assert_eq!((node.replica.status().held_appends, node.replica.status().held_dropped), (1, 1));
    node.step(append(&entries, 0..1, 1, 3));
    node.step(payload("b"));
    node.step(payload("a"));
    assert_eq!(node.log_last().index, LogIndex(1), "the second entry belonged to a stream that is no more");
}

#[test]
fn beyond_the_bound_appends_are_dropped_and_a_gap_behind_them_too() {
    let long: &'static str = Box::leak("x".repeat(200).into_boxed_str());
    let entries = commands(1, &["a", long, "c"]);
    let mut node = Node::new(2, &membership(3), tight());
    node.step(append(&entries, 0..1, 1, 1));
    node.step(append(&entries, 1..2, 1, 1));
    assert_eq!(node.replica.status().held_appends, 2, "a bound of 256 bytes holds both");
    let more = commands(1, &["a", long, long, "d"]);
    node.step(append(&more, 2..3, 1, 1));
    node.step(append(&more, 3..4, 1, 1));
    assert_eq!((node.replica.status().held_appends, node.replica.status().held_dropped), (2, 2));
}

#[test]
fn an_entry_that_waits_for_the_disk_queue_and_comes_twice_keeps_its_lease() {
    let entries = commands(1, &["a", "b", "c"]);
    let mut node = Node::new(2, &membership(3), tight());
    ["a", "b", "c"].into_iter().for_each(|body| node.step(payload(body)));
    (0..3).for_each(|nth| node.step(append(&entries, nth..nth + 1, 1, 1)));
    assert_eq!(node.batches.len(), 2, "the third entry waits in the core");
    node.step(append(&entries, 2..3, 1, 1));
    assert_eq!(node.replica.gate().leases(), 3);
    node.settle();
    assert_eq!((node.log_last().index, node.replica.gate().leases()), (LogIndex(3), 0));
}

#[test]
fn an_entry_that_takes_a_place_and_waits_for_the_disk_queue_keeps_its_lease_too() {
    let old = commands(1, &["a", "b"]);
    let mut new = old.clone();
    new.truncate(1);
    new.extend(commands_after(anchor_of(&old[0]), 2, &["x"]));
    let mut node = Node::new(2, &membership(3), tight());
    ["a", "b", "x"].into_iter().for_each(|body| node.step(payload(body)));
    (0..2).for_each(|nth| node.step(append(&old, nth..nth + 1, 1, 1)));
    (0..2).for_each(|_| node.step(append(&new, 1..2, 2, 1)));
    assert_eq!(node.batches.len(), 2, "the new entry waits in the core");
    node.settle();
    assert_eq!((node.log_last().term, node.replica.gate().leases()), (Term(2), 0));
}

#[test]
fn entries_that_leave_the_log_end_their_leases_even_if_the_log_stays_shorter() {
    let old = commands(1, &["a", "b", "c"]);
    let new = commands(2, &["x"]);
    let mut node = Node::new(2, &membership(3), tight());
    ["a", "b", "c", "x"].into_iter().for_each(|body| node.step(payload(body)));
    node.step(append(&old, 0..3, 1, 1));
    node.step(append(&new, 0..1, 2, 1));
    assert_eq!(node.replica.gate().leases(), 1);
    node.settle();
    assert_eq!((node.log_last().index, node.replica.gate().leases()), (LogIndex(1), 0));
}

#[test]
fn a_body_that_its_head_does_not_describe_goes_nowhere() {
    let entries = commands(1, &["a"]);
    let mut node = Node::new(2, &membership(3), tight());
    node.step(payload("b"));
    let Event::Received { from, message, .. } = append(&entries, 0..1, 1, 1) else { unreachable!("an append") };
    node.step(Event::Received { from, message, bodies: vec![Bytes::from_static(b"b")] });
    assert_eq!(node.log_last(), Position::ZERO);
    assert!(node.alarms[0].starts_with("ForeignBody"), "{:?}", node.alarms);
}
