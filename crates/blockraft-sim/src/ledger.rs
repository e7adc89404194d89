//! The turns of clients as committed entries make them: a table like that of a catalog, in plain words, and a memory that
//! forgets nothing.

use std::collections::BTreeMap;

use blockraft_catalog::{Outcome, Session, SessionLimits, Settled};
use blockraft_types::session::UNANSWERED_MAX;
use blockraft_types::{Position, Sequence, SessionId, Turn};

use crate::law::{Law, Verdict, demand};

/// What every catalog has to know of sessions, and more.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: SessionLimits,
    sessions: BTreeMap<SessionId, Session>,
    /// What each turn did when it was carried out, whether or not its session has expired since.
    carried_out: BTreeMap<(SessionId, Sequence), Settled>,
}

impl Ledger {
    pub(crate) const fn new(limits: SessionLimits) -> Self {
        Self { limits, sessions: BTreeMap::new(), carried_out: BTreeMap::new() }
    }

    /// The sessions that haven't expired.
    pub(crate) const fn sessions(&self) -> &BTreeMap<SessionId, Session> {
        &self.sessions
    }

    /// What the command of this turn did, if it was ever carried out.
    pub(crate) fn carried_out(&self, turn: &Turn) -> Option<Settled> {
        self.carried_out.get(&(turn.session, turn.sequence)).copied()
    }

    /// A member says what came of a command of `turn` that stands at `position`: if it was carried out, then for the first
    /// time, and else it is told as it was then.
    pub(crate) fn judge_claim(&self, turn: &Turn, position: Position, said: Settled) -> Verdict {
        if is_refusal(said.outcome) {
            return Ok(());
        }
        let first = self.carried_out(turn);
        let holds = first.map_or(said.position == position, |first| first == said);
        demand(holds, Law::AtMostOnce, || {
            format!("{turn:?} came to {said:?} in the entry at {position}, and to {first:?} before")
        })
    }

    /// What a command of `turn` at `position` comes to without being carried out; nothing if this is its time.
    pub(crate) fn meet(&mut self, turn: &Turn, position: Position) -> Option<Settled> {
        let refused = |outcome| Some(Settled { outcome, position });
        let Some(session) = self.sessions.get_mut(&turn.session) else { return refused(Outcome::SessionExpired) };
        session.last_used = position.index;
        session.first_unanswered = session.first_unanswered.max(turn.first_unanswered.min(turn.sequence));
        session.settled.retain(|sequence, _| session.first_unanswered <= *sequence);
        if turn.sequence < session.first_unanswered {
            return refused(Outcome::Overtaken);
        }
        if let Some(settled) = session.settled.get(&turn.sequence) {
            return Some(*settled);
        }
        if UNANSWERED_MAX <= session.settled.len() as u64 {
            return refused(Outcome::SessionFull);
        }
        None
    }

    /// A command opened a session.
    pub(crate) fn open(&mut self, id: SessionId) {
        let session = Session { last_used: id.opened, first_unanswered: Sequence(0), settled: BTreeMap::new() };
        self.sessions.insert(id, session);
        self.expire();
    }

    /// The command of this turn was carried out.
    pub(crate) fn settle(&mut self, turn: &Turn, settled: Settled) {
        self.carried_out.insert((turn.session, turn.sequence), settled);
        if let Some(session) = self.sessions.get_mut(&turn.session) {
            session.settled.insert(turn.sequence, settled);
        }
        self.expire();
    }

    fn expire(&mut self) {
        let SessionLimits { sessions_max, outcomes_max } = self.limits;
        let outcomes = |sessions: &BTreeMap<SessionId, Session>| -> usize {
            sessions.values().map(|session| session.settled.len()).sum()
        };
        while sessions_max < self.sessions.len() {
            self.drop_oldest(|_| true);
        }
        while outcomes_max < outcomes(&self.sessions) {
            self.drop_oldest(|session| !session.settled.is_empty());
        }
    }

    fn drop_oldest(&mut self, may_go: impl Fn(&Session) -> bool) {
        let candidates = self.sessions.iter().filter(|(_, session)| may_go(session));
        let oldest = candidates.min_by_key(|(id, session)| (session.last_used, **id)).map(|(id, _)| *id);
        self.sessions.remove(&oldest.expect("a table over its bound isn't empty"));
    }
}

/// Whether nothing was done, now or before.
pub(crate) const fn is_refusal(outcome: Outcome) -> bool {
    match outcome {
        Outcome::SessionExpired | Outcome::SessionFull | Outcome::Overtaken => true,
        Outcome::Created
        | Outcome::AlreadyPresent
        | Outcome::Deleted
        | Outcome::Absent
        | Outcome::Nothing
        | Outcome::SessionOpened
        | Outcome::ImportOpened
        | Outcome::ImportsFull
        | Outcome::ImportKept
        | Outcome::ImportEnded
        | Outcome::ImportExpired
        | Outcome::Linked
        | Outcome::TooManyCodecs
        | Outcome::Pinned
        | Outcome::AlreadyPinned
        | Outcome::Incomplete
        | Outcome::TooLarge
        | Outcome::Unpinned
        | Outcome::NotPinned
        | Outcome::Collected
        | Outcome::HeldByImport
        | Outcome::HeldByPin => false,
    }
}
