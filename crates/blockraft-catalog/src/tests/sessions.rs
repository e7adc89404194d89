//! Commands of sessions are carried out once, whatever repeats them, until their session expires.

use std::collections::BTreeMap;

use blockraft_types::session::UNANSWERED_MAX;
use blockraft_types::{LogIndex, Position, Sequence, SessionId, Term};
use proptest::prelude::*;

use super::history::{Log, apply_all, delete, history, in_turn, name, open, outcomes, put};
use super::model::{Limits, Model};
use crate::applied::Applied;
use crate::catalog::Catalog;
use crate::command::{Command, Request};
use crate::memory::MemoryTable;
use crate::outcome::{Outcome, Settled};
use crate::sessions::{OUTCOMES_MAX, SESSIONS_MAX, SessionLimits};

fn at(index: u64) -> Position {
    Position { term: Term(1), index: LogIndex(index) }
}

/// A catalog and its log, in which entry 1 has opened a session.
fn with_session(table: &MemoryTable) -> (Catalog<MemoryTable>, Log) {
    let (mut catalog, mut log) = (open(table), Log::new());
    let applied = catalog.apply(&log.commands([Command::OpenSession])).unwrap();
    assert_eq!(applied.outcomes, [Settled { outcome: Outcome::SessionOpened, position: at(1) }]);
    (catalog, log)
}

fn apply(catalog: &mut Catalog<MemoryTable>, log: &mut Log, request: Request) -> Applied {
    catalog.apply(&log.commands([request])).unwrap()
}

/// RULES: attempt 1 is stuck on its way, attempt 2 succeeds, a delete succeeds, attempt 1 lands: the block must not be back.
#[test]
fn a_late_attempt_does_not_bring_back_what_was_deleted_since() {
    let (mut catalog, mut log) = with_session(&MemoryTable::new());
    let put = || in_turn(1, 1, 1, put(7));
    let first = apply(&mut catalog, &mut log, put());
    assert_eq!(outcomes(&first), [Outcome::Created]);
    apply(&mut catalog, &mut log, delete(7).into());
    let late = apply(&mut catalog, &mut log, put());
    assert_eq!((late.outcomes, late.effects), (first.outcomes, vec![]), "it is answered with what the first one did");
    assert_eq!(catalog.reader().visible(&name(7)).unwrap().value, None);

    // Its client knows the outcome by the time that another attempt lands.
    apply(&mut catalog, &mut log, in_turn(1, 2, 2, delete(8)));
    let overtaken = apply(&mut catalog, &mut log, put());
    assert_eq!(overtaken.outcomes, [Settled { outcome: Outcome::Overtaken, position: at(6) }]);
    assert_eq!(catalog.reader().visible(&name(7)).unwrap().value, None);
}

#[test]
fn what_was_given_up_before_it_was_carried_out_never_is() {
    let (mut catalog, mut log) = with_session(&MemoryTable::new());
    apply(&mut catalog, &mut log, in_turn(1, 2, 2, put(2)));
    let late = apply(&mut catalog, &mut log, in_turn(1, 1, 1, put(1)));
    assert_eq!((outcomes(&late), late.effects.len()), (vec![Outcome::Overtaken], 0));
    assert_eq!(catalog.reader().visible(&name(1)).unwrap().value, None);
}

#[test]
fn a_repeated_command_of_the_same_entry_is_carried_out_once() {
    let (mut catalog, mut log) = with_session(&MemoryTable::new());
    let requests = [in_turn(1, 1, 0, put(1)), in_turn(1, 2, 0, delete(1)), in_turn(1, 1, 0, put(1))];
    let applied = catalog.apply(&log.commands(requests)).unwrap();
    assert_eq!(outcomes(&applied), [Outcome::Created, Outcome::Deleted, Outcome::Created]);
    assert_eq!(catalog.state().blocks, 0);
}

