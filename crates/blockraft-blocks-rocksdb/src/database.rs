//! The RocksDB database: its layout, its options, and what one batch does to it.
//!
//! Two column families: `blocks` has multihash to bytes, in blob files if they are large; `lengths` has multihash to
//! length, so that listing reads no blob. Both change in one batch.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use blockraft_blocks::limits::check_storable;
use blockraft_blocks::{
    Block, DeleteOutcome, Listed, Lookup, Multihash, Page, PutOutcome, WriteError, store::LIST_LIMIT_MAX,
};
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Direction, IteratorMode, Options, WriteBatch,
    WriteOptions,
};
use thiserror::Error;

/// Why a store didn't open.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// RocksDB refused: the directory is open elsewhere, damaged, or not to be read.
    #[error("could not open the block database")]
    Database(#[source] rocksdb::Error),
    /// Something else, or a newer version of this software, wrote here.
    #[error("the block database has format {found:?}, and this software reads {FORMAT:?}")]
    Format {
        /// What the database says about itself.
        found: String,
    },
    /// A thread could not be started.
    #[error("could not start a thread")]
    Thread(#[source] std::io::Error),
}

/// An open database.
#[derive(Debug)]
pub(crate) struct Database {
    database: DB,
    /// Blocks whose bytes were found damaged: a put writes them anew.
    damaged: Mutex<HashSet<Multihash>>,
}

/// One write of a batch.
#[derive(Debug)]
pub(crate) enum Write {
    Put(Block),
    Delete(Multihash),
}

/// What became of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Put(PutOutcome),
    Deleted(DeleteOutcome),
}

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_paranoid_checks(true);
        options.set_keep_log_file_num(2);
        options.set_max_open_files(512);
        let families = [
            ColumnFamilyDescriptor::new(BLOCKS, block_options()),
            ColumnFamilyDescriptor::new(LENGTHS, Options::default()),
            ColumnFamilyDescriptor::new("default", Options::default()),
        ];
        let database = DB::open_cf_descriptors(&options, path, families).map_err(OpenError::Database)?;
        match database.get(FORMAT_KEY).map_err(OpenError::Database)? {
            Some(found) if found == FORMAT.as_bytes() => {}
            Some(found) => return Err(OpenError::Format { found: String::from_utf8_lossy(&found).into_owned() }),
            None => database.put_opt(FORMAT_KEY, FORMAT, &synced()).map_err(OpenError::Database)?,
        }
        Ok(Self { database, damaged: Mutex::default() })
    }

    /// Does all of `writes` with one synced write.
    pub(crate) fn write(&self, writes: &[Write]) -> Result<Vec<Written>, rocksdb::Error> {
        let mut batch = WriteBatch::default();
        let mut pending: std::collections::HashMap<Multihash, bool> = std::collections::HashMap::new();
        let mut written = Vec::with_capacity(writes.len());
        for write in writes {
            let multihash = match write {
                Write::Put(block) => *block.multihash(),
                Write::Delete(multihash) => *multihash,
            };
            let present = match pending.get(&multihash) {
                Some(present) => *present,
                None => self.length(&multihash)?.is_some(),
            };
            let is_sound = present && (pending.contains_key(&multihash) || !self.damaged().contains(&multihash));
            written.push(match write {
                Write::Put(_) if is_sound => Written::Put(PutOutcome::AlreadyPresent),
                Write::Put(block) => {
                    batch.put_cf(self.family(BLOCKS), multihash.as_bytes(), block.bytes());
                    let length = block.bytes().len() as u32;
                    batch.put_cf(self.family(LENGTHS), multihash.as_bytes(), length.to_le_bytes());
                    pending.insert(multihash, true);
                    Written::Put(PutOutcome::Created)
                }
                Write::Delete(_) if !present => Written::Deleted(DeleteOutcome::Absent),
                Write::Delete(_) => {
                    batch.delete_cf(self.family(BLOCKS), multihash.as_bytes());
                    batch.delete_cf(self.family(LENGTHS), multihash.as_bytes());
                    pending.insert(multihash, false);
                    Written::Deleted(DeleteOutcome::Deleted)
                }
            });
        }
        if !pending.is_empty() {
            self.database.write_opt(batch, &synced())?;
            let mut damaged = self.damaged();
            for multihash in pending.keys() {
                damaged.remove(multihash);
            }
        }
        Ok(written)
    }

    /// Reads a block and verifies it. Bytes that RocksDB refuses to give are damaged ones.
    pub(crate) fn get(&self, multihash: &Multihash) -> Result<Lookup, rocksdb::Error> {
        match self.database.get_cf(self.family(BLOCKS), multihash.as_bytes()) {
            Ok(Some(bytes)) => {
                if let Ok(block) = Block::verify(*multihash, bytes) {
                    return Ok(Lookup::Present(block));
                }
            }
            Ok(None) if self.length(multihash)?.is_none() => return Ok(Lookup::Absent),
            Ok(None) => {}
            Err(error) if error.kind() == rocksdb::ErrorKind::Corruption => {}
            Err(error) => return Err(error),
        }
        // A delete may have come in between.
        if self.length(multihash)?.is_none() {
            return Ok(Lookup::Absent);
        }
        self.damaged().insert(*multihash);
        Ok(Lookup::Damaged)
    }

    /// The length of a block that isn't known to be damaged.
    pub(crate) fn stat(&self, multihash: &Multihash) -> Result<Option<u32>, rocksdb::Error> {
        let length = self.length(multihash)?;
        Ok(length.filter(|_| !self.damaged().contains(multihash)))
    }

    fn length(&self, multihash: &Multihash) -> Result<Option<u32>, rocksdb::Error> {
        let length = self.database.get_cf(self.family(LENGTHS), multihash.as_bytes())?;
        Ok(length.and_then(|length| length.try_into().ok()).map(u32::from_le_bytes))
    }

    pub(crate) fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, rocksdb::Error> {
        let limit = limit.clamp(1, LIST_LIMIT_MAX);
        let from = match &after {
            None => IteratorMode::Start,
            Some(after) => IteratorMode::From(after.as_bytes(), Direction::Forward),
        };
        let mut listed = Vec::new();
        for row in self.database.iterator_cf(self.family(LENGTHS), from) {
            let (key, value) = row?;
            let multihash = Multihash::from_bytes(&key).ok();
            let length = <[u8; 4]>::try_from(&*value).ok().map(u32::from_le_bytes);
            // RocksDB checks its own checksums: a row that isn't ours can't be one of a block.
            let (Some(multihash), Some(length)) = (multihash, length) else { continue };
            if Some(multihash) != after {
                listed.push(Listed { multihash, length });
            }
            if listed.len() > limit {
                break;
            }
        }
        Ok(Page::cut(listed, limit))
    }

    /// Counts by walking all names, which takes about a second for a million.
    pub(crate) fn count(&self) -> Result<u64, rocksdb::Error> {
        let rows = self.database.iterator_cf(self.family(LENGTHS), IteratorMode::Start);
        rows.map(|row| row.map(|_| 1)).sum()
    }

    pub(crate) fn flush(&self) -> Result<(), rocksdb::Error> {
        for family in [BLOCKS, LENGTHS] {
            self.database.flush_cf(self.family(family))?;
        }
        Ok(())
    }

    fn family(&self, name: &str) -> &ColumnFamily {
        self.database.cf_handle(name).expect("both families were opened with the database")
    }

    fn damaged(&self) -> std::sync::MutexGuard<'_, HashSet<Multihash>> {
        // Single insertions and removals leave no half-done state behind a panic.
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a store takes such blocks at all, asked before they are queued.
pub(crate) fn check(blocks: &[Block]) -> Result<(), WriteError> {
    Ok(blocks.iter().try_for_each(check_storable)?)
}

fn block_options() -> Options {
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::None);
    options.set_enable_blob_files(true);
    options.set_min_blob_size(BLOB_BYTES_MIN);
    options.set_blob_compression_type(DBCompressionType::None);
    options.set_enable_blob_gc(true);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

const BLOCKS: &str = "blocks";
const LENGTHS: &str = "lengths";
const FORMAT_KEY: &[u8] = b"format";
const FORMAT: &str = "blockraft blocks 1";
/// Smaller blocks stand beside their key.
const BLOB_BYTES_MIN: u64 = 1 << 10;
const MEMTABLE_BYTES: usize = 64 << 20;
