//! The claims of the seam, one function each.

use blockraft_types::{EntryKind, HardState, LogIndex, LostTail, NodeId, PersistNumber, Position, Term};

use super::author::{Author, ok, same};
use super::directory::{Directory, PowerCut, TailLoss};
use crate::batch::Batch;
use crate::reader::ReadError;
use crate::state::{Anchor, Misfit};
use crate::store::{CompactError, CreateGroupError, PersistError, ResetError};

type Claim = fn(&dyn Directory) -> Result<(), String>;

pub(super) const CLAIMS: &[(&str, Claim)] = &[
    ("a_new_group_is_empty_after_its_anchor", a_new_group_is_empty_after_its_anchor),
    ("a_group_is_made_once", a_group_is_made_once),
    ("a_group_that_is_not_here_is_named", a_group_that_is_not_here_is_named),
    ("what_was_persisted_comes_back", what_was_persisted_comes_back),
    ("every_batch_gets_its_receipt_in_order", every_batch_gets_its_receipt_in_order),
    ("one_call_syncs_once_however_many_batches", one_call_syncs_once_however_many_batches),
    ("an_empty_call_writes_nothing", an_empty_call_writes_nothing),
    ("a_truncation_drops_the_tail", a_truncation_drops_the_tail),
    ("a_truncation_reaches_batches_of_the_same_call", a_truncation_reaches_batches_of_the_same_call),
    ("a_truncation_beyond_the_end_drops_nothing", a_truncation_beyond_the_end_drops_nothing),
    ("a_hard_state_never_goes_back", a_hard_state_never_goes_back),
    ("a_compaction_moves_the_anchor", a_compaction_moves_the_anchor),
    ("a_log_compacted_to_its_end_goes_on", a_log_compacted_to_its_end_goes_on),
    ("a_reset_begins_anew_and_keeps_the_vote", a_reset_begins_anew_and_keeps_the_vote),
    ("what_does_not_fit_is_refused_whole", what_does_not_fit_is_refused_whole),
    ("reads_are_bounded_and_never_empty_handed", reads_are_bounded_and_never_empty_handed),
    ("a_reader_sees_what_is_persisted_after_it_was_made", a_reader_sees_what_is_persisted_after_it_was_made),
    ("groups_do_not_mix", groups_do_not_mix),
    ("what_has_a_receipt_survives_a_power_cut", what_has_a_receipt_survives_a_power_cut),
    ("a_lost_tail_is_told_until_it_is_made_good", a_lost_tail_is_told_until_it_is_made_good),
];

fn a_new_group_is_empty_after_its_anchor(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let author = Author::born(3, store.as_mut())?;
    author.check(store.as_ref())?;
    same("the groups", &store.groups(), &vec![author.group])?;
    drop(store);
    author.check(directory.open().as_ref())
}

fn a_group_is_made_once(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(3, store.as_mut())?;
    author.fill(store.as_mut(), 1, 2)?;
    match store.create_group(author.group, author.anchor) {
        Err(CreateGroupError::Exists { group }) => same("the group named", &group, &author.group)?,
        other => return Err(format!("making a group twice gave {other:?}")),
    }
    author.check(store.as_ref())
}

fn a_group_that_is_not_here_is_named(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut here = Author::born(1, store.as_mut())?;
    let mut stranger = Author::new(2);
    same("load", &ok("load", store.load(stranger.group))?, &None)?;
    let (fits, foreign) = (filled(&mut here.clone(), 1), filled(&mut stranger, 1));
    match store.persist(vec![fits, foreign]) {
        Err(PersistError::UnknownGroup { group }) => same("the group named", &group, &stranger.group)?,
        other => return Err(format!("persisting for an unknown group gave {other:?}")),
    }
    match store.compact(stranger.group, LogIndex::ZERO) {
        Err(CompactError::UnknownGroup { .. }) => {}
        other => return Err(format!("compacting an unknown group gave {other:?}")),
    }
    match store.reset(stranger.group, stranger.anchor) {
        Err(ResetError::UnknownGroup { .. }) => {}
        other => return Err(format!("resetting an unknown group gave {other:?}")),
    }
    match store.reader().entries(stranger.group, LogIndex(1), LogIndex(1), 1) {
        Err(ReadError::UnknownGroup { .. }) => {}
        other => return Err(format!("reading an unknown group gave {other:?}")),
    }
    here.check(store.as_ref())?;
    here.fill(store.as_mut(), 1, 1)?;
    here.check(store.as_ref())
}

