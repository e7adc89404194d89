//! A log, and what stands in it.

use blockraft_blocks::Multihash;
use blockraft_types::{LogIndex, Position, Term};

use crate::Named;

/// A log whose first entry stands at `base + 1`.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub(super) base: usize,
    pub(super) base_term: u64,
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) term: u64,
    pub(super) command: Command,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Blank,
    Put(Vec<Named>),
    PutInline(Named),
    Delete(Multihash),
}

impl Log {
    pub(super) fn end(&self) -> usize {
        self.base + self.entries.len()
    }

    pub(super) fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index.checked_sub(self.base + 1)?)
    }

    pub(super) fn term_at(&self, index: usize) -> Option<u64> {
        if index == self.base { Some(self.base_term) } else { self.entry(index).map(|entry| entry.term) }
    }

    pub(super) fn last(&self) -> (u64, usize) {
        (self.term_at(self.end()).unwrap_or(0), self.end())
    }

    pub(super) fn last_position(&self) -> Position {
        position(self.last().0, self.end())
    }

    /// The last index up to which both logs agree. What was compacted was committed, so it agrees.
    pub(super) fn common(&self, other: &Self) -> usize {
        let mut index = self.base.max(other.base).min(self.end()).min(other.end());
        while index < self.end().min(other.end()) && self.entry(index + 1) == other.entry(index + 1) {
            index += 1;
        }
        index
    }

    pub(super) fn after(&self, index: usize) -> impl Iterator<Item = (usize, Entry)> + '_ {
        (index + 1..=self.end()).filter_map(|index| Some((index, self.entry(index)?.clone())))
    }

    pub(super) fn truncate(&mut self, last: usize) {
        self.entries.truncate(last.saturating_sub(self.base));
    }

    pub(super) fn compact(&mut self, through: usize) {
        if through > self.base {
            self.base_term = self.term_at(through).unwrap_or(self.base_term);
            self.entries.drain(..(through - self.base).min(self.entries.len()));
            self.base = through;
        }
    }

    pub(super) fn deletes(&self, name: Multihash) -> bool {
        self.entries.iter().any(|entry| entry.command == Command::Delete(name))
    }
}

impl Entry {
    pub(super) fn payload_names(&self) -> Vec<Named> {
        match &self.command {
            Command::Put(names) => names.clone(),
            Command::Blank | Command::PutInline(_) | Command::Delete(_) => Vec::new(),
        }
    }

    pub(super) fn all_names(&self) -> Vec<Named> {
        match &self.command {
            Command::Put(names) => names.clone(),
            Command::PutInline(named) => vec![*named],
            Command::Blank | Command::Delete(_) => Vec::new(),
        }
    }
}

pub(super) fn position(term: u64, index: usize) -> Position {
    Position { term: Term(term), index: LogIndex(index as u64) }
}
