//! Reading a catalog while entries are applied to it.

use std::sync::Arc;

use blockraft_blocks::Multihash;
use blockraft_blocks::store::LIST_LIMIT_MAX;
use blockraft_types::Position;

use crate::moment::{RowError, moment_of, row_in, rows_in};
use crate::row::{CatalogState, Keys, Row, Slot};
use crate::shared::Shared;
use crate::snapshot::Export;
use crate::table::{Table, View};

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
        let mut rows = rows_in(view.as_ref(), keys, after, limit + 1)?;
        let more = limit < rows.len();
        rows.truncate(limit);
        let next = rows.last().map(|(multihash, _)| *multihash).filter(|_| more);
        Ok(AsOf { position, value: RowPage { rows, next } })
    }

    /// The position of the view itself, which may be ahead of [`state`](Self::state), and where its rows are.
    fn moment(&self, view: &dyn View) -> Result<(Position, Keys), RowError> {
        let (record, keys) = moment_of(view, self.group)?;
        Ok((record.map_or(Position::ZERO, |record| record.state.position), keys))
    }
}

impl<T: Table> Clone for CatalogReader<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), group: self.group }
    }
}
