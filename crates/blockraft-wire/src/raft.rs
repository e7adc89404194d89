//! Consensus messages on the wire: many of them per frame, of one or of many groups.
//!
//! The heads of AppendEntries stand in the postcard header, each right behind its message; the bodies follow raw, in
//! the order of their heads, and come out as slices of the frame. Whether a body matches its head's *digest* is for
//! the receiver to check: the wire compares lengths.

use blockraft_types::entry::EntryHead;
use blockraft_types::kind::EntryKind;
use blockraft_types::message::{
    AppendEntries, AppendEntriesReply, Heartbeat, HeartbeatReply, InstallSnapshot, InstallSnapshotReply, RequestVote,
    RequestVoteReply, StreamEpoch, TimeoutNow,
};
use blockraft_types::{ChainDigest, GroupId, LogIndex, Membership, Message, Position, Term};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::frame::{self, DecodeError, EncodeError};
use crate::header::{BodyReader, HeaderReader};
use crate::kind::Kind;

/// One message of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftMessage {
    /// Whose message it is.
    pub group: GroupId,
    /// What is said.
    pub message: Message,
    /// The bodies of the entries, one for each head of an AppendEntries and empty where the entry has none; no
    /// bodies at all for every other message.
    pub bodies: Vec<Bytes>,
}

impl RaftMessage {
    /// A message without entries.
    #[must_use]
    pub const fn bare(group: GroupId, message: Message) -> Self {
        Self { group, message, bodies: Vec::new() }
    }
}

/// Writes one frame.
///
/// # Errors
/// Bodies that don't fit their heads, more than [`MESSAGES_MAX`] messages or [`HEADS_MAX`] heads, a frame beyond
/// [`CONTROL_FRAME_BYTES_MAX`](crate::kind::CONTROL_FRAME_BYTES_MAX), or one that no reader would take: about 90 small
/// memberships behind each other are. Whatever was written can be read.
pub fn encode(messages: &[RaftMessage]) -> Result<Bytes, EncodeError> {
    let serialise = |source| EncodeError::Header { kind: Kind::Raft, source };
    frame::at_most("messages", messages.len(), MESSAGES_MAX)?;
    frame::at_most("heads", messages.iter().map(|message| heads_of(&message.message).len()).sum(), HEADS_MAX)?;
    let mut header = frame::header_writer().put(&(messages.len() as u32)).map_err(serialise)?;
    let mut bodies = Vec::new();
    for RaftMessage { group, message, bodies: own } in messages {
        let heads = heads_of(message);
        let fit = heads.len() == own.len()
            && heads.iter().zip(own).all(|(head, body)| body.len() as u64 == u64::from(head.body_bytes));
        if !fit {
            return Err(EncodeError::Bodies { kind: Kind::Raft });
        }
        header = header.put(group).map_err(serialise)?.put(&WireMessage::of(message)).map_err(serialise)?;
        for head in heads {
            header = header.put(head).map_err(serialise)?;
        }
        bodies.extend(own.iter().cloned());
    }
    let frame = frame::seal(Kind::Raft, header, bodies)?.into_contiguous();
    let mut budget = Budget::of_frame(Kind::Raft, frame.len());
    budget
        .charge_vec::<RaftMessage>(messages.len())
        .and_then(|()| {
            messages.iter().map(|message| heads_of(&message.message)).try_for_each(|heads| {
                charge_entries(heads.len(), &mut budget)?;
                heads.iter().try_for_each(|head| charge_head(head, &mut budget))
            })
        })
        .map_err(|_| EncodeError::Memory { kind: Kind::Raft, frame_bytes: frame.len() as u64 })?;
    Ok(frame)
}

/// Reads one frame. The bodies are slices of it: a body that is kept keeps the whole frame.
///
/// # Errors
/// The bytes are not exactly one frame of this kind in the supported version; the lengths of the bodies don't add up;
/// there are more messages or heads than a frame may hold.
pub fn decode(frame: Bytes) -> Result<Vec<RaftMessage>, DecodeError> {
    let mut budget = Budget::of_frame(Kind::Raft, frame.len());
    let opened = frame::open(Kind::Raft, frame)?;
    let mut reader = HeaderReader::new(&opened.header);
    let mut tail = BodyReader::new(opened.body);
    let count = counted("messages", take::<u32>(&mut reader)?, MESSAGES_MAX)?;
    let mut heads_left = HEADS_MAX;
    budget.charge_vec::<RaftMessage>(count)?;
    let mut messages = Vec::with_capacity(count);
    for _ in 0..count {
        let group = take(&mut reader)?;
        let (message, bodies) = match take(&mut reader)? {
            WireMessage::AppendEntries(start) => {
                let heads = counted("heads", start.heads, heads_left)?;
                heads_left -= heads;
                let (heads, bodies) = take_entries(heads, &mut reader, &mut tail, &mut budget)?;
                (start.with_heads(heads), bodies)
            }
            WireMessage::RequestVote(message) => (Message::RequestVote(message), Vec::new()),
            WireMessage::RequestVoteReply(message) => (Message::RequestVoteReply(message), Vec::new()),
            WireMessage::AppendEntriesReply(message) => (Message::AppendEntriesReply(message), Vec::new()),
            WireMessage::Heartbeat(message) => (Message::Heartbeat(message), Vec::new()),
            WireMessage::HeartbeatReply(message) => (Message::HeartbeatReply(message), Vec::new()),
            WireMessage::TimeoutNow(message) => (Message::TimeoutNow(message), Vec::new()),
            WireMessage::InstallSnapshot(message) => (Message::InstallSnapshot(message), Vec::new()),
            WireMessage::InstallSnapshotReply(message) => (Message::InstallSnapshotReply(message), Vec::new()),
        };
        messages.push(RaftMessage { group, message, bodies });
    }
    frame::end_of_header(Kind::Raft, &reader)?;
    match tail.rest_bytes() {
        0 => Ok(messages),
        _ => Err(DecodeError::Bodies { kind: Kind::Raft }),
    }
}

