//! What a snapshot carries from one catalog to another, and what a crash on the way leaves.

use blockraft_blocks::{Codec, Multihash};
use blockraft_types::{EntryKind, ImportId, Incarnation, LogIndex, Membership, NodeId};
use bytes::Bytes;
use proptest::prelude::*;

use super::history::{Log, apply_all, choices, delete, history, image, name, open, outcomes, put, vertex};
use crate::bond::CarriedBond;
use crate::catalog::Catalog;
use crate::clients::Clients;
use crate::command::Command;
use crate::links::{LINKS_MAX, Links};
use crate::memory::{Fault, MemoryTable};
use crate::moment::RowError;
use crate::outcome::Outcome;
use crate::pin::PinMode;
use crate::snapshot::{ExportRow, ImportError, Importer, InstallError, Manifest, PAGE_BOND_BYTES_MAX};

type Rows = Vec<ExportRow>;

/// Everything of a catalog as it is now, in chunks of two rows.
fn exported(catalog: &Catalog<MemoryTable>) -> (Manifest, Vec<Rows>) {
    let reader = catalog.reader();
    let export = reader.export().unwrap();
    let (mut chunks, mut after) = (Vec::new(), None);
    loop {
        let page = export.rows(after, 2).unwrap();
        after = page.next;
        chunks.push(page.rows);
        if after.is_none() {
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
pub(super) fn take_over(target: &mut Catalog<MemoryTable>, source: &Catalog<MemoryTable>) {
    let (manifest, chunks) = exported(source);
    let mut importer = target.importer();
    import(&mut importer, &chunks);
    // As they travel.
    let clients = source.reader().export().unwrap().clients().unwrap().encode();
    importer.put_clients(&Clients::decode(&clients).unwrap()).unwrap();
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
    let mut names: Vec<Multihash> = export.rows(None, 9).unwrap().rows.into_iter().map(|row| row.multihash).collect();
    names.sort();
    let mut expected = vec![name(1), name(2)];
    expected.sort();
    assert_eq!((names, export.manifest().state.blocks), (expected, 2));
}

#[test]
fn a_crash_at_any_step_leaves_either_state_whole() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    let leaf = |block| vertex(block, Codec::RAW);
    let link = |block| Command::Link { parent: vertex(block, Codec::DAG_PB), links: Links::new([leaf(3)]).unwrap() };
    let pin = |root| Command::Pin { root, mode: PinMode::Recursive };
    let first = log.commands([put(1), put(2), put(3), link(1), link(2), pin(vertex(1, Codec::DAG_PB))]);
    source.apply(&first).unwrap();
    let pins = [pin(leaf(1)), link(4), pin(vertex(4, Codec::DAG_PB))];
    source.apply_many(&[log.commands([delete(2), put(4), put(5)].into_iter().chain(pins)), log.blank()]).unwrap();
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
    let sessions = source.sessions().clone();
    importer.put_clients(&Clients { sessions, ..Clients::default() }).unwrap();
    importer.restart();

    let mut other = open(&MemoryTable::new());
    other.apply(&Log::new().commands([put(2)])).unwrap();
    take_over(&mut target, &other);
    assert_eq!(image(&target), image(&other));
}

#[test]
fn what_is_pinned_and_imported_is_held_by_whoever_took_a_snapshot() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    let root = vertex(1, Codec::DAG_PB);
    let link = Command::Link { parent: root, links: Links::new([vertex(2, Codec::RAW)]).unwrap() };
    let pin = |mode| Command::Pin { root, mode };
    let both = [pin(PinMode::Recursive), pin(PinMode::Direct)];
    source.apply(&log.commands([put(1), put(2), put(3), link, Command::OpenImport].into_iter().chain(both))).unwrap();
    let table = MemoryTable::new();
    let mut target = open(&table);
    take_over(&mut target, &source);
    assert_eq!(image(&target), image(&source));
    table.cut_power(0);
    let mut target = open(&table);
    let collect = |block| Command::Collect { multihash: name(block) };
    let import = ImportId { opened: LogIndex(1), number: 4 };
    let unpin = |mode| Command::Unpin { root, mode };
    let commands = [
        collect(3),
        delete(2),
        unpin(PinMode::Direct),
        unpin(PinMode::Recursive),
        delete(2),
        Command::EndImport { import },
        collect(3),
    ];
    let expected = [
        Outcome::HeldByImport,
        Outcome::HeldByPin,
        Outcome::Unpinned,
        Outcome::Unpinned,
        Outcome::Deleted,
        Outcome::ImportEnded,
        Outcome::Collected,
    ];
    let entry = log.commands(commands);
    assert_eq!(outcomes(&target.apply(&entry).unwrap()), expected);
    source.apply(&entry).unwrap();
    assert_eq!(image(&target), image(&source));
}

#[test]
fn bonds_of_an_import_that_broke_off_are_in_no_later_one() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    let root = vertex(1, Codec::DAG_PB);
    let pin = Command::Pin { root, mode: PinMode::Recursive };
    let link = Command::Link { parent: root, links: Links::default() };
    source.apply(&log.commands([put(1), link, pin, Command::OpenImport])).unwrap();
    let mut target = open(&MemoryTable::new());
    let (_, chunks) = exported(&source);
    let mut importer = target.importer();
    import(&mut importer, &chunks);
    importer.put_clients(&source.reader().export().unwrap().clients().unwrap()).unwrap();
    importer.restart();

    let mut other = open(&MemoryTable::new());
    other.apply(&Log::new().commands([put(1)])).unwrap();
    take_over(&mut target, &other);
    assert_eq!(image(&target), image(&other));
}

