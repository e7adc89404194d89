//! Bodies that came inside applied entries and aren't durable in the store yet: the log is their only copy, so it must
//! not be compacted past them.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_blocks::Multihash;
use blockraft_types::LogIndex;

use crate::payload::Payload;

#[derive(Debug)]
pub(crate) struct Inlines<P> {
    pending: BTreeMap<LogIndex, BTreeMap<Multihash, P>>,
    /// Bodies whose write failed for lack of space.
    failed: BTreeSet<(LogIndex, Multihash)>,
    bytes: u64,
    replay: Replay,
}

/// Before replay has told all bodies, nothing is known about the ones that weren't told yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replay {
    Running,
    Finished,
}

impl<P: Payload> Inlines<P> {
    pub(crate) const fn new() -> Self {
        Self { pending: BTreeMap::new(), failed: BTreeSet::new(), bytes: 0, replay: Replay::Running }
    }

    pub(crate) fn add(&mut self, index: LogIndex, payload: P) {
        let length = u64::from(payload.length());
        if self.pending.entry(index).or_default().insert(payload.name(), payload).is_none() {
            self.bytes += length;
        }
    }

    pub(crate) fn durable(&mut self, index: LogIndex, name: Multihash) {
        self.failed.remove(&(index, name));
        if let Some(bodies) = self.pending.get_mut(&index) {
            if let Some(payload) = bodies.remove(&name) {
                self.bytes -= u64::from(payload.length());
            }
            if bodies.is_empty() {
                self.pending.remove(&index);
            }
        }
    }

    pub(crate) fn failed(&mut self, index: LogIndex, name: Multihash) {
        if self.pending.get(&index).is_some_and(|bodies| bodies.contains_key(&name)) {
            self.failed.insert((index, name));
        }
    }

    /// Takes up to `count` bodies whose write has to be tried again, lowest index first.
    pub(crate) fn take_failed(&mut self, count: usize) -> Vec<(LogIndex, P)> {
        let failed = core::iter::from_fn(|| self.failed.pop_first()).take(count);
        failed.filter_map(|(index, name)| Some((index, self.pending.get(&index)?.get(&name)?.clone()))).collect()
    }

    /// The log may be compacted up to here as far as bodies go.
    pub(crate) fn floor(&self) -> LogIndex {
        match self.replay {
            Replay::Running => LogIndex::ZERO,
            Replay::Finished => {
                self.pending.first_key_value().map_or(LogIndex(u64::MAX), |(index, _)| index.previous())
            }
        }
    }

    pub(crate) const fn replay_finished(&mut self) {
        self.replay = Replay::Finished;
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}
