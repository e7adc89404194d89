//! What is committed: the one history that every replica must agree with, and a catalog of its own making.

use std::collections::BTreeMap;
use std::ops::Bound;

use blockraft_blocks::Multihash;
use blockraft_catalog::{
    CarriedBond, CatalogState, Command, Outcome, Request, Row, Session, SessionLimits, Settled, batch,
};
use blockraft_types::{ChainDigest, Entry, EntryKind, ImportId, LogIndex, Membership, Position, SessionId, Term, Turn};

use crate::dag::Dag;
use crate::law::{Law, Verdict, demand};
use crate::ledger::{Ledger, is_refusal};
use crate::time::Time;

/// The committed prefix, and what follows from it.
#[derive(Debug)]
pub(crate) struct Oracle {
    committed: Vec<Committed>,
    /// The newest configuration among them.
    membership: Membership,
    /// When each block came and went, by index.
    rows: BTreeMap<Multihash, Vec<(LogIndex, Presence)>>,
    /// The rows that are there after the last entry.
    catalog: BTreeMap<Multihash, Row>,
    ledger: Ledger,
    dag: Dag,
    /// Where each attempt of a client stands in the log.
    attempts: BTreeMap<Multihash, Attempt>,
    /// The last entry that was first applied by a member in each term: it was committed in that term or before.
    by_term: BTreeMap<Term, (Position, ChainDigest)>,
    /// Moments, and the highest index that was acknowledged by then.
    acknowledged: Vec<(Time, LogIndex)>,
}

#[derive(Debug)]
struct Committed {
    position: Position,
    chain: ChainDigest,
    outcomes: Vec<Settled>,
    requests: Vec<Request>,
    /// How many blocks were there, and their bytes.
    count: (u64, u64),
}

/// What a catalog holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) state: Option<CatalogState>,
    pub(crate) rows: Vec<(Multihash, Row)>,
    pub(crate) bonds: BTreeMap<Multihash, CarriedBond>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) imports: BTreeMap<ImportId, LogIndex>,
}

/// Whether a block is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Present,
    Absent,
}

/// What is known of an attempt to write: the name that it carries into the log is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    Open,
    /// It was said that it never happens.
    Void,
    At(LogIndex),
}

/// What applying an entry taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is the first time that anybody applied this index.
    First,
    Known,
}

impl Picture {
    /// What of it is short enough to be told.
    pub(crate) fn without_rows(self) -> Self {
        Self { rows: Vec::new(), ..self }
    }
}

impl Oracle {
    /// A group of these members that keeps so much of sessions, in which nothing is committed.
    pub(crate) const fn new(genesis: Membership, sessions: SessionLimits) -> Self {
        Self {
            committed: Vec::new(),
            membership: genesis,
            rows: BTreeMap::new(),
            catalog: BTreeMap::new(),
            ledger: Ledger::new(sessions),
            dag: Dag::new(),
            attempts: BTreeMap::new(),
            by_term: BTreeMap::new(),
            acknowledged: Vec::new(),
        }
    }

    /// The newest configuration that is committed.
    pub(crate) const fn membership(&self) -> &Membership {
        &self.membership
    }

    /// A member in `term` applied `entry`, with these outcomes.
    pub(crate) fn applied(
        &mut self,
        node: usize,
        term: Term,
        entry: &Entry,
        outcomes: &[Settled],
    ) -> Result<News, (Law, String)> {
        let position = entry.head.position;
        let place = position.index.0 as usize;
        let news = if place == self.committed.len() + 1 {
            self.extend(node, entry, outcomes)?;
            self.by_term.insert(term, (position, entry.head.chain));
            News::First
        } else {
            News::Known
        };
        let Some(known) = place.checked_sub(1).and_then(|place| self.committed.get(place)) else {
            return Err((Law::StateMachineSafety, format!("node {} applies {position} ahead of everybody", node + 1)));
        };
        demand(known.position == position && known.chain == entry.head.chain, Law::StateMachineSafety, || {
            format!("node {} applies {position} where {} was applied", node + 1, known.position)
        })?;
        demand(known.outcomes == outcomes, Law::StateMachineSafety, || {
            format!("node {} finds {outcomes:?} at {position}, not {:?}", node + 1, known.outcomes)
        })?;
        Ok(news)
    }

