//! Known mistakes of a state machine that a test build can switch on, so that a simulation proves that it would notice them.
//!
//! Only builds with `--cfg seeded_bugs` can choose one; everywhere else the question is the constant `false` and the
//! compiler drops the branches.

#[cfg(seeded_bugs)]
use std::cell::Cell;

/// A mistake in applying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(seeded_bugs), expect(unreachable_pub, reason = "only seeded builds name it from outside"))]
pub enum Mistake {
    /// The position is written before what was applied up to it, so that a crash in between skips entries.
    PositionBeforeRows,
    /// The position is written after what was applied up to it, so that a crash in between applies entries again.
    PositionAfterRows,
    /// The order in which commands are obeyed depends on how entries are split over calls, as that of a map might.
    CommandsInOtherOrder,
    /// A snapshot has no sessions, so that whoever installs one doesn't know what was carried out.
    SessionsForgottenBySnapshot,
    /// A command of a session that was carried out before is carried out again.
    RepeatsCarriedOut,
    /// A session that isn't known is taken for one that begins.
    ExpiredTreatedAsNew,
}

impl Mistake {
    /// Every one of them.
    #[cfg(seeded_bugs)]
    pub const ALL: &'static [Self] = &[
        Self::PositionBeforeRows,
        Self::PositionAfterRows,
        Self::CommandsInOtherOrder,
        Self::SessionsForgottenBySnapshot,
        Self::RepeatsCarriedOut,
        Self::ExpiredTreatedAsNew,
    ];

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
