//! A log to apply.

use std::collections::BTreeMap;

use blockraft_blocks::{HashCode, Multihash};
use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, LogIndex, Position, Sequence, SessionId, Term, Turn,
};
use bytes::Bytes;
use proptest::prelude::*;

use crate::batch::{self, BatchLimits};
use crate::catalog::{Applied, Catalog};
use crate::command::{Command, Request};
use crate::memory::MemoryTable;
use crate::outcome::Outcome;
use crate::row::{CatalogState, Row};
use crate::sessions::Sessions;
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

/// A command of the session that was opened by the first command of the entry at `opened`.
pub(super) fn in_turn(opened: u64, sequence: u64, first_unanswered: u64, command: Command) -> Request {
    let session = SessionId { opened: LogIndex(opened), number: 0 };
    let turn = Turn { session, sequence: Sequence(sequence), first_unanswered: Sequence(first_unanswered) };
    Request { turn: Some(turn), command }
}

/// What [`history`] makes a log of: a vector of commands for each entry.
pub(super) fn choices() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..16)
}

/// A log of puts, deletes and no-ops over few blocks, of a few sessions and of none, with entries of consensus and changes
/// of term in between. Sessions repeat commands, some of which are other commands by then.
pub(super) fn history(choices: &[Vec<u8>]) -> Vec<Entry> {
    let mut log = Log::new();
    let mut sessions: Vec<SessionId> = Vec::new();
    let mut entry = |choices: &Vec<u8>| {
        if choices.is_empty() {
            log.position.term = log.position.term.next();
            return log.blank();
        }
        let opened = log.position.index.next();
        let mut opens = Vec::new();
        let request = |(number, &choice): (u32, &u8)| {
            let block = u64::from(choice >> 2) % 12;
            let command = match choice % 4 {
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

pub(super) fn open(table: &MemoryTable) -> Catalog<MemoryTable> {
    Catalog::open(table.clone(), GROUP, GENESIS).unwrap()
}

/// Everything a replica holds: two replicas that are equal here are equal.
pub(super) fn image<T: Table>(catalog: &Catalog<T>) -> (CatalogState, BTreeMap<Multihash, Row>, Sessions) {
    let (mut rows, mut after) = (BTreeMap::new(), None);
    loop {
        let page = catalog.reader().list(after, 5).unwrap().value;
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() {
            return (catalog.state(), rows, catalog.sessions().clone());
        }
    }
}

pub(super) fn apply_all(catalog: &mut Catalog<MemoryTable>, entries: &[Entry]) -> Vec<Applied> {
    entries.iter().map(|entry| catalog.apply(entry).unwrap()).collect()
}

/// What the commands of an entry did.
pub(super) fn outcomes(applied: &Applied) -> Vec<Outcome> {
    applied.outcomes.iter().map(|settled| settled.outcome).collect()
}
