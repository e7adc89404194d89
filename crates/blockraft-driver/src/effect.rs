//! Everything that a replica wants done.

use blockraft_core::ready::{ChangeAnswer, InForce, ReadRefusal};
use blockraft_core::{Alarm as CoreAlarm, ProposalTicket, ReadTicket};
use blockraft_log::{Anchor, Batch, ReadError};
use blockraft_types::{Entry, LogIndex, LostTail, Message, NodeId, Position};
use bytes::Bytes;

use crate::contradiction::Contradiction;
use crate::proposal::NotProposed;
use crate::status::RoleStatus;

/// What a [`Replica`](crate::Replica) wants done. Perform them in order; what answers one is an
/// [`Event`](crate::Event) for later.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this message, now or never. `bodies` are those of an append's entries, one for each head.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: Message,
        /// The bodies that travel beside it.
        bodies: Vec<Bytes>,
    },
    /// Make this durable, after all batches before; answer [`Persisted`](crate::Event::Persisted).
    Persist(Batch),
    /// Let the state machine take the snapshot at `anchor`, after everything that was to be applied before; answer
    /// [`Installed`](crate::Event::Installed).
    Install {
        /// The last entry that it covers.
        anchor: Anchor,
    },
    /// Drop all entries of the log and let it begin after `anchor`, after all batches before. A batch comes behind it,
    /// whose receipt answers for both.
    Reset {
        /// The new beginning.
        anchor: Anchor,
    },
    /// Read entries back, for a follower that is far behind or to look at this log; answer [`EntriesRead`](crate::Event::EntriesRead).
    ReadEntries {
        /// Which reading this is.
        request: RangeRead,
        /// The first entry.
        first: LogIndex,
        /// The last one.
        last: LogIndex,
        /// As in [`LogReader::entries`](blockraft_log::LogReader::entries).
        bytes_max: u64,
    },
    /// Apply these entries after all before; answer [`Applied`](crate::Event::Applied), for several at once if you
    /// like.
    Apply(ApplyRange),
    /// This proposal is in the log; its fate is open until an entry is applied at its index.
    Accepted {
        /// Which one.
        ticket: ProposalTicket,
        /// Where it stands.
        position: Position,
    },
    /// This proposal is not in the log and never will be.
    Refused {
        /// Which one.
        ticket: ProposalTicket,
        /// Why.
        reason: NotProposed,
        /// Who leads, as far as this member knows.
        leader: Option<NodeId>,
    },
    /// This read is linearizable once `index` is applied here, or wherever it is answered.
    ReadSafe {
        /// Which one.
        ticket: ReadTicket,
        /// The index to wait for.
        index: LogIndex,
    },
    /// This read can't be confirmed here.
    ReadRefused {
        /// Which one.
        ticket: ReadTicket,
        /// Why.
        reason: ReadRefusal,
    },
    /// Role, term or leader changed.
    RoleChanged(RoleStatus),
    /// What became of an asked change of members.
    ChangeAnswered(ChangeAnswer),
    /// Another configuration is in force, or the one that is was committed: connect to its members.
    MembershipChanged(InForce),
    /// Flush the state machine; answer [`Flushed`](crate::Event::Flushed).
    Flush,
    /// Compact the log, synced; answer [`Compacted`](crate::Event::Compacted).
    Compact {
        /// The last entry to drop.
        through: LogIndex,
    },
    /// The log holds again what it had lost at its end.
    Recovered(LostTail),
    /// This log contradicts another member's: stop, and say so.
    Contradicted(Contradiction),
    /// An operator should know.
    Alarm(Alarm),
}

/// Committed entries that are durable here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyRange {
    /// The first one.
    pub first: LogIndex,
    /// The last one.
    pub last: Position,
    /// All of them, or nothing when they aren't in memory: then read them from the log.
    pub entries: Option<Vec<Entry>>,
}

/// The number of a reading of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeRead(pub u64);

/// What came of a reading of entries.
pub type RangeResult = Result<Vec<Entry>, ReadError>;

/// What should never happen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alarm {
    /// What the core noticed.
    Core(CoreAlarm),
    /// A member sent an append with a body that isn't the one its head describes. It was dropped.
    ForeignBody {
        /// Who sent it.
        from: NodeId,
        /// The entry.
        position: Position,
    },
    /// Entries for a follower couldn't be read from the log, or aren't those that the core meant. Nothing was sent.
    UnreadableRange {
        /// The follower.
        to: NodeId,
        /// The first entry.
        first: LogIndex,
        /// What is wrong.
        what: String,
    },
    /// The oldest persist batch has been under way for longer than an election timeout.
    PersistStalled,
    /// This member leads and its gate can't admit what needs a copy here, so it asks another one to lead.
    ObstructedLeader {
        /// Who is to lead.
        to: NodeId,
    },
}
