//! What commands did, and the bytes in which a list of outcomes travels.

use bytes::Bytes;
use thiserror::Error;

use crate::batch::COMMANDS_MAX;

/// What one command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
}

/// Bytes that are no list of outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeOutcomesError {
    /// There is not even a version.
    #[error("the list of outcomes is empty of bytes")]
    Empty,
    /// A version that this release does not read.
    #[error("version {found} of lists of outcomes is not supported, only version {supported} is")]
    Version {
        /// The version that it names.
        found: u8,
        /// The version that this release reads.
        supported: u8,
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

impl Outcome {
    /// Writes a list of outcomes: a version byte, then a byte for each.
    #[must_use]
    pub fn encode_list(outcomes: &[Self]) -> Bytes {
        [OUTCOMES_VERSION].into_iter().chain(outcomes.iter().map(|outcome| outcome.number())).collect()
    }

    /// Reads what [`encode_list`](Self::encode_list) wrote.
    ///
    /// # Errors
    /// The bytes are no such list, or of another version.
    pub fn decode_list(bytes: &[u8]) -> Result<Vec<Self>, DecodeOutcomesError> {
        let (&version, numbers) = bytes.split_first().ok_or(DecodeOutcomesError::Empty)?;
        if version != OUTCOMES_VERSION {
            return Err(DecodeOutcomesError::Version { found: version, supported: OUTCOMES_VERSION });
        }
        if COMMANDS_MAX < numbers.len() {
            return Err(DecodeOutcomesError::TooMany { found: numbers.len() });
        }
        numbers.iter().map(|&number| Self::of_number(number)).collect()
    }

    const fn number(self) -> u8 {
        match self {
            Self::Created => 1,
            Self::AlreadyPresent => 2,
            Self::Deleted => 3,
            Self::Absent => 4,
            Self::Nothing => 5,
        }
    }

    const fn of_number(number: u8) -> Result<Self, DecodeOutcomesError> {
        Ok(match number {
            1 => Self::Created,
            2 => Self::AlreadyPresent,
            3 => Self::Deleted,
            4 => Self::Absent,
            5 => Self::Nothing,
            found => return Err(DecodeOutcomesError::Unknown { found }),
        })
    }
}

const OUTCOMES_VERSION: u8 = 1;
