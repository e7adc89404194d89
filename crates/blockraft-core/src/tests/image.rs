//! A log as a test keeps it: what the disk holds, or what the driver would read.

use std::vec::Vec;

use blockraft_types::{
    EntryHead, EntryKind, GroupId, HardState, LogIndex, LostTail, Membership, NodeId, Position, Term,
};

use crate::{LogPoint, Restored, Snapshot};

#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) hard_state: HardState,
    pub(super) anchor: LogPoint,
    /// The configuration at the anchor, and the entry that brought it.
    membership: (LogIndex, Membership),
    /// Contiguous after the anchor.
    pub(super) heads: Vec<EntryHead>,
    pub(super) lost_tail: Option<LostTail>,
}

impl Image {
    pub(super) const fn empty(genesis: LogPoint, membership: Membership) -> Self {
        let hard_state = HardState { term: Term(0), voted_for: None };
        Self {
            hard_state,
            anchor: genesis,
            membership: (LogIndex::ZERO, membership),
            heads: Vec::new(),
            lost_tail: None,
        }
    }

    /// The newest configuration up to `index`, and the entry that brought it.
    pub(super) fn membership_at(&self, index: LogIndex) -> (LogIndex, &Membership) {
        let newest =
            self.heads.iter().rev().filter(|head| head.position.index <= index).find_map(|head| match &head.kind {
                EntryKind::Membership(membership) => Some((head.position.index, membership.as_ref())),
                EntryKind::Blank | EntryKind::Command => None,
            });
        newest.unwrap_or((self.membership.0, &self.membership.1))
    }

    /// The configurations of the log before the one that entry `index` brought.
    fn memberships_before(&self, index: LogIndex) -> Vec<(LogIndex, Membership)> {
        let before = self.heads.iter().filter(|head| head.position.index < index);
        let memberships = before.filter_map(|head| match &head.kind {
            EntryKind::Membership(membership) => Some((head.position.index, membership.as_ref().clone())),
            EntryKind::Blank | EntryKind::Command => None,
        });
        memberships.collect()
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
        reset: Option<&Snapshot>,
        hard_state: Option<HardState>,
        truncate_from: Option<LogIndex>,
        heads: &[EntryHead],
    ) {
        if let Some(snapshot) = reset {
            let index = snapshot.point.position.index;
            assert!(self.anchor.position.index < index, "a reset to before the compacted end");
            self.reset(snapshot);
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
        let (index, membership) = self.membership_at(point.position.index);
        self.membership = (index, membership.clone());
        self.heads.retain(|head| point.position.index < head.position.index);
        self.anchor = point;
    }

    /// The disk forgets every entry after `index`, and says so. Term and vote stand elsewhere.
    pub(super) fn lose_after(&mut self, index: LogIndex) {
        let had = self.last().position.index;
        self.heads.retain(|head| head.position.index <= index);
        if self.last().position.index < had {
            self.lost_tail = Some(LostTail { term: self.hard_state.term, index: had });
        }
    }

    pub(super) fn reset(&mut self, snapshot: &Snapshot) {
        self.heads.clear();
        self.anchor = snapshot.point;
        self.membership = (snapshot.membership_index, snapshot.membership.clone());
    }

    pub(super) fn restored(&self, id: NodeId, applied: LogIndex) -> Restored {
        let mut terms: Vec<Position> = Vec::new();
        for head in &self.heads {
            if terms.last().is_none_or(|run| run.term != head.position.term) {
                terms.push(head.position);
            }
        }
        let start = applied.max(self.anchor.position.index);
        let (membership_index, membership) = self.membership_at(start);
        Restored {
            id,
            group: GroupId(0),
            hard_state: self.hard_state,
            anchor: self.anchor,
            last: self.last(),
            terms,
            applied,
            membership: membership.clone(),
            membership_index,
            earlier_memberships: self.memberships_before(membership_index),
            tail: self.heads.iter().filter(|head| start < head.position.index).cloned().collect(),
            lost_tail: self.lost_tail,
        }
    }
}
