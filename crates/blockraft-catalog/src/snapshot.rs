//! The catalog as a snapshot: read at one moment on one node, and put together on another beside the state in force.
//!
//! A table has two slots for rows. One holds the state; a snapshot is written to the other one, range of names by range of
//! names, while entries go on being applied to the first. [`Catalog::install`](crate::Catalog::install) makes the other one
//! the state, in one batch, so that a crash leaves either of them whole and never a mixture.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockraft_blocks::Multihash;
use blockraft_blocks::store::LIST_LIMIT_MAX;
use blockraft_types::{LogIndex, Membership, Position, SessionId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bond::{Bond, CarriedBond};
use crate::clients::Clients;
use crate::imports::Imports;
use crate::keys::{Keys, Kind};
use crate::mistake::Mistake;
use crate::moment::{RowError, bonds_in, links_in, moment_of, rows_in};
use crate::record::{DecodeRecordError, LoadError, decode, encode};
use crate::row::{CatalogState, Row};
use crate::session::Session;
use crate::sessions::Sessions;
use crate::shared::Shared;
use crate::table::{Change, FlushError, KeyRange, ReadError, Table, View, WriteBatch, WriteError};
use crate::vertex::Vertex;

/// What a snapshot is of: everything but what comes in rows, and [`Clients`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The last entry that it covers, with the digest there, and how much it holds.
    pub state: CatalogState,
    /// The configuration in force there and the entry that brought it; none while it is the one that the group was born
    /// with.
    pub membership: Option<(LogIndex, Membership)>,
}

/// A row as a snapshot carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRow {
    /// The block.
    pub multihash: Multihash,
    /// Its row.
    pub row: Row,
    /// The bytes of its [bond](CarriedBond); none if it has no bond.
    pub bond: Bytes,
}

/// Part of what a snapshot carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPage {
    /// Rows in the order of their multihashes.
    pub rows: Vec<ExportRow>,
    /// Ask for the next page behind this one; `None` at the end. The last page may be empty.
    pub next: Option<Multihash>,
}

/// A catalog at one moment, to be read at leisure while entries are applied. It keeps the table from reclaiming what was
/// replaced since, so end it soon.
pub struct Export<'a> {
    view: Box<dyn View + 'a>,
    keys: Keys,
    manifest: Manifest,
}

impl<'a> Export<'a> {
    pub(crate) fn new(view: Box<dyn View + 'a>, group: Keys) -> Result<Self, RowError> {
        let (record, keys) = moment_of(view.as_ref(), group)?;
        let state = record.ok_or(RowError::NoState)?.state;
        let membership = view.get(&keys.membership()).map_err(|source| RowError::Table { source })?;
        let membership = membership.map(|record| decode(&record)).transpose();
        let membership = membership.map_err(|source| RowError::State { source })?;
        Ok(Self { view, keys, manifest: Manifest { state, membership } })
    }

    /// What it is of.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Rows in the order of their multihashes, beginning behind `after`; `limit` is first brought into 1 to
    /// [`LIST_LIMIT_MAX`]. A page ends early, though never before its first row, once its bonds take
    /// [`PAGE_BOND_BYTES_MAX`].
    ///
    /// # Errors
    /// The table is damaged or can't be read. A page is never short without [`ExportPage::next`] saying so.
    pub fn rows(&self, after: Option<Multihash>, limit: usize) -> Result<ExportPage, RowError> {
        let limit = limit.clamp(1, LIST_LIMIT_MAX);
        let found = rows_in(self.view.as_ref(), self.keys, after, limit)?;
        let mut bonds = match found.last() {
            Some((last, _)) if !Mistake::PinsForgottenBySnapshot.is_made() => {
                BTreeMap::from_iter(bonds_in(self.view.as_ref(), self.keys, after, last, limit)?)
            }
            _ => BTreeMap::new(),
        };
        let (mut rows, mut bond_bytes) = (Vec::with_capacity(found.len()), 0);
        for &(multihash, row) in &found {
            let bond = bonds.remove(&multihash).map(|bond| self.carried(multihash, bond)).transpose()?;
            let bond = bond.unwrap_or_default();
            bond_bytes += bond.len();
            if !rows.is_empty() && PAGE_BOND_BYTES_MAX < bond_bytes {
                break;
            }
            rows.push(ExportRow { multihash, row, bond });
        }
        // A page that isn't full is the last one.
        let is_last = rows.len() == found.len() && found.len() < limit;
        let next = rows.last().map(|row| row.multihash).filter(|_| !is_last);
        Ok(ExportPage { rows, next })
    }

