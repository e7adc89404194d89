//! The state machine: committed entries in, outcomes and effects out.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockraft_blocks::Multihash;
use blockraft_types::{ChainDigest, Entry, EntryKind, GroupId, LogIndex, Membership, Position, SessionId};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::batch::{self, DecodeBatchError};
use crate::command::{Command, Request};
use crate::flusher::CatalogFlusher;
use crate::mistake::Mistake;
use crate::moment::{RowError, row_in};
use crate::outcome::{Outcome, Settled};
use crate::reader::CatalogReader;
use crate::row::{CatalogState, DecodeRecordError, Keys, Row, Slot, StateRecord, decode, encode};
use crate::session::Known;
use crate::sessions::{ChangedSessions, LoadError, SessionLimits, Sessions, SessionsRun};
use crate::shared::Shared;
use crate::snapshot::{ImportError, Importer, InstallError, Manifest};
use crate::table::{Change, KeyRange, ReadError, Table, View, WriteBatch, WriteError};

/// The replicated state machine of one group: which blocks exist.
///
/// One owner applies committed entries in the order of the log. [`readers`](Self::reader) and
/// [`flushers`](Self::flusher) work beside it, from any thread.
#[derive(Debug)]
pub struct Catalog<T: Table> {
    shared: Arc<Shared<T>>,
    keys: Keys,
    genesis: ChainDigest,
    state: CatalogState,
    /// The configuration that the last membership entry brought, with its place.
    membership: Option<(LogIndex, Membership)>,
    sessions: Sessions,
    session_limits: SessionLimits,
    installed: Option<Position>,
    /// Set for good by the first write that failed: what the table holds since is unknown.
    writes: Writes,
}

/// What applying one entry did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The entry.
    pub position: Position,
    /// What became of each command of its body, in order; none for an entry of consensus itself.
    pub outcomes: Vec<Settled>,
    /// What changed for the data plane, in order.
    pub effects: Vec<Effect>,
}

/// A change that concerns the bytes of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The block became visible: its payload must stay.
    Live {
        /// Its name.
        multihash: Multihash,
        /// Its length in bytes.
        length: u32,
        /// Its bytes, when they came in the log: they have to reach the block store before the log may be compacted
        /// past this entry.
        inline: Option<Bytes>,
    },
    /// The block became invisible: its payload may be reclaimed once the log is compacted past this entry, unless the
    /// block is visible again by then.
    Dead {
        /// Its name.
        multihash: Multihash,
        /// Its length in bytes.
        length: u32,
    },
}

/// Why a catalog could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The table holds the catalog of another cluster, of other founding members, or of another group.
    #[error("the table holds the catalog of another log, which began with {found:?} and not with {expected:?}")]
    Foreign {
        /// The chain digest that the log of this catalog began with.
        found: ChainDigest,
        /// The one that the caller's log began with.
        expected: ChainDigest,
    },
    /// The catalog's state, or a session in it, can't be read: it is damaged, or of a newer release.
    #[error("the catalog's state can't be read")]
    State {
        /// What is wrong with it.
        #[source]
        source: DecodeRecordError,
    },
    /// There are rows and no state: something removed it.
    #[error("the catalog has rows and no state")]
    StateMissing,
    /// What a snapshot replaced can't be cleared away.
    #[error("clearing away the state that a snapshot replaced")]
    Replaced {
        /// What went wrong.
        #[source]
        source: ImportError,
    },
    /// The table couldn't be read.
    #[error("reading the catalog's state")]
    Table {
        /// What the table said.
        #[source]
        source: ReadError,
    },
}

