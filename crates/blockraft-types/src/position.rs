//! Where something stands in a log: term, index, and the two together.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A term of leadership (Raft paper, section 5.1): numbers that only grow, with at most one leader each.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Term(pub u64);

/// The place of an entry in the log, 1-based. Zero is the place before the first entry.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogIndex(pub u64);

/// The identity of an entry: two logs that hold an entry of equal position agree on everything before it
/// (Log Matching, Raft paper section 5.3).
///
/// The order is the paper's *up-to-date* order (section 5.4.1): the later term wins, then the longer log.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The term in which a leader created the entry.
    pub term: Term,
    /// Its place in the log.
    pub index: LogIndex,
}

impl Term {
    /// The term that a campaign in this one would ask for. Saturates: 2^64 terms are never reached honestly, and a
    /// hostile `u64::MAX` must not wrap to zero.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl LogIndex {
    /// The place before the first entry.
    pub const ZERO: Self = Self(0);

    /// The place after this one. Saturates, as [`Term::next`] does.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The place before this one; zero stays zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The place `entries` further on. Saturates.
    #[must_use]
    pub const fn plus(self, entries: u64) -> Self {
        Self(self.0.saturating_add(entries))
    }

    /// How many entries lie after `earlier` up to and including this place; zero when there are none.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Position {
    /// The position before the first entry of every log.
    pub const ZERO: Self = Self { term: Term(0), index: LogIndex(0) };
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}", self.0)
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i{}", self.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.term, self.index)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
