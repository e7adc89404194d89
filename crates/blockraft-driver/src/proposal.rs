//! What becomes of a proposal, in words that say whether it may be repeated.

use blockraft_core::ready::ProposalRefusal;
use blockraft_types::{NodeId, Position, Term};
use thiserror::Error;

use crate::gate::GateRefusal;

/// A proposal that is committed and applied here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<O> {
    /// Its place in the log.
    pub position: Position,
    /// What the state machine made of it.
    pub output: O,
}

/// Why a proposal isn't known to be committed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProposeError {
    /// It is not in the log and never will be: repeat it freely, at `leader` if one is named.
    #[error("not proposed: {reason}")]
    NotProposed {
        /// Why.
        reason: NotProposed,
        /// Who leads, as far as this member knows.
        leader: Option<NodeId>,
    },
    /// It may be committed, now or later, or never. Repeating it may do it twice.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// Why.
        reason: Unknown,
    },
    /// The driver had stopped before the proposal entered the log: it never will.
    #[error("the driver has stopped; nothing was proposed")]
    Stopped,
}

/// Why a proposal isn't in the log and never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotProposed {
    /// This member doesn't lead.
    #[error("this member does not lead")]
    NotLeader,
    /// It was meant for another term than the one that this member is in.
    #[error("this is term {term}, which it wasn't meant for")]
    OtherTerm {
        /// The term that this member is in.
        term: Term,
    },
    /// Leadership is being handed over to this member.
    #[error("leadership is being handed over to node {to}")]
    Transferring {
        /// Who shall lead.
        to: NodeId,
    },
    /// Too much is waiting or uncommitted. Repeat it later.
    #[error("too much is uncommitted")]
    Full,
    /// It is larger than this driver takes. It never will be taken.
    #[error("the body of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The gate refused it.
    #[error("the gate refused it")]
    Gate(#[source] GateRefusal),
    /// It was in the log of a leader that lost its place before the proposal was committed, and another entry has
    /// taken its place for good.
    #[error("another leader's entry took its place")]
    Overwritten,
    /// This member is shutting down.
    #[error("this member is shutting down")]
    ShuttingDown,
}

impl NotProposed {
    pub(crate) fn by_core(reason: ProposalRefusal) -> Self {
        match reason {
            ProposalRefusal::NotLeader { .. } => Self::NotLeader,
            ProposalRefusal::Transferring { to } => Self::Transferring { to },
            ProposalRefusal::Full => Self::Full,
            _ => Self::Gate(GateRefusal::Never("the core refused it")),
        }
    }
}

/// Why nobody here knows what became of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unknown {
    /// This member lost its leadership, and neither this entry nor another in its place was applied here within the
    /// bound, or a snapshot brought what either of them did.
    #[error("leadership was lost and the entry's fate is open")]
    LeadershipLost,
    /// The driver stopped while the entry's fate was open.
    #[error("the driver stopped while the entry's fate was open")]
    Stopped,
}
