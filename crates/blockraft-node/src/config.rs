//! What a node is told before it starts: who it is, whom it was born with, and its bounds.

use core::time::Duration;

use blockraft_blocks::BlockLimits;
use blockraft_driver::DriverConfig;
use blockraft_types::{BootNonce, ClusterId, GroupId, Incarnation, Membership, NodeId};

use crate::witness::Witness;

/// Who a node is, in this life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The cluster it belongs to.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// This start of the process: drawn at random, never reused.
    pub boot: BootNonce,
}

/// The settings of a [`Node`](crate::Node).
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Who the node is.
    pub identity: Identity,
    /// Its group; every member of the group names the same one.
    pub group: GroupId,
    /// The members that the group was born with, the same on every node for ever.
    pub genesis: Membership,
    /// Whether this node is one of them.
    pub origin: Origin,
    /// Seeds the election timeouts. Give every node and every start another one.
    pub seed: u64,
    /// Consensus and its loop.
    pub driver: DriverConfig,
    /// Bounds of the data plane; `None` takes the defaults for the driver's tick.
    pub exchange: Option<blockraft_exchange::Config>,
    /// Bounds of requests.
    pub limits: NodeLimits,
    /// What the last life of this node remembered of the others: what [`Node::witness`](crate::Node::witness) said last.
    pub witness: Witness,
}

/// How a node came to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The group was born with it.
    Founder,
    /// It joins, or joined, a group that was there before: it is counted once the group's log says so.
    Joiner,
}

/// Bounds of what clients may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// The longest block that is taken in. Binds where a block comes in, never where members pass it on.
    pub blocks: BlockLimits,
    /// Blocks up to this many bytes ride inside the log entry: one sync instead of two. Default 4 KiB, at
    /// most 64 KiB: more counts as that.
    pub inline_bytes_max: u32,
    /// Bytes of blocks being put through this node at once; further puts wait. Default 48 MiB.
    pub put_bytes_max: u32,
    /// Blocks being put or deleted through this node at once; further ones wait. Default 2,048.
    pub puts_max: usize,
    /// How long a request tries before it says so. Default 10 s.
    pub request_timeout: Duration,
    /// How long an import that nobody keeps stays open, and so keeps everybody from collecting. Default 10 minutes. Nodes
    /// that differ in it are at odds: the leader's counts, and each keeps its imports by its own.
    pub import_lease: Duration,
}

impl NodeConfig {
    /// The defaults for a member of a group that was born with `genesis`.
    #[must_use]
    pub fn new(identity: Identity, genesis: Membership) -> Self {
        Self {
            identity,
            group: GroupId(0),
            genesis,
            origin: Origin::Founder,
            seed: seed(identity.node, identity.boot),
            driver: DriverConfig::default(),
            exchange: None,
            limits: NodeLimits::default(),
            witness: Witness::default(),
        }
    }
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self {
            blocks: BlockLimits::default(),
            inline_bytes_max: 4 << 10,
            put_bytes_max: 48 << 20,
            puts_max: 2_048,
            request_timeout: Duration::from_secs(10),
            import_lease: Duration::from_secs(600),
        }
    }
}

/// Another one for every node and every start. Nodes with one seed draw the same election timeouts, campaign at the same
/// moments and split every vote, so the id is mixed in such that no plain pattern of boot nonces undoes it.
const fn seed(node: NodeId, boot: BootNonce) -> u64 {
    // The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    let mut mixed = node.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    boot.0 ^ mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