    /// The sessions and imports at that moment, to be [put](Importer::put_clients) beside the rows.
    ///
    /// # Errors
    /// The table is damaged or can't be read.
    pub fn clients(&self) -> Result<Clients, RowError> {
        let unloaded = |error| match error {
            LoadError::Table(source) => RowError::Table { source },
            LoadError::Record(source) => RowError::State { source },
        };
        let sessions = if Mistake::SessionsForgottenBySnapshot.is_made() {
            Sessions::default()
        } else {
            Sessions::load(self.view.as_ref(), self.keys).map_err(unloaded)?
        };
        Ok(Clients { sessions, imports: Imports::load(self.view.as_ref(), self.keys).map_err(unloaded)? })
    }

    fn carried(&self, multihash: Multihash, bond: Bond) -> Result<Bytes, RowError> {
        let links = |&codec| {
            let links = links_in(self.view.as_ref(), self.keys, &Vertex { multihash, codec })?;
            links.ok_or(RowError::Bond { multihash, source: DecodeRecordError::Bond })
        };
        let links = bond.linked.iter().map(links).collect::<Result<_, _>>()?;
        Ok(CarriedBond { bond, links }.encode())
    }
}

/// Puts a snapshot together in the slot that isn't in force. One at a time, from any thread.
///
/// What an importer that broke off has left is replaced range by range by the next one; until then those rows go on naming
/// their blocks ([`CatalogReader::names_many`](crate::CatalogReader::names_many)), so that no payload has to be fetched
/// twice.
#[derive(Debug)]
pub struct Importer<T: Table> {
    shared: Arc<Shared<T>>,
    group: Keys,
    /// Where the next range begins: behind this name.
    after: Option<Multihash>,
    blocks: u64,
    bytes: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// All of it is here.
    Complete,
}

/// Why a snapshot couldn't be put together. Nothing of the state in force has changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The rows don't follow the ones before, or each other.
    #[error("rows of a snapshot are out of order")]
    OutOfOrder,
    /// It isn't complete, or what came is not what the manifest says.
    #[error("a snapshot of {expected} blocks brought {found}, or other lengths")]
    Totals {
        /// The number of blocks by the manifest.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The sessions and imports are not what a catalog wrote.
    #[error("reading a snapshot's sessions and imports")]
    Clients {
        /// What is wrong with them.
        #[source]
        source: DecodeRecordError,
    },
    /// A bond is not what a catalog wrote.
    #[error("reading what a snapshot says of the links and pins of block {multihash}")]
    Bond {
        /// The block.
        multihash: Multihash,
        /// What is wrong with it.
        #[source]
        source: DecodeRecordError,
    },
    /// The table couldn't be read.
    #[error("looking for a snapshot's rows")]
    Read {
        /// What the table said.
        #[source]
        source: ReadError,
    },
    /// The table couldn't be written. The member stops, as at any failed write.
    #[error("writing a snapshot's rows")]
    Write {
        /// What the table said.
        #[source]
        source: WriteError,
    },
    /// The table couldn't be made durable. The member stops.
    #[error("flushing a snapshot's rows")]
    Flush {
        /// What the table said.
        #[source]
        source: FlushError,
    },
}

impl<T: Table> Importer<T> {
    pub(crate) const fn new(shared: Arc<Shared<T>>, group: Keys) -> Self {
        Self { shared, group, after: None, blocks: 0, bytes: 0, state: State::Open }
    }