#[test]
fn what_was_carried_out_is_known_after_a_restart_and_a_power_cut() {
    let table = MemoryTable::new();
    let (mut catalog, mut log) = with_session(&table);
    let first = apply(&mut catalog, &mut log, in_turn(1, 1, 1, put(1)));
    let deleted = log.commands([delete(1)]);
    catalog.apply(&deleted).unwrap();
    drop(catalog);
    let mut reopened = open(&table);
    let retry = log.commands([in_turn(1, 1, 1, put(1))]);
    assert_eq!(reopened.apply(&retry).unwrap().outcomes, first.outcomes);
    table.cut_power(2);
    let mut cut = open(&table);
    assert_eq!(cut.state().position, at(2), "the power cut took the delete as well");
    cut.apply(&deleted).unwrap();
    assert_eq!(cut.apply(&retry).unwrap().outcomes, first.outcomes);
    assert_eq!(cut.state().blocks, 0);
}

#[test]
fn a_session_that_never_was_or_expired_is_refused_by_name() {
    let (mut catalog, mut log) = with_session(&MemoryTable::new());
    catalog.limit_sessions(SessionLimits { sessions_max: 2, ..SessionLimits::FORMAT });
    let refused = apply(&mut catalog, &mut log, in_turn(9, 1, 1, put(1)));
    assert_eq!(outcomes(&refused), [Outcome::SessionExpired]);
    catalog.apply(&log.commands([Command::OpenSession])).unwrap(); // entry 3
    // It was opened first, and used last.
    assert_eq!(outcomes(&apply(&mut catalog, &mut log, in_turn(1, 1, 1, put(1)))), [Outcome::Created]);
    catalog.apply(&log.commands([Command::OpenSession])).unwrap(); // entry 5
    let refused = apply(&mut catalog, &mut log, in_turn(3, 1, 1, put(2)));
    assert_eq!((outcomes(&refused), refused.effects.len()), (vec![Outcome::SessionExpired], 0));
    assert_eq!(outcomes(&apply(&mut catalog, &mut log, in_turn(1, 2, 1, put(1)))), [Outcome::AlreadyPresent]);
    assert_eq!(catalog.state().blocks, 1);
}

#[test]
fn a_session_keeps_so_many_outcomes_and_refuses_more() {
    let (mut catalog, mut log) = with_session(&MemoryTable::new());
    catalog.apply(&log.commands((1..=UNANSWERED_MAX).map(|number| in_turn(1, number, 1, delete(1))))).unwrap();
    let full = apply(&mut catalog, &mut log, in_turn(1, UNANSWERED_MAX + 1, 1, put(1)));
    assert_eq!((outcomes(&full), full.effects.len()), (vec![Outcome::SessionFull], 0));
    let known = apply(&mut catalog, &mut log, in_turn(1, UNANSWERED_MAX, 1, delete(1)));
    assert_eq!(known.outcomes, [Settled { outcome: Outcome::Absent, position: at(2) }]);
    let room = apply(&mut catalog, &mut log, in_turn(1, UNANSWERED_MAX + 1, 2, put(1)));
    assert_eq!(outcomes(&room), [Outcome::Created], "it wasn't carried out before");
}

