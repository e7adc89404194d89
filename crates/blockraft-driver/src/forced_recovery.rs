//! Forced recovery: how one member goes on alone when a majority of the voters is lost for ever.
//!
//! Without that majority nobody can be elected and nothing can be committed, and that is right: the lost ones may have
//! committed what no survivor knows of. To go on all the same is a decision that no algorithm can make. An operator makes
//! it, offline, on the log of one member that is stopped: the *survivor*. The lost ones are never to come back, and what
//! they alone held is gone.
//!
//! # What is written
//!
//! One entry at the end of the survivor's log, in one batch with the hard state that goes with it: a configuration in which
//! the survivor alone votes and everybody else is removed for ever. It looks like an entry that the survivor had appended as
//! the leader of a term of its own, [`TERMS_AHEAD`] beyond every term that it has seen. The batch is there or it isn't: who
//! repeats it after a power cut is told that it is so already, or begins from the same log.
//!
//! # Why that is sound, if the operator is right
//!
//! 1. *Log matching* (Raft paper, section 5.3) needs that no two entries share a position and differ. The entry's term was
//!    no other leader's: the lost ones can't have come so far, at one election every 150 ms in almost five years.
//! 2. *One leader a term.* A configuration counts from the moment it is appended. From its next start on, every quorum of the
//!    survivor is the survivor, and its vote in the entry's term is its own. It is elected in the term after, and commits an
//!    entry of that term before it answers anybody (5.4.2): the whole log before it is committed by that.
//! 3. *Leader completeness* holds from this log on: whoever is added later gets it from the survivor. For entries that the
//!    lost ones had committed and the survivor lacks it doesn't hold. They are what is lost.
//! 4. *A lost tail* of the survivor itself is made good by the entry, whose term is later than any in which the survivor
//!    spoke of what is gone: all who could have counted that are lost, so it is lost as well.
//!
//! The survivor's own entries all stay, although some may never have been committed: any of them may have been acknowledged
//! by a leader that is gone. So a command that a client took for failed may turn out to be done.
//!
//! # If the operator is wrong
//!
//! Lost members that come back one by one do no harm: their terms are too low for the survivor to listen, their ids are
//! removed, and they are told so when they say hello. But a majority of the old voters that runs and reaches each other is
//! a whole cluster still: it elects a leader that doesn't need the survivor, and acknowledges what the survivor never sees.
//! Nothing that is written here can keep it from that. Their disks have to be destroyed, or their machines kept off.
//!
//! Members that survived besides this one are removed too, learners included. Their logs may hold committed entries that this
//! one lacks, and an applied entry can't be taken back: they have to join as new nodes, from nothing.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_log::{Batch, LogState, LogStore, PersistError};
use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, HardState, Incarnation, LogIndex, LostTail,
    Membership, NodeId, PersistNumber, PersistTicket, Position, Term,
};
use bytes::Bytes;
use thiserror::Error;

/// What is left of a group in the log and the state machine of one stopped member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remnant {
    /// The member.
    pub node: NodeId,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// Its term and vote.
    pub hard_state: HardState,
    /// The last entry of its log.
    pub last: Position,
    /// Entries up to here were committed, and perhaps more: nobody wrote down how many.
    pub committed: LogIndex,
    /// What the log knows that it lost at its end.
    pub lost_tail: Option<LostTail>,
    /// The chain digest at `last`.
    chain: ChainDigest,
    /// The configuration at the state machine's position.
    committed_membership: Membership,
    /// The configurations in the log after that, in order.
    later_memberships: Vec<Membership>,
}

/// What a forced recovery comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The survivor votes alone, and those who were named are removed.
    AlreadySo,
    /// This is to be appended.
    Append(Box<Succession>),
}

/// The batch that lets a survivor go on alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    /// Its term and vote from then on.
    pub hard_state: HardState,
    /// The configuration of the survivor alone.
    pub entry: Entry,
    /// Who is removed by it: the members that were named as lost, and all others but the survivor.
    pub removed: BTreeSet<NodeId>,
}

