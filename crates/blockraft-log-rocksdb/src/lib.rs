//! A durable Raft log in RocksDB.
//!
//! [`RocksLog`] keeps the logs of all groups of a node in one database and writes whatever waits, of all groups, with
//! one synced write. It is not a general store: nothing but the log of `blockraft-log` goes in.
//!
//! # Where it stands
//!
//! Floor 2, an adapter: it implements the seam of `blockraft-log` and knows no other adapter. `blockraft-node` puts it
//! into a member.
//!
//! # Example
//!
//! ```
//! use blockraft_log::{Anchor, LogStore};
//! use blockraft_log_rocksdb::{OpenError, RocksLog};
//! use blockraft_types::{ChainDigest, GroupId, Position};
//!
//! let folder = tempfile::tempdir()?;
//! RocksLog::format(folder.path())?;
//! let mut log = RocksLog::open(folder.path())?;
//! log.create_group(GroupId(0), Anchor { position: Position::ZERO, chain: ChainDigest::from_bytes([7; 16]) })?;
//! assert!(matches!(RocksLog::open(folder.path()), Err(OpenError::Locked { .. })));
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! # What it promises
//!
//! 1. A receipt means that the batch is on the device: hard state, truncation and entries of a call are one write to
//!    RocksDB's write-ahead log, which is synced before the call returns and overwritten in place when it is used again.
//! 2. A failed write or sync is final. The store answers `Poisoned` from then on, its readers as well, and RocksDB is
//!    told not to resume by itself.
//! 3. Damage is told, never taken for the end of the log. Each value carries a checksum over itself and its key, each
//!    entry a digest of its body and of all before it. Everything is verified at [`open`](RocksLog::open) and again at
//!    every read.
//! 4. Loss is noticed. RocksDB's replay ends in silence at the first record of its write-ahead log that doesn't verify,
//!    so a *watermark* file per group remembers outside the database which term, vote and position were acknowledged.
//!    It is compared with what a read-only look at the database finds, before RocksDB may tidy anything away. A log that is
//!    sound but ends too early is opened with the term and vote of the watermark, and
//!    [says what it lost](blockraft_log::LogState::lost_tail) until that is made good. Every other contradiction is refused.
//!
//! # How far the watermark sees
//!
//! Term and vote are synced into it before the receipt that carries them. Before a truncation it is lowered and synced.
//! The position is raised after each batch; that write waits for the device only every 32nd time, so after a power cut
//! (not after the mere death of the process) it may lag 32 batches. Loss that lies wholly inside that lag goes
//! unnoticed here: entries that a quorum holds are still found by the leader, but this node can't know what it said.
//! One damaged slot of the file is survived. A missing file or two damaged slots refuse to open.
//!
//! # Errors
//!
//! [`FormatError`], [`OpenError`], and those of the seam.
//!
//! # Limits
//!
//! About 30 MiB of memory for three memtables (see [`RocksLogConfig`]) and a cache, besides one [`LogState`](blockraft_log::LogState) per group.
//! One process per directory. An entry's index is below `u64::MAX`. The log is meant to be compacted: opening reads all
//! of it.

mod audit;
pub mod config;
mod directory;
mod engine;
mod key;
mod mistake;
pub mod open;
mod reader;
mod record;
pub mod store;
mod watermark;

pub use config::RocksLogConfig;
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
pub use open::{FormatError, OpenError};
pub use store::RocksLog;

#[cfg(test)]
mod tests;
