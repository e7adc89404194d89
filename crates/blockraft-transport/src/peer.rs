//! Who is at the other end of a connection, as the transport has proved it.

use blockraft_types::{BootNonce, Incarnation, NodeId};

/// An authenticated peer: which member, which of its data directories, which of its starts.
///
/// Two connections of one node with unequal `boot` are two lives of a process: what the first one said proves nothing
/// about what the second one remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Peer {
    /// The member's id.
    pub node: NodeId,
    /// The data directory it runs on.
    pub incarnation: Incarnation,
    /// The start of its process.
    pub boot: BootNonce,
}
