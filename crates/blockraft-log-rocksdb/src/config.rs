//! What may be chosen about a log's database.

/// Sizes of a log's database; the defaults suit a node with one busy group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksLogConfig {
    /// Size of one memtable; there are at most three. RocksDB takes nothing below 64 KiB.
    ///
    /// A write-ahead log is used again once its memtable is full, so a large memtable means many files that grow
    /// (each growth is file system metadata to be synced), and a small one many table files.
    pub memtable_bytes: usize,
}

impl Default for RocksLogConfig {
    fn default() -> Self {
        Self { memtable_bytes: 8 << 20 }
    }
}
