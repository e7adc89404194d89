//! What the segments ask of a directory and its files.

use std::fmt;
use std::io;
use std::sync::Arc;

/// A directory.
///
/// Names created, renamed or removed are durable after [`sync_directory`](Self::sync_directory), and in any state
/// between before and after until then.
pub trait Disk: Send + Sync + fmt::Debug + 'static {
    /// Makes a file that doesn't exist yet.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file; those who have it open go on reading it.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in any order.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes all changes of names durable.
    ///
    /// # Errors
    ///
    /// What the system says. A failed sync must never be tried again.
    fn sync_directory(&self) -> io::Result<()>;

    /// How many bytes may still be written, in all.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Bytes that nobody can guess; a simulator gives seeded ones.
    fn random(&self) -> [u8; 8];
}

/// An open file of a [`Disk`].
///
/// What was written is durable after [`sync_data`](Self::sync_data); until then each of its sectors of 512 bytes is old
/// or new after a power cut, and so is the file's length.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads bytes from `offset` on until `buffer` is full or the file ends, and tells how many.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes`, and makes the file longer if need be.
    ///
    /// # Errors
    ///
    /// What the system says; any part may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable, with the length needed to read it back.
    ///
    /// # Errors
    ///
    /// What the system says. A failed sync must never be tried again.
    fn sync_data(&self) -> io::Result<()>;

    /// Reserves space for `offset..offset + length` without changing the file's length.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn allocate(&self, offset: u64, length: u64) -> io::Result<()>;

    /// Cuts the file to `length`, and gives back what was reserved behind it.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// How long the file is.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn length(&self) -> io::Result<u64>;
}
