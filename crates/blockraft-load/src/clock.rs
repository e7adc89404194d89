//! The one clock of a run: nanoseconds for histories, milliseconds of the calendar for whoever injects faults.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment that all times of a history are counted from.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_unix: Duration,
    /// What the clock showed at its start.
    offset: Duration,
}

impl Clock {
    /// Time zero is now.
    #[must_use]
    pub fn start() -> Self {
        let start_unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_unix, offset: Duration::ZERO }
    }

    /// It is this late now: histories that are continued go on behind their last operation.
    #[must_use]
    pub fn continued(after_ns: u64) -> Self {
        Self { offset: Duration::from_nanos(after_ns), ..Self::start() }
    }

    /// Monotonic nanoseconds since time zero.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        u64::try_from((self.offset + self.start.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Milliseconds since 1970 that fit the monotonic ones, whatever happens to the calendar meanwhile.
    #[must_use]
    pub fn unix_ms(&self, at_ns: u64) -> u64 {
        let at = self.start_unix + Duration::from_nanos(at_ns).saturating_sub(self.offset);
        u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn a_continued_clock_is_late_and_its_calendar_is_not() {
        let clock = Clock::continued(5_000_000_000_000);
        let now_ns = clock.now_ns();
        assert!((5_000_000_000_000..5_060_000_000_000).contains(&now_ns));
        let unix_ms = Clock::start().unix_ms(0);
        assert!(unix_ms.abs_diff(clock.unix_ms(now_ns)) < 60_000);
    }
}
