//! What can become of a frame that is handed to the control lane.

use blockraft_types::NodeId;
use thiserror::Error;

use crate::limits::FRAME_BYTES_MAX;

/// Why a frame was dropped. Nothing of it was sent; the protocol above repeats what still matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// No connection lives. Wait for its `Connected`.
    #[error("no connection to node {peer}")]
    NotConnected {
        /// The node that it was for.
        peer: NodeId,
    },
    /// The peer takes frames more slowly than they are handed in. Send less, later.
    #[error("the control queue to node {peer} is full")]
    QueueFull {
        /// The node that it was for.
        peer: NodeId,
    },
    /// The frame can't be carried by any transport. The caller's mistake.
    #[error("a control frame of {bytes} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// This transport was closed. Give up.
    #[error("the transport is closed")]
    Closed,
}

impl SendError {
    /// Refuses a frame that is over [`FRAME_BYTES_MAX`].
    ///
    /// # Errors
    ///
    /// [`TooLarge`](Self::TooLarge), which every implementation answers before anything else.
    pub const fn check_size(frame: &[u8]) -> Result<(), Self> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(Self::TooLarge { bytes: frame.len() });
        }
        Ok(())
    }
}
