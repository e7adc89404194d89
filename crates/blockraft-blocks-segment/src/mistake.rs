//! Known mistakes of a store that a test build can switch on, so that tests prove that they would notice them.
//!
//! Only builds with `--cfg seeded_bugs` can choose one; everywhere else the question is the constant `false` and the
//! compiler drops the branches.

#[cfg(seeded_bugs)]
use std::cell::Cell;

/// A mistake about what a disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(seeded_bugs), expect(unreachable_pub, reason = "only seeded builds name it from outside"))]
pub enum Mistake {
    /// Damage in the last segment is cut off as if it had never been synced.
    DamageCutAsTorn,
    /// After a write or sync that failed the next one counts.
    FailedSyncTriedAgain,
}

impl Mistake {
    /// Every one of them.
    #[cfg(seeded_bugs)]
    pub const ALL: &'static [Self] = &[Self::DamageCutAsTorn, Self::FailedSyncTriedAgain];

    /// Whatever this thread runs makes it from now on; or nothing does.
    #[cfg(seeded_bugs)]
    pub fn choose(mistake: Option<Self>) {
        CHOSEN.set(mistake);
    }

    /// Whether it is made.
    #[cfg(seeded_bugs)]
    pub(crate) fn is_made(self) -> bool {
        CHOSEN.get() == Some(self)
    }

    /// Whether it is made: never.
    #[cfg(not(seeded_bugs))]
    #[expect(clippy::unused_self, reason = "the same call as in a seeded build")]
    pub(crate) const fn is_made(self) -> bool {
        false
    }
}

#[cfg(seeded_bugs)]
thread_local! {
    static CHOSEN: Cell<Option<Mistake>> = const { Cell::new(None) };
}
