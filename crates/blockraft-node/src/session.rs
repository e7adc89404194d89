//! A session of the program that holds the node: it numbers the writes, and asks again until it is known what became of
//! each.

use core::future::Future;
use core::pin::pin;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_blocks::{Block, Multihash};
use blockraft_types::{Sequence, SessionId, Turn, Turns};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::answer::Written;
use crate::node::Node;
use crate::write_error::WriteError;

/// Writes that are carried out once each, whatever becomes of their answers.
///
/// Where a write of the [node](Node) ends as unknown, one of a session is asked for again, until it is known what it did
/// when it was carried out. Use it from any task; clones are one session, whose writes may go side by side.
///
/// A cluster keeps so many sessions, and lets the one expire that was used least recently: open one for a program, not one
/// for each write, and another one after [`WriteError::SessionExpired`].
///
/// # Examples
/// ```
/// use blockraft_blocks::Multihash;
/// use blockraft_node::{Node, Outcome, Session, WriteError};
///
/// /// Whether it was this call that deleted the block: true for one of all callers, also if an answer is lost.
/// async fn take(node: &Node, block: Multihash) -> Result<bool, WriteError> {
///     let session = Session::open(node).await?;
///     Ok(session.delete(block).await?.outcome == Outcome::Deleted)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    node: Node,
    register: Arc<Register>,
}

/// Which writes are under way.
#[derive(Debug)]
struct Register {
    turns: Mutex<Turns>,
    ended: Notify,
}

/// A write under way. Dropping it gives it up.
#[derive(Debug)]
struct Begun<'a> {
    register: &'a Register,
    sequence: Sequence,
}

impl Session {
    /// Opens a session through `node`. Dropping the future may leave one that nobody uses, and that expires in time.
    ///
    /// # Errors
    /// As [`Node::open_session`].
    pub async fn open(node: &Node) -> Result<Self, WriteError> {
        let turns = Mutex::new(Turns::new(node.open_session().await?));
        Ok(Self { node: node.clone(), register: Arc::new(Register { turns, ended: Notify::new() }) })
    }

    /// What names it.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.register.turns().session()
    }

    /// Puts a block, as [`Node::put_in`] does. Waits as long as it is unknown whether that was done: put a timeout around
    /// it to wait no longer.
    ///
    /// Dropping the future leaves the outcome open, until the next write of the session is done: then it has happened or
    /// never will.
    ///
    /// # Errors
    /// See [`WriteError`]. [`Unknown`](WriteError::Unknown) only if the node stops, or the session expires, before the
    /// outcome is known.
    pub async fn put(&self, block: Block) -> Result<Written, WriteError> {
        self.write(|turn| self.node.put_in(turn, block.clone())).await
    }

    /// Deletes a block, likewise.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn delete(&self, multihash: Multihash) -> Result<Written, WriteError> {
        self.write(|turn| self.node.delete_in(turn, multihash)).await
    }

    async fn write<F>(&self, ask: impl Fn(Turn) -> F) -> Result<Written, WriteError>
    where
        F: Future<Output = Result<Written, WriteError>>,
    {
        let begun = self.register.begin().await;
        let mut left_open = None;
        loop {
            match ask(begun.turn()).await {
                Err(WriteError::Unknown { reason }) => left_open = Some(reason),
                // This time it surely didn't happen; an earlier time it may have.
                Err(WriteError::NotProposed { .. }) if left_open.is_some() => {}
                Err(error) => return Err(left_open.map_or(error, |reason| WriteError::Unknown { reason })),
                Ok(written) => return Ok(written),
            }
            sleep(PAUSE).await;
        }
    }
}

impl Register {
    /// Begins a write; waits while too many are under way.
    async fn begin(&self) -> Begun<'_> {
        loop {
            let mut ended = pin!(self.ended.notified());
            // Before the look, so that nothing ends in between.
            ended.as_mut().enable();
            let sequence = self.turns().begin(1);
            if let Some(sequence) = sequence {
                return Begun { register: self, sequence };
            }
            ended.await;
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // Turns change in one statement each.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun<'_> {
    fn turn(&self) -> Turn {
        self.register.turns().turn(self.sequence)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.register.turns().end(self.sequence);
        self.register.ended.notify_waiters();
    }
}

/// How long to wait before what is unknown is asked for again: long enough for a leader to be found in a few tries.
const PAUSE: Duration = Duration::from_millis(50);
