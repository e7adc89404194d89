//! Known mistakes that a test build can switch on, so that a simulation can prove that it would notice them.
//!
//! In any other build [`Mistakes::makes`] is constantly false and the compiler drops the branches.

/// A mistake from the project's fault list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(any(test, seeded_bugs)), expect(unreachable_pub, reason = "only seeded builds name it from outside"))]
pub enum Mistake {
    /// A payload counts as held as soon as the store knows its name, though its sync isn't done.
    HasInsteadOfReserve,
    /// A deleted block is reclaimed while entries of the un-compacted log still name it.
    ReclaimBeforeCompaction,
    /// A push is answered as durable when it arrives.
    ReceiptBeforeDurability,
    /// A put finds the bytes of a block whose delete is already queued, and counts them.
    ReputSeesQueuedDelete,
    /// Reclaim ignores leases.
    ReclaimIgnoresLeases,
    /// A snapshot counts as complete when its names are here.
    SnapshotWithoutPayloads,
    /// A block that was removed goes on counting as held.
    RemovedCountsAsHeld,
}

impl Mistake {
    /// Every one of them.
    #[cfg(any(test, seeded_bugs))]
    pub const ALL: &'static [Self] = &[
        Self::HasInsteadOfReserve,
        Self::ReclaimBeforeCompaction,
        Self::ReceiptBeforeDurability,
        Self::ReputSeesQueuedDelete,
        Self::ReclaimIgnoresLeases,
        Self::SnapshotWithoutPayloads,
        Self::RemovedCountsAsHeld,
    ];
}

/// Which mistake is switched on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mistakes {
    #[cfg(any(test, seeded_bugs))]
    chosen: Option<Mistake>,
}

impl Mistakes {
    #[cfg(any(test, seeded_bugs))]
    pub(crate) const fn choose(&mut self, mistake: Mistake) {
        self.chosen = Some(mistake);
    }

    #[cfg(any(test, seeded_bugs))]
    pub(crate) fn makes(self, mistake: Mistake) -> bool {
        self.chosen == Some(mistake)
    }

    #[cfg(not(any(test, seeded_bugs)))]
    #[expect(clippy::unused_self, reason = "the same call as in a seeded build")]
    pub(crate) const fn makes(self, _mistake: Mistake) -> bool {
        false
    }
}
