//! Reads blocks, from any thread: index, then file, then hash. Never returns bytes it didn't just verify.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use blockraft_blocks::{Block, Listed, Lookup, Multihash, Page, ReadError};
use tracing::warn;

use crate::disk::DiskFile;
use crate::format::RecordKind;
use crate::index::{Index, Location};

/// The reading half of a store.
#[derive(Debug)]
pub struct Reader {
    index: Index,
    files: RwLock<BTreeMap<u64, Arc<dyn DiskFile>>>,
    damaged: Mutex<HashMap<Multihash, Location>>,
}

impl Reader {
    pub(crate) fn new(index: Index) -> Self {
        Self { index, files: RwLock::default(), damaged: Mutex::default() }
    }

    /// Reads a block and verifies it. A copy that can't be read or has other bytes is looked up once more, since
    /// compaction may have moved it meanwhile, before it is called damaged.
    ///
    /// # Errors
    ///
    /// [`ReadError::Failed`] if the index can't be asked.
    pub fn get(&self, multihash: &Multihash) -> Result<Lookup, ReadError> {
        let mut tried = None;
        loop {
            let Some(location) = self.index.get(multihash).map_err(index_failed)? else { return Ok(Lookup::Absent) };
            if tried == Some(location) {
                if self.remember_damaged(*multihash, location) {
                    warn!(block = %multihash, segment = location.segment, "block_damaged");
                }
                return Ok(Lookup::Damaged);
            }
            if let Some(block) = self.read(multihash, &location) {
                self.forget_damage(multihash, &location);
                return Ok(Lookup::Present(block));
            }
            tried = Some(location);
        }
    }

    /// The length of a block that is durable and not known to be damaged, from the index alone.
    ///
    /// # Errors
    ///
    /// [`ReadError::Failed`] if the index can't be asked.
    pub fn stat(&self, multihash: &Multihash) -> Result<Option<u32>, ReadError> {
        let mut tried = None;
        loop {
            let Some(location) = self.index.get(multihash).map_err(index_failed)? else { return Ok(None) };
            if !self.is_damaged(multihash, &location) {
                return Ok(Some(location.length));
            }
            // Compaction may have moved it just now.
            if tried == Some(location) {
                return Ok(None);
            }
            tried = Some(location);
        }
    }

    /// A page of the listing.
    ///
    /// # Errors
    ///
    /// [`ReadError::Failed`] if the index can't be asked.
    pub fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError> {
        let limit = limit.clamp(1, blockraft_blocks::store::LIST_LIMIT_MAX);
        let rows = self.index.list(after, limit + 1).map_err(index_failed)?;
        let listed = rows.into_iter().map(|(multihash, location)| Listed { multihash, length: location.length });
        Ok(Page::cut(listed, limit))
    }

    /// Whether what the index says of a block is known to be of no use: the copy is damaged, or its segment is lost.
    pub(crate) fn is_damaged(&self, multihash: &Multihash, location: &Location) -> bool {
        self.damaged().get(multihash) == Some(location) || self.file(location.segment).is_none()
    }

    /// How many blocks were found damaged and not repaired since.
    #[must_use]
    pub fn damaged_blocks(&self) -> usize {
        self.damaged().len()
    }

    /// Keeps in mind that a copy is damaged, and tells whether that is news.
    pub(crate) fn remember_damaged(&self, multihash: Multihash, location: Location) -> bool {
        let mut damaged = self.damaged();
        damaged.len() < DAMAGED_MAX && damaged.insert(multihash, location) != Some(location)
    }

    /// A block is elsewhere or gone: only what was said of its new place still holds.
    pub(crate) fn moved(&self, multihash: &Multihash, to: Option<&Location>) {
        let mut damaged = self.damaged();
        if damaged.get(multihash) != to {
            damaged.remove(multihash);
        }
    }

    pub(crate) fn add_file(&self, segment: u64, file: Arc<dyn DiskFile>) {
        self.files.write().unwrap_or_else(PoisonError::into_inner).insert(segment, file);
    }

    pub(crate) fn remove_file(&self, segment: u64) {
        self.files.write().unwrap_or_else(PoisonError::into_inner).remove(&segment);
    }

    pub(crate) fn file(&self, segment: u64) -> Option<Arc<dyn DiskFile>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).get(&segment).cloned()
    }

    fn read(&self, multihash: &Multihash, location: &Location) -> Option<Block> {
        let file = self.file(location.segment)?;
        let mut bytes = vec![0; location.length as usize];
        let from = location.offset + RecordKind::Block(*multihash).header_bytes();
        let read = file.read_at(&mut bytes, from).ok()?;
        // The hash proves more than the record's checksum could.
        (read == bytes.len()).then(|| Block::verify(*multihash, bytes).ok()).flatten()
    }

    /// The disk failed to read it for a while.
    fn forget_damage(&self, multihash: &Multihash, location: &Location) {
        let mut damaged = self.damaged();
        if damaged.get(multihash) == Some(location) {
            damaged.remove(multihash);
        }
    }

    fn damaged(&self) -> MutexGuard<'_, HashMap<Multihash, Location>> {
        // Single insertions and removals leave no half-done state behind a panic.
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn index_failed(error: io::Error) -> ReadError {
    ReadError::Failed { attempt: "read the block index".to_owned(), source: Arc::new(error) }
}

/// So many damaged blocks are remembered; those found beyond it are told as damaged but can't be repaired by a put until
/// others are. A disk that has this many is to be replaced.
const DAMAGED_MAX: usize = 65_536;
