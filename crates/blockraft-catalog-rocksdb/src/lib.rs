//! The catalog's table on RocksDB.
//!
//! One database of its own with one column family and no write-ahead log: the Raft log is the catalog's. A batch costs
//! no sync; a flush writes the memtable out.
//!
//! It is not a general key-value store: whoever needs each write durable at once is wrong here.
//!
//! # Where it stands
//!
//! Floor 2, an adapter of `blockraft-catalog`'s [`Table`](blockraft_catalog::Table). It knows no row and no command.
//!
//! # Example
//!
//! ```
//! use blockraft_catalog::Catalog;
//! use blockraft_catalog_rocksdb::{RocksTable, RocksTableOptions};
//! use blockraft_types::{ChainDigest, GroupId};
//!
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("catalog");
//! RocksTable::create(&path, &RocksTableOptions::default())?;
//!
//! let table = RocksTable::open(&path, &RocksTableOptions::default())?;
//! let catalog = Catalog::open(table, GroupId(0), ChainDigest::from_bytes([7; 16]))?;
//! assert_eq!(catalog.state().blocks, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The contract
//!
//! 1. [`create`](RocksTable::create) formats an empty place, [`open`](RocksTable::open) refuses one that was not
//!    formatted: an emptied directory never passes for an empty catalog.
//! 2. A place is open once, in one process.
//! 3. After a crash the table is as it was after one of its batches, the last flush included. Dropping the table
//!    flushes what it can.
//! 4. The database shares its place with nothing else, least of all with a log that recycles its write-ahead logs:
//!    RocksDB refuses writes without one beside them.
//!
//! # Errors
//!
//! [`OpenError`] and [`CreateError`] name what is wrong with the place. A write or flush that failed is final: RocksDB
//! is told not to resume on its own.
//!
//! # Limits
//!
//! Memory is bounded by [`RocksTableOptions`]: two memtables and the cache, besides a few MiB of RocksDB's own.

pub mod options;
pub mod place;
pub mod table;

pub use options::RocksTableOptions;
pub use place::{CreateError, OpenError};
pub use table::RocksTable;

#[cfg(test)]
mod tests;
