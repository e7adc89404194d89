//! Everything that can happen to a replica.

use blockraft_core::{ChangeTicket, ProposalTicket, ReadTicket};
use blockraft_log::Anchor;
use blockraft_types::{LogIndex, MembershipChange, Message, NodeId, PersistReceipt, Term};
use bytes::Bytes;

use crate::effect::{RangeRead, RangeResult};

/// What a [`Replica`](crate::Replica) is told. `E` is the gate's own kind of event.
#[derive(Debug)]
pub enum Event<E> {
    /// One unit of time has passed.
    Tick,
    /// A member, proved by the transport to be `from`, sent a message; `bodies` are those of an append's entries.
    Received {
        /// Who sent it.
        from: NodeId,
        /// The message.
        message: Message,
        /// The bodies that came beside it, one for each head.
        bodies: Vec<Bytes>,
    },
    /// A message to this peer was dropped before it left.
    Undelivered {
        /// The peer.
        to: NodeId,
    },
    /// A command for the log. Its fate comes as [`Accepted`](crate::Effect::Accepted) or
    /// [`Refused`](crate::Effect::Refused), once.
    Propose {
        /// The caller's name for it, never used before.
        ticket: ProposalTicket,
        /// The only term in which it may enter the log; any, if there is none.
        term: Option<Term>,
        /// The command.
        body: Bytes,
    },
    /// A change of members. Whether it was begun comes as [`ChangeAnswered`](crate::Effect::ChangeAnswered), once.
    ChangeMembership {
        /// The caller's name for it, never used before.
        ticket: ChangeTicket,
        /// What is asked for.
        change: MembershipChange,
    },
    /// A question for a read index. The answer comes as [`ReadSafe`](crate::Effect::ReadSafe) or
    /// [`ReadRefused`](crate::Effect::ReadRefused), once.
    Read {
        /// The caller's name for it, never used before.
        ticket: ReadTicket,
    },
    /// Hand leadership over, if this member leads.
    TransferLeadership {
        /// The voter that shall lead.
        to: NodeId,
    },
    /// A batch and all before it are durable.
    Persisted(PersistReceipt),
    /// Entries that were asked for were read, or couldn't be.
    EntriesRead {
        /// Which reading it was.
        request: RangeRead,
        /// What came of it.
        result: RangeResult,
    },
    /// The state machine has applied every entry up to here.
    Applied {
        /// The last applied entry.
        index: LogIndex,
    },
    /// The state machine is durable up to here.
    Flushed {
        /// The last entry that it covers.
        index: LogIndex,
    },
    /// The state machine has taken a snapshot, durably.
    Installed {
        /// The last entry that it covers.
        anchor: Anchor,
    },
    /// The log was compacted, synced.
    Compacted {
        /// Its new beginning.
        anchor: Anchor,
    },
    /// The transport has a connection to this peer.
    PeerConnected(NodeId),
    /// The transport lost its connection to this peer.
    PeerDisconnected(NodeId),
    /// Something for the gate.
    Gate(E),
}
