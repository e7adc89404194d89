//! Questions between nodes that are not consensus: commands and changes of members for the leader, read indexes, and how far
//! a node had come before it started.
//!
//! Every question carries a [`RemoteTicket`], and its answer carries it back: a late answer to a question of the last
//! boot finds no asker. A forward names the leader's term and is refused in any other, so one that was delayed on its
//! way can't be proposed after its sender gave it up and the world moved on. Commands and outcomes are the state
//! machine's own bytes; the wire does not look into them.

use blockraft_types::{ChangeRefusal, GroupId, LogIndex, MembershipChange, NodeId, Position, RemoteTicket, Term};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::change::WireChange;
use crate::frame::{self, DecodeError, EncodeError};
use crate::kind::Kind;

/// Any question or answer between two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeMessage {
    /// Propose these commands.
    Forward(Forward),
    /// What became of them.
    ForwardReply(ForwardReply),
    /// From which index on is a read up to date?
    ReadIndex(ReadIndex),
    /// From this one on.
    ReadIndexReply(ReadIndexReply),
    /// Change the members.
    ChangeMembers(ChangeMembers),
    /// What became of that.
    ChangeMembersReply(ChangeMembersReply),
    /// How far had I come, as far as you have seen?
    Recall(Recall),
    /// So far.
    RecallReply(RecallReply),
}

/// Commands for the leader of one term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The group whose leader is meant.
    pub group: GroupId,
    /// Who asks.
    pub ticket: RemoteTicket,
    /// The term whose leader is meant: in another term the answer is [`NotProposed::OtherTerm`].
    pub term: Term,
    /// An encoded batch of commands.
    pub commands: Bytes,
}

/// The answer to a [`Forward`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardReply {
    /// The group that was asked.
    pub group: GroupId,
    /// Which question it answers.
    pub ticket: RemoteTicket,
    /// What became of the commands.
    pub result: ForwardResult,
}

/// What became of forwarded commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardResult {
    /// They are committed and applied at the answering node.
    Committed {
        /// Where they stand in the log.
        position: Position,
        /// An encoded list of outcomes, one for each command.
        outcomes: Bytes,
    },
    /// They are not in any log and never will be through this forward: the asker may try again.
    NotProposed {
        /// Why.
        reason: NotProposed,
        /// Who leads, as far as the answering node knows.
        leader: Option<NodeId>,
    },
    /// They were proposed, and the answering node lost sight of them: they may be committed, now or later.
    Unknown,
}

/// Why commands were not proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NotProposed {
    /// The node asked does not lead.
    NotLeader,
    /// It leads, in another term than the forward names.
    OtherTerm {
        /// The term in which it leads.
        term: Term,
    },
    /// It is handing leadership over.
    Transferring,
    /// Its queue of proposals is full.
    Overloaded,
    /// Its disk has no room for more.
    DiskFull,
    /// It is stopping.
    Stopping,
    /// The commands could not be read, or are more than a batch may hold. The same bytes will never pass.
    Invalid,
}

/// A question for a read index (thesis 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReadIndex {
    /// The group to be read.
    pub group: GroupId,
    /// Who asks.
    pub ticket: RemoteTicket,
}

/// The answer to a [`ReadIndex`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReadIndexReply {
    /// The group that was asked.
    pub group: GroupId,
    /// Which question it answers.
    pub ticket: RemoteTicket,
    /// The answer.
    pub result: ReadIndexResult,
}

/// What a leader says to a question for a read index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReadIndexResult {
    /// A replica that has applied this position answers as of the question or later.
    Index {
        /// The leader's commit index when the question came, in the term in which a quorum confirmed it.
        position: Position,
    },
    /// No quorum confirmed in time that the node asked still leads.
    NoQuorum,
    /// The node asked does not lead.
    NotLeader {
        /// Who leads, as far as it knows.
        leader: Option<NodeId>,
    },
    /// It has more unanswered questions than it keeps.
    Overloaded,
}

/// A change of members for the leader. Each is safe to repeat, so none names a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeMembers {
    /// The group whose leader is meant.
    pub group: GroupId,
    /// Who asks.
    pub ticket: RemoteTicket,
    /// What is asked for.
    pub change: MembershipChange,
}

/// The answer to [`ChangeMembers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChangeMembersReply {
    /// The group that was asked.
    pub group: GroupId,
    /// Which question it answers.
    pub ticket: RemoteTicket,
    /// The answer.
    pub result: ChangeMembersResult,
}

/// What a leader says to a change of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChangeMembersResult {
    /// The members are as asked, and that is committed.
    AlreadySo,
    /// The change is in the log. It may be finished or given up still: ask again.
    Begun {
        /// Where its first entry stands.
        position: Position,
    },
    /// Nothing was begun.
    Refused(ChangeRefusal),
    /// The node asked is stopping, or was lost: nobody knows. Ask again.
    Unknown,
}

/// What a node asks each other one before it says anything of consensus to it: it may be a copy of itself, or its disk may
/// have gone back in time. The ticket tells its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recall {
    /// The group that is meant.
    pub group: GroupId,
    /// Who asks.
    pub ticket: RemoteTicket,
}