fn take_entries(
    count: usize,
    reader: &mut HeaderReader<'_>,
    tail: &mut BodyReader,
    budget: &mut Budget,
) -> Result<(Vec<EntryHead>, Vec<Bytes>), DecodeError> {
    charge_entries(count, budget)?;
    let mut heads = Vec::with_capacity(count);
    let mut bodies = Vec::with_capacity(count);
    for _ in 0..count {
        let head: EntryHead = take(reader)?;
        charge_head(&head, budget)?;
        bodies.push(tail.take(head.body_bytes.into()).ok_or(DecodeError::Bodies { kind: Kind::Raft })?);
        heads.push(head);
    }
    Ok((heads, bodies))
}

fn charge_entries(count: usize, budget: &mut Budget) -> Result<(), DecodeError> {
    budget.charge_vec::<EntryHead>(count)?;
    budget.charge_vec::<Bytes>(count)
}

fn charge_head(head: &EntryHead, budget: &mut Budget) -> Result<(), DecodeError> {
    match &head.kind {
        EntryKind::Membership(membership) => budget.charge(membership_bytes(membership)),
        EntryKind::Blank | EntryKind::Command => Ok(()),
    }
}

/// A message as it stands in the header: AppendEntries with the number of its heads, which follow it.
///
/// The order of the variants is the wire's: it changes only with the version.
#[derive(Serialize, Deserialize)]
enum WireMessage {
    RequestVote(RequestVote),
    RequestVoteReply(RequestVoteReply),
    AppendEntries(AppendStart),
    AppendEntriesReply(AppendEntriesReply),
    Heartbeat(Heartbeat),
    HeartbeatReply(HeartbeatReply),
    TimeoutNow(TimeoutNow),
    InstallSnapshot(InstallSnapshot),
    InstallSnapshotReply(InstallSnapshotReply),
}

#[derive(Serialize, Deserialize)]
struct AppendStart {
    term: Term,
    stream: StreamEpoch,
    prev: Position,
    prev_chain: ChainDigest,
    leader_commit: LogIndex,
    heads: u32,
}

impl WireMessage {
    fn of(message: &Message) -> Self {
        match message {
            Message::RequestVote(message) => Self::RequestVote(*message),
            Message::RequestVoteReply(message) => Self::RequestVoteReply(*message),
            Message::AppendEntries(message) => Self::AppendEntries(AppendStart {
                term: message.term,
                stream: message.stream,
                prev: message.prev,
                prev_chain: message.prev_chain,
                leader_commit: message.leader_commit,
                heads: message.heads.len() as u32,
            }),
            Message::AppendEntriesReply(message) => Self::AppendEntriesReply(*message),
            Message::Heartbeat(message) => Self::Heartbeat(*message),
            Message::HeartbeatReply(message) => Self::HeartbeatReply(*message),
            Message::TimeoutNow(message) => Self::TimeoutNow(*message),
            Message::InstallSnapshot(message) => Self::InstallSnapshot(*message),
            Message::InstallSnapshotReply(message) => Self::InstallSnapshotReply(*message),
        }
    }
}

impl AppendStart {
    fn with_heads(self, heads: Vec<EntryHead>) -> Message {
        Message::AppendEntries(AppendEntries {
            term: self.term,
            stream: self.stream,
            prev: self.prev,
            prev_chain: self.prev_chain,
            heads,
            leader_commit: self.leader_commit,
        })
    }
}

fn heads_of(message: &Message) -> &[EntryHead] {
    match message {
        Message::AppendEntries(message) => &message.heads,
        Message::RequestVote(_)
        | Message::RequestVoteReply(_)
        | Message::AppendEntriesReply(_)
        | Message::Heartbeat(_)
        | Message::HeartbeatReply(_)
        | Message::TimeoutNow(_)
        | Message::InstallSnapshot(_)
        | Message::InstallSnapshotReply(_) => &[],
    }
}

fn take<T: serde::de::DeserializeOwned>(reader: &mut HeaderReader<'_>) -> Result<T, DecodeError> {
    reader.take().map_err(|source| DecodeError::Header { kind: Kind::Raft, source })
}

fn counted(what: &'static str, found: u32, max: usize) -> Result<usize, DecodeError> {
    if max < found as usize {
        return Err(DecodeError::TooMany { what, found: found.into(), max: max as u64 });
    }
    Ok(found as usize)
}

/// What a membership takes in memory, from above: a node of a `BTreeMap` holds 11 pairs and is at least half full,
/// unless it is the only one.
fn membership_bytes(membership: &Membership) -> usize {
    let maps = [&membership.voters, &membership.outgoing, &membership.learners];
    let nodes: usize = maps.into_iter().map(|map| map.len().div_ceil(5)).sum();
    let address_nodes = membership.addresses.len().div_ceil(5);
    let addresses: usize = membership.addresses.values().map(String::len).sum();
    size_of::<Membership>() + nodes * BTREE_NODE_BYTES + address_nodes * ADDRESS_NODE_BYTES + addresses
}

/// The most messages in one frame.
pub const MESSAGES_MAX: usize = 512;

/// The most heads in one frame, those of all its messages together.
pub const HEADS_MAX: usize = 8_192;

/// 11 pairs of 24 bytes, a parent, two lengths; inner nodes and rounding are covered by the half-full count.
const BTREE_NODE_BYTES: usize = 288;

/// The same with pairs of 32 bytes.
const ADDRESS_NODE_BYTES: usize = 376;
