//! The seam: what a Raft member needs of a durable log.

use core::fmt;
use std::sync::Arc;

use blockraft_types::{GroupId, LogIndex, PersistReceipt, Position};
use thiserror::Error;

use crate::batch::Batch;
use crate::cause::Cause;
use crate::reader::LogReader;
use crate::state::{Anchor, LogState, Misfit};

/// The durable log of all Raft groups of one node.
///
/// # Who calls it
///
/// One owner, from one thread at a time; every call blocks until it is done. The owner takes *all* batches that wait,
/// of all groups, and makes one [`persist`](Self::persist) call of them, then the next. Readers
/// ([`reader`](Self::reader)) live on any thread. The store is closed when it and all its readers are dropped.
///
/// # What an implementer must never do
///
/// 1. Redeem a ticket before its batch, and everything before it, would survive a power cut.
/// 2. Write part of a batch visibly: hard state, truncation and entries of one batch come back together or not at all.
/// 3. Go on after a failed write or sync. The failure is final: a sync that is tried again can succeed without having
///    written anything. Every later call of any kind gives `Poisoned`, and only a new process may open the log again.
/// 4. Take damage for the end of the log, or give back an entry that doesn't verify.
/// 5. Accept a change that doesn't fit ([`Misfit`]): let [`LogState`] judge it first.
/// 6. Take a log for whole of which it can know that entries at its end are gone. If term and vote aren't, it says so in
///    [`LogState::lost_tail`], and again after every restart until the log is made good; otherwise it doesn't open.
///
/// # Is mine right?
///
/// [`suite::run`](crate::suite::run) tells.
pub trait LogStore: fmt::Debug + Send + 'static {
    /// The groups that have a log here, in the order of their ids.
    fn groups(&self) -> Vec<GroupId>;

    /// Gives a new group an empty log that begins after `anchor`. Durable when it returns.
    ///
    /// # Errors
    ///
    /// See [`CreateGroupError`].
    fn create_group(&mut self, group: GroupId, anchor: Anchor) -> Result<(), CreateGroupError>;

    /// The log of a group as it is now, or `None` if it has none here.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    fn load(&self, group: GroupId) -> Result<Option<LogState>, LoadError>;

    /// Makes batches durable with one sync and gives a receipt for each, in their order.
    ///
    /// Batches of one group take effect in their order. An empty call writes nothing.
    ///
    /// # Errors
    ///
    /// See [`PersistError`]. No ticket is redeemed then: a failed call gives no receipt for any of its batches.
    fn persist(&mut self, batches: Vec<Batch>) -> Result<Vec<PersistReceipt>, PersistError>;

    /// Drops the entries up to and including `through` and returns the new anchor. Durable when it returns.
    ///
    /// What is compacted already stays so: an older `through` changes nothing and returns the present anchor. The
    /// caller vouches that nobody on this node needs the entries any more.
    ///
    /// # Errors
    ///
    /// See [`CompactError`].
    fn compact(&mut self, group: GroupId, through: LogIndex) -> Result<Anchor, CompactError>;

    /// Drops all entries and lets the log begin after `anchor`, as the last step of installing a snapshot. The hard
    /// state stays. Durable when it returns.
    ///
    /// # Errors
    ///
    /// See [`ResetError`].
    fn reset(&mut self, group: GroupId, anchor: Anchor) -> Result<(), ResetError>;

    /// A handle for reading entries, to be cloned and sent wherever entries are read.
    fn reader(&self) -> Arc<dyn LogReader>;

    /// What this store has written since it was opened.
    fn totals(&self) -> WriteTotals;
}

/// What a store has written since it was opened, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteTotals {
    /// How often it waited for the device.
    pub syncs: u64,
    /// How many bytes it handed over to be written.
    pub bytes_written: u64,
}

/// Why a group got no log.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateGroupError {
    /// It has one: a log is never made twice.
    #[error("group {group} has a log here already")]
    Exists {
        /// The group.
        group: GroupId,
    },
    /// The write failed, which is final: the store is poisoned now.
    #[error("the log of group {group} can't be written; the store is poisoned")]
    Failed {
        /// The group.
        group: GroupId,
        /// What the store said.
        source: Cause,
    },
    /// An earlier write failed.
    #[error("an earlier write failed, so the store takes no more")]
    Poisoned,
}

/// Why a log couldn't be loaded.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Part of the log is missing or isn't what was written.
    #[error("the log of group {group} is damaged at {index}: {what}")]
    Damaged {
        /// The group.
        group: GroupId,
        /// The place of the damage.
        index: LogIndex,
        /// What is wrong there.
        what: &'static str,
    },
    /// The device or the database couldn't read.
    #[error("the log of group {group} can't be read")]
    Failed {
        /// The group.
        group: GroupId,
        /// What the store said.
        source: Cause,
    },
    /// An earlier write failed.
    #[error("an earlier write failed, so nothing more is read from this log")]
    Poisoned,
}

/// Why batches didn't become durable.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PersistError {
    /// The group has no log here. Nothing was written.
    #[error("group {group} has no log here")]
    UnknownGroup {
        /// The group.
        group: GroupId,
    },
    /// A batch doesn't fit its log. Nothing was written, of no batch.
    #[error("a batch doesn't fit the log of group {group}")]
    Misfit {
        /// The group.
        group: GroupId,
        /// What doesn't fit.
        source: Misfit,
    },
    /// The write or the sync failed, which is final: the store is poisoned now. Whether the batches will be there
    /// after a restart is unknown.
    #[error("the log can't be written; the store is poisoned")]
    Failed {
        /// What the store said.
        source: Cause,
    },
    /// An earlier write failed. Nothing was written.
    #[error("an earlier write failed, so the store takes no more")]
    Poisoned,
}

/// Why a log wasn't compacted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompactError {
    /// The group has no log here.
    #[error("group {group} has no log here")]
    UnknownGroup {
        /// The group.
        group: GroupId,
    },
    /// The log ends before that place. Nothing was written.
    #[error("the log of group {group} ends at {last}, before {through}")]
    BeyondEnd {
        /// The group.
        group: GroupId,
        /// Where the compaction should have ended.
        through: LogIndex,
        /// Where the log ends.
        last: Position,
    },
    /// The entry that would become the anchor is missing or isn't what was written. Nothing was written.
    #[error("the log of group {group} is damaged at {index}: {what}")]
    Damaged {
        /// The group.
        group: GroupId,
        /// The place of the damage.
        index: LogIndex,
        /// What is wrong there.
        what: &'static str,
    },
    /// The write failed, which is final: the store is poisoned now.
    #[error("the log of group {group} can't be compacted; the store is poisoned")]
    Failed {
        /// The group.
        group: GroupId,
        /// What the store said.
        source: Cause,
    },
    /// An earlier write failed.
    #[error("an earlier write failed, so the store takes no more")]
    Poisoned,
}

/// Why a log wasn't reset.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResetError {
    /// The group has no log here.
    #[error("group {group} has no log here")]
    UnknownGroup {
        /// The group.
        group: GroupId,
    },
    /// The write failed, which is final: the store is poisoned now.
    #[error("the log of group {group} can't be reset; the store is poisoned")]
    Failed {
        /// The group.
        group: GroupId,
        /// What the store said.
        source: Cause,
    },
    /// An earlier write failed.
    #[error("an earlier write failed, so the store takes no more")]
    Poisoned,
}
