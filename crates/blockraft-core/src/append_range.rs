//! The order to send a range of the log to a follower, and the checks that keep other entries out of it.
//!
//! The core holds neither bodies nor old heads, so it names a range and what it knows of it. Between the order and the
//! reading the log may have been truncated or compacted: [`AppendRange::fill`] refuses whatever isn't the range that
//! was meant.

use alloc::vec::Vec;

use blockraft_types::message::{AppendEntries, StreamEpoch};
use blockraft_types::{ChainDigest, EntryHead, LogIndex, NodeId, Position, Term};
use thiserror::Error;

use crate::log_point::LogPoint;

/// An AppendEntries to be made: the entries after `prev` up to `last`, as many as fit.
///
/// Read the entries from `prev.index + 1` on, give the longest run of them whose bodies take at most `bytes_max` bytes
/// (at least one if `last` lies after `prev`) to [`fill`](Self::fill), send the message, and tell the core with
/// [`Input::AppendSent`](crate::Input). If anything fails, send nothing and say
/// [`Input::Unreachable`](crate::Input).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppendRange {
    /// The follower.
    pub to: NodeId,
    /// The leader's term.
    pub term: Term,
    /// The stream that the append belongs to.
    pub stream: StreamEpoch,
    /// The position of the entry before the first one.
    pub prev: Position,
    /// The digest at `prev` where the core holds it; otherwise read the entry (or the log's anchor) there.
    pub prev_chain: Option<ChainDigest>,
    /// The last entry that may be sent; equal to `prev.index` in a bare probe.
    pub last: LogIndex,
    /// The position of the first entry of each run of equal terms after `prev` up to `last`, in order.
    pub terms: Vec<Position>,
    /// The newest point inside the range whose digest the core holds.
    pub known: Option<LogPoint>,
    /// Bytes of bodies in this message; a single larger entry goes alone.
    pub bytes_max: u64,
    /// The leader's commit index.
    pub leader_commit: LogIndex,
}

/// What was handed to the transport, for [`Input::AppendSent`](crate::Input). Only [`AppendRange::fill`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppendSent {
    pub(crate) to: NodeId,
    pub(crate) term: Term,
    pub(crate) stream: StreamEpoch,
    pub(crate) prev: LogIndex,
    pub(crate) last: LogIndex,
    pub(crate) bytes: u64,
}

/// Why entries are not the ones that an [`AppendRange`] meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FillError {
    /// The range has entries and none was given.
    #[error("no entry was given for a range that has some")]
    Empty,
    /// More entries were given than the range has.
    #[error("entry {index} lies beyond the range")]
    Beyond {
        /// The first entry too many.
        index: LogIndex,
    },
    /// An entry isn't the one at its place: another term, a gap, or a reordering.
    #[error("expected the entry {expected}, found {found}")]
    OtherEntry {
        /// What the range has there.
        expected: Position,
        /// What was given.
        found: Position,
    },
    /// A digest differs from the one that must stand there: damage, or a log of another history.
    #[error("the digest chain does not lead through {position}")]
    OtherChain {
        /// The first place where it differs.
        position: Position,
    },
}

impl AppendRange {
    /// The term that the entry at `index` must have, if `index` lies in the range.
    #[must_use]
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index <= self.prev.index || self.last < index {
            return None;
        }
        self.terms.iter().rev().find(|first| first.index <= index).map(|first| first.term)
    }

    /// Makes the message from entries that were read: `prev_chain` is the digest at `prev`, `heads` the entries after
    /// it.
    ///
    /// # Errors
    ///
    /// The first difference from what the range says; nothing may be sent then.
    pub fn fill(
        &self,
        prev_chain: ChainDigest,
        heads: Vec<EntryHead>,
    ) -> Result<(AppendEntries, AppendSent), FillError> {
        if heads.is_empty() && self.prev.index < self.last {
            return Err(FillError::Empty);
        }
        if self.prev_chain.is_some_and(|known| known != prev_chain) {
            return Err(FillError::OtherChain { position: self.prev });
        }
        let (mut previous, mut index, mut bytes) = (prev_chain, self.prev.index, 0_u64);
        for head in &heads {
            index = index.next();
            let term = self.term_at(index).ok_or(FillError::Beyond { index })?;
            let expected = Position { term, index };
            if head.position != expected {
                return Err(FillError::OtherEntry { expected, found: head.position });
            }
            let known_to_differ =
                self.known.is_some_and(|known| known.position == expected && known.chain != head.chain);
            if known_to_differ || !head.follows(previous) {
                return Err(FillError::OtherChain { position: expected });
            }
            previous = head.chain;
            bytes = bytes.saturating_add(u64::from(head.body_bytes));
        }
        let message = AppendEntries {
            term: self.term,
            stream: self.stream,
            prev: self.prev,
            prev_chain,
            heads,
            leader_commit: self.leader_commit,
        };
        let (to, term, stream, prev) = (self.to, self.term, self.stream, self.prev.index);
        Ok((message, AppendSent { to, term, stream, prev, last: index, bytes }))
    }
}

#[cfg(test)]
mod tests;
