//! Bytes together with the name they were checked against.

use core::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::cid::{Cid, CidTarget, Codec};
use crate::hash::HashCode;
use crate::mistake::Mistake;
use crate::multihash::Multihash;

/// Bytes that hash to their multihash. There is no way to make one that doesn't.
///
/// There may be no bytes: the empty block has a name like any other, is what IPFS makes of an empty file, and every client
/// and store of IPFS expects to be able to keep it, so it is kept here.
///
/// A clone shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    multihash: Multihash,
    bytes: Bytes,
}

/// Bytes that aren't the block they were said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// They hash to another name.
    #[error("the bytes hash to {found}")]
    Mismatch {
        /// The name they have.
        found: Multihash,
    },
    /// The CID carries its bytes inline (identity), and they are others.
    #[error("bytes differ from those inside their identity CID")]
    InlineMismatch,
}

impl Block {
    /// Names `bytes` with `hash`.
    #[must_use]
    pub fn hash(hash: HashCode, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { multihash: Multihash::of(hash, &bytes), bytes }
    }

    /// Takes `bytes` that someone said are the block `multihash`.
    ///
    /// # Errors
    ///
    /// [`VerifyError::Mismatch`] if they aren't.
    pub fn verify(multihash: Multihash, bytes: impl Into<Bytes>) -> Result<Self, VerifyError> {
        let bytes = bytes.into();
        let found = Multihash::of(multihash.hash_code(), &bytes);
        if found != multihash && !Mistake::HashUnchecked.is_made() {
            return Err(VerifyError::Mismatch { found });
        }
        Ok(Self { multihash, bytes })
    }

    /// Takes `bytes` that someone said are what `cid` names.
    ///
    /// Under an identity CID they become a block named by [`HashCode::Sha2_256`]; whether such a block should be
    /// stored at all is the caller's choice (the house's answer is no).
    ///
    /// # Errors
    ///
    /// [`VerifyError`] if they aren't.
    pub fn for_cid(cid: &Cid, bytes: impl Into<Bytes>) -> Result<Self, VerifyError> {
        let bytes = bytes.into();
        match cid.target() {
            CidTarget::Stored(multihash) => Self::verify(*multihash, bytes),
            CidTarget::Inline(inline) if *inline == bytes => Ok(Self::hash(HashCode::default(), bytes)),
            CidTarget::Inline(_) => Err(VerifyError::InlineMismatch),
        }
    }

    /// The block's name.
    #[must_use]
    pub const fn multihash(&self) -> &Multihash {
        &self.multihash
    }

    /// The block's bytes; cloning them shares them.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The block's bytes, without the name.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The CIDv1 of this block under `codec`. The block doesn't know its codec: the same bytes may be `raw` to one
    /// reader and `dag-pb` to another.
    #[must_use]
    pub fn cid(&self, codec: Codec) -> Cid {
        Cid::v1(codec, self.multihash)
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({}, {} bytes)", self.multihash, self.bytes.len())
    }
}
