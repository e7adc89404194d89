//! Pauses between dials: doubling, jittered, bounded.

use std::time::Duration;

use rand::Rng;

#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(max: Duration) -> Self {
        Self { next: PAUSE_MIN.min(max), max }
    }

    /// The next pause: between a half and the whole of a time that doubles, so that nodes which lost each other at the
    /// same moment don't dial at the same moment.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.max);
        pause
    }

    pub(crate) fn reset(&mut self) {
        self.next = PAUSE_MIN.min(self.max);
    }
}

const PAUSE_MIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
