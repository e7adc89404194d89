//! Which blocks the un-compacted log names, with the truncated entries that a power cut could still bring back.

use std::collections::BTreeMap;

use blockraft_types::{LogIndex, Position, Term};

use crate::payload::Named;

/// Names by entry. Memory follows the un-compacted log, which the node bounds by compacting it.
#[derive(Debug, Default)]
pub(crate) struct LogNames {
    entries: BTreeMap<LogIndex, LoggedEntry>,
    /// What the core cut, by truncation; the disk may still have it until an entry of a later term is durable.
    condemned: Vec<Truncation>,
    /// Payload bytes of everything that ever stood before the first entry here, so that totals stay comparable.
    bytes_before: u64,
    names: usize,
}

#[derive(Debug)]
struct LoggedEntry {
    term: Term,
    names: Vec<Named>,
    /// Payload bytes of the log up to and including this entry.
    bytes_total: u64,
}

#[derive(Debug)]
struct Truncation {
    /// The latest term that was cut.
    term: Term,
    names: Vec<Named>,
}

impl LogNames {
    /// Notes an entry at the end of the log. What stood at its index or behind it must have been truncated before; if it
    /// wasn't told, it is treated so.
    pub(crate) fn append(&mut self, position: Position, names: Vec<Named>) {
        self.truncate(position.index);
        let before = self.entries.last_key_value().map_or(self.bytes_before, |(_, entry)| entry.bytes_total);
        let bytes: u64 = names.iter().map(|named| u64::from(named.length)).sum();
        self.names += names.len();
        let entry = LoggedEntry { term: position.term, names, bytes_total: before.saturating_add(bytes) };
        self.entries.insert(position.index, entry);
    }

    pub(crate) fn truncate(&mut self, from: LogIndex) {
        let cut = self.entries.split_off(&from);
        if let Some((_, last)) = cut.last_key_value() {
            let term = last.term;
            self.condemned.push(Truncation { term, names: cut.into_values().flat_map(|entry| entry.names).collect() });
        }
    }

    /// Gives back the names of truncated entries that can't return: terms only grow along a log, so an entry of a later
    /// term than the last one that was cut is durable only if the truncation is.
    pub(crate) fn persisted(&mut self, position: Position) -> Vec<Named> {
        let is_over = |truncation: &mut Truncation| truncation.term < position.term;
        let names: Vec<Named> =
            self.condemned.extract_if(.., is_over).flat_map(|truncation| truncation.names).collect();
        self.names = self.names.saturating_sub(names.len());
        names
    }

    /// Gives back the names of the entries up to `through`.
    pub(crate) fn compact(&mut self, through: LogIndex) -> Vec<Named> {
        let rest = self.entries.split_off(&through.next());
        let gone = core::mem::replace(&mut self.entries, rest);
        if let Some((_, last)) = gone.last_key_value() {
            self.bytes_before = last.bytes_total;
        }
        let names: Vec<Named> = gone.into_values().flat_map(|entry| entry.names).collect();
        self.names = self.names.saturating_sub(names.len());
        names
    }

    /// The entry before the first one here; zero if there is none.
    pub(crate) fn compacted(&self) -> LogIndex {
        self.entries.first_key_value().map_or(LogIndex::ZERO, |(first, _)| LogIndex(first.0.saturating_sub(1)))
    }

    /// Payload bytes of the entries behind `matched`.
    pub(crate) fn bytes_after(&self, matched: LogIndex) -> u64 {
        self.bytes_between(matched, LogIndex(u64::MAX))
    }

    /// Payload bytes of the entries behind `after` up to `through`.
    pub(crate) fn bytes_between(&self, after: LogIndex, through: LogIndex) -> u64 {
        let total =
            |end| self.entries.range(..=end).next_back().map_or(self.bytes_before, |(_, entry)| entry.bytes_total);
        total(through).saturating_sub(total(after))
    }

    pub(crate) const fn len(&self) -> usize {
        self.names
    }
}
