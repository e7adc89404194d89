//! What the catalog knows of a block, and how far it has come itself.

use blockraft_types::{ChainDigest, Position};
use serde::{Deserialize, Serialize};

use crate::record::{DecodeRecordError, decode, decode_as, encode, encode_as};

/// What the catalog knows of a visible block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row {
    /// The block's length in bytes.
    pub length: u32,
    /// Where the entry stands whose put made the block visible.
    pub created: Position,
}

/// How far a catalog has come, and what it holds there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CatalogState {
    /// The last entry that was applied.
    pub position: Position,
    /// The chain digest of that entry: what was applied, up to there.
    pub chain: ChainDigest,
    /// How many blocks are visible.
    pub blocks: u64,
    /// Their lengths together, in bytes.
    pub bytes: u64,
}

/// What stands in the table under the state's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateRecord {
    /// The chain digest before the first entry: names cluster, group and founding members.
    pub(crate) genesis: ChainDigest,
    pub(crate) state: CatalogState,
    /// Where the rows are.
    pub(crate) slot: Slot,
    pub(crate) graphs: Graphs,
}

/// Whether anything was ever linked, pinned or imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Graphs {
    #[default]
    Never,
    /// A release that knows nothing of it must not open the table: it would delete what is pinned.
    Ever,
}

/// One of two places for the rows. The other one is empty, or holds a snapshot that isn't in force (yet, or any more).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Slot {
    #[default]
    First,
    Second,
}

impl Slot {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl Row {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self, DecodeRecordError> {
        decode(record)
    }
}

impl StateRecord {
    /// In the oldest version that says it all, so that an older release may go on from there.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { genesis, state, slot, graphs } = self;
        match (graphs, slot) {
            (Graphs::Never, Slot::First) => encode(&(genesis, state)),
            (Graphs::Never, Slot::Second) => encode_as(SLOT_VERSION, &(genesis, state, slot)),
            (Graphs::Ever, _) => encode_as(GRAPHS_VERSION, &(genesis, state, slot)),
        }
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self, DecodeRecordError> {
        let (version, graphs) = match record.first() {
            Some(&GRAPHS_VERSION) => (GRAPHS_VERSION, Graphs::Ever),
            Some(&SLOT_VERSION) => (SLOT_VERSION, Graphs::Never),
            _ => {
                let (genesis, state) = decode(record)?;
                return Ok(Self { genesis, state, slot: Slot::First, graphs: Graphs::Never });
            }
        };
        decode_as(version, record).map(|(genesis, state, slot)| Self { genesis, state, slot, graphs })
    }
}

/// A state record that names its slot.
const SLOT_VERSION: u8 = 2;
/// One of a table that has, or had, bonds or imports in it.
const GRAPHS_VERSION: u8 = 3;
