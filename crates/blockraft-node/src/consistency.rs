//! How up to date an answer must be.

use blockraft_types::{LogIndex, Position};

use crate::mistake::Mistake;

/// What a read promises about *presence*. Which bytes is never in doubt: a block's name is their hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// What this replica has applied, however old: never waits for another node. The answer's position tells how old.
    Local,
    /// A present block may be stale only with respect to deletes, and is served at once by a replica that is up to date:
    /// one that has applied a read index which it asked for less than the shortest election timeout ago. So no delete is
    /// missed that was acknowledged longer before the answer than that, even by a node that was stopped in between or is
    /// cut off without knowing. "Absent" is said only after a read index taken for this question was applied here. The
    /// default.
    Confirmed {
        /// The answer is at least as new as this: give the position of the last answer you got, from any node.
        at_least: Position,
    },
    /// As of a moment between the question and the answer: a read index first, always.
    Linearizable,
}

impl Consistency {
    /// What must be applied here, besides a read index younger than the question, before it is told of many blocks at once
    /// which of them are there; `None` if whatever is applied will do.
    #[must_use]
    pub fn must_apply(self) -> Option<LogIndex> {
        match self {
            Self::Local => None,
            Self::Confirmed { .. } | Self::Linearizable if Mistake::ManyWithoutReadIndex.is_made() => None,
            Self::Confirmed { at_least } => Some(at_least.index),
            Self::Linearizable => Some(LogIndex::ZERO),
        }
    }
}

impl Default for Consistency {
    fn default() -> Self {
        Self::Confirmed { at_least: Position::ZERO }
    }
}
