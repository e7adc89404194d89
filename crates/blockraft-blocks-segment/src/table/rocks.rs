//! The table of production: a RocksDB database of its own, without write-ahead log and with one column family, so that
//! what survives a crash is a prefix of what was written.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, FlushOptions, IteratorMode, Options, ReadOptions,
    WriteBatch, WriteOptions,
};
use tracing::warn;

use super::seam::{Change, Table};

/// A RocksDB database of its own.
pub struct RocksTable {
    database: DB,
    write_options: WriteOptions,
    /// Exists once the database was found damaged.
    condemned: PathBuf,
}

impl RocksTable {
    /// Opens or makes the database. One that is damaged, or was found so when it was last read, is wiped and begun anew:
    /// the caller rebuilds its contents.
    ///
    /// # Errors
    ///
    /// What RocksDB or the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let condemned = path.with_extension("damaged");
        if condemned.exists() {
            warn!(path = %path.display(), "damaged_block_index_wiped");
            wipe(path)?;
            fs::remove_file(&condemned)?;
        }
        let database = match DB::open(&options(), path) {
            Err(error) if error.kind() == rocksdb::ErrorKind::Corruption => {
                wipe(path)?;
                DB::open(&options(), path)
            }
            opened => opened,
        };
        let mut write_options = WriteOptions::default();
        write_options.disable_wal(true);
        Ok(Self { database: database.map_err(io::Error::other)?, write_options, condemned })
    }

    /// Remembers that the database can't be read, so that the next opening doesn't find the same again.
    fn unreadable(&self, error: rocksdb::Error) -> io::Error {
        // Without the file the next reader tries to make it.
        let _ = File::create(&self.condemned);
        io::Error::other(error)
    }

    /// As [`unreadable`](Self::unreadable) if a write failed because of what it had to read.
    fn unwritable(&self, error: rocksdb::Error) -> io::Error {
        match error.kind() {
            rocksdb::ErrorKind::Corruption => self.unreadable(error),
            _ => io::Error::other(error),
        }
    }
}

fn wipe(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        wiped => wiped,
    }
}

impl std::fmt::Debug for RocksTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksTable").field("path", &self.database.path()).finish_non_exhaustive()
    }
}

impl Table for RocksTable {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.database.get(key).map_err(|error| self.unreadable(error))
    }

    fn scan(&self, after: &[u8], before: &[u8], limit: usize) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut read_options = ReadOptions::default();
        read_options.set_iterate_upper_bound(before);
        let from = IteratorMode::From(after, Direction::Forward);
        let mut found = Vec::new();
        for item in self.database.iterator_opt(from, read_options) {
            let (key, value) = item.map_err(|error| self.unreadable(error))?;
            if *key == *after {
                continue;
            }
            if found.len() == limit {
                break;
            }
            found.push((key.into_vec(), value.into_vec()));
        }
        Ok(found)
    }

    fn write(&self, changes: Vec<Change>) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        for Change { key, value } in changes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        self.database.write_opt(batch, &self.write_options).map_err(|error| self.unwritable(error))
    }

    fn flush(&self) -> io::Result<()> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.database.flush_opt(&options).map_err(|error| self.unwritable(error))
    }
}

fn options() -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
    blocks.set_bloom_filter(10.0, false);
    // Filters and indexes grow with the store: they count against the cache instead of growing beside it.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::None);
    options.set_paranoid_checks(true);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(2);
    options.set_max_background_jobs(2);
    options.set_max_open_files(256);
    options.set_keep_log_file_num(2);
    options
}

const CACHE_BYTES: usize = 32 << 20;
const MEMTABLE_BYTES: usize = 16 << 20;
