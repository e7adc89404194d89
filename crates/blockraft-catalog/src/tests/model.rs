//! What entries mean, in the plainest words.

use std::collections::BTreeMap;

use blockraft_blocks::Multihash;
use blockraft_types::session::UNANSWERED_MAX;
use blockraft_types::{Entry, EntryKind, ImportId, LogIndex, Position, Sequence, SessionId};

use crate::batch;
use crate::command::{Command, Request};
use crate::imports::ImportLimits;
use crate::outcome::{Outcome, Settled};
use crate::pin::PinLimits;
use crate::row::Row;
use crate::session;
use crate::sessions::SessionLimits;
use crate::tests::model_dag::ModelDag;

/// Everything that entries came to.
#[derive(Default)]
pub(super) struct Model {
    pub(super) rows: BTreeMap<Multihash, Row>,
    pub(super) dag: ModelDag,
    /// In the order in which they were used, the one that expires next in front.
    sessions: Vec<Session>,
    /// Of each entry.
    pub(super) outcomes: Vec<Vec<Settled>>,
}

/// How much there may be of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) sessions: SessionLimits,
    pub(super) imports: ImportLimits,
    pub(super) pins: PinLimits,
}

impl Limits {
    pub(super) const FORMAT: Self =
        Self { sessions: SessionLimits::FORMAT, imports: ImportLimits::FORMAT, pins: PinLimits::FORMAT };
}

struct Session {
    id: SessionId,
    last_used: LogIndex,
    needed: Sequence,
    done: Vec<(Sequence, Settled)>,
}

/// What entries mean to a catalog as everybody has it.
pub(super) fn model(entries: &[Entry]) -> BTreeMap<Multihash, Row> {
    Model::of(entries, Limits::FORMAT).rows
}

impl Model {
    pub(super) fn of(entries: &[Entry], limits: Limits) -> Self {
        let mut model = Self::default();
        for entry in entries {
            let requests = match entry.head.kind {
                EntryKind::Command => batch::decode(&entry.body).unwrap(),
                EntryKind::Blank | EntryKind::Membership(_) => Vec::new(),
            };
            let requests = (0..).zip(requests);
            let outcomes = requests.map(|(number, request)| model.one(entry.head.position, number, request, limits));
            let outcomes = outcomes.collect();
            model.outcomes.push(outcomes);
        }
        model
    }

    /// The sessions that didn't expire, with what they know.
    pub(super) fn sessions(&self) -> BTreeMap<SessionId, session::Session> {
        let known = |Session { id, last_used, needed, done }: &Session| {
            let settled = done.iter().copied().collect();
            (*id, session::Session { last_used: *last_used, first_unanswered: *needed, settled })
        };
        self.sessions.iter().map(known).collect()
    }

    fn one(&mut self, position: Position, number: u32, request: Request, limits: Limits) -> Settled {
        let Request { turn, command } = request;
        let refused = |outcome| Settled { outcome, position };
        let Some(turn) = turn else {
            let outcome = self.carry_out(position, number, command, limits);
            self.expire(limits.sessions);
            return refused(outcome);
        };
        let Some(session) = self.sessions.iter_mut().find(|session| session.id == turn.session) else {
            return refused(Outcome::SessionExpired);
        };
        session.last_used = position.index;
        session.needed = session.needed.max(turn.first_unanswered.min(turn.sequence));
        session.done.retain(|(sequence, _)| session.needed <= *sequence);
        if turn.sequence < session.needed {
            return refused(Outcome::Overtaken);
        }
        if let Some((_, settled)) = session.done.iter().find(|(sequence, _)| *sequence == turn.sequence) {
            return *settled;
        }
        if UNANSWERED_MAX as usize <= session.done.len() {
            return refused(Outcome::SessionFull);
        }
        let settled = refused(self.carry_out(position, number, command, limits));
        self.expire(limits.sessions);
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == turn.session) {
            session.done.push((turn.sequence, settled));
        }
        self.expire(limits.sessions);
        settled
    }

    fn carry_out(&mut self, position: Position, number: u32, command: Command, limits: Limits) -> Outcome {
        match command {
            Command::Put { multihash, length, .. } => {
                if self.rows.contains_key(&multihash) {
                    return Outcome::AlreadyPresent;
                }
                self.rows.insert(multihash, Row { length, created: position });
                Outcome::Created
            }
            Command::Delete { multihash } => self.remove(multihash, Outcome::Deleted),
            Command::Collect { .. } if !self.dag.imports.is_empty() => Outcome::HeldByImport,
            Command::Collect { multihash } => self.remove(multihash, Outcome::Collected),
            Command::OpenImport => self.dag.open(ImportId { opened: position.index, number }, limits.imports),
            Command::KeepImport { import } => self.dag.keep(import, position.index),
            Command::EndImport { import } => self.dag.end(import),
            Command::ExpireImport { import, last_kept } => self.dag.expire(import, last_kept),
            Command::Link { parent, links } => self.dag.link(&self.rows, parent, links),
            Command::Pin { root, mode } => self.dag.pin(&self.rows, root, mode, limits.pins),
            Command::Unpin { root, mode } => self.dag.unpin(root, mode),
            Command::Noop => Outcome::Nothing,
            Command::OpenSession => {
                let id = SessionId { opened: position.index, number };
                self.sessions.push(Session { id, last_used: position.index, needed: Sequence(0), done: Vec::new() });
                Outcome::SessionOpened
            }
        }
    }

    fn remove(&mut self, multihash: Multihash, done: Outcome) -> Outcome {
        if !self.rows.contains_key(&multihash) {
            return Outcome::Absent;
        }
        if self.dag.holds(multihash) {
            return Outcome::HeldByPin;
        }
        self.rows.remove(&multihash);
        self.dag.forget(multihash);
        done
    }

    fn expire(&mut self, limits: SessionLimits) {
        self.sessions.sort_by_key(|session| (session.last_used, session.id));
        while limits.sessions_max < self.sessions.len() {
            self.sessions.remove(0);
        }
        while limits.outcomes_max < self.sessions.iter().map(|session| session.done.len()).sum() {
            let gone = self.sessions.iter().position(|session| !session.done.is_empty()).unwrap();
            self.sessions.remove(gone);
        }
    }
}
