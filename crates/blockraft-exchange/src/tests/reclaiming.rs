//! What may be removed, when, and what must never be.

use blockraft_types::LogIndex;

use super::desk::{B, C, Desk, ME, at, block, config, deletes, receipts, stores};
use crate::effect::Space;
use crate::input::StoreFailure;
use crate::message::Verdict;
use crate::status::SweepStatus;
use crate::ticket::CheckTicket;
use crate::{Config, Effect, Holder, Input, Named, PutId};

/// The block was put at 1 and deleted at 2, and both entries were compacted.
fn deleted_and_compacted(desk: &mut Desk) {
    desk.staged(block(1));
    desk.appended(1, &[block(1)]);
    desk.applied(1, &[block(1)], &[]);
    desk.appended(2, &[]);
    desk.applied(2, &[], &[block(1)]);
    desk.compacted(2);
}

fn question(desk: &mut Desk) -> Option<(CheckTicket, Vec<blockraft_blocks::Multihash>)> {
    desk.effects().into_iter().find_map(|effect| match effect {
        Effect::CheckRows { ticket, names } => Some((ticket, names)),
        _ => None,
    })
}

/// A re-put that sees bytes whose delete is already queued would be acknowledged and vanish.
#[test]
fn a_reput_during_reclaim_is_stored_again() {
    let mut desk = Desk::led_by(B);
    deleted_and_compacted(&mut desk);
    assert_eq!(deletes(&desk.rows_are_absent(1)), [block(1).name]);
    desk.pushed(C, block(1), 1);
    assert_eq!(desk.effects(), []);
    assert_eq!(desk.offer(3, &[block(1)]), 0);
    desk.step(Input::Removed { name: block(1).name, result: Ok(()) });
    assert_eq!(stores(&desk.effects()), [block(1)]);
    desk.stored(block(1));
    let effects = desk.effects();
    assert_eq!(receipts(&effects), [(C, Verdict::Durable)]);
    assert!(effects.contains(&Effect::GateMoved));
}

#[test]
fn a_gate_that_needs_a_block_in_reclaim_fetches_it_again() {
    let mut desk = Desk::led_by(B);
    deleted_and_compacted(&mut desk);
    desk.rows_are_absent(1);
    desk.offer(3, &[block(1)]);
    desk.effects();
    desk.step(Input::Removed { name: block(1).name, result: Ok(()) });
    assert_eq!(super::desk::fetches(&desk.effects()).len(), 1);
}

#[test]
fn nothing_is_reclaimed_before_replay_finished() {
    let mut desk = Desk::starting(config());
    desk.staged(block(1));
    desk.ticks(1000);
    assert_eq!(desk.effects(), []);
    desk.step(Input::Replayed { position: at(1, 1), names: vec![block(1)] });
    desk.step(Input::ReplayFinished { applied: LogIndex::ZERO });
    desk.ticks(1000);
    assert!(question(&mut desk).is_none(), "the log turned out to name it");
}

#[test]
fn a_deleted_block_stays_until_compaction_has_passed_every_entry_that_names_it() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    for index in [1, 3] {
        desk.appended(index, &[block(1)]);
        desk.applied(index, &[block(1)], &[]);
    }
    desk.appended(4, &[]);
    desk.applied(4, &[], &[block(1)]);
    for through in [1, 2, 3] {
        desk.compacted(through);
        desk.ticks(1000);
        assert!(question(&mut desk).is_none(), "compacted through {through} only");
    }
    desk.compacted(4);
    assert_eq!(deletes(&desk.rows_are_absent(1)), [block(1).name]);
}

#[test]
fn a_block_that_was_put_again_after_its_delete_stays() {
    let mut desk = Desk::led_by(B);
    deleted_and_compacted(&mut desk);
    desk.pushed(C, block(1), 1);
    desk.offer(3, &[block(1)]);
    desk.appended(3, &[block(1)]);
    desk.applied(3, &[block(1)], &[]);
    desk.compacted(3);
    desk.ticks(1000);
    assert!(question(&mut desk).is_none());
    assert_eq!(desk.exchange.status().names, 0, "it is durable and visible: the store knows it");
}

/// What follows a snapshot may be on its way to the disk, and cut again, before the snapshot is installed.
#[test]
fn what_was_cut_before_a_snapshot_was_installed_stays_until_a_later_term_is_durable() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.appended(10, &[block(1)]);
    desk.step(Input::Truncated { from: LogIndex(10) });
    desk.step(Input::SnapshotInstalled { position: at(1, 9) });
    assert_eq!(deletes(&desk.rows_are_absent(1000)), []);
    desk.step(Input::Appended { position: at(2, 10), names: Vec::new() });
    desk.step(Input::Persisted { position: at(2, 10) });
    assert_eq!(deletes(&desk.rows_are_absent(1000)), [block(1).name]);
}

