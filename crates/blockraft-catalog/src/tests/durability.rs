//! What survives a power cut, and what a failed disk stops.

use blockraft_types::{LogIndex, Position, Term};
use proptest::prelude::*;

use super::history::{Log, apply_all, choices, history, image, open, put};
use crate::applied::ApplyError;
use crate::flusher::CatalogFlushError;
use crate::memory::{Fault, MemoryTable};

#[test]
fn a_flush_covers_what_was_applied_before_it_and_no_more() {
    let (table, mut log) = (MemoryTable::new(), Log::new());
    let mut catalog = open(&table);
    let flusher = catalog.flusher();
    assert_eq!(flusher.flushed(), Position::ZERO);
    catalog.apply(&log.commands([put(1)])).unwrap();
    let first = catalog.state().position;
    assert_eq!(flusher.flushed(), Position::ZERO);
    assert_eq!(flusher.flush().unwrap(), first);
    catalog.apply(&log.commands([put(2)])).unwrap();
    assert_eq!(flusher.flushed(), first);
    table.cut_power(0);
    assert_eq!(open(&table).state().position, first);
}

#[test]
fn what_an_opened_table_holds_is_durable() {
    let table = MemoryTable::new();
    let mut catalog = open(&table);
    catalog.apply(&Log::new().commands([put(1)])).unwrap();
    catalog.flusher().flush().unwrap();
    drop(catalog);
    let catalog = open(&table);
    assert_eq!(catalog.flusher().flushed(), catalog.state().position);
}

#[test]
fn a_failed_write_stops_the_catalog_for_good() {
    let (table, mut log) = (MemoryTable::new(), Log::new());
    let mut catalog = open(&table);
    catalog.apply(&log.commands([put(1)])).unwrap();
    let before = image(&catalog);
    table.inject(Fault::Write);
    let (second, third) = (log.commands([put(2)]), log.commands([put(3)]));
    let refusal = catalog.apply_many(&[second.clone(), third]).unwrap_err();
    let named = Position { term: Term(1), index: LogIndex(3) };
    assert!(matches!(refusal, ApplyError::Write { position, .. } if position == named), "{refusal}");
    assert!(matches!(catalog.apply(&second), Err(ApplyError::Stopped)));
    assert_eq!(image(&catalog), before, "reads go on");
    open(&table).apply(&second).unwrap();
}

#[test]
fn a_failed_flush_is_never_tried_again_and_stops_applying() {
    let (table, mut log) = (MemoryTable::new(), Log::new());
    let mut catalog = open(&table);
    catalog.apply(&log.commands([put(1)])).unwrap();
    table.inject(Fault::Flush);
    let flusher = catalog.flusher();
    assert!(matches!(flusher.flush(), Err(CatalogFlushError::Failed { .. })));
    assert!(matches!(flusher.clone().flush(), Err(CatalogFlushError::Stopped)));
    assert_eq!(flusher.flushed(), Position::ZERO);
    assert!(matches!(catalog.apply(&log.blank()), Err(ApplyError::Stopped)));
}

#[test]
fn a_failed_read_applies_nothing_and_may_be_repeated() {
    let (table, mut log) = (MemoryTable::new(), Log::new());
    let mut catalog = open(&table);
    let entry = log.commands([put(1)]);
    table.inject(Fault::Read);
    assert!(matches!(catalog.apply(&entry), Err(ApplyError::Row { .. })));
    assert_eq!(catalog.state().position, Position::ZERO);
    catalog.apply(&entry).unwrap();
}

proptest! {
    #[test]
    fn a_replay_after_a_power_cut_gives_the_same_state(
        choices in choices(),
        cuts in prop::collection::vec((0usize..12, 0usize..4, 0usize..4), 0..5),
    ) {
        let entries = history(&choices);
        let mut untroubled = open(&MemoryTable::new());
        apply_all(&mut untroubled, &entries);

        let table = MemoryTable::new();
        let mut catalog = open(&table);
        for (steps, flush_after, surviving) in cuts {
            let done = catalog.state().position.index.0 as usize;
            let until = (done + steps).min(entries.len());
            for entry in &entries[done..until] {
                catalog.apply(entry).unwrap();
                if table.unflushed() == flush_after {
                    catalog.flusher().flush().unwrap();
                }
            }
            let flushed = catalog.flusher().flushed();
            table.cut_power(surviving);
            catalog = open(&table);
            prop_assert!(flushed <= catalog.state().position);
            let done = catalog.state().position.index.0 as usize;
            let mut replayed = open(&MemoryTable::new());
            apply_all(&mut replayed, &entries[..done]);
            prop_assert_eq!(image(&catalog), image(&replayed));
        }
        let done = catalog.state().position.index.0 as usize;
        apply_all(&mut catalog, &entries[done..]);
        prop_assert_eq!(image(&catalog), image(&untroubled));
    }
}
