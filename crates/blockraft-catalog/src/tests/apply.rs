//! What entries mean, and which of them stop the catalog.

use blockraft_types::{ChainDigest, EntryKind, GroupId, LogIndex, Position, Term};
use bytes::Bytes;
use proptest::prelude::*;

use super::history::{
    GENESIS, GROUP, Image, Log, apply_all, choices, delete, history, image, name, open, outcomes, put, put_inline,
};
use super::model::model;
use crate::applied::{ApplyError, Effect};
use crate::batch::DecodeBatchError;
use crate::catalog::{Catalog, OpenError};
use crate::command::Command;
use crate::memory::MemoryTable;
use crate::outcome::{Outcome, Settled};
use crate::row::Row;
use crate::table::{Change, Table, WriteBatch};

fn at(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: LogIndex(index) }
}

#[test]
fn a_put_makes_a_block_visible_with_its_length_and_position() {
    let mut catalog = open(&MemoryTable::new());
    let applied = catalog.apply(&Log::new().commands([put(1)])).unwrap();
    assert_eq!(applied.outcomes, [Settled { outcome: Outcome::Created, position: at(1, 1) }]);
    assert_eq!(applied.effects, [Effect::Live { multihash: name(1), length: 101, inline: None }]);
    let row = catalog.reader().visible(&name(1)).unwrap();
    assert_eq!((row.position, row.value), (at(1, 1), Some(Row { length: 101, created: at(1, 1) })));
    assert_eq!(catalog.reader().visible(&name(2)).unwrap().value, None);
}

#[test]
fn a_put_of_a_visible_block_changes_nothing_and_keeps_its_first_row() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    catalog.apply(&log.commands([put(1)])).unwrap();
    let again = catalog.apply(&log.commands([put(1)])).unwrap();
    assert_eq!((outcomes(&again), again.effects.len()), (vec![Outcome::AlreadyPresent], 0));
    assert_eq!(catalog.reader().visible(&name(1)).unwrap().value.unwrap().created, at(1, 1));
    assert_eq!(catalog.state().blocks, 1);
}

#[test]
fn a_delete_then_put_brings_the_block_back_as_created() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let entries = [log.commands([put(1)]), log.commands([delete(1)]), log.commands([put(1)])];
    let applied = apply_all(&mut catalog, &entries);
    let outcomes: Vec<_> = applied.iter().flat_map(outcomes).collect();
    assert_eq!(outcomes, [Outcome::Created, Outcome::Deleted, Outcome::Created]);
    assert_eq!(applied[1].effects, [Effect::Dead { multihash: name(1), length: 101 }]);
    assert_eq!(catalog.reader().visible(&name(1)).unwrap().value.unwrap().created, at(1, 3));
}

#[test]
fn a_delete_of_nothing_says_absent() {
    let mut catalog = open(&MemoryTable::new());
    let applied = catalog.apply(&Log::new().commands([delete(1), Command::Noop])).unwrap();
    assert_eq!((outcomes(&applied), applied.effects), (vec![Outcome::Absent, Outcome::Nothing], vec![]));
    assert_eq!((catalog.state().blocks, catalog.state().bytes), (0, 0));
}

#[test]
fn commands_of_one_entry_see_each_other_in_order() {
    let mut catalog = open(&MemoryTable::new());
    let applied = catalog.apply(&Log::new().commands([put(1), put(1), delete(1), delete(1), put(2)])).unwrap();
    let expected = [Outcome::Created, Outcome::AlreadyPresent, Outcome::Deleted, Outcome::Absent, Outcome::Created];
    assert_eq!(outcomes(&applied), expected);
    let kinds: Vec<_> = applied.effects.iter().map(|effect| matches!(effect, Effect::Live { .. })).collect();
    assert_eq!(kinds, [true, false, true]);
    assert_eq!((catalog.state().blocks, catalog.state().bytes), (1, 102));
}