#[test]
fn a_lease_taken_after_the_question_stops_the_reclaim() {
    let mut desk = Desk::led_by(B);
    deleted_and_compacted(&mut desk);
    desk.ticks(1);
    let (ticket, absent) = question(&mut desk).expect("it is due");
    desk.exchange.lease(block(1).name, Holder::Transfer);
    desk.step(Input::RowsChecked { ticket, absent: absent.clone() });
    assert_eq!(desk.effects(), []);
    // The old answer doesn't count for a new question either.
    desk.exchange.release(block(1).name, Holder::Transfer);
    desk.ticks(1);
    desk.effects();
    desk.step(Input::RowsChecked { ticket, absent });
    assert_eq!(desk.effects(), []);
}

#[test]
fn an_entry_that_came_after_the_question_stops_the_reclaim() {
    let mut desk = Desk::led_by(B);
    deleted_and_compacted(&mut desk);
    desk.ticks(1);
    let (ticket, absent) = question(&mut desk).expect("it is due");
    assert_eq!(desk.offer(3, &[block(1)]), 1);
    desk.appended(3, &[block(1)]);
    desk.step(Input::RowsChecked { ticket, absent });
    assert_eq!(deletes(&desk.effects()), []);
}

#[test]
fn a_put_that_came_after_the_question_gets_a_grace_of_its_own() {
    let mut desk = Desk::led_by(B);
    deleted_and_compacted(&mut desk);
    desk.ticks(1);
    let (ticket, absent) = question(&mut desk).expect("it is due");
    desk.pushed(C, block(1), 1);
    assert_eq!(receipts(&desk.effects()), [(C, Verdict::Durable)]);
    desk.step(Input::RowsChecked { ticket, absent });
    assert_eq!(deletes(&desk.rows_are_absent(config().grace_ticks - 2)), []);
}

/// A truncation that isn't durable yet can be undone by a power cut, which brings the old entry back.
#[test]
fn names_of_truncated_entries_stay_until_an_entry_of_a_later_term_is_durable() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.appended(1, &[block(1)]);
    desk.step(Input::Truncated { from: LogIndex(1) });
    desk.step(Input::Persisted { position: at(1, 1) });
    desk.ticks(1000);
    assert!(question(&mut desk).is_none(), "a late receipt of what was cut proves nothing");
    desk.step(Input::Appended { position: at(2, 1), names: Vec::new() });
    desk.step(Input::Persisted { position: at(2, 1) });
    assert_eq!(deletes(&desk.rows_are_absent(config().grace_ticks)), [block(1).name]);
}

#[test]
fn a_name_that_stands_in_two_entries_survives_the_truncation_of_one() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.appended(1, &[block(1)]);
    desk.appended(2, &[block(1)]);
    desk.step(Input::Truncated { from: LogIndex(2) });
    desk.step(Input::Persisted { position: at(2, 2) });
    desk.ticks(1000);
    assert!(question(&mut desk).is_none());
}

#[test]
fn the_sweep_finds_orphans_of_an_earlier_life_and_leaves_the_visible_alone() {
    let mut desk = Desk::starting(Config { sweep_page: 2, sweep_ticks: 1, ..config() });
    desk.step(Input::ReplayFinished { applied: LogIndex::ZERO });
    desk.ticks(1);
    assert_eq!(desk.effects(), [Effect::ListStore { after: None, limit: 2 }]);
    let entries = vec![block(1), block(2)];
    desk.step(Input::StoreListed { entries, next: Some(block(2).name) });
    let (ticket, names) = question(&mut desk).expect("nothing is known of them");
    assert_eq!(names.len(), 2);
    desk.step(Input::RowsChecked { ticket, absent: vec![block(1).name] });
    desk.ticks(1);
    assert_eq!(desk.effects(), [Effect::ListStore { after: Some(block(2).name), limit: 2 }]);
    desk.step(Input::StoreListed { entries: Vec::new(), next: None });
    assert_eq!(desk.exchange.status().sweep, SweepStatus::Done);
    assert_eq!(deletes(&desk.rows_are_absent(config().grace_ticks)), [block(1).name]);
}

/// The page is old news: what it lists may have been reclaimed before the answer about its rows came.
#[test]
fn a_swept_name_isnt_held() {
    let mut desk = Desk::starting(config());
    desk.step(Input::ReplayFinished { applied: LogIndex::ZERO });
    desk.ticks(1);
    desk.effects();
    desk.step(Input::StoreListed { entries: vec![block(1)], next: None });
    let (ticket, absent) = question(&mut desk).expect("nothing is known of it");
    desk.step(Input::RowsChecked { ticket, absent });
    desk.pushed(C, block(1), 1);
    assert_eq!(stores(&desk.effects()), [block(1)], "no receipt without a write");
}

