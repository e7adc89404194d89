//! Why a read index can't be had here.

use blockraft_types::NodeId;
use thiserror::Error;

/// Why a read index wasn't confirmed. Nothing has happened: ask again, at `leader` if one is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// This member doesn't lead, or lost its leadership before a quorum confirmed it.
    #[error("this member does not lead")]
    NotLeader {
        /// Who leads, as far as this member knows.
        leader: Option<NodeId>,
    },
    /// Too many reads wait. Ask again later.
    #[error("too many reads are waiting")]
    Full,
    /// The driver has stopped.
    #[error("the driver has stopped")]
    Stopped,
}
