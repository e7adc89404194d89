//! One block as the ledger knows it: its state, who uses it, and who waits for it.

use blockraft_types::{LogIndex, NodeId, RemoteTicket};

use crate::effect::{Space, StoreIntent};
use crate::status::LeaseCounts;
use crate::ticket::CheckTicket;

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A put or a proposal.
    Proposer,
    /// An entry that the gate holds or admitted.
    Gate,
    /// A read.
    Reader,
    /// An import or a transfer of a snapshot.
    Transfer,
}

/// Who wants to hear that a payload is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    /// The dissemination of this block from here.
    Put,
    /// A peer that pushed it.
    Receipt { to: NodeId, ticket: RemoteTicket },
    /// The inlined body of this entry.
    Inline { index: LogIndex },
    /// A fetch or a repair.
    Fetch,
}

#[derive(Debug)]
pub(super) struct Record<P> {
    pub(super) state: State,
    pub(super) length: u32,
    pub(super) leases: LeaseCounts,
    pub(super) log_entries: u32,
    pub(super) row: Row,
    /// The applied delete that compaction must pass.
    pub(super) held_until: LogIndex,
    pub(super) staged_since: Option<u64>,
    pub(super) grace: Grace,
    /// The store wasn't asked, but an entry named the block or a write of it failed half-way: bytes may be there.
    pub(super) is_suspected: bool,
    /// A payload to write when the operation under way has ended.
    pub(super) again: Option<(P, StoreIntent)>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) check: Option<CheckTicket>,
    pub(super) due: Option<u64>,
    pub(super) counted_as_staged: u64,
    pub(super) is_counted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Unknown,
    Statting,
    Storing(StoreIntent, Space),
    Durable,
    Absent,
    Damaged,
    Reclaiming,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Unknown,
    Visible,
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grace {
    Granted,
    /// Evicted: its room is needed.
    Forfeited,
}

impl<P> Record<P> {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Unknown,
            length: 0,
            leases: LeaseCounts { proposer: 0, gate: 0, reader: 0, transfer: 0 },
            log_entries: 0,
            row: Row::Unknown,
            held_until: LogIndex::ZERO,
            staged_since: None,
            grace: Grace::Granted,
            is_suspected: false,
            again: None,
            waiters: Vec::new(),
            check: None,
            due: None,
            counted_as_staged: 0,
            is_counted: false,
        }
    }

    /// A damaged copy has to be written over.
    pub(super) fn intent(&self) -> StoreIntent {
        if self.state == State::Damaged { StoreIntent::Replace } else { StoreIntent::Keep }
    }
}

pub(super) const fn count(leases: &mut LeaseCounts, holder: Holder) -> &mut u64 {
    match holder {
        Holder::Proposer => &mut leases.proposer,
        Holder::Gate => &mut leases.gate,
        Holder::Reader => &mut leases.reader,
        Holder::Transfer => &mut leases.transfer,
    }
}
