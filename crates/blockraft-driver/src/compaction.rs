//! When the log is compacted, and how far: flush the state machine, then drop what nobody needs or will be missed least.

use std::collections::VecDeque;

use blockraft_types::LogIndex;

use crate::config::CompactionPolicy;

/// Watches the size of the log and keeps the steps of a compaction in order.
#[derive(Debug)]
pub(crate) struct Compaction {
    policy: CompactionPolicy,
    anchor: LogIndex,
    last: LogIndex,
    bytes: u64,
    /// Bytes of bodies up to an index, since the last mark; coarse, so that their number is bounded.
    marks: VecDeque<(LogIndex, u64)>,
    /// When the log was compacted last.
    compacted_at: u64,
    step: Step,
}

/// How far the log may be dropped, and for whose sake it should or shouldn't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Nothing after this may go.
    pub(crate) limit: LogIndex,
    /// Every member holds the log up to here.
    pub(crate) held_by_all: LogIndex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Idle,
    /// `wanted` is how far the gate is in need of the compaction.
    Flushing {
        wanted: Option<LogIndex>,
    },
    Compacting,
}

impl Compaction {
    pub(crate) const fn new(policy: CompactionPolicy, anchor: LogIndex) -> Self {
        Self { policy, anchor, last: anchor, bytes: 0, marks: VecDeque::new(), compacted_at: 0, step: Step::Idle }
    }

    /// The log ends at `last` now, and `bytes` of bodies came with the newest entries.
    pub(crate) fn appended(&mut self, last: LogIndex, bytes: u64) {
        self.last = last;
        self.bytes = self.bytes.saturating_add(bytes);
        let mark_bytes = self.policy.bytes_max / MARKS;
        match self.marks.back_mut() {
            Some((index, marked)) if *marked <= mark_bytes => {
                *index = last;
                *marked = marked.saturating_add(bytes);
            }
            _ => self.marks.push_back((last, bytes)),
        }
    }

    /// The log that a restart found is so large: bytes up to each of these entries, since the one before.
    pub(crate) fn found(&mut self, sizes: &[(LogIndex, u64)]) {
        let last = self.last;
        if sizes.last().is_some_and(|(index, _)| *index == last) {
            (self.bytes, self.marks) = (0, VecDeque::new());
            sizes.iter().for_each(|(index, bytes)| self.appended(*index, *bytes));
        }
    }

    /// Whether to flush now, in order to compact. `wanted` is how far the gate is in need of it.
    pub(crate) fn wants_flush(&mut self, now: u64, reach: Reach, wanted: Option<LogIndex>) -> bool {
        let through = self.through(reach, wanted);
        if self.step != Step::Idle || through <= self.anchor {
            return false;
        }
        let exceeded = self.policy.entries_max < self.entries() || self.policy.bytes_max < self.bytes;
        // A member that is behind can hold compaction back for long: a few entries aren't worth a flush each.
        let worthwhile = self.policy.entries_max / WORTHWHILE <= through.since(self.anchor)
            || self.policy.bytes_max / WORTHWHILE <= self.bytes_through(through);
        let needed = wanted.is_some_and(|wanted| wanted <= through);
        let aged = self.policy.ticks_max <= now.saturating_sub(self.compacted_at);
        let wants = exceeded && worthwhile || needed || aged;
        if wants {
            self.step = Step::Flushing { wanted };
            self.compacted_at = now;
        }
        wants
    }

    /// The state machine was flushed: compact so far, if that is anything.
    pub(crate) fn flushed(&mut self, reach: Reach) -> Option<LogIndex> {
        let Step::Flushing { wanted } = self.step else { return None };
        let through = self.through(reach, wanted);
        self.step = if self.anchor < through { Step::Compacting } else { Step::Idle };
        (self.step == Step::Compacting).then_some(through)
    }

    /// What every member holds may go; of the rest what is older than the window, or what the gate is in need of.
    fn through(&self, reach: Reach, wanted: Option<LogIndex>) -> LogIndex {
        let dispensable = reach.held_by_all.max(self.before_window()).max(wanted.unwrap_or_default());
        reach.limit.min(dispensable)
    }

    /// The last entry that is older than what is kept for members that lack it.
    fn before_window(&self) -> LogIndex {
        let by_entries = LogIndex(self.last.0.saturating_sub(self.policy.entries_kept));
        let mut bytes = self.marks.back().map_or(0, |(_, marked)| *marked);
        let too_old = |(_, marked): &&(LogIndex, u64)| {
            bytes = bytes.saturating_add(*marked);
            self.policy.bytes_kept < bytes
        };
        // The newest mark stays, whatever its size.
        let by_bytes = self.marks.iter().rev().skip(1).find(too_old).map_or(LogIndex::ZERO, |(index, _)| *index);
        by_entries.max(by_bytes)
    }

    /// The log begins after `anchor` now.
    pub(crate) fn compacted(&mut self, anchor: LogIndex) {
        self.step = Step::Idle;
        self.anchor = self.anchor.max(anchor);
        while let Some((_, bytes)) = self.marks.pop_front_if(|(index, _)| *index <= anchor) {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// The log begins anew after `anchor`. What was under way doesn't matter any more.
    pub(crate) fn reset(&mut self, anchor: LogIndex) {
        *self = Self { compacted_at: self.compacted_at, ..Self::new(self.policy, anchor) };
    }

    pub(crate) const fn entries(&self) -> u64 {
        self.last.since(self.anchor)
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn bytes_through(&self, index: LogIndex) -> u64 {
        self.marks.iter().take_while(|(last, _)| *last <= index).map(|(_, bytes)| bytes).sum()
    }
}

/// How finely bytes are told apart.
const MARKS: u64 = 64;

/// The part of the policy's bounds that a compaction has to drop.
const WORTHWHILE: u64 = 8;

#[cfg(test)]
mod tests;
