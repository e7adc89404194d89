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
    /// Where clients reach each member, this node included.
    pub addresses: BTreeMap<NodeId, SocketAddr>,
}