fn what_was_persisted_comes_back(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(0, store.as_mut())?;
    let mut batch = author.batch();
    author.vote(&mut batch, 1, Some(1));
    author.append_membership(&mut batch, 1, 3);
    author.append(&mut batch, 1, b"");
    author.append(&mut batch, 1, &[0xEE; 70_000]);
    author.persist(store.as_mut(), batch)?;
    author.check(store.as_ref())?;
    let mut vote_alone = author.batch();
    author.vote(&mut vote_alone, 7, None);
    author.persist(store.as_mut(), vote_alone)?;
    let mut entries_alone = author.batch();
    author.append(&mut entries_alone, 7, b"after a change of term");
    author.append_membership(&mut entries_alone, 7, 5);
    author.persist(store.as_mut(), entries_alone)?;
    let ticket_alone = author.batch();
    author.persist(store.as_mut(), ticket_alone)?;
    author.check(store.as_ref())?;
    for _ in 0..2 {
        drop(store);
        store = directory.open();
        author.check(store.as_ref())?;
    }
    author.fill(store.as_mut(), 8, 3)?;
    author.check(store.as_ref())
}

fn every_batch_gets_its_receipt_in_order(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut one = Author::born(1, store.as_mut())?;
    let mut two = Author::born(2, store.as_mut())?;
    let batches = vec![filled(&mut two, 1), filled(&mut one, 1), filled(&mut two, 2), filled(&mut two, 1)];
    let receipts = ok("persist", store.persist(batches))?;
    let seen: Vec<_> = receipts.iter().map(|receipt| (receipt.group(), receipt.number())).collect();
    let number = PersistNumber;
    let expected = vec![(two.group, number(1)), (one.group, number(1)), (two.group, number(2)), (two.group, number(3))];
    same("the receipts", &seen, &expected)?;
    one.check(store.as_ref())?;
    two.check(store.as_ref())
}

fn groups_do_not_mix(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let ids = [u32::MAX, 0, 256, 1, 255];
    let mut authors = Vec::new();
    for id in ids {
        authors.push(Author::born(id, store.as_mut())?);
    }
    for round in 1..=3 {
        let mut batches = Vec::new();
        for (nth, author) in authors.iter_mut().enumerate() {
            let mut batch = author.batch();
            author.vote(&mut batch, round, Some(nth as u64 + 1));
            if nth == 2 && round == 3 {
                author.truncate(&mut batch, 2);
            }
            for _ in 0..=nth {
                author.append(&mut batch, round, &[nth as u8; 9]);
            }
            batches.push(batch);
        }
        ok("persist", store.persist(batches))?;
    }
    ok("compact", store.compact(authors[3].group, LogIndex(4)))?;
    authors[3].compacted(4);
    ok("reset", store.reset(authors[4].group, elsewhere()))?;
    authors[4].reset(elsewhere());
    same("the groups", &store.groups(), &[0, 1, 255, 256, u32::MAX].map(blockraft_types::GroupId).to_vec())?;
    authors.iter().try_for_each(|author| author.check(store.as_ref()))?;
    drop(store);
    let store = directory.open();
    authors.iter().try_for_each(|author| author.check(store.as_ref()))
}

fn one_call_syncs_once_however_many_batches(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut authors = Vec::new();
    for id in 0..8 {
        authors.push(Author::born(id, store.as_mut())?);
    }
    let before = store.totals();
    let batches = (0..64).map(|nth| filled(&mut authors[nth % 8], 4)).collect();
    ok("persist", store.persist(batches))?;
    let after = store.totals();
    let syncs = after.syncs - before.syncs;
    // A second one is allowed for what a store keeps outside its log, say about each group's end.
    if syncs == 0 || 2 < syncs {
        return Err(format!("64 batches of 8 groups took {syncs} syncs"));
    }
    if after.bytes_written <= before.bytes_written {
        return Err("256 entries were written without writing a byte".into());
    }
    authors.iter().try_for_each(|author| author.check(store.as_ref()))
}

fn an_empty_call_writes_nothing(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let author = Author::born(1, store.as_mut())?;
    let before = store.totals();
    same("the receipts", &ok("persist", store.persist(Vec::new()))?.len(), &0)?;
    same("the totals", &store.totals(), &before)?;
    author.check(store.as_ref())
}

