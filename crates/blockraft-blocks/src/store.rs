//! The seam of block stores: what a store promises, and the words it answers with.

use core::fmt;
use std::error::Error as StdError;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;

use crate::block::Block;
use crate::limits::BlockTooLarge;
use crate::multihash::Multihash;

/// Keeps blocks by multihash on one machine.
///
/// # Who calls it
///
/// Anyone, from any task or thread, as often as they like and at the same time; one value serves a whole process
/// behind an `Arc`. The futures need no particular runtime.
///
/// # What an implementation promises
///
/// - *Durable when it resolves.* After `Ok`, what [`put_many`](Self::put_many) stored survives a power cut and what
///   [`delete_many`](Self::delete_many) removed doesn't come back. [`PutOutcome::AlreadyPresent`] is said only of a
///   block that is durable: a put of a block that another put is still writing waits for that one.
/// - *Verified on each read.* A read returns a [`Block`], hashed on the way, or says [`Lookup::Damaged`]. It never
///   returns other bytes, and never calls a damaged block absent. A put of a block whose copy was found damaged writes
///   it anew.
/// - *A batch is not a transaction.* If a batch fails, any part of it may have been done, and asking again is safe:
///   puts and deletes are idempotent. Within one batch a block may stand twice; the second one is already present (or
///   already absent).
/// - *Order.* A call that begins after another one resolved sees what that one did. Calls at the same time on one
///   block take effect in some order.
/// - *A failed write or sync is final.* Afterwards each write fails with [`WriteError::Poisoned`] until the store is
///   opened anew; a sync is never tried twice, since the second one may claim what the first one lost.
/// - *Bounded.* Writes wait (rather than use up memory) when too many bytes are under way.
///
/// # Cancellation
///
/// Dropping the future of a read does nothing. Dropping the future of a write leaves its outcome open: all of it, some
/// or nothing may be done, now or soon.
///
/// # What it must never do
///
/// Interpret block bytes, remember codecs, evict blocks on its own, or wait for a timer before it makes writes durable.
///
/// # Checking an implementation
///
/// [`suite::run`](crate::suite::run) checks all of this but power cuts against any implementation, in about ten lines.
#[async_trait]
pub trait BlockStore: Send + Sync + fmt::Debug + 'static {
    /// Stores blocks, durably, and tells for each in order whether it was new.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; some of the blocks may be stored nevertheless.
    async fn put_many(&self, blocks: &[Block]) -> Result<Vec<PutOutcome>, WriteError>;

    /// Reads blocks and verifies them, in the order asked.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store couldn't be asked. Damage is an answer ([`Lookup::Damaged`]), not an error.
    async fn get_many(&self, multihashes: &[Multihash]) -> Result<Vec<Lookup>, ReadError>;

    /// The lengths in bytes of blocks, in the order asked, `None` for absent ones and for those whose copy is known to be
    /// damaged: neither can be read here. Reads no block, so finds no damage that wasn't found before.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store couldn't be asked.
    async fn stat_many(&self, multihashes: &[Multihash]) -> Result<Vec<Option<u32>>, ReadError>;

    /// Removes blocks, durably, and tells for each in order whether it was there. Their space is given back later.
    ///
    /// # Errors
    ///
    /// [`WriteError`]; some of the blocks may be gone nevertheless. A full disk is no reason for a delete to fail.
    async fn delete_many(&self, multihashes: &[Multihash]) -> Result<Vec<DeleteOutcome>, WriteError>;

    /// Lists blocks in the order of their multihashes, beginning behind `after`, at most `limit` of them, where `limit`
    /// is first brought into 1 to [`LIST_LIMIT_MAX`].
    ///
    /// A listing over several pages holds each block exactly once that was present all the while; of blocks that come
    /// or go meanwhile it may hold any.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store couldn't be asked. A page is never short without [`Page::next`] saying so.
    async fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError>;

    /// How many blocks there are.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store couldn't be asked.
    async fn count(&self) -> Result<u64, ReadError>;

    /// Waits until everything that was asked before is durable, and writes down whatever makes the next opening fast.
    /// Never needed for durability.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if a write that was under way failed.
    async fn flush(&self) -> Result<(), WriteError>;

    /// Flushes and closes: gives files and locks back, so that the place can be opened again once this resolved. Later
    /// calls fail with `Closed`; closing twice is fine.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush); the store is closed nevertheless.
    async fn close(&self) -> Result<(), WriteError>;

    /// Stores one block; see [`put_many`](Self::put_many).
    ///
    /// # Errors
    ///
    /// [`WriteError`]; the block may be stored nevertheless.
    async fn put(&self, block: Block) -> Result<PutOutcome, WriteError> {
        let outcomes = self.put_many(&[block]).await?;
        Ok(outcomes.into_iter().next().expect("put_many answers for each block"))
    }

    /// Stores one block, of which a log already says that it is here or must come here. A store that keeps space back from
    /// puts gives this one some of it: refusing it would only keep the log from being compacted, and that gives space
    /// back. Unless overridden it is a put like any other.
    ///
    /// # Errors
    ///
    /// As [`put_many`](Self::put_many).
    async fn put_reserved(&self, block: Block) -> Result<PutOutcome, WriteError> {
        self.put(block).await
    }

    /// Reads one block; see [`get_many`](Self::get_many).
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store couldn't be asked.
    async fn get(&self, multihash: Multihash) -> Result<Lookup, ReadError> {
        let lookups = self.get_many(&[multihash]).await?;
        Ok(lookups.into_iter().next().expect("get_many answers for each multihash"))
    }

    /// The length in bytes of one block that can be read; see [`stat_many`](Self::stat_many).
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store couldn't be asked.
    async fn stat(&self, multihash: Multihash) -> Result<Option<u32>, ReadError> {
        let lengths = self.stat_many(&[multihash]).await?;
        Ok(lengths.into_iter().next().expect("stat_many answers for each multihash"))
    }

    /// Whether blocks are there, in the order asked, and not known to be damaged. Reads no block.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store couldn't be asked.
    async fn has_many(&self, multihashes: &[Multihash]) -> Result<Vec<bool>, ReadError> {
        Ok(self.stat_many(multihashes).await?.iter().map(Option::is_some).collect())
    }

    /// Whether one block is there; see [`has_many`](Self::has_many).
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the store couldn't be asked.
    async fn has(&self, multihash: Multihash) -> Result<bool, ReadError> {
        Ok(self.stat(multihash).await?.is_some())
    }

    /// Removes one block; see [`delete_many`](Self::delete_many).
    ///
    /// # Errors
    ///
    /// [`WriteError`]; the block may be gone nevertheless.
    async fn delete(&self, multihash: Multihash) -> Result<DeleteOutcome, WriteError> {
        let outcomes = self.delete_many(&[multihash]).await?;
        Ok(outcomes.into_iter().next().expect("delete_many answers for each multihash"))
    }
}

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PutOutcome {
    /// The bytes were written: the block wasn't there, or its copy was known to be damaged.
    Created,
    /// The block was there, durable.
    AlreadyPresent,
}