#[test]
fn a_page_ends_early_where_bonds_are_large_and_a_large_one_goes_alone() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    let many = |block: u64, codec| Command::Link {
        parent: vertex(block, codec),
        links: Links::new((0..LINKS_MAX as u64).map(|link| vertex(link, codec))).unwrap(),
    };
    source.apply(&log.commands((0..30).map(put))).unwrap();
    for codec in [Codec::DAG_PB, Codec::DAG_CBOR] {
        source.apply_many(&[log.commands([many(1, codec)]), log.commands([many(2, codec)])]).unwrap();
    }
    let reader = source.reader();
    let export = reader.export().unwrap();
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = export.rows(after, 9).unwrap();
        let bond_bytes: usize = page.rows.iter().map(|row| row.bond.len()).sum();
        assert!(page.rows.len() == 1 || bond_bytes <= PAGE_BOND_BYTES_MAX && page.rows.len() <= 9);
        pages.push(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert!(pages.iter().any(|rows| PAGE_BOND_BYTES_MAX < rows[0].bond.len()));
    assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 30);
    let table = MemoryTable::new();
    let mut target = open(&table);
    installed(&mut target, export.manifest(), &pages);
    assert_eq!(image(&target), image(&source));
}

#[test]
fn bytes_that_are_no_bond_and_no_tables_of_clients_are_refused() {
    let (mut source, mut log) = (open(&MemoryTable::new()), Log::new());
    let root = vertex(1, Codec::DAG_PB);
    let link = Command::Link { parent: root, links: Links::new([vertex(2, Codec::RAW)]).unwrap() };
    source.apply(&log.commands([put(1), link, Command::OpenImport, Command::OpenSession])).unwrap();
    let (_, mut chunks) = exported(&source);
    let clients = source.reader().export().unwrap().clients().unwrap().encode();
    let bond = chunks[0][0].bond.clone();
    for cut in 0..bond.len() {
        CarriedBond::decode(&bond[..cut]).unwrap_err();
    }
    for cut in 0..clients.len() {
        Clients::decode(&clients[..cut]).unwrap_err();
    }
    chunks[0][0].bond = bond.slice(1..);
    let target = open(&MemoryTable::new());
    let refused = target.importer().put(&chunks[0], true);
    assert!(matches!(refused, Err(ImportError::Bond { multihash, .. }) if multihash == name(1)), "{refused:?}");
}
