//! How long no leader was heard, in ticks, against a timeout drawn anew for each campaign.
//!
//! The deadline is measured from a fixed origin, the last sign of a leader, and carries a seeded jitter, so that
//! members don't fall into step.

use crate::config::Options;
use crate::dice::Dice;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ElectionClock {
    /// Ticks since the origin; never beyond `timeout`.
    elapsed: u32,
    timeout: u32,
    min: u32,
    max: u32,
    dice: Dice,
}

/// What a tick brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    Lasts,
    Over,
}

impl ElectionClock {
    pub(crate) fn new(options: &Options, seed: u64) -> Self {
        let (min, max) = (options.election_ticks_min, options.election_ticks_max);
        let mut dice = Dice::new(seed);
        let timeout = dice.between(min, max);
        // A member that just started knows no leader to be patient with: it waits for its share of the jitter alone.
        Self { elapsed: min.min(timeout - 1), timeout, min, max, dice }
    }

    pub(crate) fn tick(&mut self) -> Patience {
        assert!(self.elapsed <= self.timeout, "a clock that ran out was restarted");
        if self.elapsed < self.timeout {
            self.elapsed += 1;
        }
        if self.elapsed < self.timeout { Patience::Lasts } else { Patience::Over }
    }

    /// A leader was heard, or a vote given: the origin is now.
    pub(crate) const fn rewind(&mut self) {
        self.elapsed = 0;
    }

    /// A new wait begins, with a timeout of its own.
    pub(crate) fn redraw(&mut self) {
        self.elapsed = 0;
        self.timeout = self.dice.between(self.min, self.max);
    }

    /// Whether the origin is less than the shortest election timeout ago (thesis 4.2.3).
    pub(crate) const fn within_minimum(&self) -> bool {
        self.elapsed < self.min
    }
}