    /// Takes in the next entry. Of commands in sessions it is judged first what the member says that they came to.
    fn extend(&mut self, node: usize, entry: &Entry, said: &[Settled]) -> Verdict {
        let position = entry.head.position;
        let requests = match &entry.head.kind {
            EntryKind::Command => batch::decode(&entry.body)
                .map_err(|error| (Law::StateMachineSafety, format!("{position} is no batch: {error}")))?,
            EntryKind::Membership(membership) => {
                self.membership = (**membership).clone();
                Vec::new()
            }
            EntryKind::Blank => Vec::new(),
        };
        let mut outcomes = Vec::with_capacity(requests.len());
        for (number, request) in (0..).zip(&requests) {
            let said = said.get(number as usize);
            if let (Some(turn), Some(said)) = (&request.turn, said) {
                self.ledger.judge_claim(turn, position, *said)?;
            }
            let settled = self.settle(position, number, request)?;
            let was_done = is_refusal(settled.outcome) && said.is_some_and(|said| !is_refusal(said.outcome));
            demand(!was_done, Law::AtMostOnce, || {
                format!("node {} finds {said:?} at {position}, which had to be refused as {settled:?}", node + 1)
            })?;
            outcomes.push(settled);
        }
        let bytes = self.catalog.values().map(|row| u64::from(row.length)).sum();
        let count = (self.catalog.len() as u64, bytes);
        self.committed.push(Committed { position, chain: entry.head.chain, outcomes, requests, count });
        Ok(())
    }

    fn settle(&mut self, position: Position, number: u32, request: &Request) -> Result<Settled, (Law, String)> {
        let Request { turn, command } = request;
        if let Some(settled) = turn.as_ref().and_then(|turn| self.ledger.meet(turn, position)) {
            return Ok(settled);
        }
        let settled = Settled { outcome: self.obey(position, number, command)?, position };
        if let Some(turn) = turn {
            self.ledger.settle(turn, settled);
        }
        Ok(settled)
    }

    fn obey(&mut self, position: Position, number: u32, command: &Command) -> Result<Outcome, (Law, String)> {
        let index = position.index;
        match command {
            Command::Noop => Ok(Outcome::Nothing),
            Command::OpenSession => {
                self.ledger.open(SessionId { opened: index, number });
                Ok(Outcome::SessionOpened)
            }
            Command::Put { multihash, .. } if self.presence(multihash) == Presence::Present => {
                Ok(Outcome::AlreadyPresent)
            }
            Command::Put { multihash, length, .. } => {
                self.catalog.insert(*multihash, Row { length: *length, created: position });
                self.rows.entry(*multihash).or_default().push((index, Presence::Present));
                Ok(Outcome::Created)
            }
            Command::Delete { multihash } => {
                if let Some(attempt) = self.attempts.get_mut(multihash) {
                    match attempt {
                        Attempt::Open => *attempt = Attempt::At(index),
                        Attempt::Void => {
                            let what = format!("entry {index} holds an attempt that was called not proposed");
                            return Err((Law::NotProposedNeverHappens, what));
                        }
                        Attempt::At(first) => {
                            return Err((Law::AtMostOnce, format!("entry {index} repeats the attempt of {first}")));
                        }
                    }
                    return Ok(Outcome::Absent);
                }
                Ok(self.remove(multihash, index, Outcome::Deleted))
            }
            Command::Collect { .. } if !self.dag.imports().is_empty() => Ok(Outcome::HeldByImport),
            Command::Collect { multihash } => Ok(self.remove(multihash, index, Outcome::Collected)),
            Command::OpenImport => Ok(self.dag.open(ImportId { opened: index, number })),
            Command::KeepImport { import } => Ok(self.dag.keep(*import, index)),
            Command::EndImport { import } => Ok(self.dag.end(*import)),
            Command::ExpireImport { import, last_kept } => Ok(self.dag.expire(*import, *last_kept)),
            Command::Link { parent, links } => Ok(self.dag.link(&self.catalog, *parent, links)),
            Command::Pin { root, mode } => Ok(self.dag.pin(&self.catalog, *root, *mode)),
            Command::Unpin { root, mode } => Ok(self.dag.unpin(*root, *mode)),
        }
    }

