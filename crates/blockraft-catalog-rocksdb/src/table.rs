//! The table itself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use blockraft_catalog::table::{Change, FlushError, KeyRange, Pair, ReadError, Table, View, WriteBatch, WriteError};
use rocksdb::{DB, Direction, IteratorMode, ReadOptions, Snapshot};

use crate::options::{RocksTableOptions, without_wal};
use crate::place::{self, CreateError, KEY_PREFIX, OpenError};

/// A [`Table`] in a RocksDB database of its own. Clones are handles of one open database, which closes with the last
/// of them.
#[derive(Clone)]
pub struct RocksTable {
    database: Arc<DB>,
}

struct RocksView<'a> {
    snapshot: Snapshot<'a>,
}

impl RocksTable {
    /// Formats `path`, which must be empty or not exist, and opens it. Durable when it returns.
    ///
    /// # Errors
    /// There is something already, or it could not be written.
    pub fn create(path: &Path, options: &RocksTableOptions) -> Result<Self, CreateError> {
        place::create(path, options).map(Self::of)
    }

    /// Opens the table at `path`, which [`create`](Self::create) formatted.
    ///
    /// # Errors
    /// There is none, or one of another release, or a damaged one, or it is in use.
    pub fn open(path: &Path, options: &RocksTableOptions) -> Result<Self, OpenError> {
        place::open(path, options).map(Self::of)
    }

    fn of(database: DB) -> Self {
        Self { database: Arc::new(database) }
    }
}

impl Table for RocksTable {
    fn view(&self) -> Box<dyn View + '_> {
        Box::new(RocksView { snapshot: self.database.snapshot() })
    }

    fn write(&self, batch: WriteBatch) -> Result<(), WriteError> {
        let mut rocksdb = rocksdb::WriteBatch::default();
        for change in batch.changes {
            match change {
                Change::Set { key, value } => rocksdb.put(prefixed(&key), value),
                Change::Remove { key } => rocksdb.delete(prefixed(&key)),
                // RocksDB refuses a whole batch for a range that ends before it begins.
                Change::RemoveRange { first, end } if first < end => {
                    rocksdb.delete_range(prefixed(&first), prefixed(&end));
                }
                Change::RemoveRange { .. } => {}
            }
        }
        self.database.write_opt(rocksdb, &without_wal()).map_err(|source| WriteError { source: source.into() })
    }

    /// Writes the memtable out and syncs it.
    fn flush(&self) -> Result<(), FlushError> {
        self.database.flush().map_err(|source| FlushError { source: source.into() })
    }
}

impl View for RocksView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.snapshot.get(prefixed(key)).map_err(|source| ReadError { source: source.into() })
    }

    fn scan(&self, range: KeyRange<'_>, limit: usize) -> Result<Vec<Pair>, ReadError> {
        if range.end <= range.first || limit == 0 {
            return Ok(Vec::new());
        }
        let first = prefixed(range.first);
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(prefixed(range.end));
        let rows = self.snapshot.iterator_opt(IteratorMode::From(&first, Direction::Forward), options);
        let mut pairs = Vec::new();
        for row in rows.take(limit) {
            let (key, value) = row.map_err(|source| ReadError { source: source.into() })?;
            let key = key.strip_prefix(&[KEY_PREFIX]).expect("the range begins and ends with the prefix");
            pairs.push((key.to_vec(), value.into_vec()));
        }
        Ok(pairs)
    }
}

impl fmt::Debug for RocksTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksTable").field("path", &self.database.path()).finish()
    }
}

fn prefixed(key: &[u8]) -> Vec<u8> {
    let mut prefixed = Vec::with_capacity(1 + key.len());
    prefixed.push(KEY_PREFIX);
    prefixed.extend_from_slice(key);
    prefixed
}
