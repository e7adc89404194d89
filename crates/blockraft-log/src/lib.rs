//! The seam to a durable Raft log.
//!
//! A log keeps what a member of a Raft group must never forget: its term and vote, and its entries. This crate has the
//! trait ([`LogStore`]), the values that go through it ([`Batch`], [`Anchor`], [`LogState`]), a log in memory
//! ([`MemoryDisk`]), a wrapper that fails on demand ([`FaultyLog`]) and a [suite] that judges any implementation.
//!
//! It is not a database: it never asks what the bytes of an entry mean, who leads, or who the peers are.
//!
//! # Where it stands
//!
//! Floor 1, on `blockraft-types` alone. `blockraft-driver` owns a log; `blockraft-log-rocksdb` is the durable one.
//!
//! # Example
//!
//! ```
//! use blockraft_log::{Anchor, Batch, LogStore, MemoryDisk};
//! use blockraft_types::{BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, HardState, LogIndex};
//! use blockraft_types::{NodeId, PersistNumber, PersistTicket, Position, Term};
//!
//! let group = GroupId(0);
//! let birth = Anchor { position: Position::ZERO, chain: ChainDigest::from_bytes([7; 16]) };
//! let disk = MemoryDisk::new();
//! let mut log = disk.open();
//! log.create_group(group, birth)?;
//!
//! let position = Position { term: Term(1), index: LogIndex(1) };
//! let head = EntryHead::chained(birth.chain, position, EntryKind::Command, 3, BodyDigest::of(b"put"));
//! let batch = Batch {
//!     ticket: PersistTicket::new(group, PersistNumber(1)),
//!     hard_state: Some(HardState { term: Term(1), voted_for: Some(NodeId(1)) }),
//!     truncate_from: None,
//!     entries: vec![Entry { head, body: "put".into() }],
//! };
//! let receipts = log.persist(vec![batch])?;
//! assert_eq!(receipts[0].number(), PersistNumber(1));
//!
//! disk.cut_power();
//! let log = disk.open();
//! assert_eq!(log.load(group)?.expect("it was created").last.position, position);
//! assert_eq!(log.reader().entries(group, LogIndex(1), LogIndex(9), 1024)?.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! # The owner's duties
//!
//! 1. Own the store in one thread. Take all batches that wait, of all groups, and make one
//!    [`persist`](LogStore::persist) call of them.
//! 2. Send nothing that rests on a batch before its receipt has come back.
//! 3. Stop the node when a call says `Failed` or `Poisoned`. Never open the log again in the same process.
//! 4. Compact only what this node needs no more: applied, and flushed by the state machine.
//!
//! # Errors
//!
//! One enum per operation. `Misfit`, `UnknownGroup`, `Exists` and `BeyondEnd` are mistakes of the caller, and nothing
//! was written. `Damaged` asks for repair from a peer. `Failed` and `Poisoned` end this process's use of the log.
//!
//! # Limits
//!
//! A log state is held in memory: one place per term and the configurations of the entries that are not compacted.

pub mod admission;
pub mod batch;
pub mod cause;
mod chance;
pub mod faulty;
pub mod memory;
pub mod reader;
pub mod state;
pub mod store;
pub mod suite;

pub use admission::Admission;
pub use batch::Batch;
pub use cause::Cause;
pub use faulty::{FailingWrite, FaultyLog, LogFaults, Reached, Stall};
pub use memory::{MemoryDisk, MemoryLog, Syncs};
pub use reader::{ENTRY_OVERHEAD_BYTES, LogReader, ReadError};
pub use state::{Anchor, LogState, Misfit};
pub use store::{CompactError, CreateGroupError, LoadError, LogStore, PersistError, ResetError, WriteTotals};

#[cfg(test)]
mod tests;
