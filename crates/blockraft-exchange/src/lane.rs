//! The bulk lane to one peer as the sender sees it: how many bytes it holds, and who waits for room.

use std::collections::VecDeque;

use blockraft_blocks::Multihash;
use blockraft_types::NodeId;

use crate::status::LaneStatus;

#[derive(Debug, Default)]
pub(crate) struct Lane {
    bytes: u64,
    pushes: usize,
    /// Blocks whose quorum needs this peer, in the order in which their puts came.
    pub(crate) waiting: VecDeque<Multihash>,
    skipped_bytes: u64,
}

impl Lane {
    /// Whether a push of `length` bytes may start. An empty lane takes any one payload.
    pub(crate) const fn has_room(&self, length: u32, bytes_max: u64) -> bool {
        self.pushes == 0 || self.bytes + length as u64 <= bytes_max
    }

    pub(crate) const fn take(&mut self, length: u32) {
        self.bytes += length as u64;
        self.pushes += 1;
    }

    pub(crate) const fn give_back(&mut self, length: u32) {
        self.bytes = self.bytes.saturating_sub(length as u64);
        self.pushes = self.pushes.saturating_sub(1);
    }

    pub(crate) const fn skip(&mut self, length: u32) {
        self.skipped_bytes += length as u64;
    }

    pub(crate) fn status(&self, peer: NodeId) -> LaneStatus {
        LaneStatus {
            peer,
            bytes: self.bytes,
            pushes: self.pushes,
            waiting: self.waiting.len(),
            skipped_bytes: self.skipped_bytes,
        }
    }
}
