//! The table of production: a RocksDB database of its own, without write-ahead log and with one column family, so that
//! what survives a crash is a prefix of what was written.

use std::fs;
use std::io;
use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, FlushOptions, IteratorMode, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use super::seam::{Change, Table};

/// A RocksDB database of its own.
pub struct RocksTable {
    database: DB,
    write_options: WriteOptions,
}

impl RocksTable {
    /// Opens or makes the database. One that is damaged is wiped and begun anew: the caller rebuilds its contents.
    ///
    /// # Errors
    ///
    /// What RocksDB or the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let database = match DB::open(&options(), path) {
            Err(error) if error.kind() == rocksdb::ErrorKind::Corruption => {
                fs::remove_dir_all(path)?;
                DB::open(&options(), path)
            }
            opened => opened,
        };
        let mut write_options = WriteOptions::default();
        write_options.disable_wal(true);
        Ok(Self { database: database.map_err(io::Error::other)?, write_options })
    }
}

impl std::fmt::Debug for RocksTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksTable").field("path", &self.database.path()).finish_non_exhaustive()
    }
}

impl Table for RocksTable {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.database.get(key).map_err(io::Error::other)
    }

    fn scan(&self, after: &[u8], before: &[u8], limit: usize) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut read_options = ReadOptions::default();
        read_options.set_iterate_upper_bound(before);
        let from = IteratorMode::From(after, Direction::Forward);
        let mut found = Vec::new();
        for item in self.database.iterator_opt(from, read_options) {
            let (key, value) = item.map_err(io::Error::other)?;
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
        self.database.write_opt(batch, &self.write_options).map_err(io::Error::other)
    }

    fn flush(&self) -> io::Result<()> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.database.flush_opt(&options).map_err(io::Error::other)
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
