//! Proposals whose fate is open: who waits for which place in the log.

use std::collections::BTreeMap;

use blockraft_types::{LogIndex, NodeId, Position, Term};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::mistake::Mistake;
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

/// Accepted proposals, by place, and who waits (`W`) for what becomes of each. Whoever owns it bounds them.
#[derive(Debug)]
pub struct Proposals<W> {
    /// A place may be waited for in several terms: an entry of an older leader isn't lost before another is applied.
    open: BTreeMap<(LogIndex, Term), Open<W>>,
    applied_term: Term,
}

/// Who waited, and for what.
pub type Settled<W, O> = (W, Result<Committed<O>, ProposeError>);

#[derive(Debug)]
struct Open<W> {
    waiter: W,
    /// The tick at which the answer becomes `Unknown`; set when leadership is lost.
    deadline: Option<u64>,
}

impl<W> Proposals<W> {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self { open: BTreeMap::new(), applied_term: Term(0) }
    }

    /// The core put a proposal at `position`.
    pub fn accept(&mut self, position: Position, waiter: W) {
        self.open.insert((position.index, position.term), Open { waiter, deadline: None });
    }

    /// Entries were applied: gives everyone whose fate they decide.
    #[must_use = "whoever waits has to be answered"]
    pub fn resolve<O>(&mut self, applied: Vec<(Position, O)>, leader: Option<NodeId>) -> Vec<Settled<W, O>> {
        let mut settled = Vec::new();
        if self.open.is_empty() {
            return settled;
        }
        let last_term = applied.last().map_or(self.applied_term, |(position, _)| position.term);
        let overwritten = || ProposeError::NotProposed { reason: NotProposed::Overwritten, leader };
        let mut lose = |lost: Vec<W>| settled.extend(lost.into_iter().map(|waiter| (waiter, Err(overwritten()))));
        let mut kept = Vec::new();
        for (position, output) in applied {
            if Mistake::FateByIndexAlone.is_made() {
                let found = self.open.keys().find(|(index, _)| *index == position.index).copied();
                if let Some(open) = found.and_then(|place| self.open.remove(&place)) {
                    kept.push((open.waiter, Ok(Committed { position, output })));
                }
                continue;
            }
            lose(self.overwrite(|index, term| index == position.index && term != position.term, position.index));
            if let Some(open) = self.open.remove(&(position.index, position.term)) {
                kept.push((open.waiter, Ok(Committed { position, output })));
            }
        }
        // Terms never fall along a log: behind an applied entry no entry of an older term can ever be committed.
        if self.applied_term < last_term {
            self.applied_term = last_term;
            lose(self.overwrite(|_, term| term < last_term, LogIndex(u64::MAX)));
        }
        settled.append(&mut kept);
        settled
    }

    /// Leadership was lost at a tick: what isn't decided by `deadline` will be answered as unknown.
    pub fn set_deadline(&mut self, deadline: u64) {
        for open in self.open.values_mut() {
            open.deadline.get_or_insert(deadline);
        }
    }

    /// Gives those whose deadline has come, and what to answer.
    #[must_use = "whoever waits has to be answered"]
    pub fn expire(&mut self, now: u64) -> Vec<(W, ProposeError)> {
        let due = |_: &(LogIndex, Term), open: &mut Open<W>| open.deadline.is_some_and(|deadline| deadline <= now);
        let expired = self.open.extract_if(.., due);
        if Mistake::OpenCalledNotProposed.is_made() {
            let error = ProposeError::NotProposed { reason: NotProposed::NotLeader, leader: None };
            return expired.map(|(_, open)| (open.waiter, error.clone())).collect();
        }
        expired.map(|(_, open)| (open.waiter, ProposeError::Unknown { reason: Unknown::LeadershipLost })).collect()
    }

    /// A snapshot took the place of all entries up to `through`: what was among them is known to others, not here. Say so
    /// before anything behind it is applied.
    #[must_use = "whoever waits has to be answered"]
    pub fn skip(&mut self, through: LogIndex) -> Vec<(W, ProposeError)> {
        let covered = self.open.extract_if(..=(through, Term(u64::MAX)), |_, _| true);
        covered.map(|(_, open)| (open.waiter, ProposeError::Unknown { reason: Unknown::LeadershipLost })).collect()
    }

    /// The driver stops: nobody here will learn what became of the rest.
    #[must_use = "whoever waits has to be answered"]
    pub fn stop(&mut self) -> Vec<(W, ProposeError)> {
        let open = core::mem::take(&mut self.open).into_values();
        open.map(|open| (open.waiter, ProposeError::Unknown { reason: Unknown::Stopped })).collect()
    }

    fn overwrite(&mut self, lost: impl Fn(LogIndex, Term) -> bool, last: LogIndex) -> Vec<W> {
        let lost = self.open.extract_if(..=(last, Term(u64::MAX)), |&(index, term), _| lost(index, term));
        lost.map(|(_, open)| open.waiter).collect()
    }
}

impl<W> Default for Proposals<W> {
    fn default() -> Self {
        Self::new()
    }
}
