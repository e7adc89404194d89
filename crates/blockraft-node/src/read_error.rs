//! Why a read has no answer. "Absent" is an answer; these never mean it.

use core::time::Duration;

use blockraft_blocks::Multihash;
use blockraft_types::NodeId;
use thiserror::Error;

/// Why a read has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No quorum confirmed in time that the answer would be up to date. Ask again, here or elsewhere.
    #[error("no up-to-date answer within {within:?}: {reason}")]
    NotConfirmed {
        /// How long was tried.
        within: Duration,
        /// What stood in the way.
        reason: &'static str,
        /// Who leads, as far as this node knows.
        leader: Option<NodeId>,
    },
    /// The block exists, but this node has no good copy yet and couldn't get one in time. Ask again, or another node.
    #[error("block {multihash} exists, but no good copy could be had in time")]
    NoCopy {
        /// The block.
        multihash: Multihash,
    },
    /// This node's storage failed.
    #[error("this node's storage failed: {what}")]
    Storage {
        /// What failed.
        what: String,
    },
    /// This node is stopping or has stopped.
    #[error("this node is stopping")]
    Stopping,
}
