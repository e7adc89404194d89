//! What a snapshot carries from one catalog to another, and what a crash on the way leaves.

use blockraft_blocks::Multihash;
use blockraft_types::{EntryKind, Incarnation, LogIndex, Membership, NodeId};
use bytes::Bytes;
use proptest::prelude::*;

use super::history::{Log, apply_all, choices, delete, history, image, name, open, put};
use crate::catalog::Catalog;
use crate::command::Command;
use crate::memory::{Fault, MemoryTable};
use crate::moment::RowError;
use crate::row::Row;
use crate::sessions::Sessions;
use crate::snapshot::{ImportError, Importer, InstallError, Manifest};

type Rows = Vec<(Multihash, Row)>;

/// Everything of a catalog as it is now, in chunks of two rows.
fn exported(catalog: &Catalog<MemoryTable>) -> (Manifest, Vec<Rows>) {
    let reader = catalog.reader();
    let export = reader.export().unwrap();
    let (mut chunks, mut after) = (Vec::new(), None);
    loop {
        let rows = export.rows(after, 2).unwrap();
        after = rows.last().map(|(name, _)| *name);
        let is_last = rows.len() < 2;
        chunks.push(rows);
        if is_last {
            return (export.manifest().clone(), chunks);
        }
    }
}

fn import(importer: &mut Importer<MemoryTable>, chunks: &[Rows]) {
    for (number, rows) in (1..).zip(chunks) {
        importer.put(rows, number == chunks.len()).unwrap();
    }
}

fn installed(catalog: &mut Catalog<MemoryTable>, manifest: &Manifest, chunks: &[Rows]) {
    let mut importer = catalog.importer();
    import(&mut importer, chunks);
    importer.seal(manifest).unwrap();
    catalog.install(manifest.state.position, manifest.state.chain).unwrap();
    importer.clear().unwrap();
}

/// Makes `target` what `source` is, sessions and all.
fn take_over(target: &mut Catalog<MemoryTable>, source: &Catalog<MemoryTable>) {
    let (manifest, chunks) = exported(source);
    let mut importer = target.importer();
    import(&mut importer, &chunks);
    // As they travel.
    let sessions = source.reader().export().unwrap().sessions().unwrap().encode();
    importer.put_sessions(&Sessions::decode(&sessions).unwrap()).unwrap();
    importer.seal(&manifest).unwrap();
    target.install(manifest.state.position, manifest.state.chain).unwrap();
    importer.clear().unwrap();
}

proptest! {
    #[test]
    fn a_catalog_that_took_a_snapshot_goes_on_as_one_that_applied_everything(
        choices in choices(), behind in 0..16_usize, at in 0..16_usize,
    ) {
        let entries = history(&choices);
        let at = at.min(entries.len());
        prop_assume!(0 < at);
        let behind = behind.min(at - 1);
        let mut source = open(&MemoryTable::new());
        apply_all(&mut source, &entries[..at]);
        let mut third = open(&MemoryTable::new());
        take_over(&mut third, &source);
        let table = MemoryTable::new();
        let mut target = open(&table);
        apply_all(&mut target, &entries[..behind]);
        take_over(&mut target, &source);
        prop_assert_eq!(image(&target), image(&source));
        // A power cut takes nothing of it, and what comes afterwards is applied to it.
        table.cut_power(0);
        let mut target = open(&table);
        prop_assert_eq!(image(&target), image(&source));
        prop_assert_eq!(apply_all(&mut target, &entries[at..]), apply_all(&mut source, &entries[at..]));
        prop_assert_eq!(image(&target), image(&source));
        // And it can be taken from there, by one that took a snapshot before.
        if at < entries.len() {
            take_over(&mut third, &target);
        }
        prop_assert_eq!(image(&third), image(&source));
    }
}

#[test]
fn an_export_shows_one_moment_while_entries_are_applied() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let reader = catalog.reader();
    assert!(matches!(reader.export(), Err(RowError::NoState)));
    catalog.apply(&log.commands([put(1), put(2)])).unwrap();
    let export = reader.export().unwrap();
    catalog.apply(&log.commands([delete(1), put(3)])).unwrap();
    let mut names: Vec<Multihash> = export.rows(None, 9).unwrap().into_iter().map(|(name, _)| name).collect();
    names.sort();
    let mut expected = vec![name(1), name(2)];
    expected.sort();
    assert_eq!((names, export.manifest().state.blocks), (expected, 2));
}

