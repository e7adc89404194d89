//! Virtual time.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// A moment of a simulated world, in microseconds since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// As a distance from the beginning.
    #[must_use]
    pub const fn since_begin(self) -> Duration {
        Duration::from_micros(self.0)
    }

    /// How many microseconds after `earlier` it is; 0 if it isn't.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Time {
    type Output = Self;

    fn add(self, micros: u64) -> Self {
        Self(self.0 + micros)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
