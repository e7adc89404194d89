//! Blocks in memory: for tests, and for nodes that may forget.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::block::Block;
use crate::limits::check_storable;
use crate::multihash::Multihash;
use crate::store::{BlockStore, DeleteOutcome, Listed, Lookup, Page, PutOutcome, ReadError, WriteError};

/// A store that keeps blocks as long as it lives, up to a bound in bytes.
///
/// "Durable" means nothing here but "still there as long as this value is". It verifies on each read like any other.
#[derive(Debug)]
pub struct MemoryStore {
    shelf: Mutex<Shelf>,
    bytes_max: u64,
}

#[derive(Debug, Default)]
struct Shelf {
    blocks: BTreeMap<Multihash, Bytes>,
    bytes: u64,
    closed: bool,
}

impl MemoryStore {
    /// An empty store without a bound.
    #[must_use]
    pub fn new() -> Self {
        Self::with_bytes_max(u64::MAX)
    }

    /// An empty store that answers [`WriteError::Full`] rather than keep more than `bytes_max`.
    #[must_use]
    pub fn with_bytes_max(bytes_max: u64) -> Self {
        Self { shelf: Mutex::default(), bytes_max }
    }

    /// Flips a bit of a block's copy, as a bad disk would, and tells whether there was one to flip. For tests of what
    /// happens next: reads answer [`Lookup::Damaged`], and a put repairs.
    pub fn damage(&self, multihash: &Multihash) -> bool {
        let mut guard = self.shelf();
        let shelf = &mut *guard;
        let Some(bytes) = shelf.blocks.get_mut(multihash) else { return false };
        let mut damaged = bytes.to_vec();
        match damaged.first_mut() {
            Some(first) => *first ^= 1,
            None => {
                damaged.push(0);
                shelf.bytes += 1;
            }
        }
        *bytes = damaged.into();
        true
    }

    /// Opens a closed store again, with all it kept: a place that remembers, for tests without files.
    pub fn reopen(&self) {
        self.shelf().closed = false;
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // A panic while the lock was held can't have left a block half inserted.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_for_write(&self) -> Result<MutexGuard<'_, Shelf>, WriteError> {
        Some(self.shelf()).filter(|shelf| !shelf.closed).ok_or(WriteError::Closed)
    }

    fn open_for_read(&self) -> Result<MutexGuard<'_, Shelf>, ReadError> {
        Some(self.shelf()).filter(|shelf| !shelf.closed).ok_or(ReadError::Closed)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl BlockStore for MemoryStore {
    async fn put_many(&self, blocks: &[Block]) -> Result<Vec<PutOutcome>, WriteError> {
        let mut guard = self.open_for_write()?;
        let shelf = &mut *guard;
        blocks.iter().map(|block| shelf.put(block, self.bytes_max)).collect()
    }

    async fn get_many(&self, multihashes: &[Multihash]) -> Result<Vec<Lookup>, ReadError> {
        let found: Vec<Option<Bytes>> = {
            let shelf = self.open_for_read()?;
            multihashes.iter().map(|multihash| shelf.blocks.get(multihash).cloned()).collect()
        };
        let lookup = |(multihash, bytes): (&Multihash, Option<Bytes>)| match bytes {
            None => Lookup::Absent,
            Some(bytes) => Block::verify(*multihash, bytes).map_or(Lookup::Damaged, Lookup::Present),
        };
        Ok(multihashes.iter().zip(found).map(lookup).collect())
    }

    async fn stat_many(&self, multihashes: &[Multihash]) -> Result<Vec<Option<u32>>, ReadError> {
        let shelf = self.open_for_read()?;
        Ok(multihashes.iter().map(|multihash| shelf.blocks.get(multihash).map(|bytes| bytes.len() as u32)).collect())
    }

    async fn delete_many(&self, multihashes: &[Multihash]) -> Result<Vec<DeleteOutcome>, WriteError> {
        let mut shelf = self.open_for_write()?;
        Ok(multihashes.iter().map(|multihash| shelf.delete(multihash)).collect())
    }

    async fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError> {
        let shelf = self.open_for_read()?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let listed =
            |(multihash, bytes): (&Multihash, &Bytes)| Listed { multihash: *multihash, length: bytes.len() as u32 };
        Ok(Page::cut(shelf.blocks.range((from, Bound::Unbounded)).map(listed), limit))
    }

    async fn count(&self) -> Result<u64, ReadError> {
        Ok(self.open_for_read()?.blocks.len() as u64)
    }

    async fn flush(&self) -> Result<(), WriteError> {
        self.open_for_write().map(drop)
    }

    async fn close(&self) -> Result<(), WriteError> {
        self.shelf().closed = true;
        Ok(())
    }
}

impl Shelf {
    fn put(&mut self, block: &Block, bytes_max: u64) -> Result<PutOutcome, WriteError> {
        check_storable(block)?;
        let length = block.bytes().len() as u64;
        match self.blocks.entry(*block.multihash()) {
            // Comparing with verified bytes finds any damage.
            Entry::Occupied(kept) if kept.get() == block.bytes() => Ok(PutOutcome::AlreadyPresent),
            Entry::Occupied(mut damaged) => {
                self.bytes = self.bytes - damaged.get().len() as u64 + length;
                damaged.insert(block.bytes().clone());
                Ok(PutOutcome::Created)
            }
            Entry::Vacant(_) if length > bytes_max.saturating_sub(self.bytes) => {
                Err(WriteError::Full { free_bytes: bytes_max.saturating_sub(self.bytes), reserve_bytes: 0 })
            }
            Entry::Vacant(place) => {
                place.insert(block.bytes().clone());
                self.bytes += length;
                Ok(PutOutcome::Created)
            }
        }
    }

    fn delete(&mut self, multihash: &Multihash) -> DeleteOutcome {
        match self.blocks.remove(multihash) {
            Some(bytes) => {
                self.bytes -= bytes.len() as u64;
                DeleteOutcome::Deleted
            }
            None => DeleteOutcome::Absent,
        }
    }
}
