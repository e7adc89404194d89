//! The hash functions that may name a block, and nothing else: an unknown one is refused by its number.

use core::fmt;
use core::str::FromStr;

use multihash_codetable::{Code, MultihashDigest};
use thiserror::Error;

/// A hash function that blocks may be named with.
///
/// The list is closed on purpose: a node that can't verify a hash must not store what it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HashCode {
    /// SHA2-256, what nearly all of IPFS uses.
    #[default]
    Sha2_256,
    /// SHA2-512.
    Sha2_512,
    /// SHA3-256.
    Sha3_256,
    /// BLAKE3 with its default output of 32 bytes.
    Blake3,
    /// BLAKE2b with an output of 32 bytes.
    Blake2b256,
}

/// A hash function that isn't one of [`HashCode`], by its multicodec number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("hash function {code:#x} is not one of sha2-256, sha2-512, sha3-256, blake3, blake2b-256")]
pub struct UnsupportedHash {
    /// The multicodec number that was found.
    pub code: u64,
}

/// A name that isn't the multicodec name of a [`HashCode`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("hash function {name:?} is not one of sha2-256, sha2-512, sha3-256, blake3, blake2b-256")]
pub struct ParseHashCodeError {
    /// The name that was found.
    pub name: String,
}

impl HashCode {
    /// All of them, the default first.
    pub const ALL: [Self; 5] = [Self::Sha2_256, Self::Sha2_512, Self::Sha3_256, Self::Blake3, Self::Blake2b256];

    /// The multicodec number, as it stands in a multihash.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Sha2_256 => 0x12,
            Self::Sha2_512 => 0x13,
            Self::Sha3_256 => 0x16,
            Self::Blake3 => 0x1e,
            Self::Blake2b256 => 0xb220,
        }
    }

    /// The one digest length in bytes that is accepted; truncated digests are refused.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha2_512 => 64,
            Self::Sha2_256 | Self::Sha3_256 | Self::Blake3 | Self::Blake2b256 => 32,
        }
    }

    /// The multicodec name, such as `sha2-256`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha2_256 => "sha2-256",
            Self::Sha2_512 => "sha2-512",
            Self::Sha3_256 => "sha3-256",
            Self::Blake3 => "blake3",
            Self::Blake2b256 => "blake2b-256",
        }
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> multihash_codetable::Multihash {
        let code = match self {
            Self::Sha2_256 => Code::Sha2_256,
            Self::Sha2_512 => Code::Sha2_512,
            Self::Sha3_256 => Code::Sha3_256,
            Self::Blake3 => Code::Blake3_256,
            Self::Blake2b256 => Code::Blake2b256,
        };
        code.digest(bytes)
    }
}

impl TryFrom<u64> for HashCode {
    type Error = UnsupportedHash;

    fn try_from(code: u64) -> Result<Self, UnsupportedHash> {
        Self::ALL.into_iter().find(|hash| hash.code() == code).ok_or(UnsupportedHash { code })
    }
}

impl FromStr for HashCode {
    type Err = ParseHashCodeError;

    fn from_str(name: &str) -> Result<Self, ParseHashCodeError> {
        Self::ALL
            .into_iter()
            .find(|hash| hash.name() == name)
            .ok_or_else(|| ParseHashCodeError { name: name.to_owned() })
    }
}

impl fmt::Display for HashCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