/// Why a member can't go on alone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecoveryRefusal {
    /// The configuration in force doesn't name this member, so its log is nobody's to go on with.
    #[error("node {node} is no member of the group, as far as its own log tells")]
    NotAMember {
        /// The member.
        node: NodeId,
    },
    /// The configuration in force names it with another data directory.
    #[error("the members know node {node} with another data directory")]
    OtherIncarnation {
        /// The member.
        node: NodeId,
    },
    /// The survivor can't be lost.
    #[error("node {node} is the survivor: it can't be lost")]
    SurvivorLost {
        /// The survivor.
        node: NodeId,
    },
    /// Somebody was named who isn't a member any more.
    #[error("node {node} isn't a member: it was removed before, or never was one")]
    UnknownLost {
        /// Who was named.
        node: NodeId,
    },
    /// Somebody was named whose id is so far beyond those given that it must be a slip.
    #[error("node {node} can't be: the survivor knows of no id beyond {known}")]
    ImplausibleLost {
        /// Who was named.
        node: NodeId,
        /// The highest id that the survivor knows of.
        known: NodeId,
    },
    /// Those who are left can elect a leader.
    #[error(
        "nothing calls for it: without those who are named as lost, the voters {} are a quorum still",
        names(voters)
    )]
    QuorumLeft {
        /// The voters that are left and have lost nothing.
        voters: BTreeSet<NodeId>,
    },
    /// There is no term beyond.
    #[error("no term is left beyond {term}")]
    NoTermLeft {
        /// The highest that was seen.
        term: Term,
    },
}

impl Remnant {
    /// Of the member `node`, whose log is `log` and whose state machine stands at `applied`; `membership` is the newest
    /// configuration that the state machine knows of, which entry `membership_index` brought, as for
    /// [`Remains`](crate::Remains).
    #[must_use]
    pub fn new(
        (node, incarnation): (NodeId, Incarnation),
        log: &LogState,
        applied: LogIndex,
        (membership_index, membership): (LogIndex, Membership),
    ) -> Self {
        let later = log.memberships.iter().filter(|(at, _)| membership_index < at.index);
        Self {
            node,
            incarnation,
            hard_state: log.hard_state,
            last: log.last.position,
            committed: applied.max(log.anchor.position.index),
            lost_tail: log.lost_tail,
            chain: log.last.chain,
            committed_membership: membership,
            later_memberships: later.map(|(_, membership)| membership.clone()).collect(),
        }
    }

