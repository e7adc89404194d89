//! What opening a store found out about its segments.

use blockraft_blocks::Multihash;

/// What opening found. All of it is fine but the damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// Blocks whose records are damaged, among those that had to be read: fetch them elsewhere and put them.
    pub damaged: Vec<DamagedBlock>,
    /// Stretches in which acknowledged records may have stood whose names can't be read any more.
    pub gaps: Vec<Gap>,
    /// Segments that the index points into and whose file is gone or has no readable header.
    pub lost_segments: Vec<u64>,
    /// How many records the index had still to learn.
    pub replayed_records: u64,
    /// How many unacknowledged bytes were cut off or voided.
    pub torn_bytes: u64,
}

/// A block whose record is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedBlock {
    /// Which block.
    pub multihash: Multihash,
    /// In which segment.
    pub segment: u64,
}

/// A damaged stretch of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Which segment.
    pub segment: u64,
    /// Where the stretch begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}
