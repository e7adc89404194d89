//! Who is counted: voters, the outgoing voters of a joint configuration, and learners, each with its incarnation.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::digest::BodyDigest;
use crate::id::{Incarnation, NodeId};

/// A configuration of a group (Raft paper, section 6).
///
/// While `outgoing` is not empty the configuration is *joint*: elections and commitment need a majority of `voters`
/// *and* a majority of `outgoing`. A node never stands in `learners` and among the voters of either half.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// The voters (of a joint configuration: the incoming ones).
    pub voters: BTreeMap<NodeId, Incarnation>,
    /// The voters of the configuration being left; empty unless joint.
    pub outgoing: BTreeMap<NodeId, Incarnation>,
    /// Members that receive the log, answer vote requests, and are never counted.
    pub learners: BTreeMap<NodeId, Incarnation>,
}

impl Membership {
    /// A configuration of voters alone.
    #[must_use]
    pub fn of_voters(voters: impl IntoIterator<Item = (NodeId, Incarnation)>) -> Self {
        Self { voters: voters.into_iter().collect(), ..Self::default() }
    }

    /// Whether a change of members is under way.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether `node` is counted in elections and commitment, in either half.
    #[must_use]
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.contains_key(&node) || self.outgoing.contains_key(&node)
    }

    /// Every member once, in the order of ids.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, Incarnation)> + '_ {
        let mut all: BTreeMap<NodeId, Incarnation> = self.learners.clone();
        all.extend(&self.outgoing);
        all.extend(&self.voters);
        all.into_iter()
    }

    /// The incarnation under which `node` is a member, if it is one.
    #[must_use]
    pub fn incarnation(&self, node: NodeId) -> Option<Incarnation> {
        let halves = [&self.voters, &self.outgoing, &self.learners];
        halves.into_iter().find_map(|half| half.get(&node).copied())
    }

    /// A digest over a canonical form, independent of any codec.
    #[must_use]
    pub fn digest(&self) -> BodyDigest {
        let mut bytes = Vec::new();
        for half in [&self.voters, &self.outgoing, &self.learners] {
            bytes.extend_from_slice(&(half.len() as u64).to_le_bytes());
            for (node, incarnation) in half {
                bytes.extend_from_slice(&node.0.to_le_bytes());
                bytes.extend_from_slice(incarnation.as_bytes());
            }
        }
        BodyDigest::of(&bytes)
    }
}
