//! Reading entries back, from any thread.

use core::fmt;

use blockraft_types::{Entry, GroupId, LogIndex, Position};
use thiserror::Error;

use crate::cause::Cause;

/// Reads entries of the log while its one writer goes on.
///
/// Any thread may call it, at any time. It sees a batch at the latest when the [`persist`](crate::LogStore::persist)
/// that carried it has returned; what is still on its way to the disk lives in its owner's cache, not here. One call
/// sees one moment of the log: never half of a batch, never a mixture of before and after a truncation.
///
/// An implementer must never return an entry that it didn't verify, never end early because something is damaged, and
/// never go on reading after a write has failed: the cache of an operating system that couldn't write is no witness.
pub trait LogReader: fmt::Debug + Send + Sync + 'static {
    /// The entries from `first` up to `last` or the end of the log, contiguous, in order, verified (body and chain).
    ///
    /// Stops before the entry that would exceed `bytes_max`, counting each as its body and [`ENTRY_OVERHEAD_BYTES`],
    /// but always returns the first one if it exists. Empty only if `first` is beyond `last` or beyond the log's end.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    fn entries(&self, group: GroupId, first: LogIndex, last: LogIndex, bytes_max: u64)
    -> Result<Vec<Entry>, ReadError>;
}

/// Why entries couldn't be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The group has no log here.
    #[error("group {group} has no log here")]
    UnknownGroup {
        /// The group asked for.
        group: GroupId,
    },
    /// The entries are gone because they were compacted: a follower that needs them needs a snapshot.
    #[error("entry {first} of group {group} is compacted away; the log begins after {anchor}")]
    Compacted {
        /// The group asked for.
        group: GroupId,
        /// The first index asked for.
        first: LogIndex,
        /// The compacted end.
        anchor: Position,
    },
    /// An entry that must be here is missing or isn't what was written. It must be repaired from a peer.
    #[error("entry {index} of group {group} is damaged: {what}")]
    Damaged {
        /// The group asked for.
        group: GroupId,
        /// The damaged entry.
        index: LogIndex,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The device or the database couldn't read.
    #[error("the log of group {group} can't be read")]
    Failed {
        /// The group asked for.
        group: GroupId,
        /// What the store said.
        source: Cause,
    },
    /// A write failed earlier: what this process sees may not be what the disk holds.
    #[error("an earlier write failed, so nothing more is read from this log")]
    Poisoned,
}

/// What an entry counts beside its body in [`LogReader::entries`].
pub const ENTRY_OVERHEAD_BYTES: u64 = 64;
