//! A snapshot as the data plane sees it: what it is of, and the names in it, in order.

use blockraft_blocks::Multihash;
use blockraft_types::{ChainDigest, LogIndex, Membership, Position};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::payload::Named;

/// What a snapshot is of. The rows come behind it, chunk by chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The last entry that it covers.
    pub position: Position,
    /// The chain digest of that entry.
    pub chain: ChainDigest,
    /// How many blocks it names.
    pub blocks: u64,
    /// Their lengths together, in bytes.
    pub bytes: u64,
    /// The configuration in force there.
    pub membership: Membership,
    /// The entry that brought it; zero if the group was born with it.
    pub membership_index: LogIndex,
}

/// A block that a snapshot names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestRow {
    /// The block.
    pub named: Named,
    /// The entry that made it visible.
    pub created: Position,
    /// What the state machine knows of it besides, which means nothing to the data plane. None for most blocks.
    pub bond: Bytes,
}

/// A part of a snapshot's rows, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The rows come directly behind this name; from the first one on if there is none.
    pub after: Option<Multihash>,
    /// The rows.
    pub rows: Vec<ManifestRow>,
    /// Whether others follow.
    pub rest: Rest,
    /// What the state machine keeps besides rows, the sessions and imports of clients, which mean nothing to the data plane.
    /// They come with the last rows.
    pub clients: Bytes,
}

/// What follows a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rest {
    /// More rows.
    More,
    /// Nothing: it was the last one.
    Nothing,
}

/// What became of a snapshot that was to be made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// It is whole, and durable.
    Whole,
    /// It isn't what its manifest says.
    Broken,
}
