//! How RocksDB is set up to be a log.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRecoveryMode, Error, LogLevel, Options, WriteOptions,
};

use crate::config::RocksLogConfig;

/// Makes the database, or opens it if it is there.
pub(crate) fn create(path: &Path, config: RocksLogConfig) -> Result<DB, Error> {
    let mut options = options(config)?;
    options.create_if_missing(true);
    DB::open(&options, path)
}

/// Opens the database for reading and writing. RocksDB tidies up: it replays and replaces its write-ahead log.
pub(crate) fn open(path: &Path, config: RocksLogConfig) -> Result<DB, Error> {
    DB::open(&options(config)?, path)
}

/// Opens the database as it lies there and leaves its files as they are.
pub(crate) fn open_untouched(path: &Path) -> Result<DB, Error> {
    DB::open_for_read_only(&options(RocksLogConfig::default())?, path, false)
}

/// How every write is made. With recycled write-ahead logs RocksDB has no other durable way.
pub(crate) fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn options(config: RocksLogConfig) -> Result<Options, Error> {
    // First what has no setter of its own, since this starts from a fresh copy.
    let mut options = Options::default().get_options_from_string(UNSET)?;
    options.set_paranoid_checks(true);
    options.set_track_and_verify_wals_in_manifest(true);
    // The only mode besides the default that survives an ordinary torn tail; what it drops the watermark notices.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // A recycled file is overwritten in place: a sync then writes no file system metadata. Files are recycled when a
    // memtable is full, so it is small.
    options.set_recycle_log_file_num(WALS_RECYCLED);
    options.set_write_buffer_size(config.memtable_bytes);
    options.set_max_write_buffer_number(MEMTABLES_MAX);
    // Entries are read back by followers that lag, in order and seldom twice.
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
    options.set_block_based_table_factory(&tables);
    options.set_compression_type(DBCompressionType::None);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_stats_dump_period_sec(0);
    Ok(options)
}

/// A background error must stay one (no silent resume), a write-ahead log that is gone must be missed, and what stands
/// in memory and in table files carries checksums.
const UNSET: &str = "max_bgerror_resume_count=0;track_and_verify_wals=true;verify_sst_unique_id_in_manifest=true;\
                     memtable_protection_bytes_per_key=8;block_protection_bytes_per_key=8;paranoid_file_checks=true";
const MEMTABLES_MAX: i32 = 3;
const CACHE_BYTES: usize = 4 << 20;
const WALS_RECYCLED: usize = 4;
