//! Bounds and patience of an exchange.

use thiserror::Error;

/// How much of everything, and how long. All times are in ticks of the node's loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Payload bytes handed to the bulk lane of one peer and not yet answered. A full lane is skipped, unless a quorum
    /// needs it; then puts wait in order for room. At least one push is always allowed.
    pub lane_bytes_max: u64,
    /// Puts at this node that weren't closed yet; more are refused.
    pub puts_max: usize,
    /// Payload bytes of those puts, which stay in memory until they are closed; more are refused.
    pub put_bytes_max: u64,
    /// How long a put waits for its quorum.
    pub put_ticks_max: u64,
    /// How long a push waits for its receipt before the put asks others.
    pub push_ticks_max: u64,
    /// How long to wait before what failed is tried again.
    pub retry_ticks: u64,
    /// Announced pushes of one peer that are remembered; further ones are just not awaited.
    pub announced_max: usize,
    /// Payload bytes that are being written at once; beyond it pushes of peers are refused.
    pub arriving_bytes_max: u64,
    /// Staged payload bytes: durable here, but named by no entry and no row. Beyond it pushes are refused and the oldest
    /// staged blocks make room; the puts of this node come on top with at most `put_bytes_max`, fetches for entries at the
    /// gate with what they name.
    pub staged_bytes_max: u64,
    /// Staged blocks, likewise (with `puts_max` on top).
    pub staged_blocks_max: usize,
    /// A staged block younger than this isn't evicted, so that a receipt is worth something.
    pub evict_ticks_min: u64,
    /// How long a staged block is kept when nothing needs it. Longer than `put_ticks_max`, so that a receipt doesn't
    /// outlive the block.
    pub grace_ticks: u64,
    /// Deletions and row questions under way at once.
    pub reclaims_max: usize,
    /// Deleted blocks whose bytes wait for the compaction of the log; beyond it that is asked for.
    pub deleted_blocks_max: usize,
    /// How long the store counts as full after it refused a write for want of room.
    pub full_ticks: u64,
    /// How long writes of payloads may be under way, with none ending, until the store counts as stalled.
    pub stall_ticks: u64,
    /// Fetches in flight for entries that wait at the gate.
    pub gate_fetches_max: usize,
    /// Bytes of those fetches; at least one is always allowed.
    pub gate_fetch_bytes_max: u64,
    /// Fetches in flight for repairs and proposals.
    pub other_fetches_max: usize,
    /// Bytes of those fetches; at least one is always allowed.
    pub other_fetch_bytes_max: u64,
    /// Fetches in flight for a snapshot, beside the others.
    pub snapshot_fetches_max: usize,
    /// Bytes of those fetches; at least one is always allowed.
    pub snapshot_fetch_bytes_max: u64,
    /// Bytes per tick that are fetched for a snapshot, on average.
    pub snapshot_tick_bytes_max: u64,
    /// Names of a snapshot whose payloads are looked for at once.
    pub snapshot_names_max: usize,
    /// Rows in a chunk of a snapshot. A receiver has two chunks in memory.
    pub chunk_rows_max: usize,
    /// Bytes of the blocks that a chunk names: so many a receiver holds without a row, beyond `staged_bytes_max`.
    pub chunk_payload_bytes_max: u64,
    /// Snapshots that are given to others at once; further members ask again later.
    pub exports_max: usize,
    /// How long a snapshot, and the log after it, is kept for a receiver that doesn't get on: it asks for nothing, and says
    /// of no payload that it came. One that is dead or stuck holds compaction back for no longer.
    pub export_ticks_max: u64,
    /// Entries of the log that are kept for the sake of a snapshot under way; beyond it the receiver needs a newer one. More
    /// than are applied while its rows are read, or a receiver doesn't catch up before writers slow down.
    pub pinned_entries_max: u64,
    /// Bytes of the blocks that those entries name, likewise.
    pub pinned_payload_bytes_max: u64,
    /// How long a peer may take to answer a fetch before the next one is asked, and how long an announced push keeps a
    /// fetch from starting.
    pub fetch_ticks_max: u64,
    /// Names that entries held at the gate wait for; what lies behind is looked at when the gate has moved.
    pub gate_names_max: usize,
    /// Proposals that wait for payloads; more are refused.
    pub proposals_max: usize,
    /// How long a proposal waits.
    pub proposal_ticks_max: u64,
    /// Repairs under way; more are refused.
    pub repairs_max: usize,
    /// How long a repair is tried.
    pub repair_ticks_max: u64,
    /// Payloads read for peers at once; further fetches are answered as busy.
    pub serves_max: usize,
    /// Bytes of those payloads, likewise; at least one is always allowed.
    pub serve_bytes_max: u64,
    /// Bytes of inlined bodies on their way to the store; at the bound the node stops applying for a while.
    pub inline_bytes_max: u64,
    /// Names per page of the sweep through the store after start-up.
    pub sweep_page: usize,
    /// Ticks between two pages of the sweep.
    pub sweep_ticks: u64,
}

