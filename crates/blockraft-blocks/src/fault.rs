//! A store that fails on purpose, by a seed: for tests of whoever stands on a store, and of the checks themselves.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::block::Block;
use crate::limits::check_storable;
use crate::multihash::Multihash;
use crate::store::{
    BlockStore, DeleteOutcome, LIST_LIMIT_MAX, Listed, Lookup, Page, PutOutcome, ReadError, WriteError,
};

/// Wraps a store and lets some of its calls fail.
///
/// The same seed and the same calls in the same order give the same faults.
#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn BlockStore>,
    faults: Faults,
    state: Mutex<State>,
}

/// Which faults happen, and how often. All off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Where chance begins.
    pub seed: u64,
    /// Of 1,000 writes, how many fail and poison the store. Half of those were done nevertheless.
    pub failed_writes: u16,
    /// Of 1,000 puts, how many find the disk full.
    pub full_puts: u16,
    /// Of 1,000 blocks read, how many are found damaged; another read may succeed.
    pub damaged_reads: u16,
    /// What a write that is called durable really is.
    pub syncs: Syncs,
}

/// Whether writes reach the wrapped store before they are acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncs {
    /// They do.
    #[default]
    Honest,
    /// They wait in memory until a flush, and are lost with this value: what a disk with a lying cache does. The
    /// negative control of every durability check.
    Swallowed,
}

#[derive(Debug)]
struct State {
    chance: u64,
    poisoned_by: Option<&'static str>,
    unsynced: BTreeMap<Multihash, Option<Block>>,
}

