use blockraft_types::{
    BodyDigest, ChainDigest, EntryHead, EntryKind, GroupId, LogIndex, PersistNumber, PersistReceipt, PersistTicket,
    Position, Term,
};

use super::{Durability, NextBatch, StrangeReceipt};
use crate::{Config, Options};

fn head(term: u64, index: u64) -> EntryHead {
    let position = Position { term: Term(term), index: LogIndex(index) };
    EntryHead::chained(ChainDigest::from_bytes([0; 16]), position, EntryKind::Blank, 0, BodyDigest::of(&[]))
}

fn empty() -> Durability {
    Durability::new(Config::default(), GroupId(1), LogIndex(0))
}

fn receipt(batch: NextBatch) -> PersistReceipt {
    batch.ticket.redeem()
}

#[test]
fn a_receipt_proves_what_its_batch_and_those_before_it_hold() {
    let mut durability = empty();
    durability.append(head(1, 1));
    let first = durability.take_next().expect("a batch");
    durability.append(head(1, 2));
    let second = durability.take_next().expect("a batch");
    durability.append(head(1, 3));
    assert_eq!(durability.entry_waits_for(LogIndex(2)), Some(PersistNumber(2)));
    assert_eq!(durability.entry_waits_for(LogIndex(3)), Some(PersistNumber(3)));

    assert_eq!(durability.confirm(receipt(second)), Ok(()));
    assert_eq!(durability.durable_index(), LogIndex(2));
    assert_eq!(durability.confirm(receipt(first)), Ok(()), "a late receipt of an earlier batch changes nothing");
    assert_eq!(durability.durable_index(), LogIndex(2));
    assert_eq!(durability.entry_waits_for(LogIndex(2)), None);
}

#[test]
fn a_late_receipt_does_not_vouch_for_entries_that_took_the_places_of_others() {
    let mut durability = empty();
    durability.append(head(1, 1));
    durability.append(head(1, 2));
    let of_term_one = durability.take_next().expect("a batch");
    durability.truncate_from(LogIndex(2));
    durability.append(head(2, 2));
    let of_term_two = durability.take_next().expect("a batch");
    assert_eq!(of_term_two.truncate_from, Some(LogIndex(2)));

    assert_eq!(durability.confirm(receipt(of_term_one)), Ok(()));
    assert_eq!(durability.durable_index(), LogIndex(1));
    assert_eq!(durability.confirm(receipt(of_term_two)), Ok(()));
    assert_eq!(durability.durable_index(), LogIndex(2));
}

#[test]
fn entries_that_were_never_handed_out_are_dropped_without_a_word_to_the_disk() {
    let mut durability = empty();
    durability.append(head(1, 1));
    durability.append(head(1, 2));
    durability.truncate_from(LogIndex(2));
    durability.append(head(2, 2));
    let batch = durability.take_next().expect("a batch");
    assert_eq!(batch.truncate_from, None);
    assert_eq!(batch.heads, [head(1, 1), head(2, 2)]);
}

#[test]
fn term_and_vote_wait_for_the_batch_that_carries_the_newest_of_them() {
    let mut durability = empty();
    durability.change_hard_state();
    let first = durability.take_next().expect("a batch");
    assert!(first.carries_hard_state);
    durability.change_hard_state();
    durability.append(head(1, 1));
    assert_eq!(durability.confirm(receipt(first)), Ok(()));
    assert_eq!(durability.hard_state_waits_for(), Some(PersistNumber(2)));
    let second = durability.take_next().expect("a batch");
    assert!(second.carries_hard_state);
    assert_eq!(durability.confirm(receipt(second)), Ok(()));
    assert_eq!(durability.hard_state_waits_for(), None);
    assert!(durability.is_idle());
}

#[test]
fn what_comes_while_the_disk_is_busy_joins_one_batch() {
    let config = Config::new(Options { persists_inflight_max: 1, ..Options::default() }).expect("fits together");
    let mut durability = Durability::new(config, GroupId(1), LogIndex(0));
    durability.append(head(1, 1));
    let first = durability.take_next().expect("a batch");
    for index in 2..9 {
        durability.append(head(1, index));
        assert!(durability.take_next().is_none());
    }
    assert_eq!(durability.confirm(receipt(first)), Ok(()));
    assert_eq!(durability.take_next().expect("a batch").heads.len(), 7);
}

#[test]
fn a_receipt_of_another_group_or_of_no_batch_is_strange() {
    let mut durability = empty();
    durability.append(head(1, 1));
    let batch = durability.take_next().expect("a batch");
    let foreign = PersistTicket::new(GroupId(2), PersistNumber(1)).redeem();
    let future = PersistTicket::new(GroupId(1), PersistNumber(2)).redeem();
    assert_eq!(durability.confirm(foreign), Err(StrangeReceipt));
    assert_eq!(durability.confirm(future), Err(StrangeReceipt));
    assert_eq!(durability.durable_index(), LogIndex(0));
    assert_eq!(durability.confirm(receipt(batch)), Ok(()));
}
