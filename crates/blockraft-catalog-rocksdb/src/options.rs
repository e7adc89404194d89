//! How much memory the table may take, and how RocksDB is set up.

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, Options, WriteOptions};

/// The bounds of a table's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksTableOptions {
    /// Bytes of a memtable. There are two: one is filled while the other one is written out.
    pub memtable_bytes: usize,
    /// Bytes of the cache for reads.
    pub cache_bytes: usize,
}

impl Default for RocksTableOptions {
    /// Memtables of 16 MiB, a cache of 32 MiB.
    fn default() -> Self {
        Self { memtable_bytes: 16 << 20, cache_bytes: 32 << 20 }
    }
}

/// What a database is opened with.
pub(crate) fn rocksdb_options(options: &RocksTableOptions) -> Result<Options, rocksdb::Error> {
    // These have no setters. A background error is final, as a failed sync must be.
    let mut rocksdb = Options::default().get_options_from_string("max_bgerror_resume_count=0")?;
    rocksdb.set_paranoid_checks(true);
    rocksdb.set_write_buffer_size(options.memtable_bytes);
    rocksdb.set_max_write_buffer_number(2);
    // Rows are short and mostly digests: nothing to compress.
    rocksdb.set_compression_type(DBCompressionType::None);
    rocksdb.set_keep_log_file_num(2);
    rocksdb.set_max_open_files(256);
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(options.cache_bytes));
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // Most puts ask for a row that is not there.
    blocks.set_bloom_filter(10.0, false);
    rocksdb.set_block_based_table_factory(&blocks);
    Ok(rocksdb)
}

/// What every write is made with: the log is the catalog's write-ahead log.
pub(crate) fn without_wal() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.disable_wal(true);
    options
}
