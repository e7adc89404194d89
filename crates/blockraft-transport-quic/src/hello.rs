//! The first words on each connection between nodes: who I am, which life of mine this is, what I speak.
//!
//! A version byte, then postcard. It is decoded before anything is believed, so decoding is total: any bytes give a
//! Hello or an error, nothing is allocated, and nothing may follow.

use core::ops::RangeInclusive;

use blockraft_transport::Peer;
use blockraft_types::{BootNonce, ClusterId, Incarnation, NodeId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a node says first, and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    magic: [u8; 4],
    /// The sender's cluster.
    pub cluster: ClusterId,
    /// The sender.
    pub node: NodeId,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// This start of its process.
    pub boot: BootNonce,
    /// Which of the pair's two connections this is.
    pub lane: Lane,
    /// A random number that both connections of one dial carry, by which the accepting end pairs them.
    pub dial: u64,
    /// The oldest version of the messages above the transport that the sender speaks.
    pub wire_version_min: u16,
    /// The newest.
    pub wire_version_max: u16,
}

/// One of the two connections of a pair of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Frames, on one stream.
    Control,
    /// Transfers, on a stream each. A connection of its own, because unread streams use up a connection's credit
    /// whatever their priority.
    Bulk,
}

/// Bytes that are no Hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HelloError {
    /// The first byte names a version that we don't know.
    #[error("unknown hello version {version}")]
    UnknownVersion {
        /// The byte.
        version: u8,
    },
    /// The bytes are cut, have something behind them, or hold no Hello.
    #[error("malformed hello")]
    Malformed,
}

impl Hello {
    /// What `peer` of `cluster` says on a connection.
    #[must_use]
    pub fn new(cluster: ClusterId, peer: Peer, lane: Lane, dial: u64, wire_versions: &RangeInclusive<u16>) -> Self {
        let Peer { node, incarnation, boot } = peer;
        let (wire_version_min, wire_version_max) = (*wire_versions.start(), *wire_versions.end());
        Self { magic: MAGIC, cluster, node, incarnation, boot, lane, dial, wire_version_min, wire_version_max }
    }

    /// Who speaks.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        Peer { node: self.node, incarnation: self.incarnation, boot: self.boot }
    }

    /// Whether sender and receiver have a version in common.
    #[must_use]
    pub fn shares_version(&self, ours: &RangeInclusive<u16>) -> bool {
        self.wire_version_min <= *ours.end() && *ours.start() <= self.wire_version_max
    }

    /// At most [`HELLO_BYTES_MAX`] bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let body = postcard::to_allocvec(self).expect("plain integers and arrays always encode");
        let mut bytes = vec![VERSION];
        bytes.extend(body);
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    ///
    /// [`HelloError`] for everything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, HelloError> {
        let (&version, body) = bytes.split_first().ok_or(HelloError::Malformed)?;
        if version != VERSION {
            return Err(HelloError::UnknownVersion { version });
        }
        match postcard::take_from_bytes::<Self>(body) {
            Ok((hello, [])) if hello.magic == MAGIC => Ok(hello),
            _ => Err(HelloError::Malformed),
        }
    }
}

/// The largest Hello that is read, in bytes; one of this version has at most 89.
pub const HELLO_BYTES_MAX: usize = 256;

const VERSION: u8 = 1;
const MAGIC: [u8; 4] = *b"brft";

#[cfg(test)]
mod tests;
