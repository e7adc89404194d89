//! A store of IPLD blocks in append-only segment files, in which each byte is written once.
//!
//! [`SegmentStore`] is a [`BlockStore`](blockraft_blocks::BlockStore). A put appends a record (a header with a checksum,
//! then the block's bytes) to the active segment; one sync makes all waiting puts durable; then the index learns where
//! they are. Nothing copies the bytes a second time, unless deletes leave a segment half dead and compaction moves what
//! is left of it.
//!
//! ```text
//!   put ──▶ queue (64 MiB) ──▶ blocks-write ──append──▶ 0000000000000007.segment (active)
//!                                   │ one sync for all that waited
//!                                   ▼
//!   put resolves ◀──────────── index: multihash → (segment, offset, length)      RocksDB, rebuildable
//!                                   ▲
//!   get ──▶ blocks-read-0..3 ───────┴──read, hash──▶ any segment
//! ```
//!
//! # What it promises
//!
//! - All that [`BlockStore`](blockraft_blocks::BlockStore) promises. A put resolves after the sync that covers its bytes,
//!   and a block is called present only then.
//! - A torn tail is told from damage: see [`recovery`]. Damaged blocks are reported, read as damaged, and repaired by a
//!   put. A segment with a damaged block in use is not compacted, and the block is never called absent.
//! - A failed write or sync poisons the store for good; a full disk doesn't: puts are refused while less than a reserve
//!   is free, deletes and compaction go on.
//! - The index can be deleted at any time while the store is closed: it is rebuilt from the segments. So is one that turned
//!   out to be unreadable, by the next opening.
//!
//! # Threads
//!
//! `blocks-write` owns all writing, compaction included. `blocks-read-0` to `blocks-read-3` read and verify. Look-ups
//! in the index (`has`, `stat`, `list`) run on the caller's thread. There are no others but RocksDB's.
//!
//! # Where it stands
//!
//! Floor 2, above `blockraft-blocks`. It knows nothing of Raft. It needs no runtime.
//!
//! # When not to use it
//!
//! When blocks are mostly under 200 bytes: a record has 72 bytes of its own, and the index about 60.
//!
//! # Example
//!
//! ```
//! use blockraft_blocks::{Block, BlockStore, HashCode, Lookup};
//! use blockraft_blocks_segment::{Options, SegmentStore};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("blocks");
//! let store = SegmentStore::open(&path, Options::default())?;
//! # futures::executor::block_on(async {
//! let block = Block::hash(HashCode::Sha2_256, "hello world");
//! store.put(block.clone()).await?;
//! assert_eq!(store.get(*block.multihash()).await?, Lookup::Present(block));
//! store.close().await?;
//! # Ok(())
//! # })
//! # }
//! ```

mod active;
mod compaction;
pub mod disk;
mod ends;
mod failure;
pub mod format;
mod index;
mod mistake;
pub mod options;
pub mod reader;
pub mod recovered;
pub mod recovery;
mod scan;
pub mod segments;
pub mod status;
pub mod store;
pub mod table;
mod victim;

pub use compaction::Thoroughness;
pub use disk::{DirectoryDisk, Disk, DiskFile, MemoryDisk};
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
pub use options::Options;
pub use recovered::{DamagedBlock, Gap, Recovered};
pub use recovery::OpenError;
pub use segments::{Segments, Write, Written};
pub use status::Status;
pub use store::SegmentStore;
pub use table::{MemoryTable, RocksTable, Table};

#[cfg(test)]
mod tests;
