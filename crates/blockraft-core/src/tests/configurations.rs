//! What every run must keep true of configurations, kept outside of the members.

use std::collections::BTreeSet;
use std::vec::Vec;

use blockraft_types::{LogIndex, Membership, NodeId};

#[derive(Debug)]
pub(super) struct Configurations {
    /// The newest one that is committed, and the entry that brought it.
    committed: (LogIndex, Membership),
    /// Who was removed by a committed one.
    gone: BTreeSet<NodeId>,
}

/// The step from one configuration of a log to the next one, as its leader took it.
pub(super) struct Step<'a> {
    pub(super) before: &'a Membership,
    pub(super) before_is_committed: bool,
    /// Whether the same leader appended it, in the same term.
    pub(super) before_is_own: bool,
    pub(super) own_term_committed: bool,
}

impl Configurations {
    pub(super) const fn born(membership: Membership) -> Self {
        Self { committed: (LogIndex::ZERO, membership), gone: BTreeSet::new() }
    }

    pub(super) const fn committed(&self) -> (LogIndex, &Membership) {
        (self.committed.0, &self.committed.1)
    }

    pub(super) fn commit(&mut self, index: LogIndex, membership: &Membership) {
        if self.committed.0 < index {
            let before = self.committed.1.members().map(|(node, _)| node);
            self.gone.extend(before.filter(|node| membership.incarnation(*node).is_none()));
            self.committed = (index, membership.clone());
        }
    }

    /// A member was elected under `own`: nobody can have been, or can commit anything, without meeting its quorum.
    pub(super) fn judge_election(&self, id: NodeId, own: &Membership) {
        let (_, committed) = self.committed();
        assert!(
            quorums_meet(own, committed),
            "{id:?} leads under {own:?}, whose quorums can miss those of {committed:?}"
        );
    }

    /// The rules of configuration change (Raft paper, section 6), read off two configurations.
    pub(super) fn judge_step(&self, id: NodeId, step: &Step<'_>, next: &Membership) {
        let before = step.before;
        assert!(quorums_meet(before, next), "{id:?} went from {before:?} to {next:?}, whose quorums need not meet");
        let comes = next.members().map(|(node, _)| node).find(|node| self.gone.contains(node));
        assert_eq!(comes, None, "{id:?} gave a removed id again");
        if !before.is_joint() {
            let in_place = next.voters == before.voters || next.outgoing == before.voters;
            assert!(in_place, "{id:?} changed voters without a joint configuration");
            assert!(step.before_is_committed, "{id:?} began a change while another one was under way");
            assert!(step.own_term_committed, "{id:?} began a change before it had committed an entry of its term");
            return;
        }
        assert!(!next.is_joint(), "{id:?} went from one joint configuration to another");
        if next.voters == before.voters {
            let settled = step.before_is_committed && step.own_term_committed;
            return assert!(settled, "{id:?} left a joint configuration before it was committed");
        }
        assert_eq!(next.voters, before.outgoing, "a joint configuration is left towards one of its halves");
        // That it isn't committed can't be seen here: by the time that the batch is handed out it may be, under the old
        // voters alone, which are in force again.
        assert!(step.before_is_own, "{id:?} gave up a change that may have been finished elsewhere");
    }
}

/// The naive rule: more than half of each half that has anybody.
pub(super) fn is_quorum(membership: &Membership, says: impl Fn(NodeId) -> bool) -> bool {
    [&membership.voters, &membership.outgoing].into_iter().all(|half| {
        let yes = half.keys().filter(|node| says(**node)).count();
        half.is_empty() || half.len() < 2 * yes
    })
}

/// Whether every quorum of one configuration shares a node with every quorum of the other.
fn quorums_meet(one: &Membership, other: &Membership) -> bool {
    let nodes: BTreeSet<NodeId> =
        [one, other].into_iter().flat_map(|m| m.voters.keys().chain(m.outgoing.keys())).copied().collect();
    let nodes: Vec<NodeId> = nodes.into_iter().collect();
    (0_u32..1 << nodes.len()).all(|mask| {
        let inside = |node: NodeId| nodes.iter().position(|other| *other == node).is_some_and(|at| mask >> at & 1 == 1);
        !(is_quorum(one, inside) && is_quorum(other, |node| !inside(node)))
    })
}
