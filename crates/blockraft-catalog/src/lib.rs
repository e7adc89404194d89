//! The replicated state machine of which blocks exist, and what holds them.
//!
//! Committed log entries go in, one after the other; out come the outcome of each command, and what changed for the
//! bytes of blocks. All replicas that applied the same entries hold the same catalog.
//!
//! A block is there from its put to its delete. Besides, the catalog keeps an index of what blocks link to, as those say who
//! can read them; pins, which hold a block or all that it leads to; and imports, while one of which is open nothing is
//! collected. Whether a pin is complete is decided when its command is applied: it walks the links, and refuses if anything is
//! missing ([`CatalogReader::reach`] says what). On each block it counts by how many pins it is covered, so a collector asks for
//! [what no pin covers](CatalogReader::collectable) and needs to mark nothing.
//!
//! It is not a block store: it knows names, lengths and positions, never where the bytes are. It reads no clock,
//! draws no random number and keeps no map whose order could differ from one replica to the next.
//!
//! # Where it stands
//!
//! Floor 1, on `blockraft-types` and `blockraft-blocks`. It needs an ordered table ([`Table`]): one in memory is here,
//! `blockraft-catalog-rocksdb` has one on disk. `blockraft-node` applies what `blockraft-driver` says is committed.
//!
//! # Example
//!
//! ```
//! use blockraft_blocks::{Block, HashCode};
//! use blockraft_catalog::{BatchLimits, Catalog, Command, Effect, MemoryTable, Outcome, Settled, batch};
//! use blockraft_types::{BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, LogIndex, Position, Term};
//!
//! let genesis = ChainDigest::from_bytes([7; 16]);
//! let mut catalog = Catalog::open(MemoryTable::new(), GroupId(0), genesis)?;
//!
//! let block = Block::hash(HashCode::Sha2_256, "hello");
//! let put = Command::Put { multihash: *block.multihash(), length: 5, inline: None };
//! let body = batch::encode([put], BatchLimits::default())?;
//! let position = Position { term: Term(1), index: LogIndex(1) };
//! let digest = BodyDigest::of(&body);
//! let head = EntryHead::chained(genesis, position, EntryKind::Command, body.len() as u32, digest);
//! let applied = catalog.apply(&Entry { head, body })?;
//!
//! assert_eq!(applied.outcomes, [Settled { outcome: Outcome::Created, position }]);
//! assert!(matches!(applied.effects[..], [Effect::Live { length: 5, .. }]));
//! let row = catalog.reader().visible(block.multihash())?;
//! assert_eq!((row.position, row.value.map(|row| row.created)), (position, Some(position)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The owner's duties
//!
//! 1. Apply every committed entry, those without a command too, in the order of the log, from
//!    [`Catalog::state`] on.
//! 2. Stop the member at any [`ApplyError`]: an entry is never skipped.
//! 3. Perform the effects, in order. After a restart, entries behind the catalog's position are applied again and give
//!    their effects again; those of entries at or before it do not come back, so whatever is kept for them must be
//!    rebuilt from the rows and the log.
//! 4. Compact the log only up to what a [`CatalogFlusher`] returned.
//! 5. A member that is too far behind for that gets another one's state instead: read it there through an [`Export`], put
//!    it together here with an [`Importer`], and [install](Catalog::install) it between two entries. A catalog that is found
//!    ahead of its log at a start was installed, and its log wasn't reset to it yet.
//!
//! # Errors
//!
//! One enum per operation. [`batch::PushError`] is the maker's; every other error is a reason to stop, since committed
//! bytes and one's own table can't be argued with.
//!
//! # Limits
//!
//! At most 4,096 commands and 4 MiB per batch, 16 recursive pins that it sets or takes away, 64 KiB per inlined block
//! ([`BatchLimits`] bind makers of batches more tightly); pages of at most 1,000 rows. At most 4,096 sessions, 4,096 outcomes in each and 131,072 in all: beyond that the
//! session that was used least recently expires. At most 1,024 imports, beyond which none is opened. At most 10,000 links and
//! 512 KiB of them per vertex, 4 codecs per block, and 65,536 vertices with 1,048,576 links per recursive pin: such a pin, and
//! taking it away, reads and writes that much when it is applied.

pub mod applied;
pub mod batch;
pub mod bond;
pub mod catalog;
pub mod clients;
pub mod command;
pub mod flusher;
pub mod imports;
pub mod links;
pub mod memory;
pub mod moment;
pub mod outcome;
pub mod pin;
pub mod reach;
pub mod reader;
pub mod record;
pub mod row;
pub mod session;
pub mod sessions;
pub mod snapshot;
pub mod suite;
pub mod table;
pub mod vertex;

mod dag;
mod keys;
mod mistake;
mod run;
mod shared;

pub use applied::{Applied, ApplyError, Effect};
pub use batch::{BatchBuilder, BatchLimits};
pub use bond::{Bond, CarriedBond};
pub use catalog::{Catalog, OpenError};
pub use clients::Clients;
pub use command::{Command, Request};
pub use flusher::{CatalogFlushError, CatalogFlusher};
pub use imports::{ImportLimits, Imports};
pub use links::{Links, LinksError};
pub use memory::MemoryTable;
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
pub use moment::RowError;
pub use outcome::{Outcome, Settled};
pub use pin::{PinLimits, PinMode};
pub use reach::{Lack, Missing};
pub use reader::{AsOf, CatalogReader, Completeness, RowPage};
pub use row::{CatalogState, Row};
pub use session::Session;
pub use sessions::{SessionLimits, Sessions};
pub use snapshot::{Export, ExportPage, ExportRow, ImportError, Importer, InstallError, Manifest};
pub use table::{Change, KeyRange, Table, View, WriteBatch};
pub use vertex::Vertex;

#[cfg(test)]
mod tests;
