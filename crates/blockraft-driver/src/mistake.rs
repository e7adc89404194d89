//! Known mistakes around the fate of proposals that a test build can switch on, so that a simulation proves that it would
//! notice them.
//!
//! Only builds with `--cfg seeded_bugs` can choose one; everywhere else the question is the constant `false` and the
//! compiler drops the branches.

#[cfg(seeded_bugs)]
use core::sync::atomic::{AtomicUsize, Ordering};

/// A mistake in what callers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(seeded_bugs), expect(unreachable_pub, reason = "only seeded builds name it from outside"))]
pub enum Mistake {
    /// A proposal counts as committed when anything is applied at its index.
    FateByIndexAlone,
    /// A proposal whose fate is open is called not proposed.
    OpenCalledNotProposed,
}

impl Mistake {
    /// Every one of them.
    #[cfg(seeded_bugs)]
    pub const ALL: &'static [Self] = &[Self::FateByIndexAlone, Self::OpenCalledNotProposed];

    /// All drivers of this process make it from now on; or none.
    #[cfg(seeded_bugs)]
    pub fn choose(mistake: Option<Self>) {
        CHOSEN.store(mistake.map_or(0, |mistake| mistake as usize + 1), Ordering::Relaxed);
    }

    /// Whether it is made.
    #[cfg(seeded_bugs)]
    pub(crate) fn is_made(self) -> bool {
        CHOSEN.load(Ordering::Relaxed) == self as usize + 1
    }

    /// Whether it is made: never.
    #[cfg(not(seeded_bugs))]
    #[expect(clippy::unused_self, reason = "the same call as in a seeded build")]
    pub(crate) const fn is_made(self) -> bool {
        false
    }
}

#[cfg(seeded_bugs)]
static CHOSEN: AtomicUsize = AtomicUsize::new(0);