fn a_truncation_drops_the_tail(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    author.fill(store.as_mut(), 1, 5)?;
    author.fill(store.as_mut(), 2, 5)?;
    let mut batch = author.batch();
    author.append_membership(&mut batch, 4, 3);
    author.persist(store.as_mut(), batch)?;
    for (from, term, count) in [(11, 5, 0), (8, 5, 2), (7, 6, 9), (3, 7, 0), (1, 8, 0), (1, 9, 3)] {
        let mut batch = author.batch();
        author.truncate(&mut batch, from);
        for _ in 0..count {
            author.append(&mut batch, term, b"rewritten");
        }
        author.persist(store.as_mut(), batch)?;
        author.check(store.as_ref())?;
        drop(store);
        store = directory.open();
        author.check(store.as_ref())?;
    }
    Ok(())
}

fn a_truncation_reaches_batches_of_the_same_call(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    author.fill(store.as_mut(), 1, 4)?;
    let appended = filled(&mut author, 6);
    let mut into_it = author.batch();
    author.truncate(&mut into_it, 8);
    author.append(&mut into_it, 2, b"over the sixth to last");
    let mut below_it = author.batch();
    author.truncate(&mut below_it, 3);
    author.append(&mut below_it, 3, b"over all");
    let more = filled(&mut author, 2);
    ok("persist", store.persist(vec![appended, into_it, below_it, more]))?;
    author.check(store.as_ref())?;
    drop(store);
    author.check(directory.open().as_ref())
}

fn a_truncation_beyond_the_end_drops_nothing(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    for from in [1, 4, 99, u64::MAX] {
        let mut batch = author.batch();
        author.truncate(&mut batch, from);
        author.append(&mut batch, 1, b"next");
        author.append(&mut batch, 1, b"next");
        author.persist(store.as_mut(), batch)?;
        author.check(store.as_ref())?;
    }
    drop(store);
    author.check(directory.open().as_ref())
}

fn what_does_not_fit_is_refused_whole(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    let mut other = Author::born(2, store.as_mut())?;
    author.fill(store.as_mut(), 2, 5)?;
    ok("compact", store.compact(author.group, LogIndex(2)))?;
    author.compacted(2);
    let last = author.last().position;
    let good = author.next_entry(2, EntryKind::Command, b"good");
    let mut gap = good.clone();
    gap.head.position.index = gap.head.position.index.next();
    let mut overlap = good.clone();
    overlap.head.position.index = last.index;
    let older = author.next_entry(1, EntryKind::Command, b"of an older term");
    let mut foreign = good.clone();
    foreign.head.chain = elsewhere().chain;
    let mut torn = good.clone();
    torn.body = "tail".into();
    let cases = [
        (None, gap, "OutOfOrder"),
        (None, overlap, "OutOfOrder"),
        (None, older, "OutOfOrder"),
        (None, foreign, "BreaksChain"),
        (None, torn, "ForeignBody"),
        (Some(LogIndex(4)), good.clone(), "OutOfOrder"),
        (Some(LogIndex(2)), good.clone(), "TruncatesCompacted"),
        (Some(LogIndex(0)), good, "TruncatesCompacted"),
    ];
    for (truncate_from, entry, expected) in cases {
        let what = format!("{:?} after truncating from {truncate_from:?}", entry.head.position);
        let mut draft = author.clone();
        let fits = filled(&mut other.clone(), 1);
        let mut misfit = draft.batch();
        draft.vote(&mut misfit, 99, Some(9));
        misfit.truncate_from = truncate_from;
        misfit.entries.push(entry);
        let verdict = store.persist(vec![fits, misfit]);
        refused(&what, verdict, expected)?;
        author.check(store.as_ref())?;
        other.check(store.as_ref())?;
    }
    author.fill(store.as_mut(), 2, 1)?;
    other.fill(store.as_mut(), 2, 1)?;
    drop(store);
    let store = directory.open();
    author.check(store.as_ref())?;
    other.check(store.as_ref())
}

