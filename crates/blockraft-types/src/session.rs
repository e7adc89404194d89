//! Sessions of clients (Raft thesis, section 6.3): what names one, and whose turn a command is.
//!
//! A command that is repeated under the turn that it had is carried out once, however often it gets into the log, and
//! is answered each time with what it did then.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::position::LogIndex;

/// A session, named by the command that opened it. The log gives each name once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// The entry that opened it.
    pub opened: LogIndex,
    /// The place of the command in that entry, counted from 0.
    pub number: u32,
}

/// The number of a command in its session. They only grow; not each one has to be used.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence(pub u64);

/// Which command of which session this is, whenever and wherever it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Turn {
    /// The session.
    pub session: SessionId,
    /// Which command.
    pub sequence: Sequence,
    /// The client has the outcome of every command before this one, or has given it up: none of them is carried out any
    /// more. Never behind `sequence`.
    pub first_unanswered: Sequence,
}

impl Sequence {
    /// The number `further` on. Saturates: no client counts that far, and a hostile `u64::MAX` must not wrap.
    #[must_use]
    pub const fn plus(self, further: u64) -> Self {
        Self(self.0.saturating_add(further))
    }

    /// How many numbers lie from `earlier` up to before this one; zero when there are none.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Turn {
    /// The turn of the command that comes `further` behind this one, in the same breath.
    #[must_use]
    pub const fn plus(self, further: u64) -> Self {
        Self { sequence: self.sequence.plus(further), ..self }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.opened, self.number)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {self}")
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// From the first unanswered command of a session to the newest one there are at most so many; a replica keeps no more
/// outcomes of one session.
pub const UNANSWERED_MAX: u64 = 4_096;
