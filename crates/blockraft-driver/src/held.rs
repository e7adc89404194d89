//! Appends that the gate holds back, in the order in which they came: nothing overtakes.

use std::collections::VecDeque;

use blockraft_types::message::{AppendEntries, StreamEpoch};
use blockraft_types::{Entry, EntryHead, LogIndex, NodeId, Term};
use bytes::Bytes;

/// A queue of appends of one stream. Invariants: contiguous, each with entries; empty when nothing is held back.
#[derive(Debug)]
pub(crate) struct HeldAppends {
    stream: Option<Stream>,
    queue: VecDeque<HeldAppend>,
    bytes: u64,
    bytes_max: u64,
    dropped: u64,
}

/// An append whose first entry isn't admitted yet.
#[derive(Debug)]
pub(crate) struct HeldAppend {
    /// The message without its heads; `prev` is the position before the first of `entries`.
    pub(crate) start: AppendEntries,
    pub(crate) entries: Vec<Entry>,
}

/// Appends with one of these belong together. The order is the one in which a follower may see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    term: Term,
    epoch: StreamEpoch,
    from: NodeId,
}

/// What to do with an append that has just come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Nothing stands before it: ask the gate.
    Enter,
    /// It belongs to a newer stream, or begins before what is held: what is held is void.
    Replace,
    /// It belongs behind what is held.
    Queue,
    /// It proves nothing that isn't known, or comes from the past: the core may answer it without its entries.
    Bare,
    /// It doesn't fit and is sent again: a gap, an old stream, or no room.
    Drop,
}

impl HeldAppends {
    pub(crate) const fn new(bytes_max: u64) -> Self {
        Self { stream: None, queue: VecDeque::new(), bytes: 0, bytes_max, dropped: 0 }
    }

    pub(crate) fn judge(&self, from: NodeId, append: &AppendEntries, bytes: u64) -> Arrival {
        let (Some(held), Some(first)) = (self.stream, self.queue.front()) else { return Arrival::Enter };
        if append.term != held.term {
            return if append.term < held.term { Arrival::Bare } else { Arrival::Replace };
        }
        // Two leaders of one term don't exist among honest members: the core says so.
        if from != held.from {
            return Arrival::Bare;
        }
        if append.stream != held.epoch {
            return if append.stream < held.epoch { Arrival::Drop } else { Arrival::Replace };
        }
        if append.heads.is_empty() {
            return if append.prev.index <= first.start.prev.index { Arrival::Bare } else { Arrival::Drop };
        }
        if append.prev.index < self.last_index() {
            return Arrival::Replace;
        }
        let room = self.bytes.saturating_add(bytes) <= self.bytes_max;
        if append.prev.index == self.last_index() && room { Arrival::Queue } else { Arrival::Drop }
    }

    /// Takes an append behind the others, or as the first one.
    pub(crate) fn push(&mut self, from: NodeId, append: HeldAppend) {
        assert!(!append.entries.is_empty(), "an append without entries has nothing to wait for");
        self.stream = Some(Stream { term: append.start.term, epoch: append.start.stream, from });
        self.bytes += body_bytes(&append.entries);
        self.queue.push_back(append);
    }

    pub(crate) fn front(&self) -> Option<&HeldAppend> {
        self.queue.front()
    }

    pub(crate) fn from(&self) -> Option<NodeId> {
        self.stream.map(|stream| stream.from)
    }

    /// Cuts the first `admitted` entries off the first append. It stays first while it has entries left.
    pub(crate) fn admit(&mut self, admitted: usize) -> Option<HeldAppend> {
        let first = self.queue.front_mut()?;
        let rest = first.entries.split_off(admitted);
        let mut start = first.start.clone();
        let entries = core::mem::replace(&mut first.entries, rest);
        self.bytes -= body_bytes(&entries);
        if let Some(last) = entries.last() {
            first.start.prev = last.head.position;
            first.start.prev_chain = last.head.chain;
        }
        if first.entries.is_empty() {
            self.queue.pop_front();
        }
        if self.queue.is_empty() {
            self.stream = None;
        }
        start.heads = Vec::new();
        Some(HeldAppend { start, entries })
    }

    /// Gives everything up.
    pub(crate) fn clear(&mut self) -> VecDeque<HeldAppend> {
        self.stream = None;
        self.bytes = 0;
        self.dropped += self.queue.len() as u64;
        core::mem::take(&mut self.queue)
    }

    /// An append that had just come was given up.
    pub(crate) const fn count_dropped(&mut self) {
        self.dropped += 1;
    }

    /// The first entry that isn't admitted.
    pub(crate) fn waiting_index(&self) -> Option<LogIndex> {
        self.queue.front().map(|first| first.start.prev.index.next())
    }

    pub(crate) fn term(&self) -> Option<Term> {
        self.stream.map(|stream| stream.term)
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn last_index(&self) -> LogIndex {
        let last = self.queue.back().and_then(|append| append.entries.last());
        last.map_or(LogIndex::ZERO, |entry| entry.head.position.index)
    }
}

impl HeldAppend {
    /// The entries of an append whose bodies are the ones that the heads describe; otherwise the first head of another.
    pub(crate) fn verified(mut append: AppendEntries, bodies: Vec<Bytes>) -> Result<Self, EntryHead> {
        let mut bodies = bodies.into_iter();
        let mut entries = Vec::with_capacity(append.heads.len());
        for head in core::mem::take(&mut append.heads) {
            let Some(body) = bodies.next() else { return Err(head) };
            let entry = Entry { head, body };
            if !entry.body_matches_head() {
                return Err(entry.head);
            }
            entries.push(entry);
        }
        Ok(Self { start: append, entries })
    }
}

pub(crate) fn body_bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.body.len() as u64).sum()
}
