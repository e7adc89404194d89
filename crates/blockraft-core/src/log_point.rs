//! A point of the log, with the digest of everything up to it.

use blockraft_types::{ChainDigest, ClusterId, GroupId, Membership, Position};

/// The position of an entry and the chain digest that the entry carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogPoint {
    /// Term and index.
    pub position: Position,
    /// The digest of the log up to and including this entry.
    pub chain: ChainDigest,
}

impl LogPoint {
    /// The point before the first entry of a group that is born with `membership`.
    #[must_use]
    pub fn genesis(cluster: ClusterId, group: GroupId, membership: &Membership) -> Self {
        Self { position: Position::ZERO, chain: ChainDigest::genesis(cluster, group, membership) }
    }
}
