//! Appends that the core ordered, on their way to becoming messages: filled from memory, or from the log.
//!
//! Nothing leaves here that isn't exactly what the core meant: [`AppendRange::fill`] compares terms and digests.

use std::collections::BTreeMap;

use blockraft_core::append_range::FillError;
use blockraft_core::{AppendRange, AppendSent};
use blockraft_log::{Anchor, ENTRY_OVERHEAD_BYTES, ReadError};
use blockraft_types::message::AppendEntries;
use blockraft_types::{ChainDigest, Entry, LogIndex, NodeId};
use bytes::Bytes;

use crate::body_cache::BodyCache;
use crate::effect::{RangeRead, RangeResult};

/// Ranges that wait for something. At most one for each follower: the core orders the next append after this one.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// The log's compacted end, whose digest no entry carries any more.
    anchor: Anchor,
    reading: BTreeMap<RangeRead, AppendRange>,
    newest_read: RangeRead,
}

/// What to do for a range.
#[derive(Debug)]
pub(crate) enum Plan {
    Send(Box<Filled>),
    Read { request: RangeRead, first: LogIndex, last: LogIndex, bytes_max: u64 },
    Refuse(AppendRange, Unfilled),
}

/// A message that is what the core meant.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) to: NodeId,
    pub(crate) message: AppendEntries,
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) sent: AppendSent,
}

/// Why there is no message.
#[derive(Debug)]
pub(crate) enum Unfilled {
    Unreadable(ReadError),
    Other(FillError),
}

impl Ranges {
    pub(crate) const fn new(anchor: Anchor) -> Self {
        Self { anchor, reading: BTreeMap::new(), newest_read: RangeRead(0) }
    }

    pub(crate) const fn anchor(&self) -> Anchor {
        self.anchor
    }

    /// A number for a reading that nobody else has.
    pub(crate) const fn next_request(&mut self) -> RangeRead {
        self.newest_read.0 += 1;
        self.newest_read
    }

    pub(crate) const fn set_anchor(&mut self, anchor: Anchor) {
        self.anchor = anchor;
    }

    /// The core orders nothing that wasn't handed out in a batch: what isn't in `cache` any more is durable.
    pub(crate) fn plan(&mut self, range: AppendRange, cache: &BodyCache, durable: LogIndex) -> Plan {
        let first = range.prev.index.next();
        let chain = self.prev_chain(&range, cache);
        let entries = if range.last < first { Some(Vec::new()) } else { cache.run(first, range.last, range.bytes_max) };
        if let (Some(chain), Some(entries)) = (chain, entries) {
            return match fill(&range, chain, entries) {
                Ok(filled) => Plan::Send(Box::new(filled)),
                Err(error) => Plan::Refuse(range, Unfilled::Other(error)),
            };
        }
        // The digest at `prev` comes from the entry there, so that entry is read too.
        let first = if chain.is_some() { first } else { range.prev.index };
        let (request, last) = (self.next_request(), range.last.min(durable).max(first));
        let entries = last.next().since(first);
        let bytes_max = range.bytes_max.saturating_add(entries.saturating_mul(ENTRY_OVERHEAD_BYTES));
        self.reading.insert(request, range);
        Plan::Read { request, first, last, bytes_max }
    }

    /// Entries were read, or couldn't be. `None` for a reading that nobody waits for any more.
    pub(crate) fn read(
        &mut self,
        request: RangeRead,
        result: RangeResult,
        cache: &BodyCache,
        durable: LogIndex,
    ) -> Option<Plan> {
        let mut range = self.reading.remove(&request)?;
        let mut entries = match result {
            Ok(entries) => entries,
            Err(error) => return Some(Plan::Refuse(range, Unfilled::Unreadable(error))),
        };
        let chain = match self.prev_chain(&range, cache) {
            Some(chain) => {
                entries.retain(|entry| range.prev.index < entry.head.position.index);
                chain
            }
            None if entries.first().is_some_and(|entry| entry.head.position == range.prev) => {
                entries.remove(0).head.chain
            }
            None => return Some(Plan::Refuse(range, Unfilled::Other(FillError::Empty))),
        };
        let mut bytes = 0_u64;
        let fitting = entries.iter().take_while(|entry| {
            bytes = bytes.saturating_add(entry.body.len() as u64);
            bytes <= range.bytes_max
        });
        entries.truncate(fitting.count().max(1));
        if entries.is_empty() && range.prev.index < range.last {
            // The reading gave the digest alone: what follows is in memory, or is read next.
            range.prev_chain = Some(chain);
            return Some(self.plan(range, cache, durable));
        }
        Some(match fill(&range, chain, entries) {
            Ok(filled) => Plan::Send(Box::new(filled)),
            Err(error) => Plan::Refuse(range, Unfilled::Other(error)),
        })
    }

    /// This member leads no more: nothing of what it ordered may leave.
    pub(crate) fn clear(&mut self) {
        self.reading.clear();
    }

    pub(crate) fn reading(&self) -> usize {
        self.reading.len()
    }

    fn prev_chain(&self, range: &AppendRange, cache: &BodyCache) -> Option<ChainDigest> {
        let anchored = (range.prev == self.anchor.position).then_some(self.anchor.chain);
        let cached = || cache.get(range.prev.index).filter(|entry| entry.head.position == range.prev);
        range.prev_chain.or(anchored).or_else(|| cached().map(|entry| entry.head.chain))
    }
}

fn fill(range: &AppendRange, chain: ChainDigest, entries: Vec<Entry>) -> Result<Filled, FillError> {
    let (heads, bodies) = entries.into_iter().map(|entry| (entry.head, entry.body)).unzip();
    let (message, sent) = range.fill(chain, heads)?;
    Ok(Filled { to: range.to, message, bodies, sent })
}
