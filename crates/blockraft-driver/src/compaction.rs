//! When the log is compacted: flush the state machine, then drop what nobody needs.

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
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Idle,
    Flushing,
    Compacting,
}

impl Compaction {
    pub(crate) const fn new(policy: CompactionPolicy, anchor: LogIndex) -> Self {
        Self { policy, anchor, last: anchor, bytes: 0, marks: VecDeque::new(), step: Step::Idle }
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

    /// Whether to flush now, knowing that the log could be compacted through `index` afterwards. `wanted` is how far the
    /// gate is in need of it.
    pub(crate) fn wants_flush(&mut self, index: LogIndex, wanted: Option<LogIndex>) -> bool {
        let entries = self.last.since(self.anchor);
        let exceeded = self.policy.entries_max < entries || self.policy.bytes_max < self.bytes;
        // A member that is behind can hold compaction back for long: a few entries aren't worth a flush each.
        let worthwhile = self.policy.entries_max / WORTHWHILE <= index.since(self.anchor)
            || self.policy.bytes_max / WORTHWHILE <= self.bytes_through(index);
        let needed = wanted.is_some_and(|wanted| wanted <= index);
        let wants = self.step == Step::Idle && (exceeded && worthwhile || needed) && self.anchor < index;
        if wants {
            self.step = Step::Flushing;
        }
        wants
    }

    /// The state machine was flushed: compact through `index`, if that is anything.
    pub(crate) fn flushed(&mut self, index: LogIndex) -> Option<LogIndex> {
        if self.step != Step::Flushing {
            return None;
        }
        self.step = if self.anchor < index { Step::Compacting } else { Step::Idle };
        (self.step == Step::Compacting).then_some(index)
    }

    /// The log begins after `anchor` now.
    pub(crate) fn compacted(&mut self, anchor: LogIndex) {
        self.step = Step::Idle;
        self.anchor = anchor;
        while let Some((_, bytes)) = self.marks.pop_front_if(|(index, _)| *index <= anchor) {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
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
