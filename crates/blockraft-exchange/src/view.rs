//! Who counts, who leads and who can be reached, as this node knows it.

use std::collections::BTreeSet;

use blockraft_types::{Membership, NodeId, Term};

#[derive(Debug)]
pub(crate) struct View {
    me: NodeId,
    membership: Membership,
    term: Term,
    leader: Option<NodeId>,
    connected: BTreeSet<NodeId>,
}

impl View {
    pub(crate) fn new(me: NodeId) -> Self {
        Self { me, membership: Membership::default(), term: Term(0), leader: None, connected: BTreeSet::new() }
    }

    pub(crate) const fn me(&self) -> NodeId {
        self.me
    }

    pub(crate) const fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    pub(crate) fn observe_leader(&mut self, term: Term, leader: Option<NodeId>) {
        if term >= self.term {
            self.term = term;
            self.leader = leader;
        }
    }

    pub(crate) fn set_membership(&mut self, membership: Membership) {
        self.membership = membership;
    }

    pub(crate) fn connect(&mut self, peer: NodeId) {
        if peer != self.me {
            self.connected.insert(peer);
        }
    }

    pub(crate) fn disconnect(&mut self, peer: NodeId) {
        self.connected.remove(&peer);
    }

    pub(crate) fn is_connected(&self, peer: NodeId) -> bool {
        self.connected.contains(&peer)
    }

    pub(crate) const fn connected(&self) -> &BTreeSet<NodeId> {
        &self.connected
    }

    /// Members that can be pushed to: the leader first, because no quorum does without it.
    pub(crate) fn targets(&self) -> Vec<NodeId> {
        let reachable = |node: &NodeId| *node != self.me && self.is_connected(*node);
        let leader = self.leader.filter(reachable);
        let others = self.membership.members().map(|(node, _)| node).filter(reachable);
        leader.into_iter().chain(others.filter(|node| Some(*node) != leader)).collect()
    }

    /// Every member once, voter of any active configuration or learner.
    pub(crate) fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.membership.members().map(|(node, _)| node)
    }

    /// Whether `holders` are a majority of every active configuration. Of an empty one nobody is.
    pub(crate) fn is_quorum(&self, holders: &BTreeSet<NodeId>) -> bool {
        let majority = |half: &mut dyn Iterator<Item = &NodeId>| {
            let (mut have, mut all) = (0_usize, 0_usize);
            for node in half {
                all += 1;
                have += usize::from(holders.contains(node));
            }
            have * 2 > all
        };
        majority(&mut self.membership.voters.keys())
            && (self.membership.outgoing.is_empty() || majority(&mut self.membership.outgoing.keys()))
    }

    /// Whether an entry whose payload `holders` have may be proposed: a commit quorum, the leader among it.
    pub(crate) fn may_propose(&self, holders: &BTreeSet<NodeId>) -> bool {
        self.leader.is_some_and(|leader| holders.contains(&leader)) && self.is_quorum(holders)
    }
}
