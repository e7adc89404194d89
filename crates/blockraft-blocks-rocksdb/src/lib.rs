//! A store of IPLD blocks in RocksDB, whose large values stand in blob files.
//!
//! [`RocksStore`] is a [`BlockStore`](blockraft_blocks::BlockStore) for those who have RocksDB already and want one kind
//! of file on disk, or who want to compare. One thread takes all puts and deletes that wait and writes them as one batch
//! with one sync.
//!
//! # What it promises
//!
//! All that [`BlockStore`](blockraft_blocks::BlockStore) promises. A failed write poisons the store for good.
//!
//! # What it doesn't
//!
//! - It writes each byte at least twice: to the write-ahead log, then to a blob file. The default store,
//!   `blockraft-blocks-segment`, writes it once.
//! - RocksDB's replay takes a damaged write-ahead log for its end, so damage there can lose blocks in silence. Whoever
//!   must not miss that compares with a list of names of its own.
//! - It keeps no reserve: on a full disk RocksDB fails, and with it the store.
//!
//! # Threads
//!
//! `blocks-rocksdb-write` writes, `blocks-rocksdb-read` reads blocks. Look-ups of lengths and listings run on the
//! caller's thread. The others are RocksDB's.
//!
//! # Where it stands
//!
//! Floor 2, above `blockraft-blocks`. It needs no runtime.
//!
//! # Example
//!
//! ```
//! use blockraft_blocks::{Block, BlockStore, HashCode, Lookup};
//! use blockraft_blocks_rocksdb::RocksStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let store = RocksStore::open(directory.path().join("blocks"))?;
//! # futures::executor::block_on(async {
//! let block = Block::hash(HashCode::Sha2_256, "hello world");
//! store.put(block.clone()).await?;
//! assert_eq!(store.get(*block.multihash()).await?, Lookup::Present(block));
//! store.close().await?;
//! # Ok(())
//! # })
//! # }
//! ```

mod database;
mod store;
mod writer;

pub use database::OpenError;
pub use store::RocksStore;

#[cfg(test)]
mod tests;
