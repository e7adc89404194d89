//! Everything that can happen to a member, one variant each.

use alloc::vec::Vec;

use blockraft_types::{BodyDigest, LogIndex, MembershipChange, Message, NodeId, PersistReceipt};

use crate::append_range::AppendSent;
use crate::log_point::LogPoint;
use crate::snapshot::Snapshot;

/// What the driver tells the core. Every value is allowed at any time; what doesn't fit is dropped or refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// One unit of time has passed.
    Tick,
    /// A node, proved by the transport to be `from`, said something. Of an append only the entries whose payloads are
    /// durable here may be passed on.
    Message {
        /// Who said it.
        from: NodeId,
        /// What it said.
        message: Message,
    },
    /// Commands for the log: accepted whole or refused whole, and answered under `ticket` in the next
    /// [`Ready`](crate::Ready).
    Propose {
        /// The caller's name for this proposal.
        ticket: ProposalTicket,
        /// One for each entry to append, in order.
        bodies: Vec<BodyHead>,
    },
    /// Asks for another configuration (Raft paper, section 6). The next [`Ready`](crate::Ready) says under `ticket`
    /// whether the change was begun; what was begun is finished by this leader or a later one, and shows in
    /// [`Ready::membership`](crate::Ready::membership).
    ChangeMembership {
        /// The caller's name for this change.
        ticket: ChangeTicket,
        /// What is asked for.
        change: MembershipChange,
    },
    /// Asks for an index that a linearizable read must have applied (thesis 6.4).
    Read {
        /// The caller's name for this read.
        ticket: ReadTicket,
    },
    /// Asks a leader to hand over to `to` (thesis 3.10). Ignored by others, and for anyone but another voter.
    TransferLeadership {
        /// The voter that shall lead.
        to: NodeId,
    },
    /// A persist batch, and every one before it, is durable.
    Persisted(PersistReceipt),
    /// The state machine has applied every entry up to `index`.
    Applied {
        /// The last applied entry.
        index: LogIndex,
    },
    /// The log was compacted, synced, up to and including this point. At most
    /// [`Status::compactable_through`](crate::Status::compactable_through) may be compacted.
    Compacted(LogPoint),
    /// A snapshot that this member was [offered](crate::Ready::snapshot_wanted) is complete and durable here. If the log
    /// lacks its last entry, the log begins anew after it: the next [`Persist`](crate::Persist) says so. If not, the
    /// snapshot is of no use and [`Ready::snapshot_unneeded`](crate::Ready) says so. Its term is entered, if it is a later one.
    InstallSnapshot(Snapshot),
    /// An [`AppendRange`](crate::AppendRange) was handed to the transport.
    AppendSent(AppendSent),
    /// Something for `peer` was dropped: its connection broke, the transport refused, or an append range could not be
    /// filled. The core probes again with the next sign of life.
    Unreachable {
        /// Who was not reached.
        peer: NodeId,
    },
    /// The oldest persist batch has been under way for longer than an election timeout. A leader steps down, and
    /// nobody campaigns until a batch is durable again.
    StorageStalled,
    /// What the gate holds back: the first entry of the current stream whose payload isn't durable here, if any. It is
    /// told to the leader, which then doesn't send that entry again. Forgotten when the leader or the term changes, as
    /// the gate does with what it holds.
    PayloadWaiting {
        /// The first entry held back; `None` when nothing is.
        index: Option<LogIndex>,
    },
}

/// A caller's name for a proposal. The core gives it back and never looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalTicket(pub u64);

/// A caller's name for a change of members. The core gives it back and never looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeTicket(pub u64);

/// A caller's name for a read. The core gives it back and never looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadTicket(pub u64);

/// What the core needs to know of the body of a proposed command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BodyHead {
    /// Its size in bytes.
    pub bytes: u32,
    /// Its digest.
    pub digest: BodyDigest,
}

impl BodyHead {
    /// The head of `body`, or `None` for one that is larger than an entry can be (4 GiB).
    #[must_use]
    pub fn of(body: &[u8]) -> Option<Self> {
        Some(Self { bytes: u32::try_from(body.len()).ok()?, digest: BodyDigest::of(body) })
    }
}