/// Why an entry was not applied. Each of these stops the member: skipping the entry would let replicas part in silence.
/// Nothing of the call's entries was applied, except after [`Write`](Self::Write), where that is unknown.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The entry is not the one after the last one applied.
    #[error("entry {found} does not come after {applied}, which was applied last")]
    OutOfOrder {
        /// The entry that came.
        found: Position,
        /// The last one applied.
        applied: Position,
    },
    /// The entry continues another log than the one applied so far.
    #[error("entry {position} continues another log than the one applied so far")]
    Chain {
        /// The entry.
        position: Position,
    },
    /// The body is not the one that the head describes.
    #[error("the body of entry {position} is damaged")]
    Body {
        /// The entry.
        position: Position,
    },
    /// The body is no batch of commands that this release can read.
    #[error("the body of committed entry {position} is no batch of commands")]
    Undecodable {
        /// The entry.
        position: Position,
        /// What is wrong with it.
        #[source]
        source: DecodeBatchError,
    },
    /// A row that the entry needs could not be read.
    #[error("reading a row for entry {position}")]
    Row {
        /// The entry.
        position: Position,
        /// What is wrong.
        #[source]
        source: RowError,
    },
    /// The entries could not be written.
    #[error("writing what entries up to {position} changed")]
    Write {
        /// The last entry of the call.
        position: Position,
        /// What the table said.
        #[source]
        source: WriteError,
    },
    /// A write or a flush failed before: nothing is applied until the catalog is opened anew.
    #[error("the catalog stopped after a failed write or flush")]
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    Sound,
    Failed,
}

impl<T: Table> Catalog<T> {
    /// Opens the catalog of `group` in `table`, or begins it there. `genesis` is the chain digest before the group's
    /// first entry.
    ///
    /// A table that was open before a crash may be behind what was applied then: apply again from
    /// [`state`](Self::state) on. The state that a snapshot replaced is cleared away here, if the crash came before that.
    ///
    /// # Errors
    /// The table holds another log's catalog, a newer release's, or a damaged one; or it can't be read or written.
    pub fn open(table: T, group: GroupId, genesis: ChainDigest) -> Result<Self, OpenError> {
        let keys = Keys::of(group);
        let (state, slot) = read_state(table.view().as_ref(), keys, genesis)?;
        let membership = read_record(table.view().as_ref(), &keys.membership())?;
        let installed = read_record(table.view().as_ref(), &keys.installed())?;
        let keys = keys.in_slot(slot);
        let sessions = Sessions::load(table.view().as_ref(), keys).map_err(|error| match error {
            LoadError::Table(source) => OpenError::Table { source },
            LoadError::Record(source) => OpenError::State { source },
        })?;
        let (shared, writes) = (Arc::new(Shared::new(table, state, slot)), Writes::Sound);
        let session_limits = SessionLimits::FORMAT;
        let catalog = Self { shared, keys, genesis, state, membership, sessions, session_limits, installed, writes };
        if catalog.is_installed() {
            catalog.importer().clear().map_err(|source| OpenError::Replaced { source })?;
        }
        Ok(catalog)
    }

    /// The sessions of clients at [`state`](Self::state).
    #[must_use]
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The configuration in force at [`state`](Self::state) and the entry that brought it; none while it is the one that
    /// the group was born with.
    #[must_use]
    pub const fn membership(&self) -> Option<&(LogIndex, Membership)> {
        self.membership.as_ref()
    }

