//! A block's name: which hash function, and its digest. Always valid, always `Copy`, ordered as its bytes are.

use core::fmt;
use core::str::FromStr;

use multibase::Base;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::hash::{HashCode, UnsupportedHash};

/// The name of a block: the multihash bytes (hash code, digest length, digest), of a [`HashCode`] with a digest of
/// exactly its length.
///
/// Its order is the order of its bytes, in which stores list. Text is base58btc of the bytes, as IPFS prints
/// multihashes (`Qm…` for sha2-256). With serde it is a byte string, or this text in human-readable formats; both are
/// validated when read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Multihash {
    // No valid multihash is a prefix of another, so comparing the padded arrays compares the bytes.
    bytes: [u8; MULTIHASH_BYTES_MAX],
    length: u8,
}

/// Bytes or text that aren't a multihash we accept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseMultihashError {
    /// A number in front of the digest is cut off, too large, or not in its shortest form.
    #[error("not a multihash: bad varint")]
    Varint,
    /// The hash function isn't one we can verify.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedHash),
    /// The digest hasn't the length of its hash function.
    #[error("{hash} has digests of {} bytes, not of {digest_bytes}", hash.digest_bytes())]
    DigestLength {
        /// The hash function.
        hash: HashCode,
        /// The length in bytes that was found or claimed.
        digest_bytes: u64,
    },
    /// The text isn't base58btc, or is too long to be a multihash.
    #[error("not a multihash: not base58btc")]
    Base58,
}

impl Multihash {
    /// Hashes `bytes`.
    #[must_use]
    pub fn of(hash: HashCode, bytes: &[u8]) -> Self {
        let digest = hash.digest(bytes);
        Self::wrap(hash, digest.digest()).expect("the hash function returned a digest of its own length")
    }

    /// Names a block whose digest is known.
    ///
    /// # Errors
    ///
    /// [`ParseMultihashError::DigestLength`] unless `digest` has the length of `hash`.
    pub fn wrap(hash: HashCode, digest: &[u8]) -> Result<Self, ParseMultihashError> {
        if digest.len() != hash.digest_bytes() {
            return Err(ParseMultihashError::DigestLength { hash, digest_bytes: digest.len() as u64 });
        }
        let mut bytes = [0; MULTIHASH_BYTES_MAX];
        let mut buffer = unsigned_varint::encode::u64_buffer();
        let code = unsigned_varint::encode::u64(hash.code(), &mut buffer);
        let parts = code.iter().copied().chain([hash.digest_bytes() as u8]).chain(digest.iter().copied());
        let mut length = 0;
        for (slot, byte) in bytes.iter_mut().zip(parts) {
            *slot = byte;
            length += 1;
        }
        Ok(Self { bytes, length })
    }

    /// Reads a multihash that fills `bytes` exactly.
    ///
    /// # Errors
    ///
    /// Each variant of [`ParseMultihashError`] but `Base58`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseMultihashError> {
        let (code, rest) = varint(bytes).ok_or(ParseMultihashError::Varint)?;
        let hash = HashCode::try_from(code)?;
        let (digest_bytes, digest) = varint(rest).ok_or(ParseMultihashError::Varint)?;
        if digest_bytes != hash.digest_bytes() as u64 {
            return Err(ParseMultihashError::DigestLength { hash, digest_bytes });
        }
        Self::wrap(hash, digest)
    }

    /// The multihash bytes, at most [`MULTIHASH_BYTES_MAX`].
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&self.bytes)
    }

    /// Which hash function this is of.
    #[must_use]
    pub fn hash_code(&self) -> HashCode {
        let code = unsigned_varint::decode::u64(&self.bytes).ok().map(|(code, _)| code);
        code.and_then(|code| HashCode::try_from(code).ok()).expect("only `wrap` makes a multihash, from a HashCode")
    }

    /// The digest alone.
    #[must_use]
    pub fn digest(&self) -> &[u8] {
        let bytes = self.as_bytes();
        bytes.get(bytes.len() - self.hash_code().digest_bytes()..).unwrap_or_default()
    }

    /// Whether `bytes` hash to this multihash.
    #[must_use]
    pub fn names(&self, bytes: &[u8]) -> bool {
        self.hash_code().digest(bytes).digest() == self.digest()
    }
}

impl FromStr for Multihash {
    type Err = ParseMultihashError;

    fn from_str(text: &str) -> Result<Self, ParseMultihashError> {
        // Decoding base58 takes quadratic time: don't begin what can't end well.
        if text.len() > BASE58_CHARACTERS_MAX {
            return Err(ParseMultihashError::Base58);
        }
        let bytes = Base::Base58Btc.decode(text).map_err(|_| ParseMultihashError::Base58)?;
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for Multihash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&Base::Base58Btc.encode(self.as_bytes()))
    }
}

impl fmt::Debug for Multihash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Multihash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(self.as_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for Multihash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(MultihashVisitor)
        } else {
            deserializer.deserialize_bytes(MultihashVisitor)
        }
    }
}

struct MultihashVisitor;

impl<'de> Visitor<'de> for MultihashVisitor {
    type Value = Multihash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a multihash, as bytes or as base58btc text")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Multihash, E> {
        Multihash::from_bytes(bytes).map_err(E::custom)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Multihash, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Multihash, A::Error> {
        let mut bytes = Vec::with_capacity(MULTIHASH_BYTES_MAX);
        while let Some(byte) = sequence.next_element::<u8>()? {
            if bytes.len() == MULTIHASH_BYTES_MAX {
                return Err(A::Error::custom("longer than any multihash"));
            }
            bytes.push(byte);
        }
        self.visit_bytes(&bytes)
    }
}

/// Reads a number in its shortest form, of at most nine bytes as the multiformats specification has it, and what
/// follows.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    // The library reads ten bytes too, and drops what doesn't fit into 64 bits.
    unsigned_varint::decode::u64(bytes).ok().filter(|(_, rest)| bytes.len() - rest.len() <= 9)
}

/// The longest multihash we accept, in bytes: code and length of sha2-512, and its digest.
pub const MULTIHASH_BYTES_MAX: usize = 66;

/// More than 66 bytes ever need in base58.
const BASE58_CHARACTERS_MAX: usize = 92;
