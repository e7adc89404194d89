//! Proposals whose fate is open: who waits for which place in the log.

use std::collections::BTreeMap;

use blockraft_types::{LogIndex, NodeId, Position, Term};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::proposal::{Committed, NotProposed, ProposeError, Unknown};

/// The answer that one caller waits for, with its share of the queue. The share is given back with the answer, whether
/// or not the caller still listens.
#[derive(Debug)]
pub(crate) struct Promise<O> {
    pub(crate) answer: oneshot::Sender<Result<Committed<O>, ProposeError>>,
    pub(crate) permits: [OwnedSemaphorePermit; 2],
}

impl<O> Promise<O> {
    /// Answers. A caller that has gone away is no error.
    pub(crate) fn keep(self, result: Result<Committed<O>, ProposeError>) {
        drop(self.permits);
        let _ = self.answer.send(result);
    }
}

/// Accepted proposals, by place. Bounded by the permits of their promises.
#[derive(Debug)]
pub(crate) struct Proposals<O> {
    /// A place may be waited for in several terms: an entry of an older leader isn't lost before another is applied.
    open: BTreeMap<(LogIndex, Term), Open<O>>,
    applied_term: Term,
}

#[derive(Debug)]
struct Open<O> {
    promise: Promise<O>,
    /// The tick at which the answer becomes `Unknown`; set when leadership is lost.
    deadline: Option<u64>,
}

impl<O> Proposals<O> {
    pub(crate) const fn new() -> Self {
        Self { open: BTreeMap::new(), applied_term: Term(0) }
    }

    pub(crate) fn accept(&mut self, position: Position, promise: Promise<O>) {
        self.open.insert((position.index, position.term), Open { promise, deadline: None });
    }

    /// Entries were applied: answers everyone whose fate they decide.
    pub(crate) fn resolve(&mut self, applied: Vec<(Position, O)>, leader: Option<NodeId>) {
        if self.open.is_empty() {
            return;
        }
        let last_term = applied.last().map_or(self.applied_term, |(position, _)| position.term);
        for (position, output) in applied {
            self.overwrite(|index, term| index == position.index && term != position.term, position.index, leader);
            if let Some(open) = self.open.remove(&(position.index, position.term)) {
                open.promise.keep(Ok(Committed { position, output }));
            }
        }
        // Terms never fall along a log: behind an applied entry no entry of an older term can ever be committed.
        if self.applied_term < last_term {
            self.applied_term = last_term;
            self.overwrite(|_, term| term < last_term, LogIndex(u64::MAX), leader);
        }
    }

    /// Leadership was lost at a tick: what isn't decided by `deadline` will be answered as unknown.
    pub(crate) fn set_deadline(&mut self, deadline: u64) {
        for open in self.open.values_mut() {
            open.deadline.get_or_insert(deadline);
        }
    }

    /// Answers those whose deadline has come.
    pub(crate) fn expire(&mut self, now: u64) {
        let due = |_: &(LogIndex, Term), open: &mut Open<O>| open.deadline.is_some_and(|deadline| deadline <= now);
        for (_, open) in self.open.extract_if(.., due) {
            open.promise.keep(Err(ProposeError::Unknown { reason: Unknown::LeadershipLost }));
        }
    }

    /// The driver stops: nobody here will learn what became of the rest.
    pub(crate) fn stop(&mut self) {
        for open in core::mem::take(&mut self.open).into_values() {
            open.promise.keep(Err(ProposeError::Unknown { reason: Unknown::Stopped }));
        }
    }

    fn overwrite(&mut self, lost: impl Fn(LogIndex, Term) -> bool, last: LogIndex, leader: Option<NodeId>) {
        for (_, open) in self.open.extract_if(..=(last, Term(u64::MAX)), |&(index, term), _| lost(index, term)) {
            open.promise.keep(Err(ProposeError::NotProposed { reason: NotProposed::Overwritten, leader }));
        }
    }
}
