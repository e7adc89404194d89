//! The seam to whatever must be in place before an entry may enter this member's log.
//!
//! *Payload first*: an entry enters a log only after what it names is durable here, so that a log prefix implies its
//! payloads. The driver knows nothing of payloads; it asks an [`AppendGate`] how many of the next entries may enter, and
//! holds the rest back in order.

use core::convert::Infallible;

use blockraft_core::{ProposalTicket, Snapshot, SnapshotOffer};
use blockraft_types::{Entry, LogIndex, Membership, NodeId, Position, Term};
use bytes::Bytes;
use thiserror::Error;

/// Decides which entries may enter the log of this member now.
///
/// The driver's loop owns it and calls it from one thread. No call may wait: what isn't there yet isn't admitted, and an
/// [`Event`](Self::Event) tells later that it has come.
///
/// A *lease* is the gate's promise that what an entry names stays durable here. It has two stages, and [`LogEvent`] says
/// when each ends. Keep them apart, since an entry that comes twice can be in both:
///
/// 1. *Admitted*: from [`admit`](Self::admit) until the entry is `Appended` or `Dropped`; for a proposal until it is
///    `ProposalAccepted`, which comes after its entry was `Appended`, or `ProposalRefused`.
/// 2. *Appended*: from `Appended` until the entry is `Persisted` or `Truncated`, or a snapshot that covers it installed.
pub trait AppendGate: Send + 'static {
    /// What tells the gate that something has changed, sent with
    /// [`DriverHandle::gate`](crate::DriverHandle::gate).
    type Event: Send + 'static;

    /// How many of `entries`, counted from the front, may enter now. They are contiguous, from the present leader, and
    /// their bodies match their heads. Takes a lease for each admitted entry. The driver asks again for the others when
    /// [`GateChanges::held`] says so, never with others in front of them.
    fn admit(&mut self, entries: &[Entry]) -> usize;

    /// Whether a proposal of this member may enter its log. Takes a lease with [`Admission::Enter`], and for a
    /// proposal that waits when it is released.
    fn admit_proposal(&mut self, ticket: ProposalTicket, body: &Bytes) -> Admission;

    /// Takes in that something has changed.
    fn handle(&mut self, event: Self::Event) -> GateChanges;

    /// Takes in that a tick has passed.
    fn tick(&mut self) -> GateChanges;

    /// Takes in what happened in the log and around it.
    fn observe(&mut self, event: LogEvent<'_>);

    /// The gate needs no entry up to and including this one any more: the log may be compacted through it.
    fn compaction_floor(&self) -> LogIndex;

    /// Once the log is compacted through this entry, the gate can give back space that it is short of. The log is then
    /// compacted so far as soon as it may be, however short it is. `None` while the gate can wait.
    fn compaction_wanted(&self) -> Option<LogIndex>;

    /// Whether what an entry names can't be put in place here for the time being, although others may be able to. A
    /// member that leads hands over then, since no entry enters without its leader's copy: at once, and not again for 30
    /// seconds (of 10 ms a tick) if the role comes back to it.
    fn is_obstructed(&self) -> bool;
}

/// Whether a proposal may enter the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Now.
    Enter,
    /// Later: the gate releases or refuses it with [`GateChanges`].
    Wait,
    /// Not at all.
    Refuse(GateRefusal),
}

/// Why a gate refuses a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GateRefusal {
    /// The same proposal may be admitted later.
    #[error("not now: {0}")]
    Later(&'static str),
    /// The same proposal may be admitted once there is room for what it names.
    #[error("there is no room for what it names")]
    NoRoom,
    /// This proposal is never admitted.
    #[error("never: {0}")]
    Never(&'static str),
}

/// What a gate wants looked at again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "what the gate released waits until the driver hears of it"]
pub struct GateChanges {
    /// Whether entries that were held back may be admitted now.
    pub held: HeldChange,
    /// Waiting proposals that may enter now.
    pub released: Vec<ProposalTicket>,
    /// Waiting proposals that won't enter.
    pub refused: Vec<(ProposalTicket, GateRefusal)>,
    /// A snapshot that was [wanted](LogEvent::SnapshotWanted), complete and durable beside the state machine's present
    /// state, with everything that it names. What becomes of it is told with [`LogEvent::SnapshotInstalled`] or
    /// [`LogEvent::SnapshotUnneeded`].
    pub snapshot: Option<Snapshot>,
}

/// Whether held appends are worth another question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeldChange {
    /// The answer would be the same.
    #[default]
    Unchanged,
    /// Ask again.
    Recheck,
}