    /// Writes the next rows. With `last` they are the last ones; whatever an earlier import left in their range is gone.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub fn put(&mut self, rows: &[ExportRow], last: bool) -> Result<(), ImportError> {
        let mut names = self.after.iter().chain(rows.iter().map(|row| &row.multihash));
        let mut next = names.clone().skip(1);
        let in_order = names.all(|name| next.next().is_none_or(|next| name < next));
        if self.state == State::Complete || !in_order {
            return Err(ImportError::OutOfOrder);
        }
        let keys = self.keys();
        let first = self.after.map_or_else(|| keys.first(Kind::Rows), |after| keys.behind(Kind::Rows, &after));
        let newest = rows.last().map(|row| row.multihash).or(self.after);
        let end = match newest {
            Some(newest) if !last => keys.behind(Kind::Rows, &newest),
            _ => keys.end(Kind::Rows),
        };
        let mut changes = vec![Change::RemoveRange { first, end }];
        if self.after.is_none() {
            // What was sealed before is whole no longer.
            changes.push(Change::Remove { key: self.group.next() });
            let others = Kind::ALL.into_iter().filter(|&kind| kind != Kind::Rows);
            changes.extend(others.map(|kind| Change::RemoveRange { first: keys.first(kind), end: keys.end(kind) }));
        }
        for row in rows {
            changes.push(Change::Set { key: keys.row(&row.multihash), value: row.row.encode() });
            put_bond(row, keys, &mut changes)?;
        }
        self.write(changes)?;
        self.after = newest;
        self.blocks += rows.len() as u64;
        self.bytes += rows.iter().map(|row| u64::from(row.row.length)).sum::<u64>();
        if last {
            self.state = State::Complete;
        }
        Ok(())
    }

    /// Writes the sessions and imports, once the rows have begun. A snapshot for which this isn't called has none.
    ///
    /// # Errors
    /// [`ImportError::Write`].
    pub fn put_clients(&self, clients: &Clients) -> Result<(), ImportError> {
        let keys = self.keys();
        let set =
            |(id, session): (&SessionId, &Session)| Change::Set { key: keys.session(id), value: session.encode() };
        self.write(clients.sessions.iter().map(set).chain(clients.imports.changes(keys)).collect())
    }

    /// Notes what the rows are a snapshot of, and makes all of it durable: it may be installed now.
    ///
    /// # Errors
    /// [`ImportError::Totals`] if it isn't whole; see [`ImportError`].
    pub fn seal(&self, manifest: &Manifest) -> Result<(), ImportError> {
        let CatalogState { blocks, bytes, .. } = manifest.state;
        if self.state == State::Open || (self.blocks, self.bytes) != (blocks, bytes) {
            return Err(ImportError::Totals { expected: blocks, found: self.blocks });
        }
        self.write(vec![Change::Set { key: self.group.next(), value: encode(manifest) }])?;
        self.shared.table().flush().map_err(|source| {
            self.shared.fail_flushes();
            ImportError::Flush { source }
        })
    }

    /// Empties the slot that isn't in force: of an import that is given up, or of the state before an installation. Says
    /// whether anything was in it.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub fn clear(&mut self) -> Result<bool, ImportError> {
        let keys = self.keys();
        (self.after, self.blocks, self.bytes, self.state) = (None, 0, 0, State::Open);
        let ranges = Kind::ALL.map(|kind| (keys.first(kind), keys.end(kind)));
        let mut found = false;
        for (first, end) in &ranges {
            let pairs = self.shared.table().view().scan(KeyRange { first, end }, 1);
            found |= !pairs.map_err(|source| ImportError::Read { source })?.is_empty();
        }
        if found {
            let removals = ranges.into_iter().map(|(first, end)| Change::RemoveRange { first, end });
            self.write([Change::Remove { key: self.group.next() }].into_iter().chain(removals).collect())?;
        }
        Ok(found)
    }

    /// Begins again from the first name, with another snapshot.
    pub const fn restart(&mut self) {
        (self.after, self.blocks, self.bytes, self.state) = (None, 0, 0, State::Open);
    }

    fn keys(&self) -> Keys {
        self.group.in_slot(self.shared.slot().other())
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), ImportError> {
        self.shared.table().write(WriteBatch { changes }).map_err(|source| {
            // A later flush couldn't tell what it makes durable.
            self.shared.fail_flushes();
            ImportError::Write { source }
        })
    }
}

/// Why a snapshot wasn't installed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InstallError {
    /// There is none that was put together to the end, or it is of another moment.
    #[error("no whole snapshot of entry {index} is here")]
    Absent {
        /// The last entry that it should cover.
        index: LogIndex,
    },
    /// The catalog has come as far by itself: with it, it would go back in time.
    #[error("a snapshot of entry {found} does not come after {applied}, which was applied last")]
    Backward {
        /// The last entry that the snapshot covers.
        found: Position,
        /// The last one applied.
        applied: Position,
    },
    /// The table couldn't be read.
    #[error("reading a snapshot")]
    Read {
        /// What the table said.
        #[source]
        source: ReadError,
    },
    /// The switch couldn't be written. Which of the two states is there after a restart is unknown.
    #[error("switching to a snapshot")]
    Write {
        /// What the table said.
        #[source]
        source: WriteError,
    },
    /// The switch couldn't be made durable, likewise.
    #[error("making a snapshot durable")]
    Flush {
        /// What the table said.
        #[source]
        source: FlushError,
    },
    /// A session or an import in it can't be read.
    #[error("reading the sessions and imports of a snapshot")]
    Clients {
        /// What is wrong with it.
        #[source]
        source: DecodeRecordError,
    },
    /// A write or a flush failed before.
    #[error("the catalog stopped after a failed write or flush")]
    Stopped,
}

/// Adds what is to be written of a row's bond.
fn put_bond(row: &ExportRow, keys: Keys, changes: &mut Vec<Change>) -> Result<(), ImportError> {
    if row.bond.is_empty() {
        return Ok(());
    }
    let multihash = row.multihash;
    let carried = CarriedBond::decode(&row.bond).map_err(|source| ImportError::Bond { multihash, source })?;
    changes.push(Change::Set { key: keys.bond(&multihash), value: carried.bond.encode() });
    for (&codec, links) in carried.bond.linked.iter().zip(&carried.links) {
        changes.push(Change::Set { key: keys.links(&Vertex { multihash, codec }), value: links.encode() });
    }
    Ok(())
}

/// A page with more bytes of bonds than this has one row. One bond may take four times as much.
pub const PAGE_BOND_BYTES_MAX: usize = 512 * 1024;

impl core::fmt::Debug for Export<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Export").field("manifest", &self.manifest).finish_non_exhaustive()
    }
}