/// What a delete did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeleteOutcome {
    /// The block was there and is gone.
    Deleted,
    /// The block wasn't there.
    Absent,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The block, verified just now.
    Present(Block),
    /// No such block.
    Absent,
    /// The block is here by name but its bytes are not: fetch it elsewhere and put it, which repairs this copy.
    Damaged,
}

/// Part of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Blocks in the order of their multihashes.
    pub entries: Vec<Listed>,
    /// Ask for the next page behind this one; `None` at the end of the listing.
    pub next: Option<Multihash>,
}

/// One block of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The block's name.
    pub multihash: Multihash,
    /// Its length in bytes.
    pub length: u32,
}

/// Why a write didn't succeed, grouped by what the caller can do.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// Try later: there is no room for another block. Nothing of this call's remaining blocks was stored; deletes go on
    /// working, and puts do when there is room again.
    #[error("no room: {free_bytes} bytes are free, of which {reserve_bytes} are kept in reserve")]
    Full {
        /// What is free, in bytes.
        free_bytes: u64,
        /// How much of it is kept for deletes and for tidying up, in bytes.
        reserve_bytes: u64,
    },
    /// Never: a block is larger than any store takes.
    #[error(transparent)]
    TooLarge(#[from] BlockTooLarge),
    /// Give this store up: a write or sync failed. The outcome of this call is open.
    #[error("could not {attempt}")]
    Failed {
        /// What was attempted, such as `sync segment 12`.
        attempt: String,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// Give this store up: an earlier write or sync failed, and the store has to be opened anew. Nothing was written.
    #[error("the store takes no more writes since it could not {attempt}")]
    Poisoned {
        /// What failed then.
        attempt: String,
    },
    /// The store was closed.
    #[error("the block store is closed")]
    Closed,
}

/// Why a store couldn't be asked.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The store could not be read.
    #[error("could not {attempt}")]
    Failed {
        /// What was attempted.
        attempt: String,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// The store was closed.
    #[error("the block store is closed")]
    Closed,
}

/// What lay below an error: shared, since one failed sync answers many calls.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// The most entries of a [`Page`].
pub const LIST_LIMIT_MAX: usize = 1_000;

impl Page {
    /// Cuts a page out of `entries`, which must be in order and begin behind the place asked for; it takes at most one
    /// more than `limit` of them.
    pub fn cut(entries: impl IntoIterator<Item = Listed>, limit: usize) -> Self {
        let limit = limit.clamp(1, LIST_LIMIT_MAX);
        let mut entries = entries.into_iter();
        let page: Vec<Listed> = entries.by_ref().take(limit).collect();
        let next = entries.next().and(page.last().map(|last| last.multihash));
        Self { entries: page, next }
    }
}