#[test]
fn a_crash_at_any_step_leaves_either_state_whole() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    let first = log.commands([put(1), put(2), put(3)]);
    source.apply(&first).unwrap();
    source.apply_many(&[log.commands([delete(2), put(4), put(5)]), log.blank()]).unwrap();
    let (manifest, chunks) = exported(&source);
    let (mut before, mut after) = (0, 0);
    for step in 0..8 {
        for surviving in 0..8 {
            let table = MemoryTable::new();
            let mut target = open(&table);
            target.apply(&first).unwrap();
            target.flusher().flush().unwrap();
            let old = image(&target);
            let mut importer = target.importer();
            for (number, rows) in (1..=chunks.len()).zip(&chunks).take(step) {
                importer.put(rows, number == chunks.len()).unwrap();
            }
            if chunks.len() < step {
                importer.seal(&manifest).unwrap();
            }
            if chunks.len() + 1 < step {
                // The power fails between the write of the switch and its flush.
                table.inject(Fault::Flush);
                let cut_short = target.install(manifest.state.position, manifest.state.chain);
                assert!(matches!(cut_short, Err(InstallError::Flush { .. })), "{cut_short:?}");
            }
            table.cut_power(surviving);
            let found = image(&open(&table));
            assert!(found == old || found == image(&source), "after step {step}, {surviving} batches: {found:?}");
            if found == old { before += 1 } else { after += 1 }
        }
    }
    assert!(0 < before && 0 < after, "both were met: {before}, {after}");
}

#[test]
fn what_an_import_left_goes_on_naming_its_blocks_until_another_one_replaces_it() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    source.apply(&log.commands([put(1), put(2), put(3)])).unwrap();
    let (_, old) = exported(&source);
    source.apply(&log.commands([delete(1), delete(2), delete(3), put(4)])).unwrap();
    let (manifest, new) = exported(&source);
    let names = [name(1), name(2), name(3), name(4)];
    let table = MemoryTable::new();
    let target = open(&table);
    import(&mut target.importer(), &old);
    assert_eq!(target.reader().names_many(&names).unwrap(), [true, true, true, false]);
    assert_eq!(target.reader().visible_many(&names).unwrap().value, [None; 4]);
    target.flusher().flush().unwrap();
    table.cut_power(0);
    let mut target = open(&table);
    let mut importer = target.importer();
    import(&mut importer, &new);
    assert_eq!(target.reader().names_many(&names).unwrap(), [false, false, false, true]);
    importer.seal(&manifest).unwrap();
    target.install(manifest.state.position, manifest.state.chain).unwrap();
    assert_eq!(image(&target), image(&source));
}

#[test]
fn a_snapshot_that_is_not_whole_or_of_another_moment_is_never_installed() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    source.apply(&log.commands([put(1), put(2), put(3)])).unwrap();
    let (manifest, chunks) = exported(&source);
    let mut target = open(&MemoryTable::new());
    let mut importer = target.importer();
    importer.put(&chunks[0], false).unwrap();
    assert!(matches!(importer.put(&chunks[0], false), Err(ImportError::OutOfOrder)), "the same rows again");
    assert!(matches!(importer.seal(&manifest), Err(ImportError::Totals { .. })), "rows are missing");
    importer.put(&[], true).unwrap();
    assert!(matches!(importer.seal(&manifest), Err(ImportError::Totals { expected: 3, found: 2 })));
    let (position, chain) = (manifest.state.position, manifest.state.chain);
    assert!(matches!(target.install(position, chain), Err(InstallError::Absent { .. })), "nothing is sealed");
    importer.restart();
    import(&mut importer, &chunks);
    importer.seal(&manifest).unwrap();
    assert!(matches!(target.install(position, Log::new().chain), Err(InstallError::Absent { .. })), "another chain");
    target.install(position, chain).unwrap();
}

#[test]
fn a_snapshot_never_takes_a_catalog_back_in_time() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    let first = log.commands([put(1), put(2)]);
    source.apply(&first).unwrap();
    let (manifest, chunks) = exported(&source);
    let next = log.commands([delete(1)]);
    for ahead in [vec![first.clone()], vec![first, next]] {
        let mut target = open(&MemoryTable::new());
        let mut importer = target.importer();
        import(&mut importer, &chunks);
        importer.seal(&manifest).unwrap();
        apply_all(&mut target, &ahead);
        let before = image(&target);
        let installed = target.install(manifest.state.position, manifest.state.chain);
        assert!(matches!(installed, Err(InstallError::Backward { .. })), "{installed:?}");
        assert_eq!(image(&target), before);
    }
}

