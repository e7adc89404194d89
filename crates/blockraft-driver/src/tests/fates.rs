//! What callers hear of proposals that were accepted.

use std::sync::Arc;

use blockraft_types::{LogIndex, Position, Term};
use tokio::sync::{Semaphore, oneshot};

use crate::proposal::{Committed, NotProposed, ProposeError, Unknown};
use crate::proposals::{Promise, Proposals};

type Answer = oneshot::Receiver<Result<Committed<u8>, ProposeError>>;

struct Table {
    proposals: Proposals<Promise<u8>>,
    room: Arc<Semaphore>,
}

impl Table {
    fn new() -> Self {
        Self { proposals: Proposals::new(), room: Arc::new(Semaphore::new(100)) }
    }

    fn accept(&mut self, term: u64, index: u64) -> Answer {
        let (sender, answer) = oneshot::channel();
        let permit = || Arc::clone(&self.room).try_acquire_owned().unwrap();
        self.proposals.accept(at(term, index), Promise { answer: sender, permits: [permit(), permit()] });
        answer
    }

    fn expire(&mut self, now: u64) {
        for (promise, error) in self.proposals.expire(now) {
            promise.keep(Err(error));
        }
    }

    fn apply(&mut self, term: u64, index: u64) {
        for (promise, result) in self.proposals.resolve(vec![(at(term, index), 7)], None) {
            promise.keep(result);
        }
    }
}

fn at(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: LogIndex(index) }
}

const OVERWRITTEN: Result<Committed<u8>, ProposeError> =
    Err(ProposeError::NotProposed { reason: NotProposed::Overwritten, leader: None });

#[test]
fn the_entry_itself_applied_means_committed() {
    let mut table = Table::new();
    let mut answer = table.accept(3, 10);
    table.apply(3, 9);
    assert!(answer.try_recv().is_err(), "nothing is decided yet");
    table.apply(3, 10);
    assert_eq!(answer.try_recv().unwrap(), Ok(Committed { position: at(3, 10), output: 7 }));
    assert_eq!(table.room.available_permits(), 100);
}

#[test]
fn another_entry_applied_in_its_place_means_not_proposed_whatever_its_term() {
    for term in [2, 4] {
        let mut table = Table::new();
        let mut answer = table.accept(3, 10);
        table.apply(term, 10);
        assert_eq!(answer.try_recv().unwrap(), OVERWRITTEN);
    }
}

#[test]
fn an_entry_of_a_later_term_applied_before_its_place_means_not_proposed() {
    let mut table = Table::new();
    let (mut lost, mut open) = (table.accept(3, 10), table.accept(4, 10));
    table.apply(4, 9);
    assert_eq!(lost.try_recv().unwrap(), OVERWRITTEN);
    assert!(open.try_recv().is_err(), "an entry of the applied term may still follow");
}

#[test]
fn what_a_snapshot_covers_is_unknown_though_entries_of_later_terms_are_applied_behind_it() {
    let mut table = Table::new();
    let (mut covered, mut behind) = (table.accept(1, 4), table.accept(1, 9));
    for (promise, error) in table.proposals.skip(LogIndex(6)) {
        promise.keep(Err(error));
    }
    table.apply(2, 7);
    assert!(matches!(covered.try_recv().unwrap(), Err(ProposeError::Unknown { reason: Unknown::LeadershipLost })));
    assert!(matches!(
        behind.try_recv().unwrap(),
        Err(ProposeError::NotProposed { reason: NotProposed::Overwritten, .. })
    ));
}

#[test]
fn only_what_is_open_at_its_deadline_is_unknown() {
    let mut table = Table::new();
    let (mut early, mut late) = (table.accept(3, 10), table.accept(3, 11));
    table.proposals.set_deadline(50);
    table.apply(3, 10);
    table.expire(49);
    assert!(early.try_recv().unwrap().is_ok());
    assert!(late.try_recv().is_err());
    table.expire(50);
    assert_eq!(late.try_recv().unwrap(), Err(ProposeError::Unknown { reason: Unknown::LeadershipLost }));
}