    /// Whether the state is a snapshot to which nothing was applied: then a log that doesn't reach it is no damage, but a
    /// crash in the middle of the installation.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.installed == Some(self.state.position)
    }

    /// What puts a snapshot together beside the state. One at a time.
    #[must_use]
    pub fn importer(&self) -> Importer<T> {
        Importer::new(Arc::clone(&self.shared), self.keys)
    }

    /// Makes the snapshot that was [sealed](Importer::seal) the state, in one batch, durably. `position` and `chain` are
    /// those of the last entry that it covers. [Clear](Importer::clear) what was the state before when it is convenient.
    ///
    /// # Errors
    /// See [`InstallError`]: each one is a reason to stop.
    pub fn install(&mut self, position: Position, chain: ChainDigest) -> Result<(), InstallError> {
        if self.writes == Writes::Failed || self.shared.flush_failed() {
            return Err(InstallError::Stopped);
        }
        let applied = self.state.position;
        if position.index <= applied.index || position.term < applied.term {
            return Err(InstallError::Backward { found: position, applied });
        }
        let absent = InstallError::Absent { index: position.index };
        let record =
            self.shared.table().view().get(&self.keys.next()).map_err(|source| InstallError::Read { source })?;
        let manifest: Option<Manifest> = record.and_then(|record| decode(&record).ok());
        let of_then = |manifest: &Manifest| (manifest.state.position, manifest.state.chain) == (position, chain);
        let Manifest { state, membership } = manifest.filter(of_then).ok_or(absent)?;
        let slot = self.shared.slot().other();
        let sessions = Sessions::load(self.shared.table().view().as_ref(), self.keys.in_slot(slot));
        let sessions = sessions.map_err(|error| match error {
            LoadError::Table(source) => InstallError::Read { source },
            LoadError::Record(source) => InstallError::Sessions { source },
        })?;
        let membership_key = self.keys.membership();
        let changes = vec![
            Change::Remove { key: self.keys.next() },
            match &membership {
                Some(membership) => Change::Set { key: membership_key, value: encode(membership) },
                None => Change::Remove { key: membership_key },
            },
            Change::Set { key: self.keys.state(), value: StateRecord { genesis: self.genesis, state, slot }.encode() },
            Change::Set { key: self.keys.installed(), value: encode(&position) },
        ];
        if let Err(source) = self.shared.table().write(WriteBatch { changes }) {
            self.writes = Writes::Failed;
            return Err(InstallError::Write { source });
        }
        if let Err(source) = self.shared.table().flush() {
            self.shared.fail_flushes();
            return Err(InstallError::Flush { source });
        }
        (self.state, self.keys, self.membership) = (state, self.keys.in_slot(slot), membership);
        (self.installed, self.sessions) = (Some(position), sessions);
        self.shared.install(state, slot);
        Ok(())
    }

    /// Keeps less of sessions from now on, so that a test reaches the bounds. Whoever applies the same log must keep as
    /// much; more than [`SessionLimits::FORMAT`] is never kept.
    pub fn limit_sessions(&mut self, limits: SessionLimits) {
        let SessionLimits { sessions_max, outcomes_max } = SessionLimits::FORMAT;
        self.session_limits = SessionLimits {
            sessions_max: limits.sessions_max.min(sessions_max),
            outcomes_max: limits.outcomes_max.min(outcomes_max),
        };
    }

    /// How far the catalog has come.
    #[must_use]
    pub const fn state(&self) -> CatalogState {
        self.state
    }

    /// A reader, for any thread.
    #[must_use]
    pub fn reader(&self) -> CatalogReader<T> {
        CatalogReader::new(Arc::clone(&self.shared), self.keys)
    }

    /// A flusher, for any thread.
    #[must_use]
    pub fn flusher(&self) -> CatalogFlusher<T> {
        CatalogFlusher::new(Arc::clone(&self.shared))
    }

    /// Applies one committed entry; see [`apply_many`](Self::apply_many).
    ///
    /// # Errors
    /// As [`apply_many`](Self::apply_many).
    pub fn apply(&mut self, entry: &Entry) -> Result<Applied, ApplyError> {
        let applied = self.apply_many(core::slice::from_ref(entry))?;
        Ok(applied.into_iter().next().expect("apply_many answers for each entry"))
    }

    /// Applies committed entries, the first of which follows the last one applied, in one batch of the table together
    /// with the new position. The result is the same however entries are split over calls.
    ///
    /// Not durable when it returns: the log is the write-ahead log, and may be compacted only up to what a
    /// [`flush`](CatalogFlusher::flush) returned. All memory that it takes besides is in proportion to the entries.
    ///
    /// # Errors
    /// See [`ApplyError`]: each one is a reason to stop.
    pub fn apply_many(&mut self, entries: &[Entry]) -> Result<Vec<Applied>, ApplyError> {
        if self.writes == Writes::Failed || self.shared.flush_failed() {
            return Err(ApplyError::Stopped);
        }
        let Some(last) = entries.last() else {
            return Ok(Vec::new());
        };
        let mut run = Run {
            view: self.shared.table().view(),
            keys: self.keys,
            state: self.state,
            rows: BTreeMap::new(),
            sessions: SessionsRun::on(&self.sessions, self.session_limits),
        };
        let applied = entries.iter().map(|entry| run.apply(entry)).collect::<Result<Vec<_>, _>>()?;
        let (state, sessions, mut batch) = run.finish(self.genesis, self.shared.slot());
        let membership = entries.iter().rev().find_map(membership_of);
        if let Some(membership) = &membership {
            batch.changes.push(Change::Set { key: self.keys.membership(), value: encode(membership) });
        }
        if self.installed.take().is_some() {
            batch.changes.push(Change::Remove { key: self.keys.installed() });
        }
        if let Err(source) = self.write(batch) {
            self.writes = Writes::Failed;
            return Err(ApplyError::Write { position: last.head.position, source });
        }
        self.state = state;
        self.sessions.take(sessions);
        self.membership = membership.or_else(|| self.membership.take());
        self.shared.advance(state);
        Ok(applied)
    }

    /// Writes all or nothing.
    fn write(&self, mut batch: WriteBatch) -> Result<(), WriteError> {
        let table = self.shared.table();
        if Mistake::PositionBeforeRows.is_made() || Mistake::PositionAfterRows.is_made() {
            let state = self.keys.state();
            let is_state = |change: &Change| matches!(change, Change::Set { key, .. } if *key == state);
            let (position, rows) = batch.changes.into_iter().partition(is_state);
            let (first, second) =
                if Mistake::PositionBeforeRows.is_made() { (position, rows) } else { (rows, position) };
            table.write(WriteBatch { changes: first })?;
            batch = WriteBatch { changes: second };
        }
        table.write(batch)
    }
}

