//! The keys under which a catalog's table keeps things.
//!
//! Keys begin with the group, so that the catalogs of many groups can share a table. Behind it stands a letter:
//!
//! | letter | what | its key goes on with |
//! |---|---|---|
//! | `s` | the state, which says which slot is in force | |
//! | `m` | the configuration, if it isn't the first one | |
//! | `n` | what the slot that isn't in force holds, if that is a whole snapshot | |
//! | `i` | which snapshot the state is, while nothing was applied to it | |
//! | `r`, `R` | rows | the multihash |
//! | `b`, `B` | bonds | the multihash |
//! | `l`, `L` | links | the multihash, and the codec as u64 BE |
//! | `c`, `C` | sessions of clients | their names |
//! | `u`, `U` | imports under way | their names |
//!
//! Of two letters each is one [`Slot`]'s.

use blockraft_blocks::Multihash;
use blockraft_types::{GroupId, ImportId, LogIndex, SessionId};

use crate::record::DecodeRecordError;
use crate::row::Slot;
use crate::vertex::Vertex;

/// The keys of one group, as long as one slot is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys {
    group: GroupId,
    slot: Slot,
}

/// What stands in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rows,
    Bonds,
    Links,
    Sessions,
    Imports,
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

    pub(crate) fn next(self) -> Vec<u8> {
        self.under(NEXT)
    }

    pub(crate) fn installed(self) -> Vec<u8> {
        self.under(INSTALLED)
    }

    /// The first key that something of a kind may have.
    pub(crate) fn first(self, kind: Kind) -> Vec<u8> {
        self.under(kind.letter(self.slot))
    }

    /// The key after everything of a kind.
    pub(crate) fn end(self, kind: Kind) -> Vec<u8> {
        self.under(kind.letter(self.slot) + 1)
    }

    pub(crate) fn row(self, multihash: &Multihash) -> Vec<u8> {
        self.of_block(Kind::Rows, multihash)
    }

    pub(crate) fn bond(self, multihash: &Multihash) -> Vec<u8> {
        self.of_block(Kind::Bonds, multihash)
    }

    pub(crate) fn links(self, vertex: &Vertex) -> Vec<u8> {
        let mut key = self.of_block(Kind::Links, &vertex.multihash);
        key.extend_from_slice(&vertex.codec.0.to_be_bytes());
        key
    }

    /// The first key that comes after every row, or bond, with a multihash up to `multihash`: no valid multihash is a
    /// prefix of another.
    pub(crate) fn behind(self, kind: Kind, multihash: &Multihash) -> Vec<u8> {
        let mut key = self.of_block(kind, multihash);
        key.push(0);
        key
    }

    /// Of which block the row, or the bond, under `key` is.
    pub(crate) fn multihash(self, kind: Kind, key: &[u8]) -> Result<Multihash, DecodeRecordError> {
        let bytes = key.strip_prefix(self.first(kind).as_slice()).unwrap_or_default();
        Multihash::from_bytes(bytes).map_err(|source| DecodeRecordError::Key { source })
    }

    pub(crate) fn session(self, id: &SessionId) -> Vec<u8> {
        self.of_command(Kind::Sessions, id.opened, id.number)
    }

    pub(crate) fn session_id(self, key: &[u8]) -> Result<SessionId, DecodeRecordError> {
        let (opened, number) = self.command(Kind::Sessions, key).ok_or(DecodeRecordError::Session)?;
        Ok(SessionId { opened, number })
    }

    pub(crate) fn import(self, id: &ImportId) -> Vec<u8> {
        self.of_command(Kind::Imports, id.opened, id.number)
    }

    pub(crate) fn import_id(self, key: &[u8]) -> Result<ImportId, DecodeRecordError> {
        let (opened, number) = self.command(Kind::Imports, key).ok_or(DecodeRecordError::Import)?;
        Ok(ImportId { opened, number })
    }

    fn of_block(self, kind: Kind, multihash: &Multihash) -> Vec<u8> {
        let mut key = self.first(kind);
        key.extend_from_slice(multihash.as_bytes());
        key
    }

    fn of_command(self, kind: Kind, opened: LogIndex, number: u32) -> Vec<u8> {
        let mut key = self.first(kind);
        key.extend_from_slice(&opened.0.to_be_bytes());
        key.extend_from_slice(&number.to_be_bytes());
        key
    }

    fn command(self, kind: Kind, key: &[u8]) -> Option<(LogIndex, u32)> {
        let (opened, number) = key.strip_prefix(self.first(kind).as_slice())?.split_first_chunk::<8>()?;
        Some((LogIndex(u64::from_be_bytes(*opened)), u32::from_be_bytes(number.try_into().ok()?)))
    }

    fn under(self, letter: u8) -> Vec<u8> {
        let mut key = Vec::with_capacity(KEY_BYTES_MAX);
        key.extend_from_slice(&self.group.0.to_be_bytes());
        key.push(letter);
        key
    }
}

impl Kind {
    /// All of them, rows first.
    pub(crate) const ALL: [Self; 5] = [Self::Rows, Self::Bonds, Self::Links, Self::Sessions, Self::Imports];

    const fn letter(self, slot: Slot) -> u8 {
        let letter = match self {
            Self::Rows => b'r',
            Self::Bonds => b'b',
            Self::Links => b'l',
            Self::Sessions => b'c',
            Self::Imports => b'u',
        };
        match slot {
            Slot::First => letter,
            Slot::Second => letter.to_ascii_uppercase(),
        }
    }
}

const STATE: u8 = b's';
const MEMBERSHIP: u8 = b'm';
const NEXT: u8 = b'n';
const INSTALLED: u8 = b'i';

/// Group, letter, the longest multihash and a codec.
const KEY_BYTES_MAX: usize = 4 + 1 + 66 + 8;
