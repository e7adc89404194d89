//! Content identifiers, parsed strictly: shortest varints, nothing behind the digest, known hash functions only.
//!
//! Whatever text or bytes a CID comes in, two equal CIDs compare equal and print the same, so nothing can be stored
//! twice or hidden behind a second spelling.

use core::fmt;
use core::str::FromStr;

use bytes::Bytes;
use multibase::Base;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::hash::{HashCode, UnsupportedHash};
use crate::mistake::Mistake;
use crate::multihash::{self, Multihash, ParseMultihashError};

/// A content identifier: a codec, and a block or the bytes themselves.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid {
    version: CidVersion,
    codec: Codec,
    target: CidTarget,
}

/// Which binary and text form a [`Cid`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CidVersion {
    /// A bare sha2-256 multihash, in base58btc (`Qm…`); its codec is always dag-pb.
    V0,
    /// Version, codec and multihash; we print base32 (`b…`).
    V1,
}

/// What a [`Cid`] leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CidTarget {
    /// A block, to be looked up in a store.
    Stored(Multihash),
    /// The bytes themselves (identity "hash"), at most [`INLINE_BYTES_MAX`]: served as they are, never stored.
    Inline(Bytes),
}

/// What a block's bytes are to be read as: a multicodec number below 2^63. Any is accepted, since stores don't read
/// blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Codec(pub u64);

/// Text or bytes that aren't a CID we accept.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseCidError {
    /// Longer than [`CID_BYTES_MAX`].
    #[error("a CID has at most {CID_BYTES_MAX} bytes")]
    TooLong,
    /// The text is in no known multibase.
    #[error("not a CID: neither a CIDv0 in base58btc nor a multibase text")]
    Text,
    /// A number is cut off, too large, or not in its shortest form.
    #[error("not a CID: bad varint")]
    Varint,
    /// A version other than 0 and 1.
    #[error("CID version {version} is not supported")]
    Version {
        /// The version that was found.
        version: u64,
    },
    /// A CIDv0 inside a multibase prefix, which the specification forbids.
    #[error("a CIDv0 is written in base58btc without a prefix")]
    PrefixedV0,
    /// Inline bytes over the limit, or not as many as announced.
    #[error("an identity CID carries exactly the announced bytes, at most {INLINE_BYTES_MAX}, not {bytes}")]
    Inline {
        /// The length in bytes that was announced.
        bytes: u64,
    },
    /// The multihash isn't one we accept.
    #[error("the CID's multihash is refused")]
    Multihash(#[source] ParseMultihashError),
}

/// Only a sha2-256 multihash has a CIDv0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a CIDv0 is always sha2-256, not {hash}")]
pub struct NoV0 {
    /// The hash function that was given.
    pub hash: HashCode,
}

/// A name or number that isn't a codec.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("codec {name:?} is neither raw, dag-pb, dag-cbor, dag-json, cbor, json nor a number such as 0x55")]
pub struct ParseCodecError {
    /// The name that was found.
    pub name: String,
}

impl Cid {
    /// The CIDv1 of a block.
    #[must_use]
    pub const fn v1(codec: Codec, multihash: Multihash) -> Self {
        Self { version: CidVersion::V1, codec, target: CidTarget::Stored(multihash) }
    }

    /// The CIDv0 of a dag-pb block.
    ///
    /// # Errors
    ///
    /// [`NoV0`] unless the multihash is sha2-256.
    pub fn v0(multihash: Multihash) -> Result<Self, NoV0> {
        match multihash.hash_code() {
            HashCode::Sha2_256 => Ok(Self::v0_unchecked(multihash)),
            hash => Err(NoV0 { hash }),
        }
    }

