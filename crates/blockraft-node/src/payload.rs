//! A verified block as the data plane's handle.

use blockraft_blocks::{Block, Multihash};
use blockraft_exchange::Payload;

/// A block whose bytes are shared. It exists only if they hash to its name, which is what a handle vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockPayload(pub Block);

impl Payload for BlockPayload {
    fn name(&self) -> Multihash {
        *self.0.multihash()
    }

    fn length(&self) -> u32 {
        self.0.bytes().len() as u32 // a block is at most 64 MiB
    }
}