#[test]
fn an_inlined_block_hands_its_bytes_to_the_data_plane() {
    let mut catalog = open(&MemoryTable::new());
    let applied = catalog.apply(&Log::new().commands([put(1), put_inline(b"small"), put_inline(b"")])).unwrap();
    let inlined: Vec<_> = applied
        .effects
        .iter()
        .map(|effect| match effect {
            Effect::Live { inline, .. } => inline.clone(),
            Effect::Dead { .. } => panic!("nothing was deleted"),
        })
        .collect();
    assert_eq!(inlined, [None, Some(Bytes::from_static(b"small")), Some(Bytes::new())]);
}

#[test]
fn an_entry_of_consensus_moves_the_position_and_nothing_else() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let membership = EntryKind::Membership(Box::default());
    let entries = [log.blank(), log.entry(membership, Bytes::new())];
    for applied in apply_all(&mut catalog, &entries) {
        assert_eq!((applied.outcomes.len(), applied.effects.len()), (0, 0));
    }
    assert_eq!((catalog.state().position, catalog.state().chain), (at(1, 2), log.chain));
}

#[test]
fn a_committed_body_that_can_not_be_read_stops_the_catalog_at_its_index() {
    for (body, expected) in [
        (&b""[..], DecodeBatchError::Empty),
        (&[9, 0], DecodeBatchError::Version { found: 9, supported: 3 }),
        (&[1, 0, 0], DecodeBatchError::Bodies { named: 0, found: 1 }),
    ] {
        let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
        catalog.apply(&log.commands([put(1)])).unwrap();
        let before = image(&catalog);
        let good = log.commands([put(2)]);
        let bad = log.entry(EntryKind::Command, Bytes::from_static(body));
        let after = log.commands([put(3)]);
        let refusal = catalog.apply_many(&[good.clone(), bad.clone(), after.clone()]).unwrap_err();
        let ApplyError::Undecodable { position, source } = refusal else { panic!("{refusal}") };
        assert_eq!((position, source), (at(1, 3), expected));
        assert_eq!(image(&catalog), before, "nothing of the call was applied");
        catalog.apply(&good).unwrap();
        assert!(matches!(catalog.apply(&after), Err(ApplyError::OutOfOrder { .. })), "it can't be skipped");
        assert!(matches!(catalog.apply(&bad), Err(ApplyError::Undecodable { .. })), "nor does it pass later");
    }
}

#[test]
fn an_entry_out_of_order_is_refused() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let [first, second, third] = [log.blank(), log.blank(), log.blank()];
    assert!(matches!(catalog.apply(&second), Err(ApplyError::OutOfOrder { .. })));
    catalog.apply_many(&[first.clone(), second.clone()]).unwrap();
    for entry in [first, second] {
        let refusal = catalog.apply(&entry).unwrap_err();
        assert!(matches!(refusal, ApplyError::OutOfOrder { applied, .. } if applied == at(1, 2)), "{refusal}");
    }
    catalog.apply(&third).unwrap();
}

#[test]
fn an_entry_of_an_earlier_term_is_refused() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    log.position.term = Term(5);
    catalog.apply(&log.blank()).unwrap();
    log.position.term = Term(4);
    assert!(matches!(catalog.apply(&log.blank()), Err(ApplyError::OutOfOrder { .. })));
}

#[test]
fn an_entry_of_another_log_is_refused() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let mut other = Log { chain: ChainDigest::from_bytes([8; 16]), ..Log::new() };
    assert!(matches!(catalog.apply(&other.blank()), Err(ApplyError::Chain { position }) if position == at(1, 1)));
    catalog.apply(&log.blank()).unwrap();
}

#[test]
fn a_body_that_is_not_its_heads_is_refused() {
    let mut catalog = open(&MemoryTable::new());
    let mut entry = Log::new().commands([put(1)]);
    entry.body = Log::new().commands([put(2)]).body;
    assert!(matches!(catalog.apply(&entry), Err(ApplyError::Body { position }) if position == at(1, 1)));
}