/// A configuration that contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Receipts would outlive the blocks they speak of.
    #[error("grace_ticks must be greater than put_ticks_max plus push_ticks_max")]
    GraceTooShort,
    /// A bound of zero would stop everything.
    #[error("{name} must not be zero")]
    Zero {
        /// The bound.
        name: &'static str,
    },
}

impl Config {
    /// The defaults, for a loop that ticks every `tick_milliseconds` (zero counts as one).
    #[must_use]
    pub fn for_ticks_of(tick_milliseconds: u32) -> Self {
        let ticks = |milliseconds: u64| milliseconds.div_ceil(u64::from(tick_milliseconds.max(1)));
        Self {
            lane_bytes_max: 32 * MIB,
            puts_max: 4096,
            put_bytes_max: 64 * MIB,
            put_ticks_max: ticks(30_000),
            push_ticks_max: ticks(5_000),
            retry_ticks: ticks(200),
            announced_max: 1024,
            arriving_bytes_max: 64 * MIB,
            staged_bytes_max: 1024 * MIB,
            staged_blocks_max: 65_536,
            evict_ticks_min: ticks(5_000),
            grace_ticks: ticks(600_000),
            reclaims_max: 256,
            deleted_blocks_max: 4096,
            full_ticks: ticks(1_000),
            stall_ticks: ticks(1_000),
            gate_fetches_max: 16,
            gate_fetch_bytes_max: 32 * MIB,
            other_fetches_max: 8,
            other_fetch_bytes_max: 16 * MIB,
            snapshot_fetches_max: 32,
            snapshot_fetch_bytes_max: 32 * MIB,
            snapshot_tick_bytes_max: (100 * MIB).saturating_mul(u64::from(tick_milliseconds.max(1))) / 1_000,
            snapshot_names_max: 512,
            chunk_rows_max: 1_000,
            chunk_payload_bytes_max: 128 * MIB,
            exports_max: 2,
            export_ticks_max: ticks(60_000),
            pinned_entries_max: 1_000_000,
            pinned_payload_bytes_max: 16 * 1024 * MIB,
            fetch_ticks_max: ticks(2_000),
            gate_names_max: 4096,
            proposals_max: 4096,
            proposal_ticks_max: ticks(5_000),
            repairs_max: 256,
            repair_ticks_max: ticks(10_000),
            serves_max: 32,
            serve_bytes_max: 64 * MIB,
            inline_bytes_max: 16 * MIB,
            sweep_page: 256,
            sweep_ticks: ticks(50),
        }
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first contradiction.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bounds = [
            ("puts_max", self.puts_max),
            ("reclaims_max", self.reclaims_max),
            ("gate_fetches_max", self.gate_fetches_max),
            ("other_fetches_max", self.other_fetches_max),
            ("snapshot_fetches_max", self.snapshot_fetches_max),
            ("snapshot_names_max", self.snapshot_names_max),
            ("chunk_rows_max", self.chunk_rows_max),
            ("exports_max", self.exports_max),
            ("gate_names_max", self.gate_names_max),
            ("proposals_max", self.proposals_max),
            ("repairs_max", self.repairs_max),
            ("serves_max", self.serves_max),
            ("staged_blocks_max", self.staged_blocks_max),
            ("sweep_page", self.sweep_page),
        ];
        if let Some((name, _)) = bounds.into_iter().find(|(_, bound)| *bound == 0) {
            return Err(ConfigError::Zero { name });
        }
        if self.grace_ticks <= self.put_ticks_max.saturating_add(self.push_ticks_max) {
            return Err(ConfigError::GraceTooShort);
        }
        Ok(())
    }
}

const MIB: u64 = 1024 * 1024;
