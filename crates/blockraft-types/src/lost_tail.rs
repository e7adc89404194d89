//! What a log that lost its end knows of what it lacks.

use serde::{Deserialize, Serialize};

use crate::position::{LogIndex, Term};

/// Entries at the end of a log are gone although they were durable, and term and vote are not: a disk that lied, a file
/// that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LostTail {
    /// The latest term that the member had seen when the loss was noticed. Whatever it said about the entries that are
    /// gone, it said in this term or an earlier one.
    pub term: Term,
    /// The log had reached this far, and perhaps further.
    pub index: LogIndex,
}

impl LostTail {
    /// Whether a log that holds an entry of `term` holds all that was lost and is needed: that is so if the term is later
    /// than any in which the lost entries were spoken of. `blockraft-core` says why, in its room `recovery`.
    #[must_use]
    pub const fn is_made_good_by(self, term: Term) -> bool {
        self.term.0 < term.0
    }
}
