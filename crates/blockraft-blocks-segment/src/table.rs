//! The seam below the index: a small ordered table that is allowed to forget its latest writes.
//!
//! Since the index can be rebuilt from the segments, its table has no write-ahead log of its own. After a crash it holds
//! a prefix of what was written, in whole batches, and at least all that was flushed.

mod memory;
mod rocks;
mod seam;

pub use memory::MemoryTable;
pub use rocks::RocksTable;
pub use seam::{Change, Table};