#[test]
fn a_table_of_another_log_or_release_is_refused_by_name() {
    let table = MemoryTable::new();
    let mut catalog = open(&table);
    catalog.apply(&Log::new().commands([put(1)])).unwrap();
    let other = ChainDigest::from_bytes([8; 16]);
    let refusal = Catalog::open(table.clone(), GROUP, other).unwrap_err();
    assert!(matches!(refusal, OpenError::Foreign { found: GENESIS, .. }), "{refusal}");

    let state = b"\0\0\0\0s".to_vec();
    let mut record = table.view().get(&state).unwrap().unwrap();
    let write = |record: &[u8]| {
        let set = Change::Set { key: state.clone(), value: record.to_vec() };
        table.write(WriteBatch { changes: vec![set] }).unwrap();
        Catalog::open(table.clone(), GROUP, GENESIS)
    };
    assert!(matches!(write(&record[..9]), Err(OpenError::State { .. })));
    record[0] = 2;
    assert!(matches!(write(&record), Err(OpenError::State { .. })));
    table.write(WriteBatch { changes: vec![Change::Remove { key: state.clone() }] }).unwrap();
    assert!(matches!(Catalog::open(table.clone(), GROUP, GENESIS), Err(OpenError::StateMissing)));
}

#[test]
fn groups_share_a_table_without_seeing_each_other() {
    let table = MemoryTable::new();
    let mut first = open(&table);
    let mut second = Catalog::open(table.clone(), GroupId(1), GENESIS).unwrap();
    first.apply(&Log::new().commands([put(1), put(2)])).unwrap();
    second.apply(&Log::new().commands([put(2), put(3), put(4)])).unwrap();
    assert_eq!((image(&first).rows.len(), image(&second).rows.len()), (2, 3));
    assert_eq!(first.reader().visible(&name(3)).unwrap().value, None);
    assert_eq!(image(&Catalog::open(table, GroupId(1), GENESIS).unwrap()), image(&second));
}

proptest! {
    #[test]
    fn the_catalog_means_what_the_model_means(choices in choices()) {
        let entries = history(&choices);
        let mut catalog = open(&MemoryTable::new());
        apply_all(&mut catalog, &entries);
        let Image { state, rows, .. } = image(&catalog);
        prop_assert_eq!(&rows, &model(&entries));
        prop_assert_eq!(state.blocks, rows.len() as u64);
        prop_assert_eq!(state.bytes, rows.values().map(|row| u64::from(row.length)).sum::<u64>());
    }

    #[test]
    fn any_split_of_the_entries_gives_the_same_state_outcomes_and_effects(
        choices in choices(),
        splits in prop::collection::vec(1usize..6, 1..9),
    ) {
        let entries = history(&choices);
        let mut one_by_one = open(&MemoryTable::new());
        let expected = apply_all(&mut one_by_one, &entries);
        let (mut split, mut applied, mut rest) = (open(&MemoryTable::new()), Vec::new(), entries.as_slice());
        for size in splits.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (some, others) = rest.split_at((*size).min(rest.len()));
            applied.extend(split.apply_many(some).unwrap());
            rest = others;
        }
        prop_assert_eq!(applied, expected);
        prop_assert_eq!(image(&split), image(&one_by_one));
    }

    #[test]
    fn effects_are_exactly_the_changes_of_what_is_visible(choices in choices()) {
        let entries = history(&choices);
        let mut live = std::collections::BTreeMap::new();
        for applied in apply_all(&mut open(&MemoryTable::new()), &entries) {
            for effect in applied.effects {
                match effect {
                    Effect::Live { multihash, length, .. } => prop_assert_eq!(live.insert(multihash, length), None),
                    Effect::Dead { multihash, length } => prop_assert_eq!(live.remove(&multihash), Some(length)),
                }
            }
        }
        let visible = model(&entries).into_iter().map(|(multihash, row)| (multihash, row.length)).collect();
        prop_assert_eq!(live, visible);
    }

    #[test]
    fn arbitrary_committed_bytes_stop_or_apply_and_never_panic(body in any::<Vec<u8>>()) {
        let entry = Log::new().entry(EntryKind::Command, body.into());
        let mut catalog = open(&MemoryTable::new());
        match catalog.apply(&entry) {
            Ok(_) => prop_assert_eq!(catalog.state().position, at(1, 1)),
            Err(ApplyError::Undecodable { position, .. }) => {
                prop_assert_eq!((position, catalog.state().position), (at(1, 1), Position::ZERO));
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
