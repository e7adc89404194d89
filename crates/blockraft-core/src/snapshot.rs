//! A snapshot as the core sees it: where it stands, and which configuration is in force there.
//!
//! The state itself never comes near the core. A leader that compacted what a follower lacks offers a snapshot; the
//! follower's driver gets it by its own means, makes it durable, and says so with
//! [`Input::InstallSnapshot`](crate::Input). Only then the core lets go of the log (Raft paper, section 7).

use blockraft_types::{LogIndex, Membership, NodeId};

use crate::log_point::LogPoint;

/// The state of the group at one point of its log, complete and durable at this member.
///
/// Whoever makes one vouches that `point` is committed: it is what some member had applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// The last entry that it covers.
    pub point: LogPoint,
    /// The configuration in force there.
    pub membership: Membership,
    /// The entry that brought it; zero if the group was born with it.
    pub membership_index: LogIndex,
}

/// A leader's offer of a snapshot, told with every heartbeat until the follower's log covers so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotOffer {
    /// The leader.
    pub from: NodeId,
    /// The least that the snapshot has to cover: what comes after it the leader can send.
    pub least: LogPoint,
}
