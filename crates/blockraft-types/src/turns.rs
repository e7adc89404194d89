//! The turns of one session, as the client that owns it keeps them.

use alloc::collections::BTreeSet;

use crate::session::{Sequence, SessionId, Turn, UNANSWERED_MAX};

/// Gives the commands of one session their numbers, and knows which of them are still to be answered.
///
/// # Examples
/// ```
/// use blockraft_types::{LogIndex, Sequence, SessionId, Turns};
///
/// let mut turns = Turns::new(SessionId { opened: LogIndex(7), number: 0 });
/// let (first, second) = (turns.begin(1).unwrap(), turns.begin(1).unwrap());
/// turns.end(second);
/// assert_eq!(turns.turn(first).first_unanswered, first);
/// turns.end(first);
/// let third = turns.begin(1).unwrap();
/// assert_eq!(turns.turn(third).first_unanswered, third);
/// ```
#[derive(Clone, Debug)]
pub struct Turns {
    session: SessionId,
    next: Sequence,
    /// The first number of each batch under way.
    open: BTreeSet<Sequence>,
}

impl Turns {
    /// Of a session that was opened just now.
    #[must_use]
    pub const fn new(session: SessionId) -> Self {
        Self { session, next: Sequence(1), open: BTreeSet::new() }
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Begins a batch of `commands`, at least one, and gives the number of the first. `None` while too much is unanswered:
    /// [`UNANSWERED_MAX`] says how much, and no longer batch ever begins.
    #[must_use]
    pub fn begin(&mut self, commands: u64) -> Option<Sequence> {
        let end = self.next.plus(commands.max(1));
        if UNANSWERED_MAX < end.since(self.first_unanswered()) {
            return None;
        }
        let first = core::mem::replace(&mut self.next, end);
        self.open.insert(first);
        Some(first)
    }

    /// The turn of the first command of a batch under way, to be sent now. It may be sent many times; each time it tells
    /// what was answered by then.
    #[must_use]
    pub fn turn(&self, first: Sequence) -> Turn {
        Turn { session: self.session, sequence: first, first_unanswered: self.first_unanswered().min(first) }
    }

    /// Ends a batch: its outcomes are known, or nobody asks for them any more. What of it wasn't carried out by the time
    /// that a later command of the session is, never will be.
    pub fn end(&mut self, first: Sequence) {
        self.open.remove(&first);
    }

    fn first_unanswered(&self) -> Sequence {
        self.open.first().copied().unwrap_or(self.next)
    }
}
