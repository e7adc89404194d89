//! What can happen to a node.

use core::fmt;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// SIGKILL, and started again later.
    Kill,
    /// SIGTERM, and started again later.
    Stop,
    /// SIGSTOP, and SIGCONT later.
    Pause,
    /// Its disk loses what was not synced, it is killed, and started again later.
    PowerCut,
}

/// Whom it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Victim {
    /// Whoever leads then.
    Leader,
    /// The node at this place.
    Node(usize),
    /// Everybody.
    All,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::PowerCut => "power cut",
        })
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("the leader"),
            Self::Node(place) => write!(f, "node {}", place + 1),
            Self::All => f.write_str("all nodes"),
        }
    }
}
