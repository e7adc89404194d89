//! How far the state machine is, and how much it was given in memory.

use std::collections::VecDeque;

use blockraft_types::{Entry, LogIndex};

use crate::held::body_bytes;

#[derive(Debug)]
pub(crate) struct Backlog {
    applied: LogIndex,
    /// Bytes of bodies given out, by the last index of each range.
    given: VecDeque<(LogIndex, u64)>,
    bytes: u64,
    bytes_max: u64,
}

impl Backlog {
    pub(crate) const fn new(applied: LogIndex, bytes_max: u64) -> Self {
        Self { applied, given: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(crate) const fn applied(&self) -> LogIndex {
        self.applied
    }

    /// Whether entries may be given from memory; otherwise they are read from the log when their turn comes.
    pub(crate) const fn has_room(&self) -> bool {
        self.bytes < self.bytes_max
    }

    pub(crate) fn give(&mut self, last: LogIndex, entries: &[Entry]) {
        let bytes = body_bytes(entries);
        self.bytes += bytes;
        self.given.push_back((last, bytes));
    }

    pub(crate) fn take(&mut self, applied: LogIndex) {
        self.applied = self.applied.max(applied);
        while let Some((_, bytes)) = self.given.pop_front_if(|(last, _)| *last <= applied) {
            self.bytes -= bytes;
        }
    }
}
