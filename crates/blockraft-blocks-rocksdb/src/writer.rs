//! The thread that writes: all that waits goes out as one batch with one sync.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};

use blockraft_blocks::WriteError;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::database::{Database, Write, Written};

/// What the writer is asked for.
pub(crate) enum Request {
    Write { writes: Vec<Write>, room: OwnedSemaphorePermit, reply: oneshot::Sender<Result<Vec<Written>, WriteError>> },
    Flush { reply: oneshot::Sender<Result<(), WriteError>> },
}

/// The thread `blocks-rocksdb-write`; ends when nobody can ask any more, or the database was closed.
pub(crate) fn run(database: &Weak<Database>, received: &Receiver<Request>) {
    let mut poisoned_by = None;
    while let Ok(first) = received.recv() {
        let Some(database) = database.upgrade() else { return };
        let mut writes = Vec::new();
        let mut waiting = Vec::new();
        let mut flushing = Vec::new();
        for request in std::iter::once(first).chain(received.try_iter()) {
            match request {
                Request::Write { writes: more, room, reply } => {
                    waiting.push((more.len(), room, reply));
                    writes.extend(more);
                }
                Request::Flush { reply } => flushing.push(reply),
            }
        }
        let written = guarded(&mut poisoned_by, "write blocks", || database.write(&writes));
        let mut outcomes = written.as_ref().map(|written| written.iter().copied()).map_err(Clone::clone);
        for (count, _room, reply) in waiting {
            // Whoever stopped waiting doesn't want to know.
            let _ = reply.send(match &mut outcomes {
                Ok(outcomes) => Ok(outcomes.by_ref().take(count).collect()),
                Err(error) => Err(error.clone()),
            });
        }
        if !flushing.is_empty() {
            let flushed = guarded(&mut poisoned_by, "flush blocks", || database.flush());
            for reply in flushing {
                let _ = reply.send(flushed.clone());
            }
        }
    }
}

/// Refuses after a failure, and remembers one.
fn guarded<T>(
    poisoned_by: &mut Option<&'static str>,
    attempt: &'static str,
    work: impl FnOnce() -> Result<T, rocksdb::Error>,
) -> Result<T, WriteError> {
    if let Some(attempt) = poisoned_by {
        return Err(WriteError::Poisoned { attempt: (*attempt).to_owned() });
    }
    work().map_err(|error| {
        *poisoned_by = Some(attempt);
        WriteError::Failed { attempt: attempt.to_owned(), source: Arc::new(error) }
    })
}
