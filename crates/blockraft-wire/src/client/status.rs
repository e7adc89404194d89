//! How a node is doing, as it sees itself.

use core::net::SocketAddr;

use blockraft_types::{ClusterId, GroupId, Incarnation, LogIndex, LostTail, NodeId, Position, Role, Term};
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::client::limits::{RELEASE_BYTES_MAX, STATUS_ROWS_MAX};

/// How a node is doing. Its own view: two nodes may disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// The release that it runs, at most [`RELEASE_BYTES_MAX`] bytes.
    #[serde(deserialize_with = "bounded::text::<_, RELEASE_BYTES_MAX>")]
    pub release: String,
    /// Since when it runs, in milliseconds.
    pub uptime_ms: u64,
    /// Its groups, at most [`STATUS_ROWS_MAX`].
    #[serde(deserialize_with = "bounded::vec::<_, _, STATUS_ROWS_MAX>")]
    pub groups: Vec<GroupStatus>,
}

/// How a node's member of one group is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// The member's role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// The first entry that its log still holds.
    pub log_first: LogIndex,
    /// The last entry of its log.
    pub log_last: Position,
    /// What its log lost at its end and doesn't hold again: until then it gives no vote.
    pub lost_tail: Option<LostTail>,
    /// The last entry known to be committed.
    pub commit_index: LogIndex,
    /// The last entry that was applied.
    pub last_applied: Position,
    /// How many blocks are visible there.
    pub blocks: u64,
    /// Their lengths together, in bytes.
    pub block_bytes: u64,
    /// Whether a voter may fail without the others having to wait for one that is far behind; known to leaders alone.
    pub reserve: Option<Reserve>,
    /// The members, this one included, at most [`STATUS_ROWS_MAX`].
    #[serde(deserialize_with = "bounded::vec::<_, _, STATUS_ROWS_MAX>")]
    pub members: Vec<MemberStatus>,
}

/// What a node knows of one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// The member.
    pub node: NodeId,
    /// Whether it is counted.
    pub kind: MemberKind,
    /// Whether this node reaches it.
    pub connection: Connection,
    /// Its address for clients, if known.
    pub address: Option<SocketAddr>,
    /// Up to where its log is known to agree with the leader's; known to leaders alone.
    pub match_index: Option<LogIndex>,
    /// How many bytes of blocks it lacks at most, a second or so ago; known to leaders alone. For one that is behind the
    /// start of the leader's log these are the bytes of all blocks, although it may have most of them.
    pub payload_lag_bytes: Option<u64>,
}

/// Whether one voter more than a majority is close to the end of the leader's log, in every configuration in force. If not,
/// and one that is close fails, nothing is written until another one has copied what it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reserve {
    /// There are no more than two voters.
    Impossible,
    /// It is so.
    Enough,
    /// It isn't.
    Short {
        /// The voters that are not close, at most [`STATUS_ROWS_MAX`].
        #[serde(deserialize_with = "bounded::vec::<_, _, STATUS_ROWS_MAX>")]
        far: Vec<NodeId>,
    },
}

/// Whether a member is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MemberKind {
    /// It votes and is counted.
    Voter,
    /// It receives the log and is not counted.
    Learner,
    /// It becomes a voter with the change that is under way, and is counted already.
    Joining,
    /// It goes with the change that is under way, and is counted still.
    Leaving,
}

/// Whether a node reaches a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Connection {
    /// It is the node itself.
    Itself,
    /// It is connected.
    Up,
    /// It is not.
    Down,
}
