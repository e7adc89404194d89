use blockraft_types::LogIndex;

use super::{Compaction, Reach};
use crate::config::CompactionPolicy;

const POLICY: CompactionPolicy =
    CompactionPolicy { entries_max: 100, bytes_max: 10_000, entries_kept: 40, bytes_kept: 4_000, ticks_max: 1_000 };

/// A log of `entries`, each with `bytes` of body.
fn log(entries: u64, bytes: u64) -> Compaction {
    let mut log = Compaction::new(POLICY, LogIndex::ZERO);
    (1..=entries).for_each(|index| log.appended(LogIndex(index), bytes));
    log
}

const fn reach(limit: u64, held_by_all: u64) -> Reach {
    Reach { limit: LogIndex(limit), held_by_all: LogIndex(held_by_all) }
}

#[test]
fn a_member_that_stays_away_keeps_no_more_than_the_window() {
    let mut log = log(101, 10);
    assert!(log.wants_flush(1, reach(101, 0), None));
    assert_eq!(log.flushed(reach(101, 0)), Some(LogIndex(61)));
}

#[test]
fn what_every_member_holds_goes_even_within_the_window() {
    let mut log = log(101, 10);
    assert!(log.wants_flush(1, reach(101, 95), None));
    assert_eq!(log.flushed(reach(101, 95)), Some(LogIndex(95)));
}

#[test]
fn the_window_is_bounded_in_bytes_too() {
    let mut log = log(60, 200);
    assert!(log.wants_flush(1, reach(60, 0), None), "12,000 bytes are too many");
    let through = log.flushed(reach(60, 0)).expect("something goes");
    let kept = (60 - through.0) * 200;
    assert!((3_000..=4_000).contains(&kept), "{kept} bytes stay");
}

#[test]
fn nothing_beyond_the_limit_goes_whoever_holds_it() {
    let mut log = log(101, 10);
    assert!(!log.wants_flush(1, reach(0, 101), None), "nothing is applied");
    assert!(log.wants_flush(1, reach(101, 101), None));
    assert_eq!(log.flushed(reach(30, 101)), Some(LogIndex(30)), "a snapshot that began meanwhile keeps the rest");
}

#[test]
fn a_short_log_is_compacted_once_it_is_old() {
    let mut log = log(5, 10);
    assert!(!log.wants_flush(999, reach(5, 5), None));
    assert!(log.wants_flush(1_000, reach(5, 5), None));
    assert_eq!(log.flushed(reach(5, 5)), Some(LogIndex(5)));
    log.compacted(LogIndex(5));
    log.appended(LogIndex(6), 10);
    assert!(!log.wants_flush(1_999, reach(6, 6), None));
    assert!(log.wants_flush(2_000, reach(6, 6), None));
}

#[test]
fn nothing_is_kept_for_others_when_space_is_needed() {
    let mut log = log(20, 10);
    assert!(!log.wants_flush(1, reach(20, 0), None));
    assert!(log.wants_flush(1, reach(20, 0), Some(LogIndex(15))));
    assert_eq!(log.flushed(reach(20, 0)), Some(LogIndex(15)));
}

#[test]
fn a_log_that_a_restart_found_counts_in_full() {
    let mut log = Compaction::new(POLICY, LogIndex::ZERO);
    log.appended(LogIndex(50), 0);
    assert!(!log.wants_flush(1, reach(50, 50), None));
    log.found(&[(LogIndex(20), 6_000), (LogIndex(50), 6_000)]);
    assert_eq!(log.bytes(), 12_000);
    assert!(log.wants_flush(1, reach(50, 50), None));
}
