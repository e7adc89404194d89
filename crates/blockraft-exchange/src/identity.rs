//! Which node this is, and in which of its lives.

use blockraft_types::{BootNonce, Incarnation, NodeId};

/// Who a node is, in this life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// This start of it.
    pub boot: BootNonce,
}
