//! The laws that a world judges by, and the first breach of one.

use thiserror::Error;

use crate::time::Time;

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// At most one leader in a term (Raft paper, election safety).
    OneLeaderPerTerm,
    /// Entries of one term and index are the same, and so is all before them (log matching).
    LogMatching,
    /// A leader holds every entry that was committed in an earlier term (leader completeness).
    LeaderCompleteness,
    /// What is applied at an index is the same everywhere, for ever (state machine safety).
    StateMachineSafety,
    /// Terms only grow and votes don't change, across restarts too.
    DurableVotes,
    /// Nothing is promised to a peer that a power cut could take back.
    PromisesAreDurable,
    /// An entry is applied only while a majority holds it durably.
    CommitQuorum,
    /// What a member finds after a start is what it made durable.
    Recovery,
    /// No entry in a log without its payload in the store.
    PayloadFirst,
    /// Nothing is removed that the log or the catalog needs.
    ReclaimOnlyDead,
    /// Every queue is within its bound.
    Bounds,
    /// An answer of "written" is true: the command is at that place, once, and did what was said.
    WritesAreTrue,
    /// A write that was called "not proposed" never happens.
    NotProposedNeverHappens,
    /// A command happens at most once: that of a session however often it is asked for, and not at all once the session
    /// has expired.
    AtMostOnce,
    /// Reads see what was acknowledged before, as far as their consistency promises.
    ReadsAreTrue,
    /// No other bytes than those asked for are served.
    RightBytes,
    /// A healed quorum makes progress in bounded time.
    Progress,
    /// Healed nodes come to the same state.
    Convergence,
    /// No block that was acknowledged and not deleted is lost.
    NothingLost,
    /// Nothing panics.
    NoPanic,
    /// A member starts from what it left.
    Starts,
    /// A node behind its own past says nothing of consensus.
    BehindItsPastIsSilent,
    /// No member sees a proof that another one, or itself, is damaged or wrong.
    NoAlarm,
}

/// A law was broken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{law:?} is broken at {at}: {what}")]
pub struct Breach {
    /// Which one.
    pub law: Law,
    /// When.
    pub at: Time,
    /// How.
    pub what: String,
}

/// What a judge says: all is well, or which law is broken and how.
pub(crate) type Verdict = Result<(), (Law, String)>;

/// Says no unless `holds`.
pub(crate) fn demand(holds: bool, law: Law, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err((law, what())) }
}