#[test]
fn a_row_found_at_the_last_look_keeps_the_block() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.ticks(config().grace_ticks);
    let (ticket, _) = question(&mut desk).expect("its grace is over");
    desk.step(Input::RowsChecked { ticket, absent: Vec::new() });
    desk.ticks(1000);
    assert_eq!(desk.effects(), []);
    assert_eq!(desk.exchange.status().names, 0);
}

#[test]
fn memory_doesnt_grow_with_the_store() {
    let mut desk = Desk::led_by(B);
    for index in 1..=500 {
        desk.staged(block(index));
        desk.appended(index, &[block(index)]);
        desk.applied(index, &[block(index)], &[]);
        desk.compacted(index.saturating_sub(10));
    }
    let status = desk.exchange.status();
    assert_eq!((status.names, status.log_names, status.staged_blocks), (10, 10, 0));
}

#[test]
fn after_a_start_the_replayed_names_get_a_look_at_their_rows_when_compacted() {
    let mut desk = Desk::starting(config());
    desk.step(Input::Replayed { position: at(1, 1), names: vec![block(1)] });
    desk.step(Input::ReplayFinished { applied: LogIndex::ZERO });
    desk.compacted(1);
    desk.ticks(1);
    let (ticket, _) = question(&mut desk).expect("its row is unknown in this life");
    desk.step(Input::RowsChecked { ticket, absent: Vec::new() });
    assert_eq!(desk.exchange.status().names, 0);
}

#[test]
fn a_failed_delete_is_tried_again_and_counts_as_unknown_meanwhile() {
    let mut desk = Desk::led_by(B);
    deleted_and_compacted(&mut desk);
    desk.rows_are_absent(1);
    desk.step(Input::Removed { name: block(1).name, result: Err(StoreFailure::Full) });
    desk.offer(3, &[block(1)]);
    assert_eq!(desk.effects(), [Effect::Stat { name: block(1).name }]);
    desk.step(Input::AppendDropped { positions: vec![at(1, 3)] });
    desk.step(Input::Statted { name: block(1).name, length: Some(100) });
    desk.effects();
    assert_eq!(deletes(&desk.rows_are_absent(config().grace_ticks)), [block(1).name]);
}

#[test]
fn reclaims_under_way_are_bounded() {
    let mut desk = Desk::with(B, Config { reclaims_max: 2, ..config() });
    for number in 1..=5 {
        desk.staged(block(number));
    }
    let first = desk.rows_are_absent(config().grace_ticks);
    assert_eq!(deletes(&first).len(), 2);
    desk.ticks(5);
    assert_eq!(desk.effects(), []);
    for name in deletes(&first) {
        desk.step(Input::Removed { name, result: Ok(()) });
    }
    assert_eq!(deletes(&desk.rows_are_absent(1)).len(), 2);
}

#[test]
fn the_log_isnt_compacted_beyond_an_inlined_body_that_isnt_durable() {
    let mut desk = Desk::led_by(B);
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(u64::MAX));
    for index in [4, 6] {
        desk.appended(index, &[block(index)]);
        desk.applied(index, &[block(index)], &[]);
        desk.step(Input::InlineApplied { index: LogIndex(index), payload: block(index) });
    }
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(3));
    desk.stored(block(6));
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(3));
    desk.stored(block(4));
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(u64::MAX));
}

/// The second entry asks for no write, and whoever kept its body for readers must hear of it all the same.
#[test]
fn an_inlined_body_that_the_store_has_already_is_told_as_stored() {
    let mut desk = Desk::led_by(B);
    for index in [4, 6] {
        desk.appended(index, &[block(1)]);
        desk.step(Input::InlineApplied { index: LogIndex(index), payload: block(1) });
        desk.stored(block(1));
        let effects = desk.effects();
        assert_eq!(stores(&effects).len(), usize::from(index == 4));
        assert!(effects.contains(&Effect::InlineStored { index: LogIndex(index), name: block(1).name }));
    }
}

#[test]
fn before_replay_has_told_all_bodies_nothing_may_be_compacted() {
    let mut desk = Desk::starting(config());
    assert_eq!(desk.exchange.compaction_floor(), LogIndex::ZERO);
    desk.step(Input::ReplayFinished { applied: LogIndex::ZERO });
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(u64::MAX));
}

#[test]
fn an_inlined_body_that_found_the_disk_full_is_written_later() {
    let mut desk = Desk::with(B, Config { inline_bytes_max: 100, ..config() });
    desk.step(Input::InlineApplied { index: LogIndex(4), payload: block(4) });
    assert!(!desk.exchange.has_room_for_inline());
    desk.effects();
    desk.step(Input::Stored { name: block(4).name, result: Err(StoreFailure::Full) });
    desk.ticks(config().retry_ticks);
    assert_eq!(stores(&desk.effects()), [block(4)]);
    desk.stored(block(4));
    assert!(desk.exchange.has_room_for_inline());
}

