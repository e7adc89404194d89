//! A state machine and a log that don't belong together are refused.

use blockraft_log::{Anchor, LogState, LogStore, MemoryDisk};
use blockraft_types::{ChainDigest, HardState, LogIndex, NodeId, Position, Term};

use crate::restore::{Remains, RestoreFailure, restore};
use crate::tests::cluster::{GROUP, birth, membership};

fn restored(log: LogState, applied: Anchor) -> Result<HardState, RestoreFailure> {
    let mut store = MemoryDisk::new().open();
    store.create_group(GROUP, birth(&membership(3))).unwrap();
    let (membership, membership_index, reader) = (membership(3), LogIndex::ZERO, store.reader());
    restore(Remains { node: NodeId(1), group: GROUP, log, applied, membership, membership_index, reader: &*reader })
        .map(|restored| restored.hard_state)
}

fn at(term: u64, index: u64) -> Anchor {
    let position = Position { term: Term(term), index: LogIndex(index) };
    Anchor {
        position,
        chain: ChainDigest::genesis(blockraft_types::ClusterId::from_bytes([8; 16]), GROUP, &membership(1)),
    }
}

#[test]
fn a_fresh_log_and_a_fresh_state_machine_go_together() {
    let birth = birth(&membership(3));
    restored(LogState::empty(HardState::default(), birth), birth).unwrap();
}

#[test]
fn a_state_machine_ahead_of_its_log_is_refused() {
    let log = LogState::empty(HardState::default(), birth(&membership(3)));
    assert!(matches!(restored(log, at(1, 5)), Err(RestoreFailure::AppliedBeyondLog { .. })));
}

#[test]
fn a_state_machine_of_another_cluster_is_refused() {
    let log = LogState::empty(HardState::default(), birth(&membership(3)));
    assert!(matches!(restored(log, at(0, 0)), Err(RestoreFailure::Conflict { .. })));
}

#[test]
fn a_state_machine_that_lacks_compacted_entries_is_refused() {
    let log = LogState::empty(HardState::default(), at(1, 9));
    assert!(matches!(restored(log, birth(&membership(3))), Err(RestoreFailure::Gap { .. })));
}

/// The power went after the snapshot and before the batch with the term that it came in.
#[test]
fn a_log_that_begins_in_a_later_term_than_the_last_vote_starts_in_that_term_without_a_vote() {
    let log = LogState::empty(HardState { term: Term(3), voted_for: Some(NodeId(2)) }, at(5, 100));
    assert_eq!(restored(log, at(5, 100)).unwrap(), HardState { term: Term(5), voted_for: None });
}
