//! A block store whose disk a test fills, stalls, spoils and mends while a node runs on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use blockraft_blocks::{
    Block, BlockStore, DeleteOutcome, Lookup, MemoryStore, Multihash, Page, PutOutcome, ReadError, WriteError,
};
use tokio::sync::watch;

/// Wraps a store in memory; all is well until a test says otherwise.
#[derive(Debug)]
pub struct TroubledStore {
    inner: Arc<MemoryStore>,
    trouble: watch::Sender<Trouble>,
    written: AtomicUsize,
}

/// What is the matter with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Puts find no room but in the reserve; deletes and reads go on.
    Full,
    /// Writes hang until the trouble changes; reads go on.
    Stalled,
    /// Writes fail, as after a failed sync; reads go on.
    Broken,
    /// Reads of bytes hang until the trouble changes; writes go on.
    Unresponsive,
    /// Whatever is read is damaged, however often it is written again.
    Rotten,
}

/// Whether a put finds room.
enum Room {
    Enough,
    None,
}

impl TroubledStore {
    /// Wraps `inner`, without trouble.
    #[must_use]
    pub fn new(inner: Arc<MemoryStore>) -> Self {
        Self { inner, trouble: watch::Sender::new(Trouble::None), written: AtomicUsize::new(0) }
    }

    /// From now on the store has this trouble; writes that hang look again.
    pub fn set(&self, trouble: Trouble) {
        self.trouble.send_replace(trouble);
    }

    /// How many blocks it was given to write, in all lives of the node, those that it had already too.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// Waits while writes hang, and tells whether there is room then.
    async fn writable(&self) -> Result<Room, WriteError> {
        let mut trouble = self.trouble.subscribe();
        let found = *trouble.wait_for(|trouble| *trouble != Trouble::Stalled).await.expect("the sender lives in self");
        match found {
            Trouble::None | Trouble::Stalled | Trouble::Unresponsive | Trouble::Rotten => Ok(Room::Enough),
            Trouble::Full => Ok(Room::None),
            Trouble::Broken => Err(WriteError::Poisoned { attempt: "sync in a test".to_owned() }),
        }
    }
}

#[async_trait]
impl BlockStore for TroubledStore {
    async fn put_many(&self, blocks: &[Block]) -> Result<Vec<PutOutcome>, WriteError> {
        match self.writable().await? {
            Room::None => Err(WriteError::Full { free_bytes: 0, reserve_bytes: 0 }),
            Room::Enough => {
                self.written.fetch_add(blocks.len(), Ordering::Relaxed);
                self.inner.put_many(blocks).await
            }
        }
    }

    async fn put_reserved(&self, block: Block) -> Result<PutOutcome, WriteError> {
        self.writable().await?;
        self.inner.put(block).await
    }

    async fn get_many(&self, multihashes: &[Multihash]) -> Result<Vec<Lookup>, ReadError> {
        let mut trouble = self.trouble.subscribe();
        let found =
            *trouble.wait_for(|trouble| *trouble != Trouble::Unresponsive).await.expect("the sender lives in self");
        let mut lookups = self.inner.get_many(multihashes).await?;
        if found == Trouble::Rotten {
            lookups.iter_mut().filter(|lookup| **lookup != Lookup::Absent).for_each(|lookup| *lookup = Lookup::Damaged);
        }
        Ok(lookups)
    }

    async fn stat_many(&self, multihashes: &[Multihash]) -> Result<Vec<Option<u32>>, ReadError> {
        self.inner.stat_many(multihashes).await
    }

    async fn delete_many(&self, multihashes: &[Multihash]) -> Result<Vec<DeleteOutcome>, WriteError> {
        self.writable().await?;
        self.inner.delete_many(multihashes).await
    }

    async fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError> {
        self.inner.list(after, limit).await
    }

    async fn count(&self) -> Result<u64, ReadError> {
        self.inner.count().await
    }

    async fn flush(&self) -> Result<(), WriteError> {
        self.writable().await?;
        self.inner.flush().await
    }

    async fn close(&self) -> Result<(), WriteError> {
        self.inner.close().await
    }
}
