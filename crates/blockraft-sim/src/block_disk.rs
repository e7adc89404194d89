//! A block store on a pretended disk, with the contract of the real ones: durable when a put is over, verified on each
//! read, and nothing that was acknowledged is ever lost, except to rot.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use blockraft_blocks::store::Listed;
use blockraft_blocks::{Block, BlockStore, DeleteOutcome, Lookup, Multihash, Page, PutOutcome, ReadError, WriteError};
use blockraft_exchange::effect::Space;
use bytes::Bytes;

use crate::mistake::{Origin, verify};

/// What is durable. Clones are handles of one disk.
///
/// As a [`BlockStore`] it answers at once; the world decides when a write counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlockDisk {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Clone, Debug, Default)]
struct Shelf {
    copies: BTreeMap<Multihash, Copy>,
    bytes: u64,
    bytes_max: Option<u64>,
}

#[derive(Clone, Debug)]
struct Copy {
    bytes: Bytes,
    condition: Condition,
}

/// What is known of a copy.
#[derive(Clone, core::marker::Copy, Debug, PartialEq, Eq)]
enum Condition {
    Whole,
    /// The bytes changed, and nobody looked since.
    Rotten,
    /// It was read, and wasn't what it is called.
    KnownRotten,
}

/// There was no room.
#[derive(Clone, core::marker::Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl BlockDisk {
    /// Bounds the room, or gives all of it.
    pub(crate) fn set_bytes_max(&self, bytes_max: Option<u64>) {
        self.shelf().bytes_max = bytes_max;
    }

    /// Another disk with the same copies.
    pub(crate) fn copy(&self) -> Self {
        Self { shelf: Arc::new(Mutex::new(Shelf { bytes_max: None, ..self.shelf().clone() })) }
    }

    pub(crate) fn write(&self, block: &Block, space: Space) -> Result<(), NoRoom> {
        let shelf = &mut *self.shelf();
        let length = block.bytes().len() as u64;
        if let Some(copy) = shelf.copies.get_mut(block.multihash()) {
            if copy.condition == Condition::KnownRotten {
                *copy = Copy { bytes: block.bytes().clone(), condition: Condition::Whole };
            }
            return Ok(());
        }
        let room = match space {
            Space::Common => shelf.bytes_max,
            Space::Reserve => shelf.bytes_max.map(|bytes| bytes + RESERVE_BYTES),
        };
        if room.is_some_and(|room| room < shelf.bytes + length) {
            return Err(NoRoom);
        }
        shelf.bytes += length;
        shelf.copies.insert(*block.multihash(), Copy { bytes: block.bytes().clone(), condition: Condition::Whole });
        Ok(())
    }

    pub(crate) fn remove(&self, name: &Multihash) -> bool {
        let shelf = &mut *self.shelf();
        let removed = shelf.copies.remove(name);
        shelf.bytes -= removed.as_ref().map_or(0, |copy| copy.bytes.len() as u64);
        removed.is_some()
    }

    /// Whether there is a copy, whatever its condition.
    pub(crate) fn has(&self, name: &Multihash) -> bool {
        self.shelf().copies.contains_key(name)
    }

    /// Whether there is a copy and it is whole.
    pub(crate) fn has_whole(&self, name: &Multihash) -> bool {
        self.shelf().copies.get(name).is_some_and(|copy| copy.condition == Condition::Whole)
    }

    /// The length of a copy that isn't known to be rotten.
    pub(crate) fn length(&self, name: &Multihash) -> Option<u32> {
        let shelf = self.shelf();
        let copy = shelf.copies.get(name).filter(|copy| copy.condition != Condition::KnownRotten)?;
        Some(copy.bytes.len() as u32)
    }

    pub(crate) fn read(&self, name: &Multihash) -> Lookup {
        let shelf = &mut *self.shelf();
        let Some(copy) = shelf.copies.get_mut(name) else { return Lookup::Absent };
        if let Ok(block) = verify(Origin::Copy, *name, copy.bytes.clone()) {
            return Lookup::Present(block);
        }
        copy.condition = Condition::KnownRotten;
        Lookup::Damaged
    }

    /// Flips a bit of the copy.
    pub(crate) fn rot(&self, name: &Multihash) {
        let shelf = &mut *self.shelf();
        if let Some(copy) = shelf.copies.get_mut(name).filter(|copy| copy.condition == Condition::Whole) {
            let mut bytes = copy.bytes.to_vec();
            if let Some(first) = bytes.first_mut() {
                *first ^= 1;
                *copy = Copy { bytes: bytes.into(), condition: Condition::Rotten };
            }
        }
    }

    /// Every name, in order.
    pub(crate) fn names(&self) -> Vec<Multihash> {
        self.shelf().copies.keys().copied().collect()
    }

    pub(crate) fn page(&self, after: Option<Multihash>, limit: usize) -> Page {
        let shelf = self.shelf();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let listed = |(name, copy): (&Multihash, &Copy)| Listed { multihash: *name, length: copy.bytes.len() as u32 };
        Page::cut(shelf.copies.range((from, Bound::Unbounded)).map(listed), limit)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Nothing under the lock panics half-way.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BlockStore for BlockDisk {
    async fn put_many(&self, _: &[Block]) -> Result<Vec<PutOutcome>, WriteError> {
        // When a write is durable is the world's to say.
        Err(WriteError::Closed)
    }

    async fn get_many(&self, names: &[Multihash]) -> Result<Vec<Lookup>, ReadError> {
        Ok(names.iter().map(|name| self.read(name)).collect())
    }

    async fn stat_many(&self, names: &[Multihash]) -> Result<Vec<Option<u32>>, ReadError> {
        Ok(names.iter().map(|name| self.length(name)).collect())
    }

    async fn delete_many(&self, _: &[Multihash]) -> Result<Vec<DeleteOutcome>, WriteError> {
        Err(WriteError::Closed)
    }

    async fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError> {
        Ok(self.page(after, limit))
    }

    async fn count(&self) -> Result<u64, ReadError> {
        Ok(self.shelf().copies.len() as u64)
    }

    async fn flush(&self) -> Result<(), WriteError> {
        Ok(())
    }

    async fn close(&self) -> Result<(), WriteError> {
        Ok(())
    }
}

/// What a full store keeps for blocks that an entry names already.
const RESERVE_BYTES: u64 = 200;
