//! The state machine: committed entries in, outcomes and effects out.

use std::sync::Arc;

use blockraft_types::{ChainDigest, Entry, EntryKind, GroupId, LogIndex, Membership, Position};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::applied::{Applied, ApplyError};
use crate::dag::DagRun;
use crate::flusher::CatalogFlusher;
use crate::imports::{ImportLimits, Imports, ImportsRun};
use crate::keys::{Keys, Kind};
use crate::mistake::Mistake;
use crate::pin::PinLimits;
use crate::reader::CatalogReader;
use crate::record::{DecodeRecordError, LoadError, decode, encode};
use crate::row::{CatalogState, Graphs, Slot, StateRecord};
use crate::run::{Ran, Run};
use crate::sessions::{SessionLimits, Sessions, SessionsRun};
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
    imports: Imports,
    import_limits: ImportLimits,
    graphs: Graphs,
    installed: Option<Position>,
    /// Set for good by the first write that failed: what the table holds since is unknown.
    writes: Writes,
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
        let StateRecord { state, slot, graphs, .. } = read_state(table.view().as_ref(), keys, genesis)?;
        let membership = read_record(table.view().as_ref(), &keys.membership())?;
        let installed = read_record(table.view().as_ref(), &keys.installed())?;
        let keys = keys.in_slot(slot);
        let (sessions, imports) = load(table.view().as_ref(), keys).map_err(|error| match error {
            LoadError::Table(source) => OpenError::Table { source },
            LoadError::Record(source) => OpenError::State { source },
        })?;
        let catalog = Self {
            shared: Arc::new(Shared::new(table, state, slot)),
            keys,
            genesis,
            state,
            membership,
            sessions,
            session_limits: SessionLimits::FORMAT,
            imports,
            import_limits: ImportLimits::FORMAT,
            graphs,
            installed,
            writes: Writes::Sound,
        };
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

    /// The imports that are open at [`state`](Self::state).
    #[must_use]
    pub const fn imports(&self) -> &Imports {
        &self.imports
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
        let view = self.shared.table().view();
        let keys = self.keys.in_slot(slot);
        let (sessions, imports) = load(view.as_ref(), keys).map_err(|error| match error {
            LoadError::Table(source) => InstallError::Read { source },
            LoadError::Record(source) => InstallError::Clients { source },
        })?;
        let bonds = KeyRange { first: &keys.first(Kind::Bonds), end: &keys.end(Kind::Bonds) };
        let bonds = view.scan(bonds, 1).map_err(|source| InstallError::Read { source })?;
        drop(view);
        let graphs = if bonds.is_empty() && imports.is_empty() { Graphs::Never } else { Graphs::Ever };
        let membership_key = self.keys.membership();
        let changes = vec![
            Change::Remove { key: self.keys.next() },
            match &membership {
                Some(membership) => Change::Set { key: membership_key, value: encode(membership) },
                None => Change::Remove { key: membership_key },
            },
            Change::Set {
                key: self.keys.state(),
                value: StateRecord { genesis: self.genesis, state, slot, graphs }.encode(),
            },
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
        (self.state, self.keys, self.membership) = (state, keys, membership);
        (self.sessions, self.imports, self.graphs) = (sessions, imports, graphs);
        self.installed = Some(position);
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

    /// Allows fewer imports from now on, as [`limit_sessions`](Self::limit_sessions) does sessions.
    pub fn limit_imports(&mut self, ImportLimits { imports_max }: ImportLimits) {
        self.import_limits = ImportLimits { imports_max: imports_max.min(ImportLimits::FORMAT.imports_max) };
    }

    /// Allows smaller recursive pins from now on, as [`limit_sessions`](Self::limit_sessions) does sessions.
    pub fn limit_pins(&mut self, PinLimits { vertices_max, links_max }: PinLimits) {
        self.shared.limit_pins(PinLimits {
            vertices_max: vertices_max.min(PinLimits::FORMAT.vertices_max),
            links_max: links_max.min(PinLimits::FORMAT.links_max),
        });
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
    /// [`flush`](CatalogFlusher::flush) returned. All memory that it takes besides is in proportion to the entries,
    /// and to what the pins in them cover.
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
            keys: self.keys,
            state: self.state,
            graphs: self.graphs,
            dag: DagRun::on(self.shared.table().view(), self.keys, self.shared.pin_limits()),
            sessions: SessionsRun::on(&self.sessions, self.session_limits),
            imports: ImportsRun::on(&self.imports, self.import_limits),
        };
        let applied = entries.iter().map(|entry| run.apply(entry)).collect::<Result<Vec<_>, _>>()?;
        let Ran { state, graphs, sessions, imports, mut batch } = run.finish(self.genesis, self.shared.slot());
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
        (self.state, self.graphs) = (state, graphs);
        self.sessions.take(sessions);
        self.imports.take(imports);
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

fn load(view: &dyn View, keys: Keys) -> Result<(Sessions, Imports), LoadError> {
    Ok((Sessions::load(view, keys)?, Imports::load(view, keys)?))
}

fn read_state(view: &dyn View, keys: Keys, genesis: ChainDigest) -> Result<StateRecord, OpenError> {
    let Some(record) = view.get(&keys.state()).map_err(|source| OpenError::Table { source })? else {
        let range = KeyRange { first: &keys.first(Kind::Rows), end: &keys.end(Kind::Rows) };
        let rows = view.scan(range, 1).map_err(|source| OpenError::Table { source })?;
        if !rows.is_empty() {
            return Err(OpenError::StateMissing);
        }
        let state = CatalogState { position: Position::ZERO, chain: genesis, blocks: 0, bytes: 0 };
        return Ok(StateRecord { genesis, state, slot: Slot::First, graphs: Graphs::Never });
    };
    let record = StateRecord::decode(&record).map_err(|source| OpenError::State { source })?;
    if record.genesis != genesis {
        return Err(OpenError::Foreign { found: record.genesis, expected: genesis });
    }
    Ok(record)
}