#[test]
fn the_session_that_was_used_least_recently_gives_way_at_each_bound() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    catalog.apply(&log.commands(vec![Command::OpenSession; SESSIONS_MAX])).unwrap();
    let session = |number| SessionId { opened: LogIndex(1), number };
    assert_eq!(catalog.sessions().iter().count(), SESSIONS_MAX);
    catalog.apply(&log.commands([Command::OpenSession])).unwrap();
    assert_eq!(catalog.sessions().iter().count(), SESSIONS_MAX);
    assert!(catalog.sessions().get(&session(0)).is_none() && catalog.sessions().get(&session(1)).is_some());

    // 32 sessions full of outcomes are as many as all sessions may have.
    let sessions = OUTCOMES_MAX as u64 / UNANSWERED_MAX;
    let full = |session: u64, outcomes: u64| {
        let deletes = (1..=outcomes).map(move |number| {
            let mut request = in_turn(1, number, 1, delete(1));
            if let Some(turn) = &mut request.turn {
                turn.session.number = session as u32;
            }
            request
        });
        deletes.collect::<Vec<_>>()
    };
    for session in 1..=sessions {
        catalog.apply(&log.commands(full(session, UNANSWERED_MAX))).unwrap();
    }
    assert!(catalog.sessions().get(&session(1)).is_some(), "at the bound");
    catalog.apply(&log.commands(full(sessions + 1, 1))).unwrap();
    // The others were used before it, and had no outcomes whose loss would have helped.
    assert!(catalog.sessions().get(&session(1)).is_none() && catalog.sessions().get(&session(2)).is_some());
    let bytes = catalog.sessions().encode();
    assert_eq!(&crate::Sessions::decode(&bytes).unwrap(), catalog.sessions());
}

#[test]
fn a_failed_entry_leaves_sessions_as_they_were() {
    let table = MemoryTable::new();
    let (mut catalog, mut log) = with_session(&table);
    let before = catalog.sessions().clone();
    let good = log.commands([in_turn(1, 1, 1, put(1))]);
    table.inject(crate::memory::Fault::Read);
    assert!(catalog.apply(&good).is_err());
    assert_eq!(catalog.sessions(), &before);
    assert_eq!(outcomes(&catalog.apply(&good).unwrap()), [Outcome::Created]);
}

#[test]
fn a_turn_that_contradicts_itself_is_carried_out_once() {
    let (mut catalog, mut log) = with_session(&MemoryTable::new());
    for _ in 0..2 {
        let applied = apply(&mut catalog, &mut log, in_turn(1, 3, u64::MAX, put(1)));
        assert_eq!(applied.outcomes, [Settled { outcome: Outcome::Created, position: at(2) }]);
    }
    let last = apply(&mut catalog, &mut log, in_turn(1, u64::MAX, u64::MAX, put(2)));
    assert_eq!(outcomes(&last), [Outcome::Created]);
    let sessions = catalog.sessions();
    assert_eq!(&crate::Sessions::decode(&sessions.encode()).unwrap(), sessions);
    assert_eq!(sessions.iter().next().unwrap().1.first_unanswered, Sequence(u64::MAX));
}

fn choices() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..24)
}

proptest! {
    #[test]
    fn sessions_mean_what_the_model_means(choices in choices(), sessions_max in 1..5_usize, outcomes_max in 1..20_usize) {
        let limits = SessionLimits { sessions_max, outcomes_max };
        let entries = history(&choices);
        let model = Model::of(&entries, Limits { sessions: limits, ..Limits::FORMAT });
        let mut catalog = open(&MemoryTable::new());
        catalog.limit_sessions(limits);
        let applied = apply_all(&mut catalog, &entries);
        let settled: Vec<_> = applied.into_iter().map(|applied| applied.outcomes).collect();
        prop_assert_eq!(&settled, &model.outcomes);
        let sessions: BTreeMap<_, _> = catalog.sessions().iter().map(|(id, session)| (*id, session.clone())).collect();
        prop_assert_eq!(sessions, model.sessions());
        // All at once is the same.
        let mut at_once = open(&MemoryTable::new());
        at_once.limit_sessions(limits);
        at_once.apply_many(&entries).unwrap();
        prop_assert_eq!(at_once.sessions(), catalog.sessions());
    }

    #[test]
    fn mutated_tables_of_sessions_never_panic(
        choices in choices(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut catalog = open(&MemoryTable::new());
        catalog.apply_many(&history(&choices)).unwrap();
        let mut bytes = catalog.sessions().encode();
        for (place, byte) in mutations {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(read) = crate::Sessions::decode(&bytes) {
            prop_assert_eq!(crate::Sessions::decode(&read.encode()).unwrap(), read);
        }
    }
}
