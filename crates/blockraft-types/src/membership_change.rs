//! What may be asked of a group's configuration, and why it may be refused.

use alloc::collections::BTreeSet;
use alloc::string::String;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::{Incarnation, NodeId};
use crate::membership::MEMBERS_MAX;
use crate::position::LogIndex;

/// A change of a group's configuration (Raft paper, section 6; thesis, chapter 4).
///
/// Each is safe to repeat: what is so already is answered as such and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MembershipChange {
    /// Takes in a node as a learner: it gets the log and isn't counted.
    AddLearner {
        /// Its id, which nobody ever had: see [`Membership::next_id`](crate::Membership::next_id).
        node: NodeId,
        /// Its data directory.
        incarnation: Incarnation,
        /// Where it is reached, unless its peers know already. At most
        /// [`ADDRESS_BYTES_MAX`](crate::membership::ADDRESS_BYTES_MAX) bytes.
        address: Option<String>,
    },
    /// Makes learners voters and lets members go, all in one step: both together replace one by another.
    Reconfigure {
        /// Learners that become voters. Each must have caught up.
        promote: BTreeSet<NodeId>,
        /// Members that go, voters or learners. Their ids are never given again.
        remove: BTreeSet<NodeId>,
    },
    /// Gives up the change that is under way, if it isn't committed yet.
    Revert,
}

/// Why a change was not begun. Nothing was appended: it is safe to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Error)]
#[non_exhaustive]
pub enum ChangeRefusal {
    /// Ask the leader, if one is known.
    #[error("this member does not lead")]
    NotLeader {
        /// Who leads, as far as this member knows.
        leader: Option<NodeId>,
    },
    /// Leadership is being handed over; ask again, there or here.
    #[error("leadership is being handed over to node {to}")]
    Transferring {
        /// Who shall lead.
        to: NodeId,
    },
    /// The leader hasn't committed an entry of its term yet and can't know which configuration is in force elsewhere.
    #[error("the leader has not committed an entry of its term yet")]
    TermNotSettled,
    /// Another change is under way; there is one at a time.
    #[error("another change, begun at entry {index}, is under way")]
    InProgress {
        /// The newest entry of that change.
        index: LogIndex,
    },
    /// The id is a member under another incarnation.
    #[error("node {node} is a member with another incarnation")]
    OtherIncarnation {
        /// The id.
        node: NodeId,
    },
    /// The id, or a higher one, was given before. Ids are never given twice.
    #[error("node id {node} can't be given any more; the next one is {next}")]
    IdUsed {
        /// The id.
        node: NodeId,
        /// The lowest that is free.
        next: NodeId,
    },
    /// The address is too long.
    #[error("the address of node {node} is too long")]
    AddressTooLong {
        /// Whose.
        node: NodeId,
    },
    /// Nobody of that id is or was a member.
    #[error("node {node} is not a member")]
    NotAMember {
        /// The id.
        node: NodeId,
    },
    /// One node can't both come and go.
    #[error("node {node} is both to be promoted and to be removed")]
    Contradiction {
        /// The id.
        node: NodeId,
    },
    /// A learner lacks entries, or the payloads of some: counting it would leave the group with too few copies.
    #[error("node {node} has the log up to entry {match_index} and needs it up to {needed}")]
    NotCaughtUp {
        /// The learner.
        node: NodeId,
        /// What it holds, payloads included.
        match_index: LogIndex,
        /// What it must hold.
        needed: LogIndex,
    },
    /// Nobody would be left to vote.
    #[error("no voter would be left")]
    NoVoters,
    /// The group is as large as it may be.
    #[error("a group has at most {MEMBERS_MAX} members")]
    TooManyMembers,
    /// Of the voters before or after the change, no majority answers now: the change could not be finished.
    #[error("a majority of the voters before or after the change does not answer now")]
    QuorumSilent,
    /// No change is under way that could be given up.
    #[error("no change is under way that could be given up")]
    NothingToRevert,
}
