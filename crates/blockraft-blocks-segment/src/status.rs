//! What a store can say about itself.

/// Counters since it was opened, and sizes now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// How many blocks there are.
    pub blocks: u64,
    /// Bytes of records that hold these blocks.
    pub live_bytes: u64,
    /// Bytes of all other records: what compaction can give back, sooner or later.
    pub dead_bytes: u64,
    /// How many segment files there are.
    pub segments: u64,
    /// Bytes written to segment files since the store was opened.
    pub bytes_written: u64,
    /// Syncs of segment files since the store was opened.
    pub syncs: u64,
    /// Bytes that compaction copied since the store was opened; [`bytes_written`](Self::bytes_written) counts them too.
    pub bytes_copied: u64,
    /// Segments that compaction removed since the store was opened.
    pub segments_removed: u64,
    /// Blocks found damaged and not repaired since.
    pub damaged_blocks: u64,
    /// Segments that compaction leaves alone, since something in them can't be read. Damage of a block that is put anew or
    /// deleted keeps its segment no longer; any other does until the store is opened anew.
    pub segments_held: u64,
    /// What failed, if a write or sync did: the store takes no more writes.
    pub poisoned_by: Option<String>,
}
