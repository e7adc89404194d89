//! What is known of a visible block besides its row: under which codecs its links are recorded, and which pins hold it.
//!
//! Most blocks have none of it, and then no bond. A bond goes when its row does.

use std::collections::BTreeSet;

use blockraft_blocks::Codec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::links::Links;
use crate::pin::PinMode;
use crate::record::{DecodeRecordError, decode, encode};
use crate::vertex::Vertex;

/// What binds a block to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bond {
    /// The codecs under which its links are recorded.
    pub linked: BTreeSet<Codec>,
    /// The pins of which it is the root.
    pub pins: BTreeSet<(Codec, PinMode)>,
    /// By how many pins it is covered, its own among them. While there are any, it can be neither deleted nor collected.
    pub holders: u64,
}

impl Bond {
    /// Whether a pin covers the block.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        0 < self.holders
    }

    /// Whether something can be noted under this codec: no block is read under more than [`CODECS_MAX`].
    pub(crate) fn has_room_for(&self, codec: Codec) -> bool {
        let mut codecs = self.codecs();
        codecs.insert(codec);
        codecs.len() <= CODECS_MAX
    }

    /// Whether nothing is known.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub(crate) fn decode(record: &[u8]) -> Result<Self, DecodeRecordError> {
        decode::<Self>(record)?.checked()
    }

    fn codecs(&self) -> BTreeSet<Codec> {
        self.linked.iter().copied().chain(self.pins.iter().map(|(codec, _)| *codec)).collect()
    }

    fn checked(self) -> Result<Self, DecodeRecordError> {
        if self.is_empty() || CODECS_MAX < self.codecs().len() || self.holders < self.pins.len() as u64 {
            return Err(DecodeRecordError::Bond);
        }
        Ok(self)
    }
}

/// A bond with the links themselves, as a snapshot carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedBond {
    /// The bond.
    pub bond: Bond,
    /// The links under each codec of [`Bond::linked`], in that order.
    pub links: Vec<Links>,
}

impl CarriedBond {
    /// Its bytes; never none.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let links: Vec<&[Vertex]> = self.links.iter().map(Links::as_slice).collect();
        encode(&(&self.bond, links)).into()
    }

    /// Reads what [`encode`](Self::encode) wrote, or a peer says that it did.
    ///
    /// # Errors
    /// The bytes are no such bond.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeRecordError> {
        let (bond, links): (Bond, Vec<Vec<Vertex>>) = decode(bytes)?;
        let bond = bond.checked()?;
        let links: Vec<Links> =
            links.into_iter().map(Links::new).collect::<Result<_, _>>().map_err(|_| DecodeRecordError::Bond)?;
        if links.len() != bond.linked.len() {
            return Err(DecodeRecordError::Bond);
        }
        Ok(Self { bond, links })
    }
}

/// The most codecs under which links or pins of one block are known.
pub const CODECS_MAX: usize = 4;
