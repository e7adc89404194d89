//! The session in which a client writes, so that what may have been done can be asked for again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_types::{Sequence, SessionId, Turn, Turns};
use tokio::sync::Notify;

/// The session that writes go to, once there is one.
#[derive(Debug, Default)]
pub(crate) struct CurrentSession(pub(crate) tokio::sync::Mutex<Option<Arc<Session>>>);

/// A session of this client. Its writes wait for their turn while too many are unanswered.
#[derive(Debug)]
pub(crate) struct Session {
    turns: Mutex<Turns>,
    ended: Notify,
}

/// Commands that a session has begun and whose outcomes are awaited. Dropping it, also by cancellation, gives them up: what
/// wasn't carried out by the time that a later one is, never will be.
#[derive(Debug)]
pub(crate) struct Begun {
    session: Arc<Session>,
    first: Sequence,
}

impl Session {
    pub(crate) fn new(id: SessionId) -> Self {
        Self { turns: Mutex::new(Turns::new(id)), ended: Notify::new() }
    }

    /// Begins so many commands; waits while too much is unanswered.
    pub(crate) async fn begin(self: &Arc<Self>, commands: u64) -> Begun {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Before the look, so that nothing ends in between.
            ended.as_mut().enable();
            let first = self.turns().begin(commands);
            if let Some(first) = first {
                return Begun { session: Arc::clone(self), first };
            }
            ended.await;
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // Turns change in one statement each.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// The turn of the first of them, as of now.
    pub(crate) fn turn(&self) -> Turn {
        self.session.turns().turn(self.first)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.session.turns().end(self.first);
        self.session.ended.notify_waiters();
    }
}
