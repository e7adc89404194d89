//! What a vertex links to.

use std::collections::BTreeSet;
use std::sync::Arc;

use thiserror::Error;

use crate::record::{DecodeRecordError, decode, encode};
use crate::vertex::Vertex;

/// The vertices that one vertex links to: each once, in the order of the block. A clone shares them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Links(Arc<[Vertex]>);

/// Links that are too many to be recorded: such a block can't be part of what is pinned recursively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinksError {
    /// There are too many of them.
    #[error("a block may link to {LINKS_MAX} others at most")]
    TooMany,
    /// Their names are too long together.
    #[error("the links of a block may take {LINKS_BYTES_MAX} bytes at most")]
    TooLong,
}

impl Links {
    /// Takes the links of a block, of those that are repeated the first one.
    ///
    /// # Errors
    /// [`LinksError`] beyond [`LINKS_MAX`] or [`LINKS_BYTES_MAX`]. No more than that is taken from `links`.
    pub fn new(links: impl IntoIterator<Item = Vertex>) -> Result<Self, LinksError> {
        let (mut seen, mut kept, mut bytes) = (BTreeSet::new(), Vec::new(), 0);
        for link in links {
            if !seen.insert(link) {
                continue;
            }
            kept.push(link);
            bytes += encoded_bytes(&link);
            if LINKS_MAX < kept.len() {
                return Err(LinksError::TooMany);
            }
            if LINKS_BYTES_MAX < bytes {
                return Err(LinksError::TooLong);
            }
        }
        Ok(Self(kept.into()))
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Vertex] {
        &self.0
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(&self.as_slice())
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self, DecodeRecordError> {
        Self::new(decode::<Vec<Vertex>>(record)?).map_err(|_| DecodeRecordError::Bond)
    }
}

impl Default for Links {
    /// No links at all.
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

/// What a link takes in a batch and in a table: a length, the multihash, and the codec as a varint.
fn encoded_bytes(link: &Vertex) -> usize {
    let codec_bits = (u64::BITS - link.codec.0.leading_zeros()) as usize;
    let codec_bytes = if codec_bits == 0 { 1 } else { codec_bits.div_ceil(7) };
    1 + link.multihash.as_bytes().len() + codec_bytes
}

/// The most links of one vertex.
pub const LINKS_MAX: usize = 10_000;

/// The most bytes that the links of one vertex take.
pub const LINKS_BYTES_MAX: usize = 512 * 1024;
