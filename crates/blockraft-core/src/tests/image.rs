//! A log as a test keeps it: what the disk holds, or what the driver would read.

use std::vec::Vec;

use blockraft_types::{EntryHead, GroupId, HardState, LogIndex, Membership, NodeId, Position, Term};

use crate::{LogPoint, Restored};

#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) hard_state: HardState,
    pub(super) anchor: LogPoint,
    /// Contiguous after the anchor.
    pub(super) heads: Vec<EntryHead>,
}

impl Image {
    pub(super) const fn empty(genesis: LogPoint) -> Self {
        Self { hard_state: HardState { term: Term(0), voted_for: None }, anchor: genesis, heads: Vec::new() }
    }

    pub(super) fn last(&self) -> LogPoint {
        self.heads.last().map_or(self.anchor, |head| LogPoint { position: head.position, chain: head.chain })
    }

    pub(super) fn head(&self, index: LogIndex) -> Option<&EntryHead> {
        let offset = index.0.checked_sub(self.anchor.position.index.0)?.checked_sub(1)?;
        self.heads.get(offset as usize)
    }

    pub(super) fn point(&self, index: LogIndex) -> Option<LogPoint> {
        if index == self.anchor.position.index {
            return Some(self.anchor);
        }
        self.head(index).map(|head| LogPoint { position: head.position, chain: head.chain })
    }

    /// Writes one batch.
    pub(super) fn write(
        &mut self,
        reset: Option<LogPoint>,
        hard_state: Option<HardState>,
        truncate_from: Option<LogIndex>,
        heads: &[EntryHead],
    ) {
        if let Some(point) = reset {
            assert!(self.anchor.position.index < point.position.index, "a reset to before the compacted end");
            self.reset(point);
        }
        if let Some(hard_state) = hard_state {
            assert!(self.hard_state.term <= hard_state.term, "a term on disk fell");
            self.hard_state = hard_state;
        }
        if let Some(from) = truncate_from {
            assert!(self.anchor.position.index < from, "truncation below the compacted end");
            assert!(from <= self.last().position.index, "truncation of nothing");
            self.heads.truncate((from.0 - self.anchor.position.index.0 - 1) as usize);
        }
        for head in heads {
            assert_eq!(head.position.index, self.last().position.index.next(), "a gap in a persist batch");
            assert!(head.follows(self.last().chain), "a broken chain in a persist batch");
            self.heads.push(head.clone());
        }
    }

    pub(super) fn compact(&mut self, point: LogPoint) {
        self.heads.retain(|head| point.position.index < head.position.index);
        self.anchor = point;
    }

    pub(super) fn reset(&mut self, point: LogPoint) {
        self.heads.clear();
        self.anchor = point;
    }

    pub(super) fn restored(&self, id: NodeId, applied: LogIndex, membership: &Membership) -> Restored {
        let mut terms: Vec<Position> = Vec::new();
        for head in &self.heads {
            if terms.last().is_none_or(|run| run.term != head.position.term) {
                terms.push(head.position);
            }
        }
        let start = applied.max(self.anchor.position.index);
        Restored {
            id,
            group: GroupId(0),
            hard_state: self.hard_state,
            anchor: self.anchor,
            last: self.last(),
            terms,
            applied,
            membership: membership.clone(),
            membership_index: LogIndex::ZERO,
            tail: self.heads.iter().filter(|head| start < head.position.index).cloned().collect(),
        }
    }
}
