//! Why a driver stopped, for whoever waits for it.

use std::sync::Arc;

use blockraft_log::{CompactError, PersistError, ReadError, ResetError};
use thiserror::Error;

use crate::contradiction::Contradiction;
use crate::state_machine::{ApplyError, FlushError, InstallError};

/// Why a driver stopped. Everything but [`Shutdown`](Self::Shutdown) needs an operator: the process should end.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StopReason {
    /// It was asked to.
    #[error("shut down")]
    Shutdown,
    /// The log can't be written. What was being written may or may not be there after a restart; nothing that wasn't
    /// durable was acknowledged.
    #[error("the log can't be written")]
    LogFailed {
        /// What the log said; the same for every group of this node.
        #[source]
        source: Arc<PersistError>,
    },
    /// The log can't be compacted.
    #[error("the log can't be compacted")]
    CompactFailed {
        /// What the log said.
        #[source]
        source: Arc<CompactError>,
    },
    /// The log can't be reset to a snapshot.
    #[error("the log can't be reset to a snapshot")]
    ResetFailed {
        /// What the log said.
        #[source]
        source: Arc<ResetError>,
    },
    /// The state machine can't take a snapshot.
    #[error("the state machine stopped")]
    InstallFailed {
        /// Why.
        #[source]
        source: Arc<InstallError>,
    },
    /// Committed entries can't be read back from the log.
    #[error("committed entries can't be read back")]
    ReadFailed {
        /// What the log said.
        #[source]
        source: Arc<ReadError>,
    },
    /// An entry can't be applied.
    #[error("the state machine stopped")]
    ApplyFailed {
        /// Which one, and why.
        #[source]
        source: Arc<ApplyError>,
    },
    /// The state machine can't be made durable.
    #[error("the state machine stopped")]
    FlushFailed {
        /// Why.
        #[source]
        source: Arc<FlushError>,
    },
    /// This log and another member's have two entries under one term and index.
    #[error("the log contradicts that of another member")]
    LogContradicted {
        /// Where, and which of them is wrong.
        #[source]
        source: Contradiction,
    },
    /// What the gate asks for can't be kept in place any more; see [`DriverHandle::fail_gate`](crate::DriverHandle::fail_gate).
    #[error("what entries need in place can't be kept")]
    GateFailed {
        /// What failed.
        #[source]
        source: Arc<dyn core::error::Error + Send + Sync>,
    },
    /// The member must take no part any more; see [`DriverHandle::fail_member`](crate::DriverHandle::fail_member).
    #[error("this member must take no part any more")]
    MemberUnfit {
        /// What was found out.
        #[source]
        source: Arc<dyn core::error::Error + Send + Sync>,
    },
    /// A thread of the driver panicked: a bug of ours, of the gate or of the state machine. Its message is on stderr.
    #[error("the {thread} thread panicked")]
    Panicked {
        /// Which thread.
        thread: &'static str,
    },
}

/// The driver has stopped, so that what was asked for won't happen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the driver has stopped")]
pub struct Stopped;