/// What happened in the log and around it, for a gate that keeps leases and fetches what is missing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum LogEvent<'a> {
    /// These entries wait behind others that are held back: what they lack may be fetched already. No lease is taken.
    Held {
        /// The entries, contiguous.
        entries: &'a [Entry],
    },
    /// These entries, held back or admitted, don't enter after all: another leader, a repetition, an overflow. The
    /// admitted ones among them are admitted no more; one that is in the log already keeps its appended lease.
    Dropped {
        /// The entries, contiguous.
        entries: &'a [Entry],
    },
    /// These entries are in the log now and on their way to the disk.
    Appended {
        /// The entries, contiguous.
        entries: &'a [Entry],
    },
    /// This entry and all after it left the log: the leases of appended entries there end, those of admitted ones don't. Precedes the `Appended` of what replaces them.
    Truncated {
        /// The first entry that is gone.
        from: LogIndex,
    },
    /// Every appended entry up to here is durable in the log: the leases of those end, from now on the log itself names
    /// what must stay.
    Persisted {
        /// The last durable entry.
        through: LogIndex,
    },
    /// The state machine has applied every entry up to here.
    Applied {
        /// The last applied entry.
        through: LogIndex,
    },
    /// The log was compacted, synced: its entries up to here name nothing any more.
    Compacted {
        /// The last entry that is gone.
        through: LogIndex,
    },
    /// The leader can't send what this log lacks. Get a snapshot, from whomever, and say so with
    /// [`GateChanges::snapshot`]. Repeated with every heartbeat until the log covers it.
    SnapshotWanted(SnapshotOffer),
    /// A snapshot that the gate gave is of no use: the log covers it by now.
    SnapshotUnneeded(Position),
    /// A snapshot that the gate gave is the state machine's state now, durably: neither the state that it replaced nor any
    /// entry up to its position names anything any more. Entries after it were `Truncated` when the log began anew.
    SnapshotInstalled(Position),
    /// An admitted proposal is in the log, where `Appended` has just told its entry: from now on its lease is that of the
    /// entry.
    ProposalAccepted {
        /// The proposal.
        ticket: ProposalTicket,
        /// Its place.
        position: Position,
    },
    /// A proposal, admitted or waiting, didn't enter the log, or left it before it was on its way to the disk: its lease
    /// ends, and it must not be released any more.
    ProposalRefused {
        /// The proposal.
        ticket: ProposalTicket,
    },
    /// The term or its leader changed.
    Leader {
        /// The term.
        term: Term,
        /// Its leader, if known.
        leader: Option<NodeId>,
    },
    /// Another configuration is in force.
    Membership(&'a Membership),
    /// The transport has a connection to this peer.
    PeerConnected(NodeId),
    /// The transport lost its connection to this peer.
    PeerDisconnected(NodeId),
}

/// Admits everything at once: for state machines whose entries carry all they need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenGate;

impl AppendGate for OpenGate {
    type Event = Infallible;

    fn admit(&mut self, entries: &[Entry]) -> usize {
        entries.len()
    }

    fn admit_proposal(&mut self, _: ProposalTicket, _: &Bytes) -> Admission {
        Admission::Enter
    }

    fn handle(&mut self, event: Infallible) -> GateChanges {
        match event {}
    }

    fn tick(&mut self) -> GateChanges {
        GateChanges::default()
    }

    fn observe(&mut self, _: LogEvent<'_>) {}

    fn compaction_floor(&self) -> LogIndex {
        LogIndex(u64::MAX)
    }

    fn compaction_wanted(&self) -> Option<LogIndex> {
        None
    }

    fn is_obstructed(&self) -> bool {
        false
    }
}
