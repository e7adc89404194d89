//! Ticks at fixed distances from a fixed origin.

use std::time::{Duration, Instant};

/// Says how many ticks are due. Missed ones aren't made up for: a pause counts for a few of them at most.
#[derive(Debug)]
pub(crate) struct Clock {
    next: Instant,
    tick: Duration,
    per_pause_max: u32,
}

impl Clock {
    pub(crate) fn new(now: Instant, tick: Duration, per_pause_max: u32) -> Self {
        let tick = tick.max(TICK_MIN);
        Self { next: now + tick, tick, per_pause_max: per_pause_max.max(1) }
    }

    /// When the next tick is due.
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// How many ticks are due at `now`.
    pub(crate) fn due(&mut self, now: Instant) -> u32 {
        let Some(late) = now.checked_duration_since(self.next) else { return 0 };
        let due = u32::try_from(late.as_nanos() / self.tick.as_nanos()).unwrap_or(u32::MAX - 1) + 1;
        // Far beyond the range of an `Instant` there is no origin to keep.
        self.next =
            self.tick.checked_mul(due).and_then(|ticks| self.next.checked_add(ticks)).unwrap_or(now + self.tick);
        due.min(self.per_pause_max)
    }
}

/// Less would only burn the processor.
const TICK_MIN: Duration = Duration::from_micros(100);
