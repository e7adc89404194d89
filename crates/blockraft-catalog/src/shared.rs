//! What a catalog, its readers and its flushers share: the table, and how far it has come.

use std::sync::{Mutex, MutexGuard, PoisonError};

use blockraft_types::Position;

use crate::pin::PinLimits;
use crate::row::{CatalogState, Slot};
use crate::table::Table;

#[derive(Debug)]
pub(crate) struct Shared<T> {
    table: T,
    progress: Mutex<Progress>,
}

/// `flushed <= applied.position`, always.
#[derive(Clone, Copy, Debug)]
struct Progress {
    applied: CatalogState,
    slot: Slot,
    pin_limits: PinLimits,
    flushed: Position,
    flushes: Flushes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flushes {
    Sound,
    Failed,
}

impl<T: Table> Shared<T> {
    /// Of a table that was opened just now: whatever it holds then survived, so it is durable.
    pub(crate) const fn new(table: T, applied: CatalogState, slot: Slot) -> Self {
        let (pin_limits, flushed) = (PinLimits::FORMAT, applied.position);
        let progress = Progress { applied, slot, pin_limits, flushed, flushes: Flushes::Sound };
        Self { table, progress: Mutex::new(progress) }
    }

    pub(crate) const fn table(&self) -> &T {
        &self.table
    }

    pub(crate) fn applied(&self) -> CatalogState {
        self.progress().applied
    }

    /// Called after the table shows `applied`, so that a reader who was told of it will find it.
    pub(crate) fn advance(&self, applied: CatalogState) {
        let progress = &mut *self.progress();
        assert!(progress.applied.position.index < applied.position.index, "entries are applied once, in order");
        progress.applied = applied;
    }

    pub(crate) fn pin_limits(&self) -> PinLimits {
        self.progress().pin_limits
    }

    pub(crate) fn limit_pins(&self, limits: PinLimits) {
        self.progress().pin_limits = limits;
    }

    /// Where the rows of the state in force are.
    pub(crate) fn slot(&self) -> Slot {
        self.progress().slot
    }

    /// Called after the table shows the snapshot in `slot`, durably.
    pub(crate) fn install(&self, applied: CatalogState, slot: Slot) {
        let progress = &mut *self.progress();
        (progress.applied, progress.slot, progress.flushed) = (applied, slot, applied.position);
    }

    pub(crate) fn flushed(&self) -> Position {
        self.progress().flushed
    }

    pub(crate) fn raise_flushed(&self, flushed: Position) {
        let progress = &mut *self.progress();
        progress.flushed = progress.flushed.max(flushed);
        assert!(progress.flushed <= progress.applied.position, "only what was applied can be flushed");
    }

    pub(crate) fn fail_flushes(&self) {
        self.progress().flushes = Flushes::Failed;
    }

    pub(crate) fn flush_failed(&self) -> bool {
        self.progress().flushes == Flushes::Failed
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Progress is plain values, each assigned at once: sound even if an assertion failed while it was locked.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
