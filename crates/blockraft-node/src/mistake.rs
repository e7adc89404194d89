//! Known mistakes of a node that a test build can switch on, so that a simulation proves that it would notice them.
//!
//! Only builds with `--cfg seeded_bugs` can choose one; everywhere else the question is the constant `false` and the
//! compiler drops the branches.

#[cfg(seeded_bugs)]
use std::cell::Cell;

/// A mistake from the rules of reads, of replay, of what holds the log, and of what others remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(seeded_bugs), expect(unreachable_pub, reason = "only seeded builds name it from outside"))]
pub enum Mistake {
    /// A `Linearizable` read looks at what happens to be applied.
    LinearizableWithoutReadIndex,
    /// A replica that is up to date says "absent" without asking.
    AbsentWithoutReadIndex,
    /// A proof of freshness never ends.
    FreshForEver,
    /// A proof isn't looked at again when the read is over.
    ProofLookedAtOnce,
    /// A replica serves without a proof, as one that has just started would.
    FreshAtBirth,
    /// What the client has seen elsewhere doesn't count.
    PositionIgnored,
    /// The log is compacted although bodies that rode in it aren't stored yet.
    InlineNotHeld,
    /// The data plane isn't told what the log names when a node starts.
    ReplayForgotten,
    /// What others remember of a node's past is not held against its disks.
    RecallSkipped,
    /// Who wasn't there when a node started is never asked.
    AskedOnlyAtStart,
    /// What a node remembers of others ends with its process.
    WitnessNotKept,
}

impl Mistake {
    /// Every one of them.
    #[cfg(seeded_bugs)]
    pub const ALL: &'static [Self] = &[
        Self::LinearizableWithoutReadIndex,
        Self::AbsentWithoutReadIndex,
        Self::FreshForEver,
        Self::ProofLookedAtOnce,
        Self::FreshAtBirth,
        Self::PositionIgnored,
        Self::InlineNotHeld,
        Self::ReplayForgotten,
        Self::RecallSkipped,
        Self::AskedOnlyAtStart,
        Self::WitnessNotKept,
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