fn a_hard_state_never_goes_back(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    for (term, voted_for) in [(3, None), (3, Some(2)), (3, Some(2)), (4, Some(1)), (9, None)] {
        let mut batch = author.batch();
        author.vote(&mut batch, term, voted_for);
        author.persist(store.as_mut(), batch)?;
        author.check(store.as_ref())?;
        let (backward, revoted) = (HardState { term: Term(term - 1), voted_for: None }, Some(NodeId(8)));
        let mut regressions = vec![backward];
        if voted_for.is_some() {
            regressions.push(HardState { voted_for: revoted, ..author.hard_state });
            regressions.push(HardState { voted_for: None, ..author.hard_state });
        }
        for next in regressions {
            let mut batch = author.batch();
            batch.hard_state = Some(next);
            refused(&format!("{next:?} after {:?}", author.hard_state), store.persist(vec![batch]), "HardState")?;
            author.check(store.as_ref())?;
        }
    }
    drop(store);
    author.check(directory.open().as_ref())
}

fn a_compaction_moves_the_anchor(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    for term in [1, 2, 5] {
        let mut batch = author.batch();
        author.append_membership(&mut batch, term, term);
        author.persist(store.as_mut(), batch)?;
        author.fill(store.as_mut(), term, 5)?;
    }
    for through in [0, 3, 6, 5, 7, 17] {
        let anchor = ok("compact", store.compact(author.group, LogIndex(through)))?;
        author.compacted(through);
        same("the anchor", &anchor, &author.anchor)?;
        author.check(store.as_ref())?;
        drop(store);
        store = directory.open();
        author.check(store.as_ref())?;
    }
    match store.compact(author.group, LogIndex(19)) {
        Err(CompactError::BeyondEnd { last, .. }) => same("the end named", &last, &author.last().position)?,
        other => return Err(format!("compacting beyond the end gave {other:?}")),
    }
    author.fill(store.as_mut(), 6, 2)?;
    author.check(store.as_ref())
}

fn a_log_compacted_to_its_end_goes_on(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    for round in 1..=3 {
        author.fill(store.as_mut(), round, 3)?;
        let end = author.last_index();
        ok("compact", store.compact(author.group, LogIndex(end)))?;
        author.compacted(end);
        author.check(store.as_ref())?;
        drop(store);
        store = directory.open();
        author.check(store.as_ref())?;
    }
    Ok(())
}

fn a_reset_begins_anew_and_keeps_the_vote(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    let mut batch = author.batch();
    author.vote(&mut batch, 40, Some(2));
    author.persist(store.as_mut(), batch)?;
    author.fill(store.as_mut(), 3, 9)?;
    let behind = Anchor { position: Position { term: Term(2), index: LogIndex(4) }, ..elsewhere() };
    for anchor in [elsewhere(), behind] {
        ok("reset", store.reset(author.group, anchor))?;
        author.reset(anchor);
        author.check(store.as_ref())?;
        drop(store);
        store = directory.open();
        author.check(store.as_ref())?;
        author.fill(store.as_mut(), 33, 3)?;
        author.check(store.as_ref())?;
    }
    drop(store);
    author.check(directory.open().as_ref())
}

fn reads_are_bounded_and_never_empty_handed(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    let mut batch = author.batch();
    for bytes in [10, 0, 300, 5_000, 1, 1, 64, 0] {
        author.append(&mut batch, 1, &vec![7; bytes]);
    }
    author.persist(store.as_mut(), batch)?;
    for first in 1..=10 {
        for last in 1..=10 {
            for bytes_max in [0, 1, 64, 138, 139, 500, 5_600, u64::MAX] {
                author.check_read(store.as_ref(), LogIndex(first), LogIndex(last), bytes_max)?;
            }
        }
    }
    match store.reader().entries(author.group, LogIndex::ZERO, LogIndex(1), 1) {
        Err(ReadError::Compacted { .. }) => Ok(()),
        other => Err(format!("reading the place before the first entry gave {other:?}")),
    }
}

fn a_reader_sees_what_is_persisted_after_it_was_made(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    let reader = store.reader();
    for count in 1..=3 {
        author.fill(store.as_mut(), 1, count)?;
        let read = ok("entries", reader.entries(author.group, LogIndex(1), LogIndex(99), u64::MAX))?;
        same("the entries", &read, &author.entries)?;
    }
    Ok(())
}

