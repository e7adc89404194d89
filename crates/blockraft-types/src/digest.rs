//! The digest that ties an entry to its body.
//!
//! They find damage and foreign logs, not malice: members are authenticated by the transport, so a fast 128-bit hash
//! (XXH3) is enough. Blocks are another matter: those are named by cryptographic multihashes.

use core::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// XXH3-128 of an entry's body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BodyDigest([u8; 16]);

impl BodyDigest {
    /// Digests `body`.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(xxh3_128(body).to_le_bytes())
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Takes bytes that [`as_bytes`](Self::as_bytes) gave, when reading them back from a disk format.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for BodyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "body:{:08x}", u32::from_be_bytes([a, b, c, d]))
    }
}
