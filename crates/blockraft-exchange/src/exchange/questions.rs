//! What can be asked of an exchange; nothing changes by it.

use blockraft_types::LogIndex;

use crate::debt::Debt;
use crate::exchange::Exchange;
use crate::payload::Payload;
use crate::status::{ImportStatus, Status, StoreStatus};

impl<P: Payload> Exchange<P> {
    /// Whether a put of `length` bytes would be taken now. A node that waits for room before it takes a client's bytes
    /// needs no more memory than the bounds say.
    #[must_use]
    pub fn has_room_for_put(&self, length: u32) -> bool {
        let (blocks, bytes) = self.ledger.staged();
        let may_stage = blocks < self.config.staged_blocks_max.saturating_add(self.config.puts_max)
            && bytes + u64::from(length) <= self.config.staged_bytes_max.saturating_add(self.config.put_bytes_max);
        may_stage && !self.ledger.is_poisoned() && self.dissemination.has_room(length, &self.config)
    }

    /// Whether the node should go on applying entries with inlined bodies.
    #[must_use]
    pub const fn has_room_for_inline(&self) -> bool {
        self.inlines.bytes() < self.config.inline_bytes_max
    }

    /// The highest index up to which every *applied* inlined body is durable in the store, and which no snapshot under way
    /// keeps the log from being compacted through; zero before `ReplayFinished`.
    /// The log must not be compacted beyond the least of this, the applied index and what the catalog has flushed.
    #[must_use]
    pub fn compaction_floor(&self) -> LogIndex {
        self.inlines.floor().min(self.exports.floor())
    }

    /// How far the log would have to be compacted for deleted blocks to be reclaimed, when that is urgent: the last
    /// write found no room, or too many of them wait for it.
    #[must_use]
    pub fn compaction_wanted(&self) -> Option<LogIndex> {
        let (first, blocks) = self.ledger.held_back()?;
        (self.ledger.is_short() || self.config.deleted_blocks_max < blocks).then_some(first)
    }

    /// Whether the store lately refused a write for want of room.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.ledger.is_full()
    }

    /// Whether payloads are being written and no write has ended for `stall_ticks`.
    #[must_use]
    pub const fn is_stalled(&self) -> bool {
        self.ledger.is_stalled()
    }

    /// The entry whose payload this node waits for, for the reply to heartbeats.
    #[must_use]
    pub fn waiting_for(&self) -> Option<LogIndex> {
        self.gate.waiting_for()
    }

    /// At the leader: how far each member lags behind, by what was [measured](crate::Input::Measured) last. Elsewhere none.
    #[must_use]
    pub fn debts(&self) -> Vec<Debt> {
        let Some(measure) = &self.measure else { return Vec::new() };
        // The log may have been compacted since.
        let compacted = measure.compacted.max(self.log.compacted());
        let debt = |node| {
            let matched = measure.matched.get(&node).copied().unwrap_or(LogIndex::ZERO);
            let bytes = if matched < compacted { measure.state_bytes } else { self.log.bytes_after(matched) };
            Debt { node, bytes, entries: measure.last.0.saturating_sub(matched.0) }
        };
        self.view.members().map(debt).collect()
    }

    /// Counts, bytes and their bounds at the moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let (staged_blocks, staged_bytes) = self.ledger.staged();
        Status {
            bounds: self.config.clone(),
            names: self.ledger.len(),
            log_names: self.log.len(),
            leases: self.ledger.leases(),
            staged_blocks,
            staged_bytes,
            arriving_bytes: self.ledger.storing_bytes(),
            puts: self.dissemination.puts(),
            put_bytes: self.dissemination.bytes(),
            lanes: self.dissemination.lanes(),
            gate_fetches: self.fetches.gate_credit().count,
            gate_fetch_bytes: self.fetches.gate_credit().bytes,
            other_fetches: self.fetches.other_credit().count,
            other_fetch_bytes: self.fetches.other_credit().bytes,
            snapshot_fetches: self.fetches.snapshot_credit().count,
            snapshot_fetch_bytes: self.fetches.snapshot_credit().bytes,
            imported_names: self.import.imported_names(),
            import: if self.import.is_idle() { ImportStatus::Idle } else { ImportStatus::Running },
            exports: self.exports.len(),
            wanted: self.fetches.len(),
            gate_waiting_for: self.gate.waiting_for(),
            proposals_waiting: self.proposals.waiting_count(),
            repairs: self.repairs.len(),
            serves: self.serves.len(),
            inline_bytes: self.inlines.bytes(),
            reclaims: self.reclamation.checking() + self.ledger.reclaiming(),
            reclaimed: self.ledger.reclaimed(),
            length_conflicts: self.length_conflicts,
            debts: self.debts(),
            sweep: self.reclamation.sweep(),
            store: if self.ledger.is_poisoned() {
                StoreStatus::Poisoned
            } else if self.is_stalled() {
                StoreStatus::Stalled
            } else if self.is_full() {
                StoreStatus::Full
            } else {
                StoreStatus::Working
            },
        }
    }
}
