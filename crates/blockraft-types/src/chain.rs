//! The digest that ties an entry to its predecessor, and so a whole log together.

use core::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::digest::BodyDigest;
use crate::id::{ClusterId, GroupId};
use crate::kind::EntryKind;
use crate::membership::Membership;
use crate::position::Position;

/// XXH3-128 over the predecessor's chain digest, an entry's position, kind and size, and its [`BodyDigest`].
///
/// Two logs whose entries at one position carry equal chain digests hold the same entries up to there. Unequal ones
/// mean that one of the two is damaged or belongs to another cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainDigest([u8; 16]);

impl ChainDigest {
    /// The digest before the first entry: it names the cluster, the group and the members it was born with, so that
    /// logs of two clusters differ from their first entry on.
    #[must_use]
    pub fn genesis(cluster: ClusterId, group: GroupId, membership: &Membership) -> Self {
        let mut hash = Xxh3::new();
        hash.update(b"blockraft genesis 1");
        hash.update(cluster.as_bytes());
        hash.update(&group.0.to_le_bytes());
        hash.update(membership.digest().as_bytes());
        Self(hash.digest128().to_le_bytes())
    }

    /// The digest of the entry that follows the one with this digest.
    #[must_use]
    pub fn extended(self, position: Position, kind: &EntryKind, body_bytes: u32, body_digest: BodyDigest) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&self.0);
        hash.update(&position.term.0.to_le_bytes());
        hash.update(&position.index.0.to_le_bytes());
        match kind {
            EntryKind::Blank => hash.update(&[0]),
            EntryKind::Command => hash.update(&[1]),
            EntryKind::Membership(membership) => {
                hash.update(&[2]);
                hash.update(membership.digest().as_bytes());
            }
        }
        hash.update(&body_bytes.to_le_bytes());
        hash.update(body_digest.as_bytes());
        Self(hash.digest128().to_le_bytes())
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

impl fmt::Debug for ChainDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "chain:{:08x}", u32::from_be_bytes([a, b, c, d]))
    }
}
