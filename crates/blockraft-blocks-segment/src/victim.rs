//! A segment that compaction has chosen.

use std::collections::VecDeque;

use crate::format::{FooterEntry, Mark};

/// A segment that is being emptied, and the records that weren't looked at yet.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) segment: u64,
    pub(crate) mark: Mark,
    pub(crate) left: VecDeque<FooterEntry>,
}
