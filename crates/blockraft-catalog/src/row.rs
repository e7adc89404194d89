//! What the catalog knows of a block, and the keys and values in which its table keeps it.
//!
//! Keys begin with the group, so that the catalogs of many groups can share a table. Behind it stands `r` or `R`, one for
//! each [`Slot`], and the multihash for a row; `s` for the state, which says which slot is in force; `m` for the
//! configuration, if it isn't the first one; and `n` for what the other slot holds, if that is a whole snapshot. Sessions of
//! clients stand behind `c` or `C`, one for each slot too, and their names.

use blockraft_blocks::Multihash;
use blockraft_blocks::multihash::ParseMultihashError;
use blockraft_types::{ChainDigest, GroupId, LogIndex, Position, SessionId};
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
    /// Where the rows are.
    pub(crate) slot: Slot,
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

    const fn kind(self) -> u8 {
        match self {
            Self::First => b'r',
            Self::Second => b'R',
        }
    }

    const fn sessions_kind(self) -> u8 {
        match self {
            Self::First => b'c',
            Self::Second => b'C',
        }
    }
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
    /// What is known of a session contradicts itself, or doesn't stand under a session's name.
    #[error("a record of a session contradicts itself")]
    Session,
}

/// The keys of one group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    group: GroupId,
    slot: Slot,
}

impl Keys {
    pub(crate) const fn of(group: GroupId) -> Self {
        Self { group, slot: Slot::First }
    }

    pub(crate) const fn in_slot(self, slot: Slot) -> Self {
        Self { slot, ..self }
    }

    pub(crate) fn state(self) -> Vec<u8> {
        self.under(STATE)
    }

    pub(crate) fn membership(self) -> Vec<u8> {
        self.under(MEMBERSHIP)
    }

    /// What the slot that isn't in force holds.
    pub(crate) fn next(self) -> Vec<u8> {
        self.under(NEXT)
    }

    /// Which snapshot the state is, while nothing was applied to it.
    pub(crate) fn installed(self) -> Vec<u8> {
        self.under(INSTALLED)
    }

    pub(crate) fn row(self, multihash: &Multihash) -> Vec<u8> {
        let mut key = self.under(self.slot.kind());
        key.extend_from_slice(multihash.as_bytes());
        key
    }

    /// The first key that a row may have.
    pub(crate) fn rows_first(self) -> Vec<u8> {
        self.under(self.slot.kind())
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
        self.under(self.slot.kind() + 1)
    }

    pub(crate) fn multihash(self, row_key: &[u8]) -> Result<Multihash, DecodeRecordError> {
        let bytes = row_key.strip_prefix(self.rows_first().as_slice()).unwrap_or_default();
        Multihash::from_bytes(bytes).map_err(|source| DecodeRecordError::Key { source })
    }

    pub(crate) fn session(self, id: &SessionId) -> Vec<u8> {
        let mut key = self.sessions_first();
        key.extend_from_slice(&id.opened.0.to_be_bytes());
        key.extend_from_slice(&id.number.to_be_bytes());
        key
    }

    /// The first key that a session may have.
    pub(crate) fn sessions_first(self) -> Vec<u8> {
        self.under(self.slot.sessions_kind())
    }

    /// The key after every session.
    pub(crate) fn sessions_end(self) -> Vec<u8> {
        self.under(self.slot.sessions_kind() + 1)
    }

    pub(crate) fn session_id(self, key: &[u8]) -> Result<SessionId, DecodeRecordError> {
        let id = key.strip_prefix(self.sessions_first().as_slice()).and_then(|id| id.split_first_chunk::<8>());
        let (opened, number) = id.ok_or(DecodeRecordError::Session)?;
        let number = number.try_into().map_err(|_| DecodeRecordError::Session)?;
        Ok(SessionId { opened: LogIndex(u64::from_be_bytes(*opened)), number: u32::from_be_bytes(number) })
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
    /// A catalog that never took a snapshot stays readable for the first release.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self.slot {
            Slot::First => encode(&(self.genesis, self.state)),
            Slot::Second => encode_as(SLOT_VERSION, &(self.genesis, self.state, self.slot)),
        }
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self, DecodeRecordError> {
        if record.first() == Some(&SLOT_VERSION) {
            return decode_as(SLOT_VERSION, record).map(|(genesis, state, slot)| Self { genesis, state, slot });
        }
        decode(record).map(|(genesis, state)| Self { genesis, state, slot: Slot::First })
    }
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_as(RECORD_VERSION, value)
}

fn encode_as<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![version]).expect("a record has no value that postcard refuses")
}

pub(crate) fn decode<'de, T: Deserialize<'de>>(record: &'de [u8]) -> Result<T, DecodeRecordError> {
    decode_as(RECORD_VERSION, record)
}

fn decode_as<'de, T: Deserialize<'de>>(supported: u8, record: &'de [u8]) -> Result<T, DecodeRecordError> {
    let (&version, rest) = record.split_first().ok_or(DecodeRecordError::Empty)?;
    if version != supported {
        return Err(DecodeRecordError::Version { found: version, supported });
    }
    let (value, rest) = postcard::take_from_bytes(rest).map_err(|source| DecodeRecordError::Malformed { source })?;
    match rest.len() {
        0 => Ok(value),
        bytes => Err(DecodeRecordError::Trailing { bytes }),
    }
}

const RECORD_VERSION: u8 = 1;
/// A state record that names its slot.
const SLOT_VERSION: u8 = 2;
const STATE: u8 = b's';
const MEMBERSHIP: u8 = b'm';
const NEXT: u8 = b'n';
const INSTALLED: u8 = b'i';

/// Group, kind, the longest multihash and one byte to step behind it.
const KEY_BYTES_MAX: usize = 4 + 1 + 66 + 1;