#[test]
fn a_lease_of_a_put_keeps_its_block_for_as_long_as_it_takes() {
    let mut desk = Desk::led_by(ME);
    desk.step(Input::Put { op: PutId(1), payload: Named { ..block(1) } });
    let pushed = super::desk::pushes(&desk.effects(), B);
    desk.stored(block(1));
    desk.receipt(B, pushed[0].0, block(1), Verdict::Durable);
    desk.ticks(10_000);
    assert!(question(&mut desk).is_none());
}

/// Nothing is written, so the log doesn't grow: unless somebody asks, it is never compacted and the store stays full.
#[test]
fn a_full_store_asks_for_the_compaction_that_gives_deleted_blocks_back() {
    let mut desk = Desk::led_by(B);
    desk.staged(block(1));
    desk.appended(1, &[block(1)]);
    desk.applied(1, &[block(1)], &[]);
    desk.appended(2, &[]);
    desk.applied(2, &[], &[block(1)]);
    assert_eq!(desk.exchange.compaction_wanted(), None, "there is room");
    desk.step(Input::Put { op: PutId(1), payload: block(2) });
    desk.step(Input::Stored { name: block(2).name, result: Err(StoreFailure::Full) });
    desk.ticks(2 * config().full_ticks);
    assert_eq!(desk.exchange.compaction_wanted(), Some(LogIndex(2)));
    desk.compacted(2);
    assert_eq!(desk.exchange.compaction_wanted(), None);
    assert_eq!(deletes(&desk.rows_are_absent(1)), [block(1).name]);
}

#[test]
fn many_deleted_blocks_ask_for_a_compaction_although_there_is_room() {
    let mut desk = Desk::with(B, Config { deleted_blocks_max: 2, ..config() });
    for index in 1..=3 {
        assert_eq!(desk.exchange.compaction_wanted(), None);
        desk.applied(index, &[], &[block(index)]);
    }
    assert_eq!(desk.exchange.compaction_wanted(), Some(LogIndex(1)));
}

#[test]
fn a_store_counts_as_full_until_it_refused_nothing_for_a_while() {
    let mut desk = Desk::led_by(B);
    desk.step(Input::Put { op: PutId(1), payload: block(2) });
    desk.step(Input::Stored { name: block(2).name, result: Err(StoreFailure::Full) });
    desk.ticks(config().full_ticks - 1);
    assert!(desk.exchange.is_full());
    desk.ticks(1);
    assert!(!desk.exchange.is_full());
}

#[test]
fn a_store_that_ends_no_write_counts_as_stalled_until_one_ends() {
    let mut desk = Desk::led_by(B);
    desk.ticks(2 * config().stall_ticks);
    assert!(!desk.exchange.is_stalled(), "it has nothing to write");
    desk.step(Input::Put { op: PutId(1), payload: block(1) });
    desk.step(Input::Put { op: PutId(2), payload: block(2) });
    desk.ticks(config().stall_ticks - 1);
    assert!(!desk.exchange.is_stalled());
    desk.ticks(1);
    assert!(desk.exchange.is_stalled());
    desk.stored(block(1));
    desk.ticks(config().stall_ticks - 1);
    assert!(!desk.exchange.is_stalled(), "a slow disk moves");
    desk.ticks(1);
    assert!(desk.exchange.is_stalled(), "the other write stands still");
    desk.stored(block(2));
    desk.ticks(2 * config().stall_ticks);
    assert!(!desk.exchange.is_stalled());
}

/// An acknowledged body is in the log alone. Without room for it the log can't be compacted, and deletes give nothing back.
#[test]
fn a_body_that_found_no_room_gets_some_of_the_reserve_and_lets_the_log_go() {
    let mut desk = Desk::led_by(B);
    desk.appended(1, &[block(1)]);
    desk.step(Input::InlineApplied { index: LogIndex(1), payload: block(1) });
    desk.step(Input::Stored { name: block(1).name, result: Err(StoreFailure::Full) });
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(0));
    desk.effects();
    desk.ticks(config().retry_ticks);
    let reserved = |effect: &Effect<Named>| matches!(effect, Effect::Store { space: Space::Reserve, .. });
    assert!(desk.effects().iter().any(reserved));
    desk.stored(block(1));
    assert_eq!(desk.exchange.compaction_floor(), LogIndex(u64::MAX));
    desk.applied(2, &[], &[block(2)]);
    assert_eq!(desk.exchange.compaction_wanted(), Some(LogIndex(2)), "the store is full all the same");
}
