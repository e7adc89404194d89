//! Writes batches that fit and remembers what a right store must hold then: the suite's model of one group.

use std::fmt::Debug;

use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, HardState, Incarnation, LogIndex, LostTail,
    Membership, NodeId, PersistNumber, PersistTicket, Position, Term,
};

use crate::batch::Batch;
use crate::reader::{ENTRY_OVERHEAD_BYTES, ReadError};
use crate::state::{Anchor, LogState};
use crate::store::LogStore;

/// One group's log as it must be. A plain list, so that it shares no reasoning with [`LogState`].
#[derive(Clone, Debug)]
pub(super) struct Author {
    pub(super) group: GroupId,
    pub(super) hard_state: HardState,
    pub(super) anchor: Anchor,
    pub(super) entries: Vec<Entry>,
    pub(super) lost_tail: Option<LostTail>,
    number: u64,
}

impl Author {
    pub(super) fn new(group: u32) -> Self {
        let mut chain = [0xA5; 16];
        chain[..4].copy_from_slice(&group.to_be_bytes());
        let anchor = Anchor { position: Position::ZERO, chain: ChainDigest::from_bytes(chain) };
        Self {
            group: GroupId(group),
            hard_state: HardState::default(),
            anchor,
            entries: Vec::new(),
            lost_tail: None,
            number: 0,
        }
    }

    /// Makes the group in `store`.
    pub(super) fn born(group: u32, store: &mut dyn LogStore) -> Result<Self, String> {
        let author = Self::new(group);
        ok("create_group", store.create_group(author.group, author.anchor))?;
        Ok(author)
    }

    pub(super) fn batch(&mut self) -> Batch {
        self.number += 1;
        Batch::new(PersistTicket::new(self.group, PersistNumber(self.number)))
    }

    pub(super) fn vote(&mut self, batch: &mut Batch, term: u64, voted_for: Option<u64>) {
        self.hard_state = HardState { term: Term(term), voted_for: voted_for.map(NodeId) };
        batch.hard_state = Some(self.hard_state);
    }

    pub(super) fn truncate(&mut self, batch: &mut Batch, from: u64) {
        self.entries.retain(|entry| entry.head.position.index < LogIndex(from));
        batch.truncate_from = Some(LogIndex(from));
    }

    pub(super) fn append(&mut self, batch: &mut Batch, term: u64, body: &[u8]) {
        self.append_kind(batch, term, EntryKind::Command, body);
    }

    pub(super) fn append_membership(&mut self, batch: &mut Batch, term: u64, voters: u64) {
        let voters = (1..=voters).map(|id| (NodeId(id), Incarnation::from_bytes([id as u8; 16])));
        self.append_kind(batch, term, EntryKind::Membership(Box::new(Membership::of_voters(voters))), b"");
    }

    fn append_kind(&mut self, batch: &mut Batch, term: u64, kind: EntryKind, body: &[u8]) {
        let entry = self.next_entry(term, kind, body);
        batch.entries.push(entry.clone());
        self.entries.push(entry);
    }

    /// The entry that would come next; it isn't appended.
    pub(super) fn next_entry(&self, term: u64, kind: EntryKind, body: &[u8]) -> Entry {
        let last = self.last();
        let position = Position { term: Term(term), index: last.position.index.next() };
        let head = EntryHead::chained(last.chain, position, kind, body.len() as u32, BodyDigest::of(body));
        Entry { head, body: body.to_vec().into() }
    }

    /// Persists `count` commands of `term` in one batch.
    pub(super) fn fill(&mut self, store: &mut dyn LogStore, term: u64, count: u64) -> Result<(), String> {
        let mut batch = self.batch();
        for n in 0..count {
            self.append(&mut batch, term, format!("{term}/{n}").as_bytes());
        }
        self.persist(store, batch)
    }

    pub(super) fn persist(&self, store: &mut dyn LogStore, batch: Batch) -> Result<(), String> {
        ok("persist", store.persist(vec![batch])).map(drop)
    }

    pub(super) fn compacted(&mut self, through: u64) {
        let kept = self.entries.iter().position(|entry| LogIndex(through) < entry.head.position.index);
        let last_gone = self.entries.drain(..kept.unwrap_or(self.entries.len())).next_back();
        if let Some(entry) = last_gone {
            self.anchor = Anchor { position: entry.head.position, chain: entry.head.chain };
        }
    }

    pub(super) fn reset(&mut self, anchor: Anchor) {
        self.entries.clear();
        self.anchor = anchor;
    }

    pub(super) fn last(&self) -> Anchor {
        let of = |entry: &Entry| Anchor { position: entry.head.position, chain: entry.head.chain };
        self.entries.last().map_or(self.anchor, of)
    }

    pub(super) fn last_index(&self) -> u64 {
        self.last().position.index.0
    }

    fn state(&self) -> LogState {
        let mut terms: Vec<Position> = self.entries.iter().map(|entry| entry.head.position).collect();
        terms.dedup_by_key(|position| position.term);
        let membership = |entry: &Entry| match &entry.head.kind {
            EntryKind::Membership(membership) => Some((entry.head.position, (**membership).clone())),
            EntryKind::Blank | EntryKind::Command => None,
        };
        let memberships = self.entries.iter().filter_map(membership).collect();
        let (hard_state, anchor, lost_tail) = (self.hard_state, self.anchor, self.lost_tail);
        LogState { hard_state, anchor, last: self.last(), terms, memberships, lost_tail }
    }

    /// Whether `store` holds exactly this.
    pub(super) fn check(&self, store: &dyn LogStore) -> Result<(), String> {
        let loaded = ok("load", store.load(self.group))?;
        same("the loaded state", &loaded, &Some(self.state()))?;
        let first = self.anchor.position.index.next();
        self.check_read(store, first, LogIndex(u64::MAX), u64::MAX)?;
        let anchor = self.anchor.position;
        if anchor.index > LogIndex::ZERO {
            match store.reader().entries(self.group, anchor.index, first, u64::MAX) {
                Err(ReadError::Compacted { anchor: said, .. }) => same("the anchor of a refused read", &said, &anchor)?,
                other => return Err(format!("reading the compacted {} gave {other:?}", anchor.index)),
            }
        }
        Ok(())
    }

    /// Whether reading this range gives what it must.
    pub(super) fn check_read(
        &self,
        store: &dyn LogStore,
        first: LogIndex,
        last: LogIndex,
        bytes_max: u64,
    ) -> Result<(), String> {
        let mut left = bytes_max;
        let mut expected = Vec::new();
        for entry in &self.entries {
            let index = entry.head.position.index;
            if index < first {
                continue;
            }
            let cost = entry.body.len() as u64 + ENTRY_OVERHEAD_BYTES;
            if last < index || (cost > left && !expected.is_empty()) {
                break;
            }
            left = left.saturating_sub(cost);
            expected.push(entry.clone());
        }
        let read = ok("entries", store.reader().entries(self.group, first, last, bytes_max))?;
        same(&format!("entries {first} to {last} of group {} within {bytes_max} bytes", self.group), &read, &expected)
    }
}

/// The value, or which call failed and how.
pub(super) fn ok<T, E: Debug>(call: &str, result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("{call} failed: {error:?}"))
}

/// Nothing, or what differs.
pub(super) fn same<T: PartialEq + Debug>(what: &str, seen: &T, expected: &T) -> Result<(), String> {
    if seen == expected { Ok(()) } else { Err(format!("{what}: seen {seen:?}, expected {expected:?}")) }
}
