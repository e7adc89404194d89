//! A log to apply, and a plain model of what it means.

use std::collections::BTreeMap;

use blockraft_blocks::{HashCode, Multihash};
use blockraft_types::{BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, LogIndex, Position, Term};
use bytes::Bytes;
use proptest::prelude::*;

use crate::batch::{self, BatchLimits};
use crate::catalog::{Applied, Catalog};
use crate::command::Command;
use crate::memory::MemoryTable;
use crate::row::{CatalogState, Row};
use crate::table::Table;

pub(super) const GENESIS: ChainDigest = ChainDigest::from_bytes([7; 16]);
pub(super) const GROUP: GroupId = GroupId(0);

/// Makes the entries of one log, one behind the other.
pub(super) struct Log {
    pub(super) position: Position,
    pub(super) chain: ChainDigest,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { position: Position { term: Term(1), index: LogIndex::ZERO }, chain: GENESIS }
    }

    pub(super) fn entry(&mut self, kind: EntryKind, body: Bytes) -> Entry {
        self.position.index = self.position.index.next();
        let digest = BodyDigest::of(&body);
        let head = EntryHead::chained(self.chain, self.position, kind, body.len() as u32, digest);
        self.chain = head.chain;
        Entry { head, body }
    }

    pub(super) fn commands(&mut self, commands: impl IntoIterator<Item = Command>) -> Entry {
        let body = batch::encode(commands, BatchLimits::default()).unwrap();
        self.entry(EntryKind::Command, body)
    }

    pub(super) fn blank(&mut self) -> Entry {
        self.entry(EntryKind::Blank, Bytes::new())
    }
}

pub(super) fn name(block: u64) -> Multihash {
    let hash = if block.is_multiple_of(3) { HashCode::Sha2_512 } else { HashCode::Sha2_256 };
    Multihash::of(hash, &block.to_le_bytes())
}

pub(super) fn put(block: u64) -> Command {
    Command::Put { multihash: name(block), length: 100 + block as u32, inline: None }
}

pub(super) fn put_inline(bytes: &'static [u8]) -> Command {
    let multihash = Multihash::of(HashCode::Blake3, bytes);
    Command::Put { multihash, length: bytes.len() as u32, inline: Some(Bytes::from_static(bytes)) }
}

pub(super) fn delete(block: u64) -> Command {
    Command::Delete { multihash: name(block) }
}

/// What [`history`] makes a log of: a vector of commands for each entry.
pub(super) fn choices() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..16)
}

/// A log of puts, deletes and no-ops over few blocks, with entries of consensus and changes of term in between.
pub(super) fn history(choices: &[Vec<u8>]) -> Vec<Entry> {
    let mut log = Log::new();
    let command = |&choice: &u8| {
        let block = u64::from(choice >> 2) % 12;
        match choice % 4 {
            0 => delete(block),
            1 if choice > 250 => Command::Noop,
            _ => put(block),
        }
    };
    let entry = |commands: &Vec<u8>| match commands.as_slice() {
        [] => {
            log.position.term = log.position.term.next();
            log.blank()
        }
        commands => log.commands(commands.iter().map(command)),
    };
    choices.iter().map(entry).collect()
}

/// What the entries mean, in the plainest words.
pub(super) fn model(entries: &[Entry]) -> BTreeMap<Multihash, Row> {
    let mut rows = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.head.kind == EntryKind::Command) {
        for command in batch::decode(&entry.body).unwrap() {
            match command {
                Command::Put { multihash, length, .. } => {
                    rows.entry(multihash).or_insert(Row { length, created: entry.head.position });
                }
                Command::Delete { multihash } => drop(rows.remove(&multihash)),
                Command::Noop => {}
            }
        }
    }
    rows
}

pub(super) fn open(table: &MemoryTable) -> Catalog<MemoryTable> {
    Catalog::open(table.clone(), GROUP, GENESIS).unwrap()
}

/// Everything a replica holds: two replicas that are equal here are equal.
pub(super) fn image<T: Table>(catalog: &Catalog<T>) -> (CatalogState, BTreeMap<Multihash, Row>) {
    let (mut rows, mut after) = (BTreeMap::new(), None);
    loop {
        let page = catalog.reader().list(after, 5).unwrap().value;
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return (catalog.state(), rows);
        }
    }
}

pub(super) fn apply_all(catalog: &mut Catalog<MemoryTable>, entries: &[Entry]) -> Vec<Applied> {
    entries.iter().map(|entry| catalog.apply(entry).unwrap()).collect()
}
