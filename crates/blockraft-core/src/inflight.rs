//! The window of one follower: appends that were sent and not acknowledged, counted in messages and in bytes.

use alloc::collections::VecDeque;

use blockraft_types::LogIndex;

use crate::config::Options;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Inflight {
    /// The last index and the bytes of each append, in order.
    appends: VecDeque<(LogIndex, u64)>,
    bytes: u64,
}

impl Inflight {
    pub(crate) fn messages(&self) -> usize {
        self.appends.len()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.appends.is_empty()
    }

    /// Bytes that the next append may have; `None` while the window is full.
    pub(crate) fn room(&self, options: &Options) -> Option<u64> {
        if options.inflight_messages_max <= self.appends.len() || options.inflight_bytes_max <= self.bytes {
            return None;
        }
        Some(options.append_bytes_max.min(options.inflight_bytes_max - self.bytes))
    }

    pub(crate) fn push(&mut self, last: LogIndex, bytes: u64) {
        assert!(self.appends.back().is_none_or(|(before, _)| *before < last), "a stream moves forward");
        self.appends.push_back((last, bytes));
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// An acknowledgement is cumulative: it frees every append up to `match_index`.
    pub(crate) fn free_through(&mut self, match_index: LogIndex) {
        while let Some((_, bytes)) = self.appends.pop_front_if(|(last, _)| *last <= match_index) {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        assert!(!self.appends.is_empty() || self.bytes == 0, "an empty window has no bytes");
    }

    pub(crate) fn clear(&mut self) {
        self.appends.clear();
        self.bytes = 0;
    }
}
