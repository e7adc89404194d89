//! What a store may be told when it is opened.

use thiserror::Error;

/// Sizes and bounds of a segment store. The default is right for block sizes from 1 KiB to 2 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A segment is sealed, and the next one begun, before it outgrows this (unless one block alone is larger). 64 KiB
    /// to 1 GiB; 256 MiB by default.
    pub segment_bytes_max: u64,
    /// A segment holds at most this many records, which bounds the memory that its footer is made in. At least 16;
    /// 65,536 by default.
    pub segment_records_max: usize,
    /// Space is reserved from the file system in pieces of this size; 32 MiB by default.
    pub extent_bytes: u64,
    /// Puts are refused when less than this would be left free. Deletes and compaction may use it, and so may whoever
    /// else writes to the same file system, such as the log. To be able to compact on a full disk it must be more than
    /// a segment; 512 MiB by default.
    pub reserve_bytes: u64,
    /// Compaction copies at most about this much before it lets waiting puts go first; 4 MiB by default.
    pub compaction_step_bytes: u64,
}

/// An option outside of its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{option} is out of range")]
pub struct InvalidOption {
    /// Which option.
    pub option: &'static str,
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), InvalidOption> {
        if !(64 << 10..=1 << 30).contains(&self.segment_bytes_max) {
            return Err(InvalidOption { option: "segment_bytes_max" });
        }
        if self.segment_records_max < 16 {
            return Err(InvalidOption { option: "segment_records_max" });
        }
        Ok(())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes_max: 256 << 20,
            segment_records_max: 65_536,
            extent_bytes: 32 << 20,
            reserve_bytes: 512 << 20,
            compaction_step_bytes: 4 << 20,
        }
    }
}