/// The state under construction while entries are applied.
struct Run<'a> {
    view: Box<dyn View + 'a>,
    keys: Keys,
    state: CatalogState,
    /// Rows that differ from the view, `None` for those that are gone.
    rows: BTreeMap<Multihash, Option<Row>>,
    sessions: SessionsRun<'a>,
}

impl Run<'_> {
    fn apply(&mut self, entry: &Entry) -> Result<Applied, ApplyError> {
        let position = entry.head.position;
        let applied = self.state.position;
        if position.index != applied.index.next() || position.term < applied.term {
            return Err(ApplyError::OutOfOrder { found: position, applied });
        }
        if !entry.head.follows(self.state.chain) {
            return Err(ApplyError::Chain { position });
        }
        if !entry.body_matches_head() {
            return Err(ApplyError::Body { position });
        }
        let mut requests = match entry.head.kind {
            EntryKind::Command => {
                batch::decode(&entry.body).map_err(|source| ApplyError::Undecodable { position, source })?
            }
            EntryKind::Blank | EntryKind::Membership(_) => Vec::new(),
        };
        if Mistake::CommandsInOtherOrder.is_made() && self.rows.len() % 2 == 1 {
            requests.reverse();
        }
        let mut outcomes = Vec::with_capacity(requests.len());
        let mut effects = Vec::new();
        for (number, request) in (0..).zip(requests) {
            let (settled, effect) =
                self.settle(position, number, request).map_err(|source| ApplyError::Row { position, source })?;
            outcomes.push(settled);
            effects.extend(effect);
        }
        self.state.position = position;
        self.state.chain = entry.head.chain;
        Ok(Applied { position, outcomes, effects })
    }

    /// Carries a command out, unless its session knows better (Raft thesis, section 6.3).
    fn settle(
        &mut self,
        position: Position,
        number: u32,
        Request { turn, command }: Request,
    ) -> Result<(Settled, Option<Effect>), RowError> {
        if let Some(turn) = &turn {
            match self.sessions.meet(turn, position.index) {
                Known::Nothing => {}
                Known::Settled(_) if Mistake::RepeatsCarriedOut.is_made() => {}
                Known::Settled(settled) => return Ok((settled, None)),
                Known::Refused(outcome) => return Ok((Settled { outcome, position }, None)),
            }
        }
        let (outcome, effect) = self.obey(position, number, command)?;
        let settled = Settled { outcome, position };
        if let Some(turn) = &turn {
            self.sessions.settle(turn, settled);
        }
        Ok((settled, effect))
    }

    fn obey(
        &mut self,
        position: Position,
        number: u32,
        command: Command,
    ) -> Result<(Outcome, Option<Effect>), RowError> {
        match command {
            Command::Put { multihash, length, inline } => {
                if self.row(&multihash)?.is_some() {
                    return Ok((Outcome::AlreadyPresent, None));
                }
                self.rows.insert(multihash, Some(Row { length, created: position }));
                self.state.blocks += 1;
                self.state.bytes += u64::from(length);
                Ok((Outcome::Created, Some(Effect::Live { multihash, length, inline })))
            }
            Command::Delete { multihash } => {
                let Some(Row { length, .. }) = self.row(&multihash)? else {
                    return Ok((Outcome::Absent, None));
                };
                self.rows.insert(multihash, None);
                // Saturating, since a damaged table must not panic: each row was counted when it was made.
                self.state.blocks = self.state.blocks.saturating_sub(1);
                self.state.bytes = self.state.bytes.saturating_sub(u64::from(length));
                Ok((Outcome::Deleted, Some(Effect::Dead { multihash, length })))
            }
            Command::Noop => Ok((Outcome::Nothing, None)),
            Command::OpenSession => {
                self.sessions.open(SessionId { opened: position.index, number });
                Ok((Outcome::SessionOpened, None))
            }
        }
    }

    fn row(&self, multihash: &Multihash) -> Result<Option<Row>, RowError> {
        match self.rows.get(multihash) {
            Some(row) => Ok(*row),
            None => row_in(self.view.as_ref(), self.keys, multihash),
        }
    }

    fn finish(self, genesis: ChainDigest, slot: Slot) -> (CatalogState, ChangedSessions, WriteBatch) {
        let Self { view: _, keys, state, rows, sessions } = self;
        let sessions = sessions.finish();
        let mut changes = Vec::with_capacity(rows.len() + 1);
        for (multihash, row) in rows {
            let key = keys.row(&multihash);
            changes.push(match row {
                Some(row) => Change::Set { key, value: row.encode() },
                None => Change::Remove { key },
            });
        }
        changes.extend(sessions.changes(keys));
        changes.push(Change::Set { key: keys.state(), value: StateRecord { genesis, state, slot }.encode() });
        (state, sessions, WriteBatch { changes })
    }
}

