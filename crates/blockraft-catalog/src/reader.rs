//! Reading a catalog while entries are applied to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use blockraft_blocks::Multihash;
use blockraft_blocks::store::LIST_LIMIT_MAX;
use blockraft_types::Position;

use crate::bond::Bond;
use crate::imports::Imports;
use crate::keys::Keys;
use crate::links::Links;
use crate::moment::{RowError, bond_in, bonds_in, links_in, moment_of, row_in, rows_in, sight_in};
use crate::reach::{Extent, Missing, Reach};
use crate::record::LoadError;
use crate::row::{CatalogState, Row, Slot};
use crate::shared::Shared;
use crate::snapshot::Export;
use crate::table::{Table, View};
use crate::vertex::Vertex;

/// Reads a catalog, from any thread.
///
/// Every answer is of one moment between two entries and names the last one applied by then: no reader ever sees half
/// an entry.
#[derive(Debug)]
pub struct CatalogReader<T: Table> {
    shared: Arc<Shared<T>>,
    group: Keys,
}

/// An answer and the position that it is true at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf<V> {
    /// The last entry applied when the answer was true.
    pub position: Position,
    /// The answer.
    pub value: V,
}

/// Part of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowPage {
    /// Visible blocks in the order of their multihashes.
    pub rows: Vec<(Multihash, Row)>,
    /// Ask for the next page behind this one; `None` at the end of the listing.
    pub next: Option<Multihash>,
}

/// Whether a recursive pin has all that it would cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It has.
    Complete {
        /// How many blocks it would cover.
        blocks: usize,
    },
    /// It hasn't.
    Incomplete {
        /// What is missing, as far as the links that are known lead: nearest to the root first, and no more than were asked
        /// for. What the missing blocks lead to comes to light once their links are known.
        missing: Vec<Missing>,
    },
    /// It would cover more than a pin [may](crate::PinLimits).
    TooLarge,
}

impl<T: Table> CatalogReader<T> {
    pub(crate) const fn new(shared: Arc<Shared<T>>, group: Keys) -> Self {
        Self { shared, group }
    }

    /// How far the catalog has come, without touching the table. What reads show is never older.
    #[must_use]
    pub fn state(&self) -> CatalogState {
        self.shared.applied()
    }

    /// The row of a block, if it is visible.
    ///
    /// # Errors
    /// The table is damaged or can't be read; never because a block is absent.
    pub fn visible(&self, multihash: &Multihash) -> Result<AsOf<Option<Row>>, RowError> {
        let view = self.shared.table().view();
        let (position, keys) = self.moment(view.as_ref())?;
        Ok(AsOf { position, value: row_in(view.as_ref(), keys, multihash)? })
    }

    /// The rows of many blocks at one moment, in the order asked, `None` for those that are not visible.
    ///
    /// # Errors
    /// As [`visible`](Self::visible).
    pub fn visible_many(&self, multihashes: &[Multihash]) -> Result<AsOf<Vec<Option<Row>>>, RowError> {
        let view = self.shared.table().view();
        let (position, keys) = self.moment(view.as_ref())?;
        let rows = multihashes.iter().map(|multihash| row_in(view.as_ref(), keys, multihash));
        Ok(AsOf { position, value: rows.collect::<Result<_, _>>()? })
    }

    /// Which of these blocks any row names, of the state in force or of a snapshot beside it: their payloads are needed.
    ///
    /// # Errors
    /// As [`visible`](Self::visible).
    pub fn names_many(&self, multihashes: &[Multihash]) -> Result<Vec<bool>, RowError> {
        let view = self.shared.table().view();
        let names = |slot, multihash| Ok(row_in(view.as_ref(), self.group.in_slot(slot), multihash)?.is_some());
        let named = |multihash| Ok(names(Slot::First, multihash)? || names(Slot::Second, multihash)?);
        multihashes.iter().map(named).collect()
    }

