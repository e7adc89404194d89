use std::vec::Vec;

use blockraft_types::message::StreamEpoch;
use blockraft_types::{BodyDigest, ChainDigest, EntryHead, EntryKind, LogIndex, NodeId, Position, Term};

use super::{AppendRange, FillError};
use crate::LogPoint;

const GENESIS: ChainDigest = ChainDigest::from_bytes([7; 16]);

fn heads(terms: &[u64]) -> Vec<EntryHead> {
    let mut heads: Vec<EntryHead> = Vec::new();
    for (index, term) in (1..).zip(terms) {
        let before = heads.last().map_or(GENESIS, |head| head.chain);
        let position = Position { term: Term(*term), index: LogIndex(index) };
        heads.push(EntryHead::chained(before, position, EntryKind::Command, 5, BodyDigest::of(b"12345")));
    }
    heads
}

/// The entries 1.1, 1.2, 3.3.
fn range() -> AppendRange {
    let last = heads(&[1, 1, 3]).pop().expect("three heads");
    AppendRange {
        to: NodeId(2),
        term: Term(3),
        stream: StreamEpoch(1),
        prev: Position::ZERO,
        prev_chain: Some(GENESIS),
        last: LogIndex(3),
        terms: [(1, 1), (3, 3)].map(|(term, index)| Position { term: Term(term), index: LogIndex(index) }).to_vec(),
        known: Some(LogPoint { position: last.position, chain: last.chain }),
        bytes_max: 100,
        leader_commit: LogIndex(1),
    }
}

#[test]
fn a_range_is_sent_whole_or_as_far_as_it_fits() {
    let (message, sent) = range().fill(GENESIS, heads(&[1, 1, 3])).expect("the entries meant");
    assert_eq!((message.heads.len(), sent.last, sent.bytes), (3, LogIndex(3), 15));
    let (message, sent) = range().fill(GENESIS, heads(&[1, 1])).expect("a part of them");
    assert_eq!((message.heads.len(), sent.last, sent.bytes), (2, LogIndex(2), 10));
}

#[test]
fn entries_of_another_history_never_leave_in_a_range() {
    let position = |term, index| Position { term: Term(term), index: LogIndex(index) };
    let replaced = range().fill(GENESIS, heads(&[1, 2, 3]));
    assert_eq!(replaced, Err(FillError::OtherEntry { expected: position(1, 2), found: position(2, 2) }));
    let gap = range().fill(GENESIS, heads(&[1, 1, 3]).split_off(1));
    assert_eq!(gap, Err(FillError::OtherEntry { expected: position(1, 1), found: position(1, 2) }));
    let beyond = range().fill(GENESIS, heads(&[1, 1, 3, 3]));
    assert_eq!(beyond, Err(FillError::Beyond { index: LogIndex(4) }));
    assert_eq!(range().fill(GENESIS, Vec::new()), Err(FillError::Empty));
}

#[test]
fn a_broken_chain_never_leaves_in_a_range() {
    let position = |term, index| Position { term: Term(term), index: LogIndex(index) };
    let foreign = ChainDigest::from_bytes([8; 16]);
    let chain_at = |position| Err(FillError::OtherChain { position });
    assert_eq!(range().fill(foreign, heads(&[1, 1, 3])), chain_at(Position::ZERO));
    let unknown_before = AppendRange { prev_chain: None, ..range() };
    assert_eq!(unknown_before.fill(foreign, heads(&[1, 1, 3])), chain_at(position(1, 1)));
    let mut damaged = heads(&[1, 1, 3]);
    if let Some(head) = damaged.get_mut(1) {
        head.body_bytes += 1;
    }
    assert_eq!(range().fill(GENESIS, damaged), chain_at(position(1, 2)));
    let known = Some(LogPoint { position: position(3, 3), chain: foreign });
    assert_eq!(AppendRange { known, ..range() }.fill(GENESIS, heads(&[1, 1, 3])), chain_at(position(3, 3)));
}
