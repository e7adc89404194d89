//! Blocks named by their content, and the seam of the stores that keep them.
//!
//! A [`Block`] exists only if its bytes hash to its [`Multihash`]: whoever holds one needs no further check. A
//! [`BlockStore`] keeps blocks by multihash, so CIDv0, CIDv1 and every codec of the same bytes are one block. Text and
//! binary [`Cid`]s from outside are parsed strictly, by one rule for the whole house.
//!
//! ```text
//!   bytes from a client                    a CID from a client
//!          │ Block::hash / Block::for_cid          │ Cid::from_str / Cid::from_bytes
//!          ▼                                       ▼
//!   Block (verified) ── put_many ──▶ BlockStore ◀── get_many ── CidTarget::Stored(Multihash)
//!                                   (durable when it resolves,      CidTarget::Inline(Bytes) needs no store
//!                                    verified on each read)
//! ```
//!
//! # What it promises
//!
//! - No [`Block`] with wrong bytes can be made, and no store that passes the [`suite`] returns one.
//! - Parsing is total: any bytes give a value or a named error, and never a panic or an unbounded allocation.
//!
//! # Where it stands
//!
//! Floor 0: it knows nothing of Raft, networks or files. The stores on disk are `blockraft-blocks-segment` and
//! `blockraft-blocks-rocksdb`; they stand above it and pass the same [`suite`].
//!
//! # When not to use it
//!
//! It doesn't read links: what a block's bytes mean is the matter of its codec, which a store neither knows nor keeps.
//!
//! # Example
//!
//! ```
//! use blockraft_blocks::{Block, BlockStore, Codec, HashCode, Lookup, MemoryStore, PutOutcome};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # futures::executor::block_on(async {
//! let block = Block::hash(HashCode::Sha2_256, "hello world");
//! assert_eq!(block.cid(Codec::RAW).to_string(), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
//!
//! let store = MemoryStore::new();
//! assert_eq!(store.put(block.clone()).await?, PutOutcome::Created);
//! assert_eq!(store.get(*block.multihash()).await?, Lookup::Present(block));
//! # Ok(())
//! # })
//! # }
//! ```

pub mod block;
pub mod cid;
pub mod fault;
pub mod hash;
pub mod limits;
pub mod memory;
pub mod multihash;
pub mod store;
pub mod suite;

mod mistake;

pub use block::Block;
pub use cid::{Cid, CidTarget, Codec};
pub use fault::FaultyStore;
pub use hash::HashCode;
pub use limits::BlockLimits;
pub use memory::MemoryStore;
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
pub use multihash::Multihash;
pub use store::{BlockStore, DeleteOutcome, Listed, Lookup, Page, PutOutcome, ReadError, WriteError};

#[cfg(test)]
mod tests;
