//! A bulk transfer, and what can become of it.

use blockraft_types::NodeId;
use bytes::Bytes;
use thiserror::Error;

use crate::limits::{BULK_BODY_BYTES_MAX, BULK_HEADER_BYTES_MAX};

/// A transfer: a short header that the layer above encodes, and raw bytes that nobody copies into an encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bulk {
    /// What the body is; at most [`BULK_HEADER_BYTES_MAX`].
    pub header: Bytes,
    /// The bytes; at most [`BULK_BODY_BYTES_MAX`].
    pub body: Bytes,
}

/// Why a transfer wasn't seen to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BulkError {
    /// No connection lives; nothing was sent. Wait for its `Connected`, or ask another peer.
    #[error("no connection to node {peer}")]
    NotConnected {
        /// The node that it was for.
        peer: NodeId,
    },
    /// The peer holds as much unprocessed bulk of ours as it is willing to; it has not taken this one. Try later.
    #[error("node {peer} has no room for a transfer")]
    Refused {
        /// The node that it was for.
        peer: NodeId,
    },
    /// The connection ended meanwhile: the peer may have received the whole transfer, or none of it.
    #[error("the connection to node {peer} ended during a transfer")]
    Lost {
        /// The node that it was for.
        peer: NodeId,
    },
    /// The header can't be carried by any transport. The caller's mistake.
    #[error("a bulk header of {bytes} bytes is over the limit of {BULK_HEADER_BYTES_MAX}")]
    HeaderTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The body can't be carried by any transport. The caller's mistake.
    #[error("a bulk body of {bytes} bytes is over the limit of {BULK_BODY_BYTES_MAX}")]
    BodyTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// This transport was closed. Give up.
    #[error("the transport is closed")]
    Closed,
}

impl Bulk {
    /// Header and body together, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.header.len() + self.body.len()
    }

    /// Refuses a transfer that no transport carries.
    ///
    /// # Errors
    ///
    /// [`BulkError::HeaderTooLarge`] and [`BulkError::BodyTooLarge`], which every implementation answers before
    /// anything else.
    pub const fn check_size(&self) -> Result<(), BulkError> {
        if self.header.len() > BULK_HEADER_BYTES_MAX {
            return Err(BulkError::HeaderTooLarge { bytes: self.header.len() });
        }
        if self.body.len() > BULK_BODY_BYTES_MAX {
            return Err(BulkError::BodyTooLarge { bytes: self.body.len() });
        }
        Ok(())
    }
}