/// The answer to [`Recall`]: what the asker was seen to have made durable in earlier lives. Zeros where nothing was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RecallReply {
    /// The group that was asked.
    pub group: GroupId,
    /// Which question it answers.
    pub ticket: RemoteTicket,
    /// The highest term that it named.
    pub term: Term,
    /// Whom it voted for in that term, if that was seen.
    pub voted_for: Option<NodeId>,
    /// The last entry that it acknowledged in that term.
    pub index: LogIndex,
}

/// Writes one frame.
///
/// # Errors
/// A frame beyond [`CONTROL_FRAME_BYTES_MAX`](crate::kind::CONTROL_FRAME_BYTES_MAX).
pub fn encode(message: &NodeMessage) -> Result<Bytes, EncodeError> {
    let (header, body) = WireNodeMessage::split(message);
    frame::encode(Kind::Node, &header, Vec::from_iter(body)).map(frame::Frame::into_contiguous)
}

/// Reads one frame. Commands and outcomes are slices of it.
///
/// # Errors
/// The bytes are not exactly one frame of this kind in the supported version.
pub fn decode(frame: Bytes) -> Result<NodeMessage, DecodeError> {
    let (header, body) = frame::decode::<WireNodeMessage>(Kind::Node, frame)?;
    header.join(body)
}

/// A message as it stands in the header, without the bytes that travel behind it.
///
/// The order of the variants is the wire's: it changes only with the version.
#[derive(Serialize, Deserialize)]
enum WireNodeMessage {
    Forward { group: GroupId, ticket: RemoteTicket, term: Term },
    ForwardReply { group: GroupId, ticket: RemoteTicket, result: WireForwardResult },
    ReadIndex(ReadIndex),
    ReadIndexReply(ReadIndexReply),
    ChangeMembers { group: GroupId, ticket: RemoteTicket, change: WireChange },
    ChangeMembersReply(ChangeMembersReply),
    Recall(Recall),
    RecallReply(RecallReply),
}

#[derive(Serialize, Deserialize)]
enum WireForwardResult {
    Committed { position: Position },
    NotProposed { reason: NotProposed, leader: Option<NodeId> },
    Unknown,
}

impl WireNodeMessage {
    fn split(message: &NodeMessage) -> (Self, Option<Bytes>) {
        match message {
            NodeMessage::Forward(Forward { group, ticket, term, commands }) => {
                (Self::Forward { group: *group, ticket: *ticket, term: *term }, Some(commands.clone()))
            }
            NodeMessage::ForwardReply(ForwardReply { group, ticket, result }) => {
                let (result, body) = match result {
                    ForwardResult::Committed { position, outcomes } => {
                        (WireForwardResult::Committed { position: *position }, Some(outcomes.clone()))
                    }
                    ForwardResult::NotProposed { reason, leader } => {
                        (WireForwardResult::NotProposed { reason: *reason, leader: *leader }, None)
                    }
                    ForwardResult::Unknown => (WireForwardResult::Unknown, None),
                };
                (Self::ForwardReply { group: *group, ticket: *ticket, result }, body)
            }
            NodeMessage::ReadIndex(message) => (Self::ReadIndex(*message), None),
            NodeMessage::ReadIndexReply(message) => (Self::ReadIndexReply(*message), None),
            NodeMessage::ChangeMembers(ChangeMembers { group, ticket, change }) => {
                let change = WireChange::of(change);
                (Self::ChangeMembers { group: *group, ticket: *ticket, change }, None)
            }
            NodeMessage::ChangeMembersReply(message) => (Self::ChangeMembersReply(*message), None),
            NodeMessage::Recall(message) => (Self::Recall(*message), None),
            NodeMessage::RecallReply(message) => (Self::RecallReply(*message), None),
        }
    }

    fn join(self, body: Bytes) -> Result<NodeMessage, DecodeError> {
        let message = match self {
            Self::Forward { group, ticket, term } => {
                return Ok(NodeMessage::Forward(Forward { group, ticket, term, commands: body }));
            }
            Self::ForwardReply { group, ticket, result: WireForwardResult::Committed { position } } => {
                let result = ForwardResult::Committed { position, outcomes: body };
                return Ok(NodeMessage::ForwardReply(ForwardReply { group, ticket, result }));
            }
            Self::ForwardReply { group, ticket, result: WireForwardResult::NotProposed { reason, leader } } => {
                let result = ForwardResult::NotProposed { reason, leader };
                NodeMessage::ForwardReply(ForwardReply { group, ticket, result })
            }
            Self::ForwardReply { group, ticket, result: WireForwardResult::Unknown } => {
                NodeMessage::ForwardReply(ForwardReply { group, ticket, result: ForwardResult::Unknown })
            }
            Self::ReadIndex(message) => NodeMessage::ReadIndex(message),
            Self::ReadIndexReply(message) => NodeMessage::ReadIndexReply(message),
            Self::ChangeMembers { group, ticket, change } => {
                NodeMessage::ChangeMembers(ChangeMembers { group, ticket, change: change.change() })
            }
            Self::ChangeMembersReply(message) => NodeMessage::ChangeMembersReply(message),
            Self::Recall(message) => NodeMessage::Recall(message),
            Self::RecallReply(message) => NodeMessage::RecallReply(message),
        };
        if body.is_empty() { Ok(message) } else { Err(DecodeError::Bodies { kind: Kind::Node }) }
    }
}
