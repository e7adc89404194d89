//! What a member remembers when it starts.

use alloc::vec::Vec;

use blockraft_types::{
    ClusterId, EntryHead, EntryKind, GroupId, HardState, LogIndex, LostTail, Membership, NodeId, Position,
};
use thiserror::Error;

use crate::log_point::LogPoint;
use crate::membership_history::MembershipHistory;

/// What was durable when the process ended, read back from the log store and the state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// This member.
    pub id: NodeId,
    /// Its group.
    pub group: GroupId,
    /// Term and vote.
    pub hard_state: HardState,
    /// The compacted end of the log; the genesis point if nothing was ever compacted.
    pub anchor: LogPoint,
    /// The last entry of the log; equal to `anchor` when there is none.
    pub last: LogPoint,
    /// The first position of each term after `anchor`, in order.
    pub terms: Vec<Position>,
    /// The last entry that the state machine holds. It was committed, so committing starts here or at the anchor; a
    /// state machine that lacks compacted entries must be refused before.
    pub applied: LogIndex,
    /// The configuration in force at max(`applied`, `anchor`).
    pub membership: Membership,
    /// The entry that brought it; zero if the group was born with it.
    pub membership_index: LogIndex,
    /// Configurations before that one, in order, as far as the log shows them: whom they name and `membership` doesn't
    /// may have to be told.
    pub earlier_memberships: Vec<(LogIndex, Membership)>,
    /// The heads of every entry after max(`applied`, `anchor`).
    pub tail: Vec<EntryHead>,
    /// What the log lost at its end, if it knows that it did and doesn't hold it again.
    pub lost_tail: Option<LostTail>,
}

/// Why a member can't start from what it was given: the parts contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// Zero is not a node.
    #[error("node id zero names nobody")]
    NoId,
    /// The state machine holds entries that the log does not reach.
    #[error("applied up to entry {applied}, but the log ends at {last}")]
    AppliedBeyondLog {
        /// The last applied entry.
        applied: LogIndex,
        /// The last entry of the log.
        last: LogIndex,
    },
    /// The term boundaries are not in order or don't lead from the anchor to the last entry.
    #[error("the term boundaries don't lead from the anchor to the last entry")]
    Terms,
    /// The tail isn't the end of the log: a gap, another term, or a broken digest chain.
    #[error("the heads after the applied entry break off at {index}")]
    Tail {
        /// The first entry that is missing or doesn't fit.
        index: LogIndex,
    },
    /// The log has entries of a later term than the hard state.
    #[error("the last entry {last} is of a later term than the hard state")]
    HardStateTooOld {
        /// The last entry.
        last: Position,
    },
    /// The log lost entries at its end that this member had acknowledged, and the other voters are no quorum: without this
    /// member nobody can lead, and with it nobody can know what was committed.
    #[error(
        "the log lost acknowledged entries up to at least {}, and without node {id} the voters are no quorum that could \
         tell which of them were committed", lost.index
    )]
    Irrecoverable {
        /// This member.
        id: NodeId,
        /// What it lost.
        lost: LostTail,
    },
    /// The configuration comes from an entry that isn't applied.
    #[error("the configuration comes from entry {index}, which is not applied")]
    MembershipNotApplied {
        /// The entry.
        index: LogIndex,
    },
}

impl Restored {
    /// Checks that the parts fit, and says which configurations are in force and where committing starts: what the
    /// state machine or the compaction covers was committed.
    pub(crate) fn check(&self) -> Result<(MembershipHistory, LogIndex), RestoreError> {
        let (anchor, last) = (self.anchor.position, self.last.position);
        if self.id == NodeId(0) {
            return Err(RestoreError::NoId);
        }
        if last.index < self.applied {
            return Err(RestoreError::AppliedBeyondLog { applied: self.applied, last: last.index });
        }
        self.check_terms()?;
        if self.hard_state.term < last.term {
            return Err(RestoreError::HardStateTooOld { last });
        }
        let commit_index = self.applied.max(anchor.index);
        if commit_index < self.membership_index {
            return Err(RestoreError::MembershipNotApplied { index: self.membership_index });
        }
        self.check_tail(commit_index)?;
        let mut memberships =
            MembershipHistory::after(&self.earlier_memberships, self.membership.clone(), self.membership_index);
        for head in &self.tail {
            if let EntryKind::Membership(membership) = &head.kind {
                memberships.append(head.position.index, membership.as_ref().clone());
            }
        }
        Ok((memberships, commit_index))
    }

    fn check_terms(&self) -> Result<(), RestoreError> {
        let (anchor, last) = (self.anchor.position, self.last.position);
        let begins = match self.terms.first() {
            None => anchor == last && self.anchor.chain == self.last.chain,
            Some(first) => anchor.index.0.checked_add(1) == Some(first.index.0) && anchor.term <= first.term,
        };
        let ends = self.terms.last().is_none_or(|run| run.term == last.term && run.index <= last.index);
        let mut next = self.terms.iter().skip(1);
        let ascends = self.terms.iter().all(|run| next.next().is_none_or(|n| run.term < n.term && run.index < n.index));
        if begins && ends && ascends { Ok(()) } else { Err(RestoreError::Terms) }
    }

    fn check_tail(&self, commit_index: LogIndex) -> Result<(), RestoreError> {
        let mut index = commit_index;
        let mut previous = (commit_index == self.anchor.position.index).then_some(self.anchor.chain);
        for head in &self.tail {
            index = index.next();
            let run = self.terms.iter().rev().find(|run| run.index <= index);
            let expected = run.map(|run| Position { term: run.term, index });
            let chained = previous.is_none_or(|previous| head.follows(previous));
            if expected != Some(head.position) || self.last.position.index < index || !chained {
                return Err(RestoreError::Tail { index });
            }
            previous = Some(head.chain);
        }
        let complete = index == self.last.position.index;
        if complete && previous.is_none_or(|chain| chain == self.last.chain) {
            return Ok(());
        }
        Err(RestoreError::Tail { index: if complete { index } else { index.next() } })
    }

    /// A member on its first day: an empty log of a group that is born with `membership`.
    #[must_use]
    pub fn born(id: NodeId, cluster: ClusterId, group: GroupId, membership: Membership) -> Self {
        let genesis = LogPoint::genesis(cluster, group, &membership);
        Self {
            id,
            group,
            hard_state: HardState::default(),
            anchor: genesis,
            last: genesis,
            terms: Vec::new(),
            applied: LogIndex::ZERO,
            membership,
            membership_index: LogIndex::ZERO,
            earlier_memberships: Vec::new(),
            tail: Vec::new(),
            lost_tail: None,
        }
    }
}

#[cfg(test)]
mod tests;
