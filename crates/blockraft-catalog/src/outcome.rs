//! What commands did, and the bytes in which a list of outcomes travels.

use blockraft_types::{LogIndex, Position, Term};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::batch::COMMANDS_MAX;

/// What became of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settled {
    /// What it did.
    pub outcome: Outcome,
    /// The entry that did it. For a command that was carried out before, that is the first one.
    pub position: Position,
}

/// What one command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Outcome {
    /// The put made the block visible.
    Created,
    /// The block was visible before the put; its row is the one that its first put made.
    AlreadyPresent,
    /// The delete made the block invisible.
    Deleted,
    /// There was nothing to delete.
    Absent,
    /// It was a no-op.
    Nothing,
    /// A session begins.
    SessionOpened,
    /// Nothing was done: the session has expired, or never was. Whether the command was carried out before it expired
    /// can't be said any more.
    SessionExpired,
    /// Nothing was done: the session has too many outcomes that its client hasn't said it knows.
    SessionFull,
    /// Nothing was done: its client has said that it needs no outcome of this command. What it did before is forgotten.
    Overtaken,
    /// An import is open.
    ImportOpened,
    /// Nothing was done: as many imports are open as may be.
    ImportsFull,
    /// The import is still open.
    ImportKept,
    /// The import isn't open any more.
    ImportEnded,
    /// Nothing was done: the import was ended before, has expired, or never was.
    ImportExpired,
    /// The links of the block are known.
    Linked,
    /// Nothing was done: links and pins of a block are known under [few](crate::bond::CODECS_MAX) codecs at most.
    TooManyCodecs,
    /// Everything that the pin covers is held.
    Pinned,
    /// The pin was there before.
    AlreadyPinned,
    /// Nothing was done: blocks, or their links, are missing of what the pin would cover.
    /// [`CatalogReader::reach`](crate::CatalogReader::reach) says which.
    Incomplete,
    /// Nothing was done: the pin would cover [too much](crate::pin::PinLimits).
    TooLarge,
    /// The pin isn't there any more.
    Unpinned,
    /// There was no such pin.
    NotPinned,
    /// The collector made the block invisible.
    Collected,
    /// Nothing was done: while an import is open, nothing is collected.
    HeldByImport,
    /// Nothing was done: a pin covers the block.
    HeldByPin,
}

/// Bytes that are no list of outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeOutcomesError {
    /// There is not even a version.
    #[error("the list of outcomes is empty of bytes")]
    Empty,
    /// A version that this release does not read.
    #[error("version {found} of lists of outcomes is not supported, only versions up to {supported} are")]
    Version {
        /// The version that it names.
        found: u8,
        /// The newest version that this release reads.
        supported: u8,
    },
    /// The list breaks off in an outcome.
    #[error("a list of outcomes breaks off behind {outcomes} of them")]
    Short {
        /// How many are whole.
        outcomes: usize,
    },
    /// More outcomes than a batch has commands.
    #[error("{found} outcomes in one list, at most {COMMANDS_MAX} are allowed")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// A number that stands for no outcome.
    #[error("unknown outcome {found}")]
    Unknown {
        /// The number.
        found: u8,
    },
}

impl Settled {
    /// Writes what became of the commands of the entry at `position`: a version byte, then a byte for each, with the
    /// position behind it if that is another one's.
    #[must_use]
    pub fn encode_list(settled: &[Self], position: Position) -> Bytes {
        let is_repeated = |settled: &Self| settled.position != position;
        let version = if settled.iter().any(is_repeated) { REPEATS_VERSION } else { OUTCOMES_VERSION };
        let mut bytes = vec![version];
        for settled in settled {
            let number = u8::from(settled.outcome);
            if is_repeated(settled) {
                bytes.push(number | REPEATED);
                bytes.extend_from_slice(&settled.position.term.0.to_le_bytes());
                bytes.extend_from_slice(&settled.position.index.0.to_le_bytes());
            } else {
                bytes.push(number);
            }
        }
        bytes.into()
    }