    fn remove(&mut self, name: &Multihash, index: LogIndex, done: Outcome) -> Outcome {
        if self.presence(name) == Presence::Absent {
            return Outcome::Absent;
        }
        if self.dag.holds(name) {
            return Outcome::HeldByPin;
        }
        self.catalog.remove(name);
        self.dag.forget(name);
        self.rows.entry(*name).or_default().push((index, Presence::Absent));
        done
    }

    fn presence(&self, name: &Multihash) -> Presence {
        self.presence_at(name, LogIndex(u64::MAX))
    }

    /// Whether the block was there once `index` was applied.
    pub(crate) fn presence_at(&self, name: &Multihash, index: LogIndex) -> Presence {
        let events = self.rows.get(name).map(Vec::as_slice).unwrap_or_default();
        let before = events.partition_point(|(at, _)| *at <= index);
        before.checked_sub(1).and_then(|last| events.get(last)).map_or(Presence::Absent, |(_, presence)| *presence)
    }

    /// What was there once `index` was applied, behind `after` and up to `through`.
    pub(crate) fn page(
        &self,
        index: LogIndex,
        after: Option<Multihash>,
        through: Option<Multihash>,
    ) -> impl Iterator<Item = Multihash> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let known = self.rows.range((from, through.map_or(Bound::Unbounded, Bound::Included)));
        known.map(|(name, _)| *name).filter(move |name| self.presence_at(name, index) == Presence::Present)
    }

    /// How many blocks were there once `index` was applied, and how many bytes they have.
    pub(crate) fn count(&self, index: LogIndex) -> (u64, u64) {
        let known = (index.0 as usize).checked_sub(1).and_then(|place| self.committed.get(place));
        known.map_or((0, 0), |known| known.count)
    }

    /// The blocks that neither came nor went between the two, and whether they were there.
    pub(crate) fn unchanged(&self, first: LogIndex, last: LogIndex) -> impl Iterator<Item = (Multihash, Presence)> {
        let changed = move |events: &[(LogIndex, Presence)]| events.iter().any(|(at, _)| first < *at && *at <= last);
        let unchanged = self.rows.iter().filter(move |(_, events)| !changed(events));
        unchanged.map(move |(name, _)| (*name, self.presence_at(name, first)))
    }

    /// Whether the block was there at some moment from `index` on.
    pub(crate) fn was_present_since(&self, name: &Multihash, index: LogIndex) -> bool {
        let events = self.rows.get(name).map(Vec::as_slice).unwrap_or_default();
        self.presence_at(name, index) == Presence::Present
            || events.iter().any(|(at, presence)| index < *at && *presence == Presence::Present)
    }

    /// Whether the block was deleted before and is there again by entry `index`.
    pub(crate) fn is_back(&self, name: &Multihash) -> bool {
        self.rows.get(name).is_some_and(|events| 2 < events.len())
    }

    /// Every block that is there.
    pub(crate) fn present(&self) -> Vec<Multihash> {
        self.catalog.keys().copied().collect()
    }

    /// The import that was opened first of those that are open, with the entry that kept it last.
    pub(crate) fn oldest_import(&self) -> Option<(ImportId, LogIndex)> {
        self.dag.imports().first_key_value().map(|(import, last_kept)| (*import, *last_kept))
    }

    /// What a command of a session did, if it was ever carried out.
    pub(crate) fn carried_out(&self, turn: &Turn) -> Option<Settled> {
        self.ledger.carried_out(turn)
    }

    /// What a catalog has to hold after the last entry.
    pub(crate) fn catalog(&self) -> Picture {
        let rows: Vec<(Multihash, Row)> = self.catalog.iter().map(|(name, row)| (*name, *row)).collect();
        let (blocks, bytes) = (rows.len() as u64, rows.iter().map(|(_, row)| u64::from(row.length)).sum());
        let last = self.committed.last();
        let state = last.map(|last| CatalogState { position: last.position, chain: last.chain, blocks, bytes });
        let (bonds, imports) = (self.dag.bonds(), self.dag.imports().clone());
        Picture { state, rows, bonds, sessions: self.ledger.sessions().clone(), imports }
    }

    /// The last entry that was surely committed before `term`.
    pub(crate) fn last_before(&self, term: Term) -> Option<(Position, ChainDigest)> {
        self.by_term.range(..term).map(|(_, last)| *last).max_by_key(|(position, _)| position.index)
    }

    /// The committed entries up to `index`.
    pub(crate) fn links(&self, index: LogIndex) -> Vec<(Position, ChainDigest)> {
        let prefix = self.committed.iter().take(index.0 as usize);
        prefix.map(|entry| (entry.position, entry.chain)).collect()
    }

    /// A member took the state at `position` for its own, without the entries: it must be where everybody came by.
    pub(crate) fn judge_installed(&self, node: usize, position: Position, chain: ChainDigest) -> Verdict {
        let place = (position.index.0 as usize).checked_sub(1);
        let known = place.and_then(|place| self.committed.get(place)).map(|known| (known.position, known.chain));
        demand(known == Some((position, chain)), Law::StateMachineSafety, || {
            format!("node {} installs a snapshot at {position}, where {known:?} was applied", node + 1)
        })
    }

    /// How many entries were applied by anybody.
    pub(crate) fn len(&self) -> usize {
        self.committed.len()
    }

    /// A client begins an attempt.
    pub(crate) fn attempt(&mut self, marker: Multihash) {
        self.attempts.insert(marker, Attempt::Open);
    }

    /// It was said that the attempt never happens.
    pub(crate) fn void(&mut self, marker: &Multihash) -> Verdict {
        match self.attempts.get_mut(marker) {
            Some(attempt @ Attempt::Open) => {
                *attempt = Attempt::Void;
                Ok(())
            }
            Some(Attempt::At(index)) => Err((
                Law::NotProposedNeverHappens,
                format!("an attempt was called not proposed, and stands in entry {index}"),
            )),
            Some(Attempt::Void) | None => Ok(()),
        }
    }

    /// It was said that the attempt stands at `position`, with these outcomes.
    pub(crate) fn judge_written(&self, marker: &Multihash, position: Position, outcomes: &[Settled]) -> Verdict {
        let known = (position.index.0 as usize).checked_sub(1).and_then(|place| self.committed.get(place));
        let Some(known) = known.filter(|known| known.position == position) else {
            return Err((Law::WritesAreTrue, format!("a write was answered with {position}, which isn't committed")));
        };
        demand(known.outcomes == outcomes, Law::WritesAreTrue, || {
            format!("a write at {position} was answered with {outcomes:?}, not {:?}", known.outcomes)
        })?;
        let is_marker =
            |request: &Request| matches!(&request.command, Command::Delete { multihash } if multihash == marker);
        let stands = known.requests.iter().any(is_marker);
        demand(stands, Law::WritesAreTrue, || format!("a write was answered with {position}, where another stands"))
    }

    /// An answer as of `index` was given.
    pub(crate) fn acknowledge(&mut self, now: Time, index: LogIndex) {
        if self.acknowledged.last().is_none_or(|(_, highest)| *highest < index) {
            self.acknowledged.push((now, index));
        }
    }

    /// The highest index of any answer that was given before `moment`.
    pub(crate) fn acknowledged_before(&self, moment: Time) -> LogIndex {
        let before = self.acknowledged.partition_point(|(at, _)| *at < moment);
        before.checked_sub(1).and_then(|last| self.acknowledged.get(last)).map_or(LogIndex::ZERO, |(_, index)| *index)
    }

    /// The highest index of any answer so far.
    pub(crate) fn floor(&self) -> LogIndex {
        self.acknowledged.last().map_or(LogIndex::ZERO, |(_, index)| *index)
    }
}
