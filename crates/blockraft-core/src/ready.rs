//! What a member wants done, taken whole.

use alloc::vec::Vec;

use blockraft_types::{
    ChangeRefusal, EntryHead, HardState, LogIndex, LostTail, Membership, Message, NodeId, PersistTicket, Position,
    Role, Term,
};

use crate::alarm::Alarm;
use crate::append_range::AppendRange;
use crate::input::{ChangeTicket, ProposalTicket, ReadTicket};
use crate::log_point::LogPoint;
use crate::sealed::Sealed;
use crate::snapshot::SnapshotOffer;

/// One ordered batch of effects. The parts may run in parallel, except that [`sealed`](Self::sealed) messages wait for
/// their receipt; the batches of [`persist`](Self::persist) become durable in the order in which they were taken.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "effects that nobody performs are a member that went silent"]
pub struct Ready {
    /// To be sent now, in this order per receiver.
    pub messages: Vec<Outgoing>,
    /// To be sent once their batch is durable.
    pub sealed: Vec<Sealed>,
    /// Appends whose entries the driver fills in.
    pub appends: Vec<AppendRange>,
    /// To be made durable, all of it at once, after everything taken before.
    pub persist: Option<Persist>,
    /// Proposals that are in the log now, in the order of their positions. Their fate is still open.
    pub accepted: Vec<Accepted>,
    /// Proposals that are not in the log and never will be: safe to repeat.
    pub refused: Vec<RefusedProposal>,
    /// Entries that became committed and are durable here: apply them, in order.
    pub committed: Option<CommittedRange>,
    /// Reads that are linearizable once the state machine has applied their index.
    pub reads: Vec<SafeRead>,
    /// Reads that can't be confirmed here.
    pub refused_reads: Vec<RefusedRead>,
    /// Role, term or leader, if one of them changed.
    pub state: Option<StateChange>,
    /// What became of asked changes of members.
    pub changes: Vec<ChangeAnswer>,
    /// The configuration in force, if it or its standing changed. Connect to its members.
    pub membership: Option<InForce>,
    /// A transfer of leadership that was given up: proposals are taken again.
    pub transfer_aborted: Option<NodeId>,
    /// A leader offers a snapshot, since it can't send what this log lacks: get one. Repeated until the log covers it.
    pub snapshot_wanted: Option<SnapshotOffer>,
    /// This snapshot, handed in with [`Input::InstallSnapshot`](crate::Input), is of no use: the log covers it, or this
    /// member leads.
    pub snapshot_unneeded: Option<Position>,
    /// The log holds again what it had lost at its end: this member votes again.
    pub recovered: Option<LostTail>,
    /// What an operator should know.
    pub alarms: Vec<Alarm>,
}

/// A message and its receiver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// The receiver.
    pub to: NodeId,
    /// The message.
    pub message: Message,
}

/// One batch for the log store. It is applied in the order of its fields.
#[derive(Debug, PartialEq, Eq)]
pub struct Persist {
    /// Redeem it for a receipt once the batch is durable.
    pub ticket: PersistTicket,
    /// Install the snapshot that was handed in with [`Input::InstallSnapshot`](crate::Input): let the state machine, which
    /// is done with everything committed before, take it as its state, durably; then drop all entries of the log and let
    /// it begin after this point. The rest of the batch comes after that.
    pub reset: Option<LogPoint>,
    /// Term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// Drop this entry and all after it first.
    pub truncate_from: Option<LogIndex>,
    /// Append these entries: contiguous, and starting at `truncate_from` if that is set. The driver finds each body
    /// under its position and digest.
    pub heads: Vec<EntryHead>,
}

/// A proposal that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Accepted {
    /// The caller's name for it.
    pub ticket: ProposalTicket,
    /// The position of its first entry; the others follow in the same term.
    pub first: Position,
    /// The index of its last entry.
    pub last: LogIndex,
}

/// A proposal that was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefusedProposal {
    /// The caller's name for it.
    pub ticket: ProposalTicket,
    /// Why.
    pub reason: ProposalRefusal,
}

/// Why a proposal was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProposalRefusal {
    /// Ask the leader, if one is known.
    NotLeader {
        /// Who leads, as far as this member knows.
        leader: Option<NodeId>,
    },
    /// Leadership is being handed over; ask again, there or here.
    Transferring {
        /// Who shall lead.
        to: NodeId,
    },
    /// Too much is uncommitted; ask again later.
    Full,
    /// It had no entries.
    Empty,
}

/// Entries to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommittedRange {
    /// The first one.
    pub first: LogIndex,
    /// The last one.
    pub last: Position,
}

/// A read that was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SafeRead {
    /// The caller's name for it.
    pub ticket: ReadTicket,
    /// Answer after the state machine has applied this entry.
    pub index: LogIndex,
    /// The term of the leader that confirmed it.
    pub term: Term,
}

/// A read that was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefusedRead {
    /// The caller's name for it.
    pub ticket: ReadTicket,
    /// Why.
    pub reason: ReadRefusal,
}

/// Why a read was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadRefusal {
    /// Ask the leader, if one is known.
    NotLeader {
        /// Who leads, as far as this member knows.
        leader: Option<NodeId>,
    },
    /// Too many reads wait; ask again later.
    Full,
}

/// What became of an asked change of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangeAnswer {
    /// The caller's name for it.
    pub ticket: ChangeTicket,
    /// Whether it was begun.
    pub outcome: Result<ChangeOutcome, ChangeRefusal>,
}

/// A change of members that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeOutcome {
    /// The configuration in force, which is committed, is as asked.
    AlreadySo,
    /// The first entry of the change is in the log. Its fate is still open.
    Begun {
        /// Where.
        position: Position,
    },
}

/// The configuration in force on this member: the newest one in its log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InForce {
    /// The configuration.
    pub membership: Membership,
    /// The entry that brought it; zero if the group was born with it.
    pub index: LogIndex,
    /// Whether it may be rolled back still.
    pub standing: Standing,
}

/// Whether a configuration can be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It is in the log and counts, and a truncation brings back the one before.
    Appended,
    /// It is committed: who was removed by it is removed for good.
    Committed,
}

/// What this member is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateChange {
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader of that term, if this member knows it.
    pub leader: Option<NodeId>,
}

impl Ready {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
