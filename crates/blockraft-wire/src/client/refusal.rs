//! Why a node did not do what a client asked, sorted by what the client can do about it.

use core::fmt;
use core::net::SocketAddr;

use blockraft_types::NodeId;
use serde::{Deserialize, Serialize};

/// The answer of a node that did not do it, or can't say whether it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// Nothing was done. Another node may do it now.
    RetryElsewhere {
        /// Why this one doesn't.
        reason: RetryElsewhereReason,
        /// Who leads, as far as this node knows.
        leader: Option<LeaderHint>,
    },
    /// Nothing was done. The same question may pass a little later, here or elsewhere.
    RetryLater {
        /// Why not now.
        reason: RetryLaterReason,
    },
    /// It may have been done, or be done yet. In a session, asking again tells. Otherwise that is the client's decision: a
    /// put that lands twice is harmless unless somebody deleted the block in between.
    OutcomeUnknown,
    /// Nothing was done, and the same question will never pass.
    GiveUp {
        /// Why.
        reason: GiveUpReason,
    },
}

/// The leader, and where clients reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaderHint {
    /// The leader.
    pub node: NodeId,
    /// Its address for clients, if known.
    pub address: Option<SocketAddr>,
}

/// Why another node may do what this one doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RetryElsewhereReason {
    /// This node reaches no leader.
    NoLeader,
    /// No quorum confirmed in time what this node asked.
    NoQuorum,
    /// This node is too far behind to answer in time.
    Behind,
    /// This node is stopping.
    Stopping,
    /// This node's copy of a block is damaged or still on its way.
    Unreadable,
}

/// Why the same question may pass a little later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RetryLaterReason {
    /// Too much is under way.
    Overloaded,
    /// The cluster is between two leaders.
    NoLeader,
    /// There is no room on a disk that it needs.
    DiskFull,
    /// Not enough members have made the block durable yet.
    NotEnoughCopies,
}

/// Why the same question will never pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GiveUpReason {
    /// The bytes of a block do not hash to its name.
    HashMismatch {
        /// Which block of the request, counted from 0.
        number: u32,
    },
    /// A block is longer than this cluster takes.
    BlockTooLong {
        /// Which block of the request, counted from 0.
        number: u32,
        /// Its length in bytes.
        bytes: u64,
        /// The longest that is taken.
        bytes_max: u64,
    },
    /// The request could not be read.
    Malformed,
    /// The request is of a version that this node does not read.
    Version {
        /// The version that it reads.
        supported: u8,
    },
    /// The client may not ask this.
    Forbidden,
    /// The session has expired. An earlier question with the same turn whose answer was lost may have been done.
    SessionExpired,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RetryElsewhere { reason, leader: None } => write!(f, "{reason}, another node may do it"),
            Self::RetryElsewhere { reason, leader: Some(leader) } => {
                write!(f, "{reason}, another node may do it: node {} leads", leader.node)
            }
            Self::RetryLater { reason } => write!(f, "{reason}, it may be done later"),
            Self::OutcomeUnknown => f.write_str("the outcome is unknown: it may have been done, or be done yet"),
            Self::GiveUp { reason } => write!(f, "{reason}"),
        }
    }
}

impl fmt::Display for RetryElsewhereReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLeader => "the node reaches no leader",
            Self::NoQuorum => "no quorum confirmed in time",
            Self::Behind => "the node is too far behind",
            Self::Stopping => "the node is stopping",
            Self::Unreadable => "the node's copy of the block can't be read",
        })
    }
}

impl fmt::Display for RetryLaterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overloaded => "too much is under way",
            Self::NoLeader => "the cluster has no leader at the moment",
            Self::DiskFull => "a disk is full",
            Self::NotEnoughCopies => "not enough members have made the block durable",
        })
    }
}

impl fmt::Display for GiveUpReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HashMismatch { number } => write!(f, "the bytes of block {number} do not hash to its name"),
            Self::BlockTooLong { number, bytes, bytes_max } => {
                write!(f, "block {number} of {bytes} bytes is over the limit of {bytes_max}")
            }
            Self::Malformed => f.write_str("the request could not be read"),
            Self::Version { supported } => {
                write!(f, "the request's version is not supported, only version {supported} is")
            }
            Self::Forbidden => f.write_str("the client may not ask this"),
            Self::SessionExpired => f.write_str("the session has expired"),
        }
    }
}