#[test]
fn what_a_snapshot_replaced_is_cleared_at_the_next_start_if_the_crash_came_before_that() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    let first = log.commands([put(1), put(2)]);
    source.apply(&first).unwrap();
    source.apply(&log.commands([delete(1), put(3)])).unwrap();
    let (manifest, chunks) = exported(&source);
    let table = MemoryTable::new();
    let mut target = open(&table);
    target.apply(&first).unwrap();
    let mut importer = target.importer();
    import(&mut importer, &chunks);
    importer.seal(&manifest).unwrap();
    target.install(manifest.state.position, manifest.state.chain).unwrap();
    assert_eq!(target.reader().names_many(&[name(1)]).unwrap(), [true], "it may still be in use");
    table.cut_power(0);
    let target = open(&table);
    assert_eq!(target.reader().names_many(&[name(1), name(3)]).unwrap(), [false, true]);
    assert_eq!(image(&target), image(&source));
}

#[test]
fn a_snapshot_carries_the_configuration() {
    let membership = Membership::of_voters([(NodeId(4), Incarnation::from_bytes([4; 16]))]);
    let (table, mut log) = (MemoryTable::new(), Log::new());
    let mut source = open(&table);
    assert_eq!(source.membership(), None);
    let change = log.entry(EntryKind::Membership(membership.clone().into()), Bytes::new());
    source.apply(&change).unwrap();
    source.flusher().flush().unwrap();
    let expected = Some((LogIndex(1), membership));
    assert_eq!(open(&table).membership(), expected.as_ref(), "it is there after a restart");
    let (manifest, chunks) = exported(&source);
    assert_eq!(manifest.membership, expected);
    let table = MemoryTable::new();
    let mut target = open(&table);
    installed(&mut target, &manifest, &chunks);
    assert_eq!(target.membership(), expected.as_ref());
    table.cut_power(0);
    assert_eq!(open(&table).membership(), expected.as_ref());
}

/// It may be on its way into force while another one is begun.
#[test]
fn what_was_sealed_is_never_installed_once_another_import_has_begun() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    source.apply(&log.commands([put(1), put(2), put(3)])).unwrap();
    let (manifest, chunks) = exported(&source);
    let mut target = open(&MemoryTable::new());
    let mut importer = target.importer();
    import(&mut importer, &chunks);
    importer.seal(&manifest).unwrap();
    importer.restart();
    importer.put(&chunks[0][..1], false).unwrap();
    let mixed = target.install(manifest.state.position, manifest.state.chain);
    assert!(matches!(mixed, Err(InstallError::Absent { .. })), "{mixed:?}");
}

#[test]
fn a_state_is_known_to_be_a_snapshot_until_something_is_applied_to_it() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    source.apply(&log.commands([put(1), put(2)])).unwrap();
    let (manifest, chunks) = exported(&source);
    let table = MemoryTable::new();
    let mut target = open(&table);
    assert!(!target.is_installed());
    installed(&mut target, &manifest, &chunks);
    assert!(target.is_installed());
    let mut target = open(&table);
    assert!(target.is_installed(), "a restart remembers it");
    target.apply(&log.commands([put(3)])).unwrap();
    assert!(!target.is_installed() && !open(&table).is_installed());
}

/// A flush that succeeds afterwards would vouch for what this one lost.
#[test]
fn a_snapshot_that_could_not_be_made_durable_stops_flushes() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    source.apply(&log.commands([put(1), put(2)])).unwrap();
    let (manifest, chunks) = exported(&source);
    let table = MemoryTable::new();
    let target = open(&table);
    let mut importer = target.importer();
    import(&mut importer, &chunks);
    table.inject(Fault::Flush);
    assert!(matches!(importer.seal(&manifest), Err(ImportError::Flush { .. })));
    assert!(target.flusher().flush().is_err());
}

#[test]
fn sessions_of_an_import_that_broke_off_are_in_no_later_one() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    source.apply(&log.commands([Command::OpenSession, put(1)])).unwrap();
    let mut target = open(&MemoryTable::new());
    let (_, chunks) = exported(&source);
    let mut importer = target.importer();
    import(&mut importer, &chunks);
    importer.put_sessions(source.sessions()).unwrap();
    importer.restart();

    let mut other = open(&MemoryTable::new());
    other.apply(&Log::new().commands([put(2)])).unwrap();
    take_over(&mut target, &other);
    assert_eq!(image(&target), image(&other));
}
