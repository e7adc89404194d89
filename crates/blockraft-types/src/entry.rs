//! Entries of the log, split into a head that consensus reads and a body that it never does.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::chain::ChainDigest;
use crate::digest::BodyDigest;
use crate::kind::EntryKind;
use crate::position::Position;

/// What consensus sees of an entry: never the body, only its size and digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryHead {
    /// Term and index.
    pub position: Position,
    /// What the entry is for.
    pub kind: EntryKind,
    /// Size of the body in bytes.
    pub body_bytes: u32,
    /// Digest of the body.
    pub body_digest: BodyDigest,
    /// Digest over the whole log up to and including this entry.
    pub chain: ChainDigest,
}

/// An entry as stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What consensus sees.
    pub head: EntryHead,
    /// What the state machine sees. Empty unless `head.kind` is [`EntryKind::Command`].
    pub body: Bytes,
}

impl EntryHead {
    /// The head of an entry that follows the one whose chain digest is `previous`.
    #[must_use]
    pub fn chained(
        previous: ChainDigest,
        position: Position,
        kind: EntryKind,
        body_bytes: u32,
        body_digest: BodyDigest,
    ) -> Self {
        let chain = previous.extended(position, &kind, body_bytes, body_digest);
        Self { position, kind, body_bytes, body_digest, chain }
    }

    /// Whether this head's chain digest is the one that an entry after `previous` must carry.
    #[must_use]
    pub fn follows(&self, previous: ChainDigest) -> bool {
        self.chain == previous.extended(self.position, &self.kind, self.body_bytes, self.body_digest)
    }
}

impl Entry {
    /// Whether the body is the one that the head describes.
    #[must_use]
    pub fn body_matches_head(&self) -> bool {
        self.body.len() as u64 == u64::from(self.head.body_bytes) && BodyDigest::of(&self.body) == self.head.body_digest
    }
}