fn membership_of(entry: &Entry) -> Option<(LogIndex, Membership)> {
    match &entry.head.kind {
        EntryKind::Membership(membership) => Some((entry.head.position.index, membership.as_ref().clone())),
        EntryKind::Blank | EntryKind::Command => None,
    }
}

fn read_record<R: DeserializeOwned>(view: &dyn View, key: &[u8]) -> Result<Option<R>, OpenError> {
    let record = view.get(key).map_err(|source| OpenError::Table { source })?;
    record.map(|record| decode(&record)).transpose().map_err(|source| OpenError::State { source })
}

fn read_state(view: &dyn View, keys: Keys, genesis: ChainDigest) -> Result<(CatalogState, Slot), OpenError> {
    let Some(record) = view.get(&keys.state()).map_err(|source| OpenError::Table { source })? else {
        let range = KeyRange { first: &keys.rows_first(), end: &keys.rows_end() };
        let rows = view.scan(range, 1).map_err(|source| OpenError::Table { source })?;
        if !rows.is_empty() {
            return Err(OpenError::StateMissing);
        }
        let state = CatalogState { position: Position::ZERO, chain: genesis, blocks: 0, bytes: 0 };
        return Ok((state, Slot::First));
    };
    let record = StateRecord::decode(&record).map_err(|source| OpenError::State { source })?;
    if record.genesis != genesis {
        return Err(OpenError::Foreign { found: record.genesis, expected: genesis });
    }
    Ok((record.state, record.slot))
}
