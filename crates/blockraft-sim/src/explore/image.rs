//! Term, vote and log as a disk holds them.

use blockraft_core::{LogPoint, Restored};
use blockraft_types::{EntryHead, EntryKind, GroupId, HardState, LogIndex, LostTail, Membership, NodeId, Position};

use crate::explore::law::Broken;

/// What stands on a disk, or what a driver would read once all that was handed out is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Image {
    pub(crate) hard_state: HardState,
    genesis: LogPoint,
    /// From index 1 on.
    heads: Vec<EntryHead>,
    lost_tail: Option<LostTail>,
    /// What was lost, until it is made good: it was acknowledged all the same.
    forgotten: Vec<EntryHead>,
}

/// A batch on its way to the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Write {
    pub(crate) number: u64,
    pub(crate) hard_state: Option<HardState>,
    pub(crate) truncate_from: Option<LogIndex>,
    pub(crate) heads: Vec<EntryHead>,
}

impl Image {
    pub(crate) const fn empty(genesis: LogPoint) -> Self {
        let hard_state = HardState { term: blockraft_types::Term(0), voted_for: None };
        Self { hard_state, genesis, heads: Vec::new(), lost_tail: None, forgotten: Vec::new() }
    }

    pub(crate) fn last(&self) -> LogPoint {
        self.heads.last().map_or(self.genesis, point_of)
    }

    pub(crate) fn point(&self, index: LogIndex) -> Option<LogPoint> {
        if index == LogIndex::ZERO {
            return Some(self.genesis);
        }
        self.head(index).map(point_of)
    }

    pub(crate) fn head(&self, index: LogIndex) -> Option<&EntryHead> {
        self.heads.get(usize::try_from(index.0.checked_sub(1)?).ok()?)
    }

    pub(crate) fn heads(&self) -> &[EntryHead] {
        &self.heads
    }

    /// The newest configuration up to `index`, and the entry that brought it; `None` if none did.
    pub(crate) fn membership_at(&self, index: LogIndex) -> Option<(LogIndex, &Membership)> {
        let upto = self.heads.iter().rev().filter(|head| head.position.index <= index);
        upto.into_iter().find_map(|head| match &head.kind {
            EntryKind::Membership(membership) => Some((head.position.index, membership.as_ref())),
            EntryKind::Blank | EntryKind::Command => None,
        })
    }

    /// The entry that brought `membership`, if one did.
    pub(crate) fn point_of(&self, membership: &Membership) -> Option<LogPoint> {
        let brings =
            |head: &&EntryHead| matches!(&head.kind, EntryKind::Membership(brought) if **brought == *membership);
        self.heads.iter().rev().find(brings).map(point_of)
    }

    /// Writes one batch whole.
    pub(crate) fn write(&mut self, write: &Write) -> Result<(), Broken> {
        if let Some(hard_state) = write.hard_state {
            if hard_state.term < self.hard_state.term {
                return Err(Broken::new("terms only grow", "a term on disk fell"));
            }
            let revoked = hard_state.term == self.hard_state.term
                && self.hard_state.voted_for.is_some()
                && self.hard_state.voted_for != hard_state.voted_for;
            if revoked {
                return Err(Broken::new("one vote per term", "a vote on disk changed within its term"));
            }
            self.hard_state = hard_state;
        }
        if let Some(from) = write.truncate_from {
            self.heads.truncate(usize::try_from(from.0.saturating_sub(1)).unwrap_or(usize::MAX));
        }
        for head in &write.heads {
            if head.position.index != self.last().position.index.next() || !head.follows(self.last().chain) {
                return Err(Broken::new("logs have no gaps", format!("a batch with a gap before {}", head.position)));
            }
            self.heads.push(head.clone());
        }
        Ok(())
    }

    /// The disk forgets its last entry, and says so. Term and vote stand elsewhere.
    pub(crate) fn lose_last(&mut self) {
        if let Some(head) = self.heads.pop() {
            self.lost_tail = Some(LostTail { term: self.hard_state.term, index: head.position.index });
            self.forgotten.push(head);
        }
    }

    /// The log holds again all that was promised with what the disk forgot.
    pub(crate) fn make_good(&mut self) {
        self.lost_tail = None;
        self.forgotten.clear();
    }

    /// Whether the entry at `point` was durable here, and isn't known to be forgotten for good.
    pub(crate) fn held(&self, point: LogPoint) -> bool {
        self.point(point.position.index) == Some(point) || self.forgotten.iter().any(|head| point_of(head) == point)
    }

    pub(crate) fn restored(&self, id: NodeId, applied: LogIndex, membership: &Membership) -> Restored {
        let mut terms: Vec<Position> = Vec::new();
        for head in &self.heads {
            if terms.last().is_none_or(|run| run.term != head.position.term) {
                terms.push(head.position);
            }
        }
        Restored {
            id,
            group: GroupId(0),
            hard_state: self.hard_state,
            anchor: self.genesis,
            last: self.last(),
            terms,
            applied,
            membership: membership.clone(),
            membership_index: LogIndex::ZERO,
            earlier_memberships: Vec::new(),
            tail: self.heads.iter().filter(|head| applied < head.position.index).cloned().collect(),
            lost_tail: self.lost_tail,
        }
    }
}

fn point_of(head: &EntryHead) -> LogPoint {
    LogPoint { position: head.position, chain: head.chain }
}