impl FaultyStore {
    /// Wraps `inner`. Another wrapper around the same store later is like opening it anew.
    #[must_use]
    pub fn new(inner: Arc<dyn BlockStore>, faults: Faults) -> Self {
        let state = State { chance: faults.seed, poisoned_by: None, unsynced: BTreeMap::new() };
        Self { inner, faults, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves at worst a roll of the dice out.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses writes for good after the first that failed, and tells what happens to this one.
    fn next_write(&self, attempt: &'static str) -> Result<WriteFate, WriteError> {
        let mut state = self.state();
        if let Some(attempt) = state.poisoned_by {
            return Err(WriteError::Poisoned { attempt: attempt.to_owned() });
        }
        if !state.happens(self.faults.failed_writes) {
            return Ok(WriteFate::Succeeds);
        }
        state.poisoned_by = Some(attempt);
        Ok(if state.happens(500) { WriteFate::DoneButFails } else { WriteFate::Fails })
    }

    async fn write_through(&self) -> Result<(), WriteError> {
        let unsynced = std::mem::take(&mut self.state().unsynced);
        for (multihash, block) in unsynced {
            match block {
                Some(block) => drop(self.inner.put(block).await?),
                None => drop(self.inner.delete(multihash).await?),
            }
        }
        Ok(())
    }

    fn unsynced(&self, multihash: &Multihash) -> Option<Option<Block>> {
        self.state().unsynced.get(multihash).cloned()
    }
}

enum WriteFate {
    Succeeds,
    Fails,
    DoneButFails,
}

impl WriteFate {
    fn conclude<T>(self, attempt: &'static str, done: T) -> Result<T, WriteError> {
        match self {
            Self::Succeeds => Ok(done),
            Self::Fails | Self::DoneButFails => Err(failed(attempt)),
        }
    }
}

#[async_trait]
impl BlockStore for FaultyStore {
    async fn put_many(&self, blocks: &[Block]) -> Result<Vec<PutOutcome>, WriteError> {
        let fate = self.next_write(PUT)?;
        if self.state().happens(self.faults.full_puts) {
            return Err(WriteError::Full { free_bytes: 0, reserve_bytes: 0 });
        }
        if matches!(fate, WriteFate::Fails) {
            return Err(failed(PUT));
        }
        let outcomes = match self.faults.syncs {
            Syncs::Honest => self.inner.put_many(blocks).await?,
            Syncs::Swallowed => {
                let mut outcomes = Vec::with_capacity(blocks.len());
                for block in blocks {
                    check_storable(block)?;
                    let present = self.has(*block.multihash()).await.map_err(as_write_error)?;
                    if !present {
                        self.state().unsynced.insert(*block.multihash(), Some(block.clone()));
                    }
                    outcomes.push(if present { PutOutcome::AlreadyPresent } else { PutOutcome::Created });
                }
                outcomes
            }
        };
        fate.conclude(PUT, outcomes)
    }

    async fn get_many(&self, multihashes: &[Multihash]) -> Result<Vec<Lookup>, ReadError> {
        let mut lookups = self.inner.get_many(multihashes).await?;
        for (multihash, lookup) in multihashes.iter().zip(&mut lookups) {
            match self.unsynced(multihash) {
                Some(Some(block)) => *lookup = Lookup::Present(block),
                Some(None) => *lookup = Lookup::Absent,
                None => {}
            }
            if matches!(lookup, Lookup::Present(_)) && self.state().happens(self.faults.damaged_reads) {
                *lookup = Lookup::Damaged;
            }
        }
        Ok(lookups)
    }

    async fn stat_many(&self, multihashes: &[Multihash]) -> Result<Vec<Option<u32>>, ReadError> {
        let mut lengths = self.inner.stat_many(multihashes).await?;
        for (multihash, length) in multihashes.iter().zip(&mut lengths) {
            if let Some(unsynced) = self.unsynced(multihash) {
                *length = unsynced.map(|block| block.bytes().len() as u32);
            }
        }
        Ok(lengths)
    }

    async fn delete_many(&self, multihashes: &[Multihash]) -> Result<Vec<DeleteOutcome>, WriteError> {
        let fate = self.next_write(DELETE)?;
        if matches!(fate, WriteFate::Fails) {
            return Err(failed(DELETE));
        }
        let outcomes = match self.faults.syncs {
            Syncs::Honest => self.inner.delete_many(multihashes).await?,
            Syncs::Swallowed => {
                let mut outcomes = Vec::with_capacity(multihashes.len());
                for multihash in multihashes {
                    let present = self.has(*multihash).await.map_err(as_write_error)?;
                    self.state().unsynced.insert(*multihash, None);
                    outcomes.push(if present { DeleteOutcome::Deleted } else { DeleteOutcome::Absent });
                }
                outcomes
            }
        };
        fate.conclude(DELETE, outcomes)
    }

    async fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError> {
        if self.state().unsynced.is_empty() {
            return self.inner.list(after, limit).await;
        }
        let mut listing = BTreeMap::new();
        let mut next = after;
        loop {
            let page = self.inner.list(next, LIST_LIMIT_MAX).await?;
            listing.extend(page.entries.into_iter().map(|listed| (listed.multihash, listed.length)));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        for (multihash, block) in &self.state().unsynced {
            match block {
                Some(block) if after.is_none_or(|after| *multihash > after) => {
                    listing.insert(*multihash, block.bytes().len() as u32);
                }
                Some(_) => {}
                None => drop(listing.remove(multihash)),
            }
        }
        Ok(Page::cut(listing.into_iter().map(|(multihash, length)| Listed { multihash, length }), limit))
    }

    async fn count(&self) -> Result<u64, ReadError> {
        let mut count = 0;
        let mut next = None;
        loop {
            let page = self.list(next, LIST_LIMIT_MAX).await?;
            count += page.entries.len() as u64;
            next = page.next;
            if next.is_none() {
                return Ok(count);
            }
        }
    }

    async fn flush(&self) -> Result<(), WriteError> {
        let fate = self.next_write(FLUSH)?;
        self.write_through().await?;
        self.inner.flush().await?;
        fate.conclude(FLUSH, ())
    }

    async fn close(&self) -> Result<(), WriteError> {
        self.write_through().await?;
        self.inner.close().await
    }
}

impl State {
    /// Rolls the dice (SplitMix64).
    fn happens(&mut self, per_mille: u16) -> bool {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 1_000 < u64::from(per_mille)
    }
}

fn failed(attempt: &'static str) -> WriteError {
    WriteError::Failed { attempt: attempt.to_owned(), source: Arc::new(io::Error::other("injected fault")) }
}

fn as_write_error(error: ReadError) -> WriteError {
    match error {
        ReadError::Failed { attempt, source } => WriteError::Failed { attempt, source },
        ReadError::Closed => WriteError::Closed,
    }
}

const PUT: &str = "put blocks";
const DELETE: &str = "delete blocks";
const FLUSH: &str = "flush";
