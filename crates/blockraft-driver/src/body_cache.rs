//! The newest entries with their bodies: all that aren't durable yet, and a bounded window of those that are.
//!
//! Until a batch is durable nobody else has its bodies; afterwards the window keeps ordinary replication and applying
//! from reading the disk.

use std::collections::VecDeque;

use blockraft_types::{Entry, LogIndex};

/// A contiguous end of the log. Invariant: it reaches to the last entry whose body the replica was given, and back at
/// least to the first one that isn't durable.
#[derive(Debug)]
pub(crate) struct BodyCache {
    entries: VecDeque<Entry>,
    bytes: u64,
    recent_bytes_max: u64,
    recent_entries_max: usize,
}

impl BodyCache {
    pub(crate) const fn new(recent_bytes_max: u64, recent_entries_max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, recent_bytes_max, recent_entries_max }
    }

    pub(crate) fn get(&self, index: LogIndex) -> Option<&Entry> {
        let first = self.entries.front()?.head.position.index;
        let offset = index.0.checked_sub(first.0)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// The longest run of entries from `first` to `last` whose bodies take at most `bytes_max`, and at least one;
    /// `None` when the first isn't here.
    pub(crate) fn run(&self, first: LogIndex, last: LogIndex, bytes_max: u64) -> Option<Vec<Entry>> {
        let front = self.entries.front()?.head.position.index;
        let offset = usize::try_from(first.0.checked_sub(front.0)?).ok()?;
        let wanted = usize::try_from(last.next().since(first)).ok()?;
        let mut run = Vec::with_capacity(wanted.min(self.entries.len().saturating_sub(offset)));
        let mut bytes = 0_u64;
        for entry in self.entries.iter().skip(offset).take(wanted) {
            bytes = bytes.saturating_add(entry.body.len() as u64);
            if bytes_max < bytes && !run.is_empty() {
                break;
            }
            run.push(entry.clone());
        }
        (!run.is_empty()).then_some(run)
    }

    /// Takes the next entry of the log. What stood at its index and after it is given back.
    pub(crate) fn push(&mut self, entry: Entry) -> Vec<Entry> {
        let index = entry.head.position.index;
        let dropped = self.truncate(index);
        if self.entries.back().is_some_and(|last| last.head.position.index.next() != index) {
            // The log goes on beyond what was here, so all of that is durable and can be read again.
            self.clear();
        }
        self.bytes += entry.body.len() as u64;
        self.entries.push_back(entry);
        dropped
    }

    /// Forgets old durable entries beyond the window.
    pub(crate) fn evict(&mut self, durable: LogIndex) {
        while self.recent_bytes_max < self.bytes || self.recent_entries_max < self.entries.len() {
            let Some(entry) = self.entries.pop_front_if(|entry| entry.head.position.index <= durable) else { return };
            self.bytes -= entry.body.len() as u64;
        }
    }

    fn truncate(&mut self, from: LogIndex) -> Vec<Entry> {
        let Some(first) = self.entries.front() else { return Vec::new() };
        let keep = usize::try_from(from.since(first.head.position.index)).unwrap_or(usize::MAX);
        if self.entries.len() <= keep {
            return Vec::new();
        }
        let dropped: Vec<Entry> = self.entries.split_off(keep).into();
        self.bytes -= dropped.iter().map(|entry| entry.body.len() as u64).sum::<u64>();
        dropped
    }

    /// Forgets everything and gives back what isn't in the log up to `handed` yet.
    pub(crate) fn reset(&mut self, handed: LogIndex) -> Vec<Entry> {
        let mut entries: Vec<Entry> = core::mem::take(&mut self.entries).into();
        self.bytes = 0;
        entries.drain(..entries.partition_point(|entry| entry.head.position.index <= handed));
        entries
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}
