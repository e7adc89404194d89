//! What the catalog knows of a block, and the keys and values in which its table keeps it.
//!
//! Keys begin with the group, so that the catalogs of many groups can share a table. Behind it stands `r` and the
//! multihash for a row, and `s` for the state: the state's key comes after all rows.

use blockraft_blocks::Multihash;
use blockraft_blocks::multihash::ParseMultihashError;
use blockraft_types::{ChainDigest, GroupId, Position};
use serde::{Deserialize, Serialize};
use thiserror::Error;

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
}

/// A value of the table that is not what the catalog writes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeRecordError {
    /// There is not even a version.
    #[error("the record is empty of bytes")]
    Empty,
    /// A version that this release does not read.
    #[error("version {found} of the catalog's records is not supported, only version {supported} is")]
    Version {
        /// The version that it names.
        found: u8,
        /// The version that this release reads.
        supported: u8,
    },
    /// The record can't be read.
    #[error("reading a record of the catalog")]
    Malformed {
        /// What postcard said.
        #[source]
        source: postcard::Error,
    },
    /// The record goes on behind its value.
    #[error("{bytes} bytes behind a record of the catalog")]
    Trailing {
        /// How many bytes too many.
        bytes: usize,
    },
    /// The key of a row does not end in a multihash.
    #[error("a row's key names no multihash")]
    Key {
        /// What is wrong with it.
        #[source]
        source: ParseMultihashError,
    },
}

/// The keys of one group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    group: GroupId,
}

impl Keys {
    pub(crate) const fn of(group: GroupId) -> Self {
        Self { group }
    }

    pub(crate) fn state(self) -> Vec<u8> {
        self.under(STATE)
    }

    pub(crate) fn row(self, multihash: &Multihash) -> Vec<u8> {
        let mut key = self.under(ROW);
        key.extend_from_slice(multihash.as_bytes());
        key
    }

    /// The first key that a row may have.
    pub(crate) fn rows_first(self) -> Vec<u8> {
        self.under(ROW)
    }

    /// The first key that comes after every row with a multihash up to `multihash`: no valid multihash is a prefix
    /// of another.
    pub(crate) fn behind_row(self, multihash: &Multihash) -> Vec<u8> {
        let mut key = self.row(multihash);
        key.push(0);
        key
    }

    /// The key after every row.
    pub(crate) fn rows_end(self) -> Vec<u8> {
        self.under(ROW + 1)
    }

    pub(crate) fn multihash(self, row_key: &[u8]) -> Result<Multihash, DecodeRecordError> {
        let bytes = row_key.strip_prefix(self.rows_first().as_slice()).unwrap_or_default();
        Multihash::from_bytes(bytes).map_err(|source| DecodeRecordError::Key { source })
    }

    fn under(self, kind: u8) -> Vec<u8> {
        let mut key = Vec::with_capacity(KEY_BYTES_MAX);
        key.extend_from_slice(&self.group.0.to_be_bytes());
        key.push(kind);
        key
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
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(&(self.genesis, self.state))
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self, DecodeRecordError> {
        decode(record).map(|(genesis, state)| Self { genesis, state })
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![RECORD_VERSION]).expect("a record has no value that postcard refuses")
}

fn decode<'de, T: Deserialize<'de>>(record: &'de [u8]) -> Result<T, DecodeRecordError> {
    let (&version, rest) = record.split_first().ok_or(DecodeRecordError::Empty)?;
    if version != RECORD_VERSION {
        return Err(DecodeRecordError::Version { found: version, supported: RECORD_VERSION });
    }
    let (value, rest) = postcard::take_from_bytes(rest).map_err(|source| DecodeRecordError::Malformed { source })?;
    match rest.len() {
        0 => Ok(value),
        bytes => Err(DecodeRecordError::Trailing { bytes }),
    }
}

const RECORD_VERSION: u8 = 1;
const ROW: u8 = b'r';
const STATE: u8 = b's';

/// Group, kind, the longest multihash and one byte to step behind it.
const KEY_BYTES_MAX: usize = 4 + 1 + 66 + 1;