    /// The catalog as it is now, to be read as a snapshot.
    ///
    /// # Errors
    /// [`RowError::NoState`] before the first entry; otherwise as [`visible`](Self::visible).
    pub fn export(&self) -> Result<Export<'_>, RowError> {
        Export::new(self.shared.table().view(), self.group)
    }

    /// Lists visible blocks in the order of their multihashes, beginning behind `after`; `limit` is first brought into
    /// 1 to [`LIST_LIMIT_MAX`].
    ///
    /// Each page is of one moment, a listing of many pages is not: it holds each block once that was visible all the
    /// while, and any of those that came or went.
    ///
    /// # Errors
    /// As [`visible`](Self::visible). A page is never short without [`RowPage::next`] saying so.
    pub fn list(&self, after: Option<Multihash>, limit: usize) -> Result<AsOf<RowPage>, RowError> {
        let limit = limit.clamp(1, LIST_LIMIT_MAX);
        let view = self.shared.table().view();
        let (position, keys) = self.moment(view.as_ref())?;
        Ok(AsOf { position, value: page_in(view.as_ref(), keys, after, limit)? })
    }

    /// What is known of a block besides its row, if anything is.
    ///
    /// # Errors
    /// As [`visible`](Self::visible).
    pub fn bond(&self, multihash: &Multihash) -> Result<AsOf<Option<Bond>>, RowError> {
        let view = self.shared.table().view();
        let (position, keys) = self.moment(view.as_ref())?;
        Ok(AsOf { position, value: bond_in(view.as_ref(), keys, multihash)? })
    }

    /// What was recorded of the links of a vertex, if anything was.
    ///
    /// # Errors
    /// As [`visible`](Self::visible).
    pub fn links(&self, vertex: &Vertex) -> Result<AsOf<Option<Links>>, RowError> {
        let view = self.shared.table().view();
        let (position, keys) = self.moment(view.as_ref())?;
        Ok(AsOf { position, value: links_in(view.as_ref(), keys, vertex)? })
    }

    /// Whether a recursive pin of `root` would be set, and what is missing for that: the answer to
    /// [`Outcome::Incomplete`](crate::Outcome::Incomplete). At most `limit` vertices are named, which is first brought into 1
    /// to [`LIST_LIMIT_MAX`].
    ///
    /// It walks as far as a pin does, and takes as long.
    ///
    /// # Errors
    /// As [`visible`](Self::visible).
    pub fn reach(&self, root: Vertex, limit: usize) -> Result<AsOf<Completeness>, RowError> {
        let view = self.shared.table().view();
        let (position, keys) = self.moment(view.as_ref())?;
        let look = |vertex: &Vertex| sight_in(view.as_ref(), keys, vertex);
        let Reach { found, mut missing, extent } = Reach::from(root, self.shared.pin_limits(), look)?;
        let value = match extent {
            Extent::TooLarge => Completeness::TooLarge,
            Extent::Whole if missing.is_empty() => Completeness::Complete { blocks: found.len() },
            Extent::Whole => {
                missing.truncate(limit.clamp(1, LIST_LIMIT_MAX));
                Completeness::Incomplete { missing }
            }
        };
        Ok(AsOf { position, value })
    }

    /// The imports that are open.
    ///
    /// # Errors
    /// As [`visible`](Self::visible).
    pub fn imports(&self) -> Result<AsOf<Imports>, RowError> {
        let view = self.shared.table().view();
        let (position, keys) = self.moment(view.as_ref())?;
        let imports = Imports::load(view.as_ref(), keys).map_err(|error| match error {
            LoadError::Table(source) => RowError::Table { source },
            LoadError::Record(source) => RowError::State { source },
        })?;
        Ok(AsOf { position, value: imports })
    }

    /// Visible blocks that no pin covers, for a collector: it looks at `limit` rows behind `after`, which is first brought
    /// into 1 to [`LIST_LIMIT_MAX`], and leaves out those that are held. So a page may be empty and not the last one.
    ///
    /// Whether they may go is decided when the command to [collect](crate::Command::Collect) each of them is applied.
    ///
    /// # Errors
    /// As [`visible`](Self::visible).
    pub fn collectable(&self, after: Option<Multihash>, limit: usize) -> Result<AsOf<RowPage>, RowError> {
        let limit = limit.clamp(1, LIST_LIMIT_MAX);
        let view = self.shared.table().view();
        let (position, keys) = self.moment(view.as_ref())?;
        let RowPage { mut rows, next } = page_in(view.as_ref(), keys, after, limit)?;
        if let Some((last, _)) = rows.last() {
            let bonds = bonds_in(view.as_ref(), keys, after, last, limit)?;
            let held: BTreeSet<Multihash> =
                bonds.into_iter().filter(|(_, bond)| bond.is_held()).map(|(multihash, _)| multihash).collect();
            rows.retain(|(multihash, _)| !held.contains(multihash));
        }
        Ok(AsOf { position, value: RowPage { rows, next } })
    }

    /// The position of the view itself, which may be ahead of [`state`](Self::state), and where its rows are.
    fn moment(&self, view: &dyn View) -> Result<(Position, Keys), RowError> {
        let (record, keys) = moment_of(view, self.group)?;
        Ok((record.map_or(Position::ZERO, |record| record.state.position), keys))
    }
}

fn page_in(view: &dyn View, keys: Keys, after: Option<Multihash>, limit: usize) -> Result<RowPage, RowError> {
    let mut rows = rows_in(view, keys, after, limit + 1)?;
    let more = limit < rows.len();
    rows.truncate(limit);
    let next = rows.last().map(|(multihash, _)| *multihash).filter(|_| more);
    Ok(RowPage { rows, next })
}

impl<T: Table> Clone for CatalogReader<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), group: self.group }
    }
}
