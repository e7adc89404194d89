//! What a member must remember across a restart besides its log.

use serde::{Deserialize, Serialize};

use crate::id::NodeId;
use crate::position::Term;

/// The persistent state of the Raft paper's figure 2, without the log: durable before any answer that rests on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this member has seen; it only grows.
    pub term: Term,
    /// The candidate that got this member's vote in `term`; cleared only when the term grows.
    pub voted_for: Option<NodeId>,
}