    /// The configuration in force: the newest one, committed or not.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        self.later_memberships.last().unwrap_or(&self.committed_membership)
    }

    /// Plans to go on with this member alone, after an operator said that `lost` never come back. They may be members that
    /// the survivor has never heard of, since they came when it was away.
    ///
    /// # Errors
    ///
    /// See [`RecoveryRefusal`].
    pub fn plan(&self, lost: &BTreeSet<NodeId>) -> Result<Plan, RecoveryRefusal> {
        let in_force = self.membership();
        match in_force.incarnation(self.node) {
            None => return Err(RecoveryRefusal::NotAMember { node: self.node }),
            Some(known) if known != self.incarnation => {
                return Err(RecoveryRefusal::OtherIncarnation { node: self.node });
            }
            Some(_) => {}
        }
        let removed_before = !lost.is_empty() && lost.iter().all(|node| in_force.is_removed(*node));
        if removed_before && self.lost_tail.is_none() && in_force.members().map(|(node, _)| node).eq([self.node]) {
            return Ok(Plan::AlreadySo);
        }
        self.check_lost(lost)?;
        self.check_need(lost)?;
        let seen = self.hard_state.term.max(self.last.term).max(self.lost_tail.map_or(Term(0), |tail| tail.term));
        let term = seen.0.checked_add(TERMS_AHEAD).ok_or(RecoveryRefusal::NoTermLeft { term: seen })?;
        let position = Position { term: Term(term), index: self.last.index.next() };
        let (membership, removed) = self.alone(lost);
        let kind = EntryKind::Membership(Box::new(membership));
        let head = EntryHead::chained(self.chain, position, kind, 0, BodyDigest::of(&[]));
        Ok(Plan::Append(Box::new(Succession {
            hard_state: HardState { term: position.term, voted_for: Some(self.node) },
            entry: Entry { head, body: Bytes::new() },
            removed,
        })))
    }

    fn check_lost(&self, lost: &BTreeSet<NodeId>) -> Result<(), RecoveryRefusal> {
        let next = self.memberships().map(Membership::next_id).max().unwrap_or(NodeId(1));
        for &node in lost {
            if node == self.node {
                return Err(RecoveryRefusal::SurvivorLost { node });
            }
            let is_known = self.memberships().any(|membership| membership.incarnation(node).is_some());
            if node < next && !is_known {
                return Err(RecoveryRefusal::UnknownLost { node });
            }
            if next.0.saturating_add(IDS_AHEAD_MAX) <= node.0 {
                return Err(RecoveryRefusal::ImplausibleLost { node, known: NodeId(next.0 - 1) });
            }
        }
        Ok(())
    }

    /// Who is left must not be able to elect a leader. A survivor whose log lost its end gives no vote, so it isn't counted.
    fn check_need(&self, lost: &BTreeSet<NodeId>) -> Result<(), RecoveryRefusal> {
        let bereft = self.lost_tail.map(|_| self.node);
        let is_left = |node: &NodeId| !lost.contains(node) && Some(*node) != bereft;
        let agrees = |half: &BTreeMap<NodeId, Incarnation>| {
            half.is_empty() || half.len() / 2 < half.keys().filter(|node| is_left(node)).count()
        };
        let in_force = self.membership();
        if agrees(&in_force.voters) && agrees(&in_force.outgoing) {
            let voters = in_force.voters.keys().chain(in_force.outgoing.keys());
            return Err(RecoveryRefusal::QuorumLeft { voters: voters.copied().filter(is_left).collect() });
        }
        Ok(())
    }

    /// The configuration of the survivor alone, and who is removed by it.
    fn alone(&self, lost: &BTreeSet<NodeId>) -> (Membership, BTreeSet<NodeId>) {
        // Also those of configurations that were never committed: they had an id, so nobody else may get it.
        let members = self.memberships().flat_map(Membership::members).map(|(node, _)| node);
        let removed: BTreeSet<NodeId> = members.filter(|node| *node != self.node).chain(lost.iter().copied()).collect();
        let removed_before = self.memberships().filter_map(|membership| membership.removed_through).max();
        let addresses = self.membership().addresses.iter().filter(|(node, _)| **node == self.node);
        let membership = Membership {
            removed_through: removed.last().copied().max(removed_before),
            addresses: addresses.map(|(node, address)| (*node, address.clone())).collect(),
            ..Membership::of_voters([(self.node, self.incarnation)])
        };
        (membership, removed)
    }

    fn memberships(&self) -> impl Iterator<Item = &Membership> {
        core::iter::once(&self.committed_membership).chain(&self.later_memberships)
    }
}

/// Appends what was planned to the log of `group`. Durable when it returns; before, the log is as it was.
///
/// The log must be the one that the plan was made of, opened by nobody else.
///
/// # Errors
///
/// See [`PersistError`].
pub fn append(store: &mut dyn LogStore, group: GroupId, succession: Succession) -> Result<(), PersistError> {
    let Succession { hard_state, entry, .. } = succession;
    let ticket = PersistTicket::new(group, PersistNumber(1));
    let batch = Batch { hard_state: Some(hard_state), entries: vec![entry], ..Batch::new(ticket) };
    store.persist(vec![batch]).map(drop)
}

fn names(nodes: &BTreeSet<NodeId>) -> String {
    nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// By how many terms the survivor's own one is beyond all that it has seen.
pub const TERMS_AHEAD: u64 = 1_000_000_000;

/// How far beyond the highest id that the survivor knows of an id may be that is named as lost.
const IDS_AHEAD_MAX: u64 = 1_000;

#[cfg(test)]
mod tests;
