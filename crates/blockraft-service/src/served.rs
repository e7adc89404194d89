//! What is served: a node, and what a service tells about it.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use blockraft_node::Node;
use blockraft_types::NodeId;

/// A node and what it can't tell of itself.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) node: Node,
    pub(crate) about: Arc<About>,
}

/// What a service tells about its node besides what the node knows.
#[derive(Clone, Debug)]
pub struct About {
    /// The release that runs.
    pub release: String,
    /// When the process started.
    pub started: Instant,
    /// Where clients reach those whom no configuration says it of: the members that the cluster was born with.
    pub addresses: BTreeMap<NodeId, SocketAddr>,
}

impl Served {
    /// Where clients reach `node`: as its configuration says, or as this process was told.
    pub(crate) fn address_of(&self, node: NodeId) -> Option<SocketAddr> {
        let memberships = self.node.memberships();
        let named = memberships.borrow().membership.addresses.get(&node).and_then(|address| address.parse().ok());
        named.or_else(|| self.about.addresses.get(&node).copied())
    }
}
