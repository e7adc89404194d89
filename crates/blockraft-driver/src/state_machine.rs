//! The seam to a replicated state machine: what is done with committed entries.

use core::error::Error;

use blockraft_log::Anchor;
use blockraft_types::{Entry, LogIndex};
use thiserror::Error;

/// What a state machine's own storage said when it failed.
pub type Cause = Box<dyn Error + Send + Sync + 'static>;

/// Something that all members of a group feed with the same entries in the same order.
///
/// # Who calls it
///
/// The driver's apply thread owns it; every call blocks that thread alone. Readers of the state are the
/// implementation's own affair: share what they need behind an `Arc` before handing the machine over.
///
/// # What an implementer must never do
///
/// 1. Let anything but the entries decide the outcome: no clock, no chance, no iteration order of a hash map.
/// 2. Lose what [`flush`](Self::flush) has vouched for, or keep part of an `apply` and not its position: state and
///    [`applied`](Self::applied) move together or not at all.
/// 3. Skip an entry that it doesn't understand. An entry that can't be applied is an [`ApplyError`], which stops this
///    member loudly; one whose command is refused by its rules is an output that says so.
pub trait StateMachine: Send + 'static {
    /// What became of one entry.
    type Output: Send + 'static;

    /// The last entry applied, with its chain digest; the genesis anchor of the group before the first one. Read once,
    /// when the driver starts: entries after it are applied again.
    fn applied(&self) -> Anchor;

    /// Applies `entries`, which directly follow [`applied`](Self::applied), and gives one output for each, in order:
    /// for blank and membership entries too, although they carry no command.
    ///
    /// It needn't be durable when it returns: the log is its write-ahead log until [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// [`ApplyError`] is final: the driver stops and says at which entry.
    fn apply(&mut self, entries: &[Entry]) -> Result<Vec<Self::Output>, ApplyError>;

    /// Takes the snapshot at `anchor`, which the gate gave and which lies complete beside the present state, as its state.
    /// Durable when it returns, since the log is reset to `anchor` then. A crash on the way leaves either state whole.
    ///
    /// Whoever has a gate that never gives a snapshot keeps this default, which refuses.
    ///
    /// # Errors
    ///
    /// [`InstallError`] is final: the driver stops.
    fn install(&mut self, anchor: Anchor) -> Result<(), InstallError> {
        Err(InstallError { index: anchor.position.index, source: "this state machine has no snapshots".into() })
    }

    /// Makes everything applied so far durable and gives its end. The log may be compacted up to there afterwards.
    ///
    /// # Errors
    ///
    /// [`FlushError`] is final: the driver stops.
    fn flush(&mut self) -> Result<Anchor, FlushError>;
}

/// An entry that couldn't be applied. The member stops: going on without it would make it differ from the others.
#[derive(Debug, Error)]
#[error("entry {index} can't be applied")]
pub struct ApplyError {
    /// The entry.
    pub index: LogIndex,
    /// What went wrong.
    pub source: Cause,
}

/// A snapshot couldn't be installed. The member stops.
#[derive(Debug, Error)]
#[error("the snapshot at entry {index} can't be installed")]
pub struct InstallError {
    /// The last entry that it covers.
    pub index: LogIndex,
    /// What went wrong.
    pub source: Cause,
}

/// The state machine couldn't make its state durable.
#[derive(Debug, Error)]
#[error("the state machine can't be flushed")]
pub struct FlushError {
    /// What went wrong.
    pub source: Cause,
}
