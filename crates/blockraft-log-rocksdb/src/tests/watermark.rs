//! The witness survives what it must survive, and nothing else.

use std::fs;

use blockraft_types::{HardState, LogIndex, LostTail, NodeId, Position, Term};

use super::scribe::GROUP;
use crate::watermark::{self, Mark, Stage, Testimony, Watermark, Written};

const SLOTS: [usize; 2] = [0, 4_096];

fn mark(term: u64, index: u64) -> Mark {
    let hard_state = HardState { term: Term(term), voted_for: Some(NodeId(1)) };
    Mark {
        stage: Stage::Live,
        hard_state,
        position: Position { term: Term(term), index: LogIndex(index) },
        lost_tail: None,
    }
}

fn spoil(folder: &std::path::Path, spoiler: impl FnOnce(&mut Vec<u8>)) {
    let path = watermark::path(folder, GROUP);
    let mut bytes = fs::read(&path).expect("readable");
    spoiler(&mut bytes);
    fs::write(path, bytes).expect("writable");
}

#[test]
fn one_rotten_slot_loses_nothing_that_was_synced() {
    for slot in SLOTS {
        for byte in 0..62 {
            let folder = tempfile::tempdir().expect("a temporary directory");
            let mut witness = Watermark::create(folder.path(), GROUP).expect("created");
            witness.put_synced(GROUP, mark(2, 8)).expect("written");
            witness.put_synced(GROUP, mark(3, 5)).expect("written");
            spoil(folder.path(), |bytes| bytes[slot + byte] ^= 0x10);
            assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Mark(mark(3, 5)));
        }
    }
}

#[test]
fn a_torn_raise_leaves_what_was_synced() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut witness = Watermark::create(folder.path(), GROUP).expect("created");
    witness.put_synced(GROUP, mark(2, 8)).expect("written");
    let before = fs::read(watermark::path(folder.path(), GROUP)).expect("readable");
    for index in 9..20 {
        let position = Position { term: Term(2), index: LogIndex(index) };
        assert_eq!(witness.raise(GROUP, position).expect("written"), Written::Unsynced);
    }
    let after = fs::read(watermark::path(folder.path(), GROUP)).expect("readable");
    let touched: Vec<_> = SLOTS.into_iter().filter(|&slot| before[slot..slot + 62] != after[slot..slot + 62]).collect();
    assert_eq!(touched.len(), 1, "raises that aren't synced write into one slot only");
    spoil(folder.path(), |bytes| bytes[touched[0]..touched[0] + 62].fill(0xAA));
    assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Mark(mark(2, 8)));
}

#[test]
fn a_raise_is_synced_every_so_often() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut witness = Watermark::create(folder.path(), GROUP).expect("created");
    let synced = (1..=96).filter(|&index| {
        let position = Position { term: Term(1), index: LogIndex(index) };
        witness.raise(GROUP, position).expect("written") == Written::Synced
    });
    assert_eq!(synced.collect::<Vec<_>>(), [32, 64, 96]);
}

#[test]
fn opening_heals_a_rotten_slot() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut witness = Watermark::create(folder.path(), GROUP).expect("created");
    witness.put_synced(GROUP, mark(2, 8)).expect("written");
    drop(witness);
    for slot in SLOTS {
        spoil(folder.path(), |bytes| bytes[slot..slot + 62].fill(0));
        drop(Watermark::open(folder.path(), GROUP, mark(2, 8)).expect("opened"));
    }
    assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Mark(mark(2, 8)));
}

/// Both are sound, and one is older: it would count if the other one rotted.
#[test]
fn opening_levels_two_slots_that_differ() {
    for slot in SLOTS {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut witness = Watermark::create(folder.path(), GROUP).expect("created");
        witness.put_synced(GROUP, mark(2, 8)).expect("written");
        witness.raise(GROUP, mark(2, 9).position).expect("written");
        drop(witness);
        let raised = Mark { position: mark(2, 9).position, ..mark(2, 8) };
        drop(Watermark::open(folder.path(), GROUP, raised).expect("opened"));
        spoil(folder.path(), |bytes| bytes[slot..slot + 62].fill(0));
        assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Mark(raised));
    }
}

#[test]
fn a_mark_of_a_loss_is_as_whole_as_any_or_counts_for_nothing() {
    let lost_tail = Some(LostTail { term: Term(3), index: LogIndex(8) });
    let lossy = Mark { lost_tail, ..mark(3, 5) };
    for byte in 0..82 {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut witness = Watermark::create(folder.path(), GROUP).expect("created");
        witness.put_synced(GROUP, lossy).expect("written");
        for slot in SLOTS {
            assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Mark(lossy));
            spoil(folder.path(), |bytes| bytes[slot + byte] ^= 0x10);
        }
        assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Damaged, "byte {byte}");
    }
}

#[test]
fn two_rotten_slots_testify_nothing() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    drop(Watermark::create(folder.path(), GROUP).expect("created"));
    spoil(folder.path(), |bytes| SLOTS.into_iter().for_each(|slot| bytes[slot + 30] ^= 1));
    assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Damaged);
    spoil(folder.path(), Vec::clear);
    assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Damaged);
}

#[test]
fn the_witness_of_another_group_testifies_nothing() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    drop(Watermark::create(folder.path(), GROUP).expect("created"));
    let other = blockraft_types::GroupId(8);
    fs::copy(watermark::path(folder.path(), GROUP), watermark::path(folder.path(), other)).expect("copied");
    assert_eq!(watermark::read(folder.path(), other).expect("readable"), Testimony::Damaged);
}
