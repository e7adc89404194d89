//! What must hold of configurations: quorums that could decide at the same time meet.

use std::collections::BTreeSet;

use blockraft_types::{Membership, NodeId};

/// Whether those who `say` so are more than half of each half that has anybody.
pub(crate) fn is_quorum(membership: &Membership, says: impl Fn(NodeId) -> bool) -> bool {
    [&membership.voters, &membership.outgoing].into_iter().all(|half| {
        let yes = half.keys().filter(|node| says(**node)).count();
        half.is_empty() || half.len() < 2 * yes
    })
}

/// Whether every quorum of one configuration shares a node with every quorum of the other.
pub(crate) fn quorums_meet(one: &Membership, other: &Membership) -> bool {
    let voters = [one, other].into_iter().flat_map(|half| half.voters.keys().chain(half.outgoing.keys()));
    let nodes: Vec<NodeId> = voters.copied().collect::<BTreeSet<_>>().into_iter().collect();
    (0_u32..1 << nodes.len()).all(|mask| {
        let inside = |node: NodeId| nodes.iter().position(|other| *other == node).is_some_and(|at| mask >> at & 1 == 1);
        !(is_quorum(one, inside) && is_quorum(other, |node| !inside(node)))
    })
}
