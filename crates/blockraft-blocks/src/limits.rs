//! How large a block may be where blocks come in, and how large one can ever be.

use thiserror::Error;

use crate::block::Block;

/// The largest block a place of entry accepts.
///
/// It binds at ingress only. What a cluster has once accepted, every node goes on accepting up to [`BLOCK_BYTES_MAX`],
/// so that members with unequal limits can't stop each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    block_bytes_max: u32,
}

/// A block over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a block of {bytes} bytes is over the limit of {bytes_max}")]
pub struct BlockTooLarge {
    /// The block's length in bytes.
    pub bytes: u64,
    /// The limit in bytes.
    pub bytes_max: u32,
}

/// A configured limit outside of 1 to [`BLOCK_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the block limit must be 1 to {BLOCK_BYTES_MAX} bytes, not {bytes}")]
pub struct LimitOutOfRange {
    /// The limit that was asked for, in bytes.
    pub bytes: u64,
}

impl BlockLimits {
    /// A limit of `block_bytes_max`.
    ///
    /// # Errors
    ///
    /// [`LimitOutOfRange`] unless it is 1 to [`BLOCK_BYTES_MAX`].
    pub const fn new(block_bytes_max: u64) -> Result<Self, LimitOutOfRange> {
        if block_bytes_max == 0 || block_bytes_max > BLOCK_BYTES_MAX as u64 {
            return Err(LimitOutOfRange { bytes: block_bytes_max });
        }
        Ok(Self { block_bytes_max: block_bytes_max as u32 })
    }

    /// The limit in bytes.
    #[must_use]
    pub const fn block_bytes_max(self) -> u32 {
        self.block_bytes_max
    }

    /// Whether a block of `bytes` may come in. An empty block may: it is the empty file.
    ///
    /// # Errors
    ///
    /// [`BlockTooLarge`] if not.
    pub const fn check(self, bytes: u64) -> Result<(), BlockTooLarge> {
        if bytes > self.block_bytes_max as u64 {
            return Err(BlockTooLarge { bytes, bytes_max: self.block_bytes_max });
        }
        Ok(())
    }
}

impl Default for BlockLimits {
    /// 2 MiB, what bitswap and trustless gateways accept.
    fn default() -> Self {
        Self { block_bytes_max: 2 << 20 }
    }
}

/// Whether a store may take `block` at all.
///
/// # Errors
///
/// [`BlockTooLarge`] if it is over [`BLOCK_BYTES_MAX`].
pub fn check_storable(block: &Block) -> Result<(), BlockTooLarge> {
    BlockLimits { block_bytes_max: BLOCK_BYTES_MAX }.check(block.bytes().len() as u64)
}

/// The largest block that any store, frame or log entry is made for: 64 MiB.
pub const BLOCK_BYTES_MAX: u32 = 64 << 20;
