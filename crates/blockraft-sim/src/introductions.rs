//! What a life has been told of its past, what it remembers of others, and whether it takes part already.

use std::collections::BTreeSet;

use blockraft_exchange::Named;
use blockraft_node::recall::Recollection;
use blockraft_node::witness::Witness;
use blockraft_types::{Membership, NodeId};

/// What a life knows of others' memories, and they of its.
#[derive(Debug)]
pub(crate) struct Introductions {
    pub(crate) recollection: Recollection,
    pub(crate) witness: Witness,
    /// The configuration that this node goes by.
    pub(crate) members: Membership,
    pub(crate) course: Course,
}

/// Whether a life takes part already.
#[derive(Debug)]
pub(crate) enum Course {
    /// It asks, for so many ticks at most.
    Starting {
        ticks: u64,
        connected: BTreeSet<NodeId>,
        /// What its store has lost of what its log names.
        lost: Vec<Named>,
    },
    TakingPart,
}
