//! Why a write isn't known to have happened, grouped by what the caller can do.

use core::time::Duration;

use blockraft_blocks::limits::BlockTooLarge;
use blockraft_types::NodeId;
use thiserror::Error;

/// Why a put or a delete isn't known to have happened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// It never will: the request itself is refused. Don't repeat it.
    #[error(transparent)]
    Refused(#[from] BlockTooLarge),
    /// It did not happen and won't: repeat it freely, later or at another node.
    #[error("not written within {within:?}: {reason}")]
    NotProposed {
        /// How long was tried.
        within: Duration,
        /// What stood in the way last.
        reason: Obstacle,
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// It may have happened, or may yet. Look before you repeat it.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// Why nobody knows.
        reason: &'static str,
    },
    /// The session of the command has expired: of this call nothing was written. An earlier call with the same turn may
    /// have written, if its outcome was unknown.
    #[error("the session has expired; nothing was written")]
    SessionExpired,
    /// This node is stopping or has stopped; it did not happen.
    #[error("this node is stopping; nothing was written")]
    Stopping,
}

/// What kept a write from being proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// No leader is known.
    #[error("no leader is known: a majority of the members must be up and connected")]
    NoLeader,
    /// The leader refused for now.
    #[error("the leader has no room for more proposals")]
    Overloaded,
    /// The leader was changing.
    #[error("leadership was moving")]
    LeaderChanging,
    /// The bytes did not get durable on a quorum, or none confirmed in time that the block is there already.
    #[error("no quorum took the block's bytes")]
    NoQuorum,
    /// The disk of a node that is needed is full.
    #[error("a disk that is needed has no room")]
    DiskFull,
    /// A block store that is needed takes no more writes since a write failed.
    #[error("a block store that is needed takes no more writes")]
    StoreFailed,
}
