//! A log to apply.

use std::collections::BTreeMap;

use blockraft_blocks::{Codec, HashCode, Multihash};
use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, ImportId, LogIndex, Position, Sequence, SessionId,
    Term, Turn,
};
use bytes::Bytes;
use proptest::prelude::*;

use crate::applied::Applied;
use crate::batch::{self, BatchLimits};
use crate::bond::CarriedBond;
use crate::catalog::Catalog;
use crate::clients::Clients;
use crate::command::{Command, Request};
use crate::links::Links;
use crate::memory::MemoryTable;
use crate::outcome::Outcome;
use crate::pin::PinMode;
use crate::row::{CatalogState, Row};
use crate::table::Table;
use crate::vertex::Vertex;

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

    pub(super) fn commands<R: Into<Request>>(&mut self, requests: impl IntoIterator<Item = R>) -> Entry {
        let body = batch::encode(requests, BatchLimits::default()).unwrap();
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

pub(super) fn vertex(block: u64, codec: Codec) -> Vertex {
    Vertex { multihash: name(block), codec }
}

/// A command of the session that was opened by the first command of the entry at `opened`.
pub(super) fn in_turn(opened: u64, sequence: u64, first_unanswered: u64, command: Command) -> Request {
    let session = SessionId { opened: LogIndex(opened), number: 0 };
    let turn = Turn { session, sequence: Sequence(sequence), first_unanswered: Sequence(first_unanswered) };
    Request { turn: Some(turn), command }
}

/// What [`history`] makes a log of: a vector of commands for each entry.
pub(super) fn choices() -> impl Strategy<Value = Vec<Vec<u16>>> {
    prop::collection::vec(prop::collection::vec(any::<u16>(), 0..8), 0..16)
}

/// A log of puts, deletes and no-ops over few blocks, of a few sessions and of none, with entries of consensus and changes
/// of term in between. Sessions repeat commands, some of which are other commands by then. Choices of more than a byte make
/// imports, links, pins and what collects.
pub(super) fn history<C: Into<u16> + Copy>(choices: &[Vec<C>]) -> Vec<Entry> {
    let mut log = Log::new();
    let mut sessions: Vec<SessionId> = Vec::new();
    let mut imports: Vec<ImportId> = Vec::new();
    let mut entry = |choices: &Vec<C>| {
        if choices.is_empty() {
            log.position.term = log.position.term.next();
            return log.blank();
        }
        let opened = log.position.index.next();
        let mut opens = Vec::new();
        let request = |(number, &choice): (u32, &C)| {
            let [choice, kind] = choice.into().to_le_bytes();
            let block = u64::from(choice >> 2) % 12;
            let command = match choice % 4 {
                _ if kind % 3 != 0 => {
                    let command = graph_command(&imports, kind / 3, choice, opened);
                    if command == Command::OpenImport {
                        imports.push(ImportId { opened, number });
                    }
                    command
                }
                0 => delete(block),
                1 if 235 < choice => {
                    opens.push(SessionId { opened, number });
                    Command::OpenSession
                }
                1 if 225 < choice => Command::Noop,
                _ => put(block),
            };
            let of_session = 96 < choice && choice < 225 && !sessions.is_empty();
            let turn = of_session.then(|| Turn {
                session: sessions[usize::from(choice) % sessions.len()],
                sequence: Sequence(u64::from(choice / 8)),
                first_unanswered: Sequence(u64::from(choice.saturating_sub(100) / 8)),
            });
            Request { turn, command }
        };
        let entry = log.commands((0..).zip(choices).map(request).collect::<Vec<_>>());
        sessions.extend(opens);
        entry
    };
    choices.iter().map(&mut entry).collect()
}

/// One of the commands over `imports`, links and pins. The entry at `now` will hold it.
fn graph_command(imports: &[ImportId], kind: u8, choice: u8, now: LogIndex) -> Command {
    let (block, further) = (u64::from(choice) % 6, u64::from(choice / 6));
    let multihash = name(block);
    let codec = [Codec::DAG_PB, Codec::DAG_PB, Codec::DAG_PB, Codec::RAW, Codec::DAG_CBOR, Codec::CBOR, Codec::JSON];
    let codec = |n: u64| codec.get(n as usize).copied().unwrap_or(Codec::DAG_JSON);
    let root = vertex(block, codec(further % 8));
    let import = imports.get(imports.len().wrapping_sub(1 + usize::from(choice) % 2)).copied();
    let mode = if further.is_multiple_of(4) { PinMode::Direct } else { PinMode::Recursive };
    match (kind % 16, import) {
        (0..5, _) => {
            let links =
                (0..further % 3).map(|link| vertex((block + 1 + link * further) % 6, codec((block + link) % 5)));
            Command::Link { parent: root, links: Links::new(links).unwrap() }
        }
        (5..9, _) => Command::Pin { root, mode },
        (9, _) => Command::Unpin { root, mode },
        (10..13, _) => Command::Collect { multihash },
        (13, Some(import)) if choice.is_multiple_of(3) => Command::KeepImport { import },
        (13, Some(import)) => Command::ExpireImport { import, last_kept: LogIndex(now.0.saturating_sub(further % 4)) },
        (14, Some(import)) => Command::EndImport { import },
        (13.., _) if choice.is_multiple_of(2) => Command::OpenImport,
        (13.., _) => Command::Put { multihash, length: 7, inline: None },
    }
}

pub(super) fn open(table: &MemoryTable) -> Catalog<MemoryTable> {
    Catalog::open(table.clone(), GROUP, GENESIS).unwrap()
}

/// Everything a replica holds: two replicas that are equal here are equal.
pub(super) fn image<T: Table>(catalog: &Catalog<T>) -> Image {
    let (mut rows, mut after) = (BTreeMap::<Multihash, Row>::new(), None);
    loop {
        let page = catalog.reader().list(after, 5).unwrap().value;
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            let clients = Clients { sessions: catalog.sessions().clone(), imports: catalog.imports().clone() };
            let bonds = rows.keys().filter_map(|name| Some((*name, carried(catalog, name)?))).collect();
            return Image { state: catalog.state(), rows, bonds, clients };
        }
    }
}

/// See [`image`].
#[derive(Debug, PartialEq)]
pub(super) struct Image {
    pub(super) state: CatalogState,
    pub(super) rows: BTreeMap<Multihash, Row>,
    pub(super) bonds: BTreeMap<Multihash, CarriedBond>,
    pub(super) clients: Clients,
}

fn carried<T: Table>(catalog: &Catalog<T>, name: &Multihash) -> Option<CarriedBond> {
    let reader = catalog.reader();
    let bond = reader.bond(name).unwrap().value?;
    let links = |&codec| reader.links(&Vertex { multihash: *name, codec }).unwrap().value.unwrap();
    let links = bond.linked.iter().map(links).collect();
    Some(CarriedBond { bond, links })
}

pub(super) fn apply_all(catalog: &mut Catalog<MemoryTable>, entries: &[Entry]) -> Vec<Applied> {
    entries.iter().map(|entry| catalog.apply(entry).unwrap()).collect()
}

/// What the commands of an entry did.
pub(super) fn outcomes(applied: &Applied) -> Vec<Outcome> {
    applied.outcomes.iter().map(|settled| settled.outcome).collect()
}
