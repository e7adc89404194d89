//! Nodes by their places in a world: their ids, their data directories, and the members that a group is born with.

use blockraft_types::{Incarnation, Membership, NodeId};

/// The id of the node at a place.
pub(crate) const fn node_at(place: usize) -> NodeId {
    NodeId(place as u64 + 1)
}

/// Where a node is.
pub(crate) const fn place_of(node: NodeId) -> usize {
    (node.0 as usize).saturating_sub(1)
}

/// The data directory of the node at a place.
pub(crate) fn incarnation(place: usize) -> Incarnation {
    Incarnation::from_bytes([place as u8 + 1; 16])
}

/// The members that a group of `nodes` is born with.
pub(crate) fn genesis(nodes: usize) -> Membership {
    Membership::of_voters((0..nodes).map(|place| (node_at(place), incarnation(place))))
}
