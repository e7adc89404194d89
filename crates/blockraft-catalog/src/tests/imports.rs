//! Imports, and what they keep from being collected.

use blockraft_types::{ImportId, LogIndex};

use super::history::{Log, name, open, outcomes, put};
use crate::command::Command;
use crate::imports::{IMPORTS_MAX, ImportLimits};
use crate::memory::MemoryTable;
use crate::outcome::Outcome;

const FIRST: ImportId = ImportId { opened: LogIndex(1), number: 0 };

fn keep(import: ImportId) -> Command {
    Command::KeepImport { import }
}

fn end(import: ImportId) -> Command {
    Command::EndImport { import }
}

fn expire(import: ImportId, last_kept: u64) -> Command {
    Command::ExpireImport { import, last_kept: LogIndex(last_kept) }
}

fn collect(block: u64) -> Command {
    Command::Collect { multihash: name(block) }
}

/// What each of these came to, each in an entry of its own.
fn come_to(commands: impl IntoIterator<Item = Command>) -> Vec<Outcome> {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let apply = |command| outcomes(&catalog.apply(&log.commands([command])).unwrap());
    commands.into_iter().flat_map(apply).collect()
}

#[test]
fn while_an_import_is_open_nothing_is_collected() {
    let other = ImportId { opened: LogIndex(3), number: 0 };
    let commands = [
        Command::OpenImport,
        put(1),
        Command::OpenImport,
        collect(1),
        collect(2),
        end(FIRST),
        collect(1),
        end(other),
        collect(1),
        collect(1),
    ];
    let expected = [
        Outcome::ImportOpened,
        Outcome::Created,
        Outcome::ImportOpened,
        Outcome::HeldByImport,
        Outcome::HeldByImport,
        Outcome::ImportEnded,
        Outcome::HeldByImport,
        Outcome::ImportEnded,
        Outcome::Collected,
        Outcome::Absent,
    ];
    assert_eq!(come_to(commands), expected);
}

#[test]
fn a_delete_needs_no_regard_for_imports() {
    let delete = Command::Delete { multihash: name(1) };
    let expected = [Outcome::ImportOpened, Outcome::Created, Outcome::Deleted];
    assert_eq!(come_to([Command::OpenImport, put(1), delete]), expected);
}

#[test]
fn an_import_that_was_kept_meanwhile_does_not_expire() {
    let commands = [Command::OpenImport, keep(FIRST), expire(FIRST, 1), expire(FIRST, 2), expire(FIRST, 2)];
    let expected =
        [Outcome::ImportOpened, Outcome::ImportKept, Outcome::ImportKept, Outcome::ImportEnded, Outcome::ImportExpired];
    assert_eq!(come_to(commands), expected);
}

#[test]
fn what_is_not_open_can_be_neither_kept_nor_ended() {
    let never = ImportId { opened: LogIndex(9), number: 9 };
    let commands = [Command::OpenImport, end(FIRST), end(FIRST), keep(FIRST), keep(never), end(never)];
    let expected = [Outcome::ImportOpened, Outcome::ImportEnded];
    assert_eq!(come_to(commands), [&expected[..], &[Outcome::ImportExpired; 4]].concat());
}

#[test]
fn so_many_imports_are_open_and_no_more() {
    let table = MemoryTable::new();
    let (mut catalog, mut log) = (open(&table), Log::new());
    let applied = catalog.apply(&log.commands(vec![Command::OpenImport; IMPORTS_MAX + 1])).unwrap();
    let (opened, refused) = (vec![Outcome::ImportOpened; IMPORTS_MAX], vec![Outcome::ImportsFull]);
    assert_eq!(outcomes(&applied), [opened, refused].concat());
    assert_eq!(catalog.imports().len(), IMPORTS_MAX);
    assert_eq!(open(&table).imports(), catalog.imports(), "it can be opened so");
    assert_eq!(&catalog.reader().imports().unwrap().value, catalog.imports());
    let applied = catalog.apply(&log.commands([end(FIRST), Command::OpenImport, Command::OpenImport])).unwrap();
    assert_eq!(outcomes(&applied), [Outcome::ImportEnded, Outcome::ImportOpened, Outcome::ImportsFull]);

    let mut limited = open(&MemoryTable::new());
    limited.limit_imports(ImportLimits { imports_max: 1 });
    let applied = limited.apply(&Log::new().commands([Command::OpenImport, Command::OpenImport])).unwrap();
    assert_eq!(outcomes(&applied), [Outcome::ImportOpened, Outcome::ImportsFull]);
}

#[test]
fn a_restart_remembers_when_an_import_was_kept() {
    let table = MemoryTable::new();
    let (mut catalog, mut log) = (open(&table), Log::new());
    catalog.apply(&log.commands([Command::OpenImport])).unwrap();
    catalog.apply(&log.commands([keep(FIRST)])).unwrap();
    let mut catalog = open(&table);
    assert_eq!(catalog.imports().iter().collect::<Vec<_>>(), [(FIRST, LogIndex(2))]);
    let applied = catalog.apply(&log.commands([expire(FIRST, 1), put(1), collect(1)])).unwrap();
    assert_eq!(outcomes(&applied), [Outcome::ImportKept, Outcome::Created, Outcome::HeldByImport]);
}