    /// Reads a binary CID that fills `bytes` exactly.
    ///
    /// # Errors
    ///
    /// [`ParseCidError`], without allocating more than the inline bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseCidError> {
        if bytes.len() > CID_BYTES_MAX {
            return Err(ParseCidError::TooLong);
        }
        // The specification's rule: 34 bytes that start like a sha2-256 multihash are a CIDv0.
        if bytes.len() == 34 && bytes.starts_with(&[0x12, 0x20]) {
            return Multihash::from_bytes(bytes).map(Self::v0_unchecked).map_err(ParseCidError::Multihash);
        }
        let (version, rest) = varint(bytes)?;
        if version != 1 {
            return Err(ParseCidError::Version { version });
        }
        let (codec, multihash) = varint(rest)?;
        let (hash, rest) = varint(multihash)?;
        let target = if hash == IDENTITY {
            let (announced, inline) = varint(rest)?;
            if announced != inline.len() as u64 || inline.len() > INLINE_BYTES_MAX {
                return Err(ParseCidError::Inline { bytes: announced });
            }
            CidTarget::Inline(Bytes::copy_from_slice(inline))
        } else {
            CidTarget::Stored(Multihash::from_bytes(multihash).map_err(ParseCidError::Multihash)?)
        };
        Ok(Self { version: CidVersion::V1, codec: Codec(codec), target })
    }

    /// The binary form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(80);
        if self.version == CidVersion::V1 {
            push_varint(&mut bytes, 1);
            push_varint(&mut bytes, self.codec.0);
        }
        match &self.target {
            CidTarget::Stored(multihash) => bytes.extend_from_slice(multihash.as_bytes()),
            CidTarget::Inline(inline) => {
                push_varint(&mut bytes, IDENTITY);
                push_varint(&mut bytes, inline.len() as u64);
                bytes.extend_from_slice(inline);
            }
        }
        bytes
    }

    /// Which form it has.
    #[must_use]
    pub const fn version(&self) -> CidVersion {
        self.version
    }

    /// What the bytes are to be read as.
    #[must_use]
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// What it leads to.
    #[must_use]
    pub const fn target(&self) -> &CidTarget {
        &self.target
    }

    /// The block to look up, or nothing for inline bytes.
    #[must_use]
    pub const fn multihash(&self) -> Option<&Multihash> {
        match &self.target {
            CidTarget::Stored(multihash) => Some(multihash),
            CidTarget::Inline(_) => None,
        }
    }

    fn v0_unchecked(mut multihash: Multihash) -> Self {
        if Mistake::V0LeadsElsewhere.is_made() {
            multihash = Multihash::of(HashCode::Sha2_256, multihash.as_bytes());
        }
        Self { version: CidVersion::V0, codec: Codec::DAG_PB, target: CidTarget::Stored(multihash) }
    }
}

impl FromStr for Cid {
    type Err = ParseCidError;

    /// Reads a CIDv0 in base58btc or a CIDv1 in any multibase. Paths (`/ipfs/…`) are not CIDs.
    fn from_str(text: &str) -> Result<Self, ParseCidError> {
        if text.len() > TEXT_CHARACTERS_MAX {
            return Err(ParseCidError::TooLong);
        }
        if text.len() == 46 && text.starts_with("Qm") {
            let bytes = Base::Base58Btc.decode(text).map_err(|_| ParseCidError::Text)?;
            return Self::from_bytes(&bytes);
        }
        let (_, bytes) = multibase::decode(text).map_err(|_| ParseCidError::Text)?;
        let cid = Self::from_bytes(&bytes)?;
        match cid.version {
            CidVersion::V0 => Err(ParseCidError::PrefixedV0),
            CidVersion::V1 => Ok(cid),
        }
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to_bytes();
        match self.version {
            CidVersion::V0 => f.pad(&Base::Base58Btc.encode(bytes)),
            CidVersion::V1 => f.pad(&multibase::encode(Base::Base32Lower, bytes)),
        }
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}

impl From<UnsupportedHash> for ParseCidError {
    fn from(unsupported: UnsupportedHash) -> Self {
        Self::Multihash(unsupported.into())
    }
}

impl Codec {
    /// Bytes without links.
    pub const RAW: Self = Self(0x55);
    /// `MerkleDAG` protobuf, what UnixFS directories and files are made of.
    pub const DAG_PB: Self = Self(0x70);
    /// CBOR with links.
    pub const DAG_CBOR: Self = Self(0x71);
    /// JSON with links.
    pub const DAG_JSON: Self = Self(0x0129);
    /// Plain CBOR.
    pub const CBOR: Self = Self(0x51);
    /// Plain JSON.
    pub const JSON: Self = Self(0x0200);

    const NAMED: [(&'static str, Self); 6] = [
        ("raw", Self::RAW),
        ("dag-pb", Self::DAG_PB),
        ("dag-cbor", Self::DAG_CBOR),
        ("dag-json", Self::DAG_JSON),
        ("cbor", Self::CBOR),
        ("json", Self::JSON),
    ];
}

impl FromStr for Codec {
    type Err = ParseCodecError;

    /// Reads a multicodec name or a hexadecimal number with `0x` in front.
    fn from_str(name: &str) -> Result<Self, ParseCodecError> {
        let named = Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, codec)| *codec);
        named
            .or_else(|| {
                let digits = name.strip_prefix("0x").filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
                u64::from_str_radix(digits, 16).ok().filter(|number| *number < 1 << 63).map(Self)
            })
            .ok_or_else(|| ParseCodecError { name: name.to_owned() })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMED.iter().find(|(_, codec)| codec == self) {
            Some((name, _)) => f.pad(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), ParseCidError> {
    multihash::varint(bytes).ok_or(ParseCidError::Varint)
}

fn push_varint(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(unsigned_varint::encode::u64(number, &mut unsigned_varint::encode::u64_buffer()));
}

/// The longest binary CID we read, in bytes.
pub const CID_BYTES_MAX: usize = 256;

/// The most bytes that an identity CID may carry.
pub const INLINE_BYTES_MAX: usize = 128;

/// The multicodec number of the identity "hash".
const IDENTITY: u64 = 0;

/// [`CID_BYTES_MAX`] bytes in base 2, the longest multibase, and the prefix.
const TEXT_CHARACTERS_MAX: usize = 1 + 8 * CID_BYTES_MAX;
