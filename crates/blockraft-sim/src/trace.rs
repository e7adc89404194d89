//! The trace of a run: one number that two runs share only if they took the same way.

use core::fmt;
use core::fmt::Arguments;

use xxhash_rust::xxh3::Xxh3;

use crate::time::Time;

/// Folds what happens into a hash, and writes it down if it was asked to.
#[derive(Clone)]
pub struct Trace {
    hash: Xxh3,
    lines: Option<Vec<String>>,
    events: u64,
}

impl Trace {
    /// A trace that is only a hash, or with `lines` a text as well.
    #[must_use]
    pub fn new(lines: Lines) -> Self {
        let lines = match lines {
            Lines::Dropped => None,
            Lines::Kept => Some(Vec::new()),
        };
        Self { hash: Xxh3::new(), lines, events: 0 }
    }

    /// Takes in one event in numbers.
    pub fn take(&mut self, numbers: &[u64]) {
        self.events += 1;
        for number in numbers {
            self.hash.update(&number.to_le_bytes());
        }
    }

    /// Says something to whoever reads the text; the hash doesn't change.
    pub fn say(&mut self, now: Time, text: Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{now} {text}"));
        }
    }

    /// The hash so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash.digest()
    }

    /// How many events it took in.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The text.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// Whether a trace keeps its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// It does, and that takes time and memory.
    Kept,
    /// It doesn't.
    Dropped,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("hash", &self.hash()).field("events", &self.events).finish_non_exhaustive()
    }
}
