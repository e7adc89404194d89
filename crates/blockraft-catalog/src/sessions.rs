//! The table of all sessions: which commands were carried out, so that none is carried out twice.
//!
//! It is part of the state: every replica that applied the same entries has the same table. It is bounded, and so are the
//! sessions in it; the one that was used least recently gives way, which every replica decides at the same entry. A
//! session that expired is refused from then on: its name is never given again.

use std::collections::BTreeMap;

use blockraft_types::{LogIndex, SessionId, Turn};

use crate::keys::{Keys, Kind};
use crate::mistake::Mistake;
use crate::outcome::{Outcome, Settled};
use crate::record::{DecodeRecordError, LoadError, decode, encode};
use crate::session::{Known, Session};
use crate::table::{Change, KeyRange, Pair, View};

/// All sessions of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    /// How many outcomes all of them keep.
    outcomes: usize,
}

/// How much is kept. All replicas keep the same, from the first entry on: these numbers are part of what commands mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The most sessions.
    pub sessions_max: usize,
    /// The most outcomes that all sessions keep together.
    pub outcomes_max: usize,
}

impl Sessions {
    /// A session, unless it has expired.
    #[must_use]
    pub fn get(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.sessions.iter()
    }

    /// What `view` shows of them.
    pub(crate) fn load(view: &dyn View, keys: Keys) -> Result<Self, LoadError> {
        let range = KeyRange { first: &keys.first(Kind::Sessions), end: &keys.end(Kind::Sessions) };
        let pairs = view.scan(range, SESSIONS_MAX + 1).map_err(LoadError::Table)?;
        if SESSIONS_MAX < pairs.len() {
            return Err(LoadError::Record(DecodeRecordError::Session));
        }
        let session = |(key, record): Pair| Ok((keys.session_id(&key)?, Session::decode(&record)?));
        let sessions = pairs.into_iter().map(session).collect::<Result<_, _>>().map_err(LoadError::Record)?;
        Ok(Self::of(sessions))
    }

    /// The table as it travels.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.records())
    }

    pub(crate) fn records(&self) -> Vec<(SessionId, Vec<u8>)> {
        self.sessions.iter().map(|(id, session)| (*id, session.encode())).collect()
    }

    /// Reads what [`encode`](Self::encode) wrote. Whatever the bytes are, it takes little more memory than the largest table
    /// does.
    ///
    /// # Errors
    /// The bytes are no such table, or one that is larger than a catalog keeps.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeRecordError> {
        if ENCODED_BYTES_MAX < bytes.len() {
            return Err(DecodeRecordError::Session);
        }
        Self::of_records(decode(bytes)?)
    }

    /// Takes what [`records`](Self::records) gave, or a peer says that it did.
    pub(crate) fn of_records(records: Vec<(SessionId, Vec<u8>)>) -> Result<Self, DecodeRecordError> {
        let mut table = Self::default();
        for (id, record) in records {
            let session = Session::decode(&record)?;
            table.outcomes += session.settled.len();
            let is_new = table.sessions.insert(id, session).is_none();
            if !is_new || SESSIONS_MAX < table.sessions.len() || OUTCOMES_MAX < table.outcomes {
                return Err(DecodeRecordError::Session);
            }
        }
        Ok(table)
    }

    fn of(sessions: BTreeMap<SessionId, Session>) -> Self {
        let outcomes = sessions.values().map(|session| session.settled.len()).sum();
        Self { sessions, outcomes }
    }

    /// Takes over what a run changed.
    pub(crate) fn take(&mut self, changed: ChangedSessions) {
        for (id, session) in changed.sessions {
            match session {
                Some(session) => drop(self.sessions.insert(id, session)),
                None => drop(self.sessions.remove(&id)),
            }
        }
        self.outcomes = changed.outcomes;
    }
}

impl SessionLimits {
    /// What all releases keep: [`SESSIONS_MAX`] and [`OUTCOMES_MAX`].
    pub const FORMAT: Self = Self { sessions_max: SESSIONS_MAX, outcomes_max: OUTCOMES_MAX };
}

