//! What is going to happen, and when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use blockraft_blocks::{Block, Multihash};
use blockraft_driver::RangeRead;
use blockraft_exchange::message::{BulkHeader, Message as ExchangeMessage};
use blockraft_exchange::ticket::{CheckTicket, ServeTicket};
use blockraft_types::{LogIndex, Message, RemoteTicket};
use blockraft_wire::node::NodeMessage;
use bytes::Bytes;

use crate::chance::Chance;
use crate::time::Time;

/// Something that happens to one life of a node: whatever was on its way to an earlier life finds nobody.
#[derive(Debug)]
pub(crate) struct Happening {
    /// The node, by its place.
    pub(crate) node: usize,
    /// Its life; `None` for what concerns the node in any life, or the world.
    pub(crate) boot: Option<u64>,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Time passes by this node's clock.
    Tick,
    /// The loop takes what waits and acts once.
    Turn,
    /// The log's sync is over.
    LogSynced,
    /// Entries for a follower are read.
    LogRead {
        request: RangeRead,
        first: LogIndex,
        last: LogIndex,
        bytes_max: u64,
    },
    /// The apply thread goes on.
    Apply,
    /// What was applied reaches the data plane.
    Tell,
    /// An operation of the block store is over.
    StoreDone {
        operation: u64,
    },
    /// The store is asked.
    Stat {
        name: Multihash,
    },
    List {
        after: Option<Multihash>,
        limit: usize,
    },
    CheckRows {
        ticket: CheckTicket,
        names: Vec<Multihash>,
    },
    Serve {
        to: usize,
        serve: ServeTicket,
        ticket: RemoteTicket,
        name: Multihash,
    },
    /// The bulk lane is done with a push.
    PushEnded {
        to: usize,
        ticket: RemoteTicket,
        sent: bool,
    },
    /// Something came from a peer.
    Deliver {
        from: usize,
        session: u64,
        frame: Frame,
    },
    /// A client's request goes on.
    Request {
        id: u64,
        poke: Poke,
    },
    /// The node starts.
    Start,
    /// Both ends learn what became of their connection.
    Session {
        other: usize,
    },
    /// A client thinks of something to do.
    Client {
        client: usize,
    },
    /// The nemesis strikes.
    Stroke,
}

/// What lets a request go on.
#[derive(Debug)]
pub(crate) enum Poke {
    Retry,
    Copy,
    Deadline,
}

/// What travels between nodes.
#[derive(Clone, Debug)]
pub(crate) enum Frame {
    Raft { message: Message, bodies: Vec<Bytes> },
    Exchange(ExchangeMessage),
    Node(NodeMessage),
    Bulk { header: BulkHeader, body: Bytes },
}

/// What is going to happen, in the order of time. What is due at one moment comes in an order that is drawn.
#[derive(Debug)]
pub(crate) struct Queue {
    heap: BinaryHeap<Due>,
    chance: Chance,
    count: u64,
}

#[derive(Debug)]
struct Due {
    at: Time,
    draw: u64,
    count: u64,
    happening: Happening,
}

impl Queue {
    pub(crate) const fn new(chance: Chance) -> Self {
        Self { heap: BinaryHeap::new(), chance, count: 0 }
    }

    pub(crate) fn push(&mut self, at: Time, happening: Happening) {
        self.count += 1;
        let (draw, count) = (self.chance.draw(), self.count);
        self.heap.push(Due { at, draw, count, happening });
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, Happening)> {
        self.heap.pop().map(|due| (due.at, due.happening))
    }
}

impl Due {
    const fn key(&self) -> (Time, u64, u64) {
        (self.at, self.draw, self.count)
    }
}

impl Ord for Due {
    /// The earliest is the greatest: the heap gives that first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Due {}

impl Frame {
    /// A number for the trace.
    pub(crate) fn kind(&self) -> u64 {
        match self {
            Self::Raft { message, .. } => match message {
                Message::RequestVote(_) => 1,
                Message::RequestVoteReply(_) => 2,
                Message::AppendEntries(_) => 3,
                Message::AppendEntriesReply(_) => 4,
                Message::Heartbeat(_) => 5,
                Message::HeartbeatReply(_) => 6,
                Message::TimeoutNow(_) => 7,
                Message::InstallSnapshot(_) => 8,
                Message::InstallSnapshotReply(_) => 9,
            },
            Self::Exchange(ExchangeMessage::PushBegun(_)) => 11,
            Self::Exchange(ExchangeMessage::Receipt(_)) => 12,
            Self::Exchange(ExchangeMessage::Fetch(_)) => 13,
            Self::Exchange(ExchangeMessage::Missing(_)) => 14,
            Self::Exchange(ExchangeMessage::SnapshotWanted(_)) => 15,
            Self::Exchange(ExchangeMessage::ExportOpened(_)) => 16,
            Self::Exchange(ExchangeMessage::ChunkWanted(_)) => 17,
            Self::Exchange(ExchangeMessage::ExportGone(_)) => 18,
            Self::Exchange(ExchangeMessage::ExportClosed(_)) => 19,
            Self::Exchange(ExchangeMessage::ExportNeeded(_)) => 20,
            Self::Node(NodeMessage::Forward(_)) => 21,
            Self::Node(NodeMessage::ForwardReply(_)) => 22,
            Self::Node(NodeMessage::ReadIndex(_)) => 23,
            Self::Node(NodeMessage::ReadIndexReply(_)) => 24,
            Self::Node(NodeMessage::ChangeMembers(_)) => 25,
            Self::Node(NodeMessage::ChangeMembersReply(_)) => 26,
            Self::Node(NodeMessage::Recall(_)) => 27,
            Self::Node(NodeMessage::RecallReply(_)) => 28,
            Self::Bulk { header: BulkHeader::Push { .. }, .. } => 31,
            Self::Bulk { header: BulkHeader::Fetched { .. }, .. } => 32,
            Self::Bulk { header: BulkHeader::Chunk { .. }, .. } => 33,
        }
    }
}

impl What {
    /// A number for the trace.
    pub(crate) fn kind(&self) -> u64 {
        match self {
            Self::Tick => 1,
            Self::Turn => 2,
            Self::LogSynced => 3,
            Self::LogRead { .. } => 4,
            Self::Apply => 5,
            Self::Tell => 6,
            Self::StoreDone { .. } => 7,
            Self::Stat { .. } => 8,
            Self::List { .. } => 9,
            Self::CheckRows { .. } => 10,
            Self::Serve { .. } => 11,
            Self::PushEnded { .. } => 12,
            Self::Deliver { frame, .. } => 100 + frame.kind(),
            Self::Request { poke: Poke::Retry, .. } => 14,
            Self::Request { poke: Poke::Copy, .. } => 15,
            Self::Request { poke: Poke::Deadline, .. } => 16,
            Self::Start => 17,
            Self::Session { .. } => 18,
            Self::Client { .. } => 19,
            Self::Stroke => 20,
        }
    }
}

/// The body of a block, shared.
pub(crate) fn body_of(block: &Block) -> Bytes {
    block.bytes().clone()
}