    /// Reads what [`encode_list`](Self::encode_list) wrote for the entry at `position`.
    ///
    /// # Errors
    /// The bytes are no such list, or of another version.
    pub fn decode_list(bytes: &[u8], position: Position) -> Result<Vec<Self>, DecodeOutcomesError> {
        let (&version, mut rest) = bytes.split_first().ok_or(DecodeOutcomesError::Empty)?;
        if !(OUTCOMES_VERSION..=REPEATS_VERSION).contains(&version) {
            return Err(DecodeOutcomesError::Version { found: version, supported: REPEATS_VERSION });
        }
        let mut list = Vec::new();
        while let Some((&number, behind)) = rest.split_first() {
            if list.len() == COMMANDS_MAX {
                return Err(DecodeOutcomesError::TooMany { found: list.len() + rest.len() });
            }
            rest = behind;
            let is_repeated = version == REPEATS_VERSION && number & REPEATED != 0;
            let (number, position) = if is_repeated {
                let position = take_position(&mut rest).ok_or(DecodeOutcomesError::Short { outcomes: list.len() })?;
                (number & !REPEATED, position)
            } else {
                (number, position)
            };
            list.push(Self { outcome: Outcome::try_from(number)?, position });
        }
        Ok(list)
    }
}

impl From<Outcome> for u8 {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Created => 1,
            Outcome::AlreadyPresent => 2,
            Outcome::Deleted => 3,
            Outcome::Absent => 4,
            Outcome::Nothing => 5,
            Outcome::SessionOpened => 6,
            Outcome::SessionExpired => 7,
            Outcome::SessionFull => 8,
            Outcome::Overtaken => 9,
            Outcome::ImportOpened => 10,
            Outcome::ImportsFull => 11,
            Outcome::ImportKept => 12,
            Outcome::ImportEnded => 13,
            Outcome::ImportExpired => 14,
            Outcome::Linked => 15,
            Outcome::TooManyCodecs => 16,
            Outcome::Pinned => 17,
            Outcome::AlreadyPinned => 18,
            Outcome::Incomplete => 19,
            Outcome::TooLarge => 20,
            Outcome::Unpinned => 21,
            Outcome::NotPinned => 22,
            Outcome::Collected => 23,
            Outcome::HeldByImport => 24,
            Outcome::HeldByPin => 25,
        }
    }
}

impl TryFrom<u8> for Outcome {
    type Error = DecodeOutcomesError;

    fn try_from(number: u8) -> Result<Self, DecodeOutcomesError> {
        Ok(match number {
            1 => Self::Created,
            2 => Self::AlreadyPresent,
            3 => Self::Deleted,
            4 => Self::Absent,
            5 => Self::Nothing,
            6 => Self::SessionOpened,
            7 => Self::SessionExpired,
            8 => Self::SessionFull,
            9 => Self::Overtaken,
            10 => Self::ImportOpened,
            11 => Self::ImportsFull,
            12 => Self::ImportKept,
            13 => Self::ImportEnded,
            14 => Self::ImportExpired,
            15 => Self::Linked,
            16 => Self::TooManyCodecs,
            17 => Self::Pinned,
            18 => Self::AlreadyPinned,
            19 => Self::Incomplete,
            20 => Self::TooLarge,
            21 => Self::Unpinned,
            22 => Self::NotPinned,
            23 => Self::Collected,
            24 => Self::HeldByImport,
            25 => Self::HeldByPin,
            found => return Err(DecodeOutcomesError::Unknown { found }),
        })
    }
}

fn take_position(rest: &mut &[u8]) -> Option<Position> {
    let (term, behind) = rest.split_first_chunk::<8>()?;
    let (index, behind) = behind.split_first_chunk::<8>()?;
    *rest = behind;
    Some(Position { term: Term(u64::from_le_bytes(*term)), index: LogIndex(u64::from_le_bytes(*index)) })
}

/// A list of outcomes that are all of the entry itself.
const OUTCOMES_VERSION: u8 = 1;
/// A list in which some are those of earlier entries.
const REPEATS_VERSION: u8 = 2;

/// Says in an outcome's byte that a position follows.
const REPEATED: u8 = 0x80;