/// The table under construction while entries are applied.
#[derive(Debug)]
pub(crate) struct SessionsRun<'a> {
    before: &'a Sessions,
    limits: SessionLimits,
    changed: ChangedSessions,
    /// How many sessions there are.
    count: usize,
}

/// What a run changed: `None` for a session that expired.
#[derive(Debug)]
pub(crate) struct ChangedSessions {
    sessions: BTreeMap<SessionId, Option<Session>>,
    outcomes: usize,
}

impl<'a> SessionsRun<'a> {
    pub(crate) fn on(before: &'a Sessions, limits: SessionLimits) -> Self {
        let changed = ChangedSessions { sessions: BTreeMap::new(), outcomes: before.outcomes };
        Self { before, limits, changed, count: before.sessions.len() }
    }

    /// Begins a session.
    pub(crate) fn open(&mut self, id: SessionId) {
        self.changed.sessions.insert(id, Some(Session::opened_at(id.opened)));
        self.count += 1;
        self.expire();
    }

    /// What is known of the command that stands in the entry at `index`.
    pub(crate) fn meet(&mut self, turn: &Turn, index: LogIndex) -> Known {
        if Mistake::ExpiredTreatedAsNew.is_made() && self.session(&turn.session).is_none() {
            let opened = Session::opened_at(index);
            self.changed.sessions.insert(turn.session, Some(opened));
            self.count += 1;
            self.expire();
        }
        let Some(session) = self.session(&turn.session) else {
            return Known::Refused(Outcome::SessionExpired);
        };
        let (known, forgotten) = session.meet(turn, index);
        self.changed.outcomes -= forgotten;
        known
    }

    /// Keeps what became of a command of which nothing was known.
    pub(crate) fn settle(&mut self, turn: &Turn, settled: Settled) {
        // The command itself may have made its session expire, by opening another one.
        let Some(session) = self.session(&turn.session) else { return };
        if session.settled.insert(turn.sequence, settled).is_none() {
            self.changed.outcomes += 1;
        }
        self.expire();
    }

    pub(crate) fn finish(self) -> ChangedSessions {
        self.changed
    }

    fn session(&mut self, id: &SessionId) -> Option<&mut Session> {
        if !self.changed.sessions.contains_key(id) {
            let session = self.before.sessions.get(id)?;
            self.changed.sessions.insert(*id, Some(session.clone()));
        }
        self.changed.sessions.get_mut(id)?.as_mut()
    }

    /// Lets sessions expire until the table is within its bounds.
    fn expire(&mut self) {
        while self.limits.sessions_max < self.count {
            self.expire_least_recent(|_| true);
        }
        while self.limits.outcomes_max < self.changed.outcomes {
            self.expire_least_recent(|session| !session.settled.is_empty());
        }
    }

    fn expire_least_recent(&mut self, may_expire: impl Fn(&Session) -> bool) {
        let changed = &self.changed.sessions;
        let kept = self.before.sessions.iter().filter(|(id, _)| !changed.contains_key(id));
        let touched = changed.iter().filter_map(|(id, session)| Some((id, session.as_ref()?)));
        let candidates = kept.chain(touched).filter(|(_, session)| may_expire(session));
        let least = candidates.min_by_key(|(id, session)| (session.last_used, **id));
        let (id, outcomes) =
            least.map(|(id, session)| (*id, session.settled.len())).expect("what is over a bound is there");
        self.changed.sessions.insert(id, None);
        self.changed.outcomes -= outcomes;
        self.count -= 1;
    }
}

impl ChangedSessions {
    /// What is to be written to the table.
    pub(crate) fn changes(&self, keys: Keys) -> impl Iterator<Item = Change> {
        self.sessions.iter().map(move |(id, session)| {
            let key = keys.session(id);
            match session {
                Some(session) => Change::Set { key, value: session.encode() },
                None => Change::Remove { key },
            }
        })
    }
}

/// The most sessions that a catalog keeps.
pub const SESSIONS_MAX: usize = 4_096;

/// The most outcomes that all sessions of a catalog keep together.
pub const OUTCOMES_MAX: usize = 131_072;

/// More than what is at both bounds takes, in numbers of the largest kind.
pub(crate) const ENCODED_BYTES_MAX: usize = SESSIONS_MAX * 64 + OUTCOMES_MAX * 32;
