//! What a member is at the moment, for status and traces.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A member's role (Raft paper, figure 4; pre-candidate: thesis 9.6; learner: thesis 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// A member that is not counted.
    Learner,
    /// A voter that takes entries from a leader.
    Follower,
    /// A voter that asks whether it could win before it disturbs anybody.
    PreCandidate,
    /// A voter that asks for votes in a new term.
    Candidate,
    /// The one that orders entries in its term.
    Leader,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Learner => "learner",
            Self::Follower => "follower",
            Self::PreCandidate => "pre-candidate",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
        })
    }
}
