//! What an operator can see of an exchange.

use blockraft_types::{LogIndex, NodeId};

use crate::config::Config;
use crate::debt::Debt;

/// Counts and bytes at the moment, beside their bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The bounds of everything below.
    pub bounds: Config,
    /// Names that the exchange remembers: in the log, leased, staged or being worked on. It doesn't grow with the store.
    pub names: usize,
    /// Names of entries in the un-compacted log; compaction bounds them.
    pub log_names: usize,
    /// Leases by holder.
    pub leases: LeaseCounts,
    /// Blocks that are durable here without an entry or a row.
    pub staged_blocks: usize,
    /// Their bytes.
    pub staged_bytes: u64,
    /// Bytes of payloads that are being written, from wherever they came. Beyond `arriving_bytes_max` no push is taken.
    pub arriving_bytes: u64,
    /// Puts that weren't closed.
    pub puts: usize,
    /// Bytes of their payloads.
    pub put_bytes: u64,
    /// The lanes to the peers.
    pub lanes: Vec<LaneStatus>,
    /// Fetches in flight for the gate.
    pub gate_fetches: usize,
    /// Their bytes.
    pub gate_fetch_bytes: u64,
    /// Fetches in flight for repairs and proposals.
    pub other_fetches: usize,
    /// Their bytes.
    pub other_fetch_bytes: u64,
    /// Fetches in flight for a snapshot.
    pub snapshot_fetches: usize,
    /// Their bytes.
    pub snapshot_fetch_bytes: u64,
    /// Names that snapshots brought in this life.
    pub imported_names: u64,
    /// Whether a snapshot is under way to this node.
    pub import: ImportStatus,
    /// Snapshots that are being given to others.
    pub exports: usize,
    /// Names that are wanted, in flight or not.
    pub wanted: usize,
    /// The entry whose payload the gate waits for.
    pub gate_waiting_for: Option<LogIndex>,
    /// Proposals that wait for payloads.
    pub proposals_waiting: usize,
    /// Repairs under way.
    pub repairs: usize,
    /// Payloads being read for peers.
    pub serves: usize,
    /// Bytes of inlined bodies on their way to the store.
    pub inline_bytes: u64,
    /// Deletions and row questions under way.
    pub reclaims: usize,
    /// Blocks reclaimed in this life.
    pub reclaimed: u64,
    /// Entries that named a block with a length that isn't its own, or payloads that were not what was asked for: a
    /// bug or a liar somewhere, worth an alarm.
    pub length_conflicts: u64,
    /// At the leader, how far each member lags; elsewhere none.
    pub debts: Vec<Debt>,
    /// Whether the sweep after start-up is through.
    pub sweep: SweepStatus,
    /// Whether the store still takes writes.
    pub store: StoreStatus,
}

/// Leases by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseCounts {
    /// Puts and proposals.
    pub proposer: u64,
    /// Entries that the gate admitted or holds.
    pub gate: u64,
    /// Reads for peers, and reads that the node announced.
    pub reader: u64,
    /// Imports and transfers of snapshots.
    pub transfer: u64,
}

impl LeaseCounts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.proposer + self.gate + self.reader + self.transfer
    }
}

/// The bulk lane to one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// The peer.
    pub peer: NodeId,
    /// Bytes handed to the lane and not answered.
    pub bytes: u64,
    /// Pushes handed to the lane and not answered.
    pub pushes: usize,
    /// Puts that wait for room because the quorum needs this peer.
    pub waiting: usize,
    /// Bytes of puts that skipped the lane in this life because it was full: the peer fetches them when their entries
    /// arrive.
    pub skipped_bytes: u64,
}

/// Whether a snapshot is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportStatus {
    /// None is.
    Idle,
    /// One is.
    Running,
}

/// How far the sweep for orphans of earlier lives is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepStatus {
    /// It waits for the end of replay.
    Waiting,
    /// It pages through the store.
    Running,
    /// It has seen every name.
    Done,
}

/// Whether the store takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreStatus {
    /// It does.
    Working,
    /// Lately it had no room for a block.
    Full,
    /// Writes are under way, and for a while none has ended.
    Stalled,
    /// A failed sync ended that for this life.
    Poisoned,
}