fn what_has_a_receipt_survives_a_power_cut(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    for round in 1..=4 {
        let mut batch = author.batch();
        author.vote(&mut batch, round, Some(1));
        if round == 3 {
            author.truncate(&mut batch, 2);
        }
        author.append(&mut batch, round, b"acknowledged");
        author.persist(store.as_mut(), batch)?;
        if round == 4 {
            ok("compact", store.compact(author.group, LogIndex(1)))?;
            author.compacted(1);
        }
        drop(store);
        if directory.cut_power() == PowerCut::Impossible {
            return Ok(());
        }
        store = directory.open();
        author.check(store.as_ref())?;
    }
    Ok(())
}

fn a_lost_tail_is_told_until_it_is_made_good(directory: &dyn Directory) -> Result<(), String> {
    let mut store = directory.open();
    let mut author = Author::born(1, store.as_mut())?;
    let mut batch = author.batch();
    author.vote(&mut batch, 3, Some(2));
    author.persist(store.as_mut(), batch)?;
    author.fill(store.as_mut(), 2, 4)?;
    author.fill(store.as_mut(), 3, 2)?;
    drop(store);
    directory.remember();
    let mut left = author.clone();

    // What is dropped comes back with the loss, and what took its place is gone.
    let mut store = directory.open();
    let mut batch = author.batch();
    author.vote(&mut batch, 7, Some(3));
    author.truncate(&mut batch, 6);
    author.persist(store.as_mut(), batch)?;
    author.fill(store.as_mut(), 7, 5)?;
    drop(store);
    if directory.lose_tail() == TailLoss::Impossible {
        return Ok(());
    }
    left.hard_state = author.hard_state;
    left.lost_tail = Some(LostTail { term: Term(7), index: LogIndex(10) });

    // Entries of terms that the member has been in prove nothing, however many, nor does another restart.
    let mut store = directory.open();
    left.check(store.as_ref())?;
    left.fill(store.as_mut(), 7, 9)?;
    ok("compact", store.compact(left.group, LogIndex(3)))?;
    left.compacted(3);
    left.check(store.as_ref())?;
    drop(store);
    let mut store = directory.open();
    left.check(store.as_ref())?;
    let mut batch = left.batch();
    left.vote(&mut batch, 8, None);
    left.persist(store.as_mut(), batch)?;
    left.check(store.as_ref())?;

    let mut later = left.clone();
    later.lost_tail = None;
    later.fill(store.as_mut(), 8, 1)?;
    later.check(store.as_ref())?;
    drop(store);
    directory.remember();
    let mut store = directory.open();
    later.check(store.as_ref())?;
    later.fill(store.as_mut(), 8, 2)?;
    drop(store);

    // And lost again, and ended by a snapshot.
    directory.lose_tail();
    let mut store = directory.open();
    let index = later.last().position.index;
    later.entries.truncate(later.entries.len() - 2);
    later.lost_tail = Some(LostTail { term: Term(8), index });
    later.check(store.as_ref())?;
    ok("reset", store.reset(later.group, elsewhere()))?;
    later.reset(elsewhere());
    later.lost_tail = None;
    later.check(store.as_ref())?;
    drop(store);
    later.check(directory.open().as_ref())
}

/// A batch with `count` more commands of the author's last term.
fn filled(author: &mut Author, count: u64) -> Batch {
    let mut batch = author.batch();
    let term = author.last().position.term.0.max(1);
    for _ in 0..count {
        author.append(&mut batch, term, b"command");
    }
    batch
}

/// A place in another log.
fn elsewhere() -> Anchor {
    let chain = blockraft_types::ChainDigest::from_bytes([0x5A; 16]);
    Anchor { position: Position { term: Term(30), index: LogIndex(1_000) }, chain }
}

fn refused<T: std::fmt::Debug>(what: &str, verdict: Result<T, PersistError>, expected: &str) -> Result<(), String> {
    let name = match &verdict {
        Err(PersistError::Misfit { source, .. }) => match source {
            Misfit::HardStateRegressed { .. } => "HardState",
            Misfit::TruncatesCompacted { .. } => "TruncatesCompacted",
            Misfit::OutOfOrder { .. } => "OutOfOrder",
            Misfit::BreaksChain { .. } => "BreaksChain",
            Misfit::ForeignBody { .. } => "ForeignBody",
        },
        _ => "none",
    };
    if name == expected { Ok(()) } else { Err(format!("{what} gave {verdict:?}, expected the misfit {expected}")) }
}
