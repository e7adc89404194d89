//! Majorities of a configuration, joint or not, by the plain rule: sort what the voters say, take the middle.
//!
//! Learners and strangers are never asked. A joint configuration needs both halves (Raft paper, section 6).

use alloc::vec::Vec;

use blockraft_types::message::VoteVerdict;
use blockraft_types::{Membership, NodeId};

use crate::config::Config;
use crate::mistake::Mistake;

/// Those who are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Electorate<'a> {
    membership: &'a Membership,
    /// Counted by mistake.
    intruder: Option<NodeId>,
    config: &'a Config,
}

/// How an election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    Won,
    Lost,
    Open,
}

impl<'a> Electorate<'a> {
    pub(crate) const fn new(membership: &'a Membership, config: &'a Config) -> Self {
        Self { membership, intruder: None, config }
    }

    pub(crate) fn with_intruder(self, node: NodeId) -> Self {
        Self { intruder: (!self.membership.is_voter(node)).then_some(node), ..self }
    }

    /// The greatest value that a majority of each half has reached; `None` when nobody votes.
    pub(crate) fn reached<T: Ord + Copy>(&self, value: impl Fn(NodeId) -> T) -> Option<T> {
        let learners = self.membership.learners.keys().filter(|_| self.config.errs(Mistake::LearnersCounted));
        let voters = self.membership.voters.keys().chain(learners).chain(&self.intruder);
        let incoming = self.middle(voters.map(|&node| value(node)).collect())?;
        let outgoing = self.middle(self.membership.outgoing.keys().map(|&node| value(node)).collect());
        match outgoing {
            Some(outgoing) if !self.config.errs(Mistake::JointCountsOneHalf) => Some(incoming.min(outgoing)),
            _ => Some(incoming),
        }
    }

    /// Whether a majority of each half says yes.
    pub(crate) fn agrees(&self, says_yes: impl Fn(NodeId) -> bool) -> bool {
        self.reached(says_yes) == Some(true)
    }

    /// How an election stands when each voter has granted, refused, or not answered yet.
    pub(crate) fn tally(&self, verdict: impl Fn(NodeId) -> Option<VoteVerdict>) -> Tally {
        if self.agrees(|node| verdict(node) == Some(VoteVerdict::Granted)) {
            return Tally::Won;
        }
        if self.agrees(|node| verdict(node) != Some(VoteVerdict::Refused)) { Tally::Open } else { Tally::Lost }
    }

    /// The greatest value that more than half of `values` have reached.
    fn middle<T: Ord + Copy>(&self, mut values: Vec<T>) -> Option<T> {
        values.sort_unstable();
        // Of n values in ascending order, the one at (n - 1) / 2 has n / 2 + 1 values at or above it.
        let at = match values.len().checked_sub(1)? / 2 {
            below if self.config.errs(Mistake::HalfIsAMajority) && values.len().is_multiple_of(2) => below + 1,
            below => below,
        };
        values.get(at).copied()
    }
}

#[cfg(test)]
mod tests;
