//! The seam below the segments: one directory of files, as little of it as they need.
//!
//! All calls wait for the disk. The real one is [`DirectoryDisk`]; [`MemoryDisk`] loses power on demand, so that tests
//! and simulators tear the very code that runs in production.

mod directory;
mod memory;
mod seam;

pub use directory::DirectoryDisk;
pub use memory::{DiskCounters, MemoryDisk, Syncs};
pub use seam::{Disk, DiskFile};
