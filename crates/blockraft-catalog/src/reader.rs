//! Reading a catalog while entries are applied to it.

use std::sync::Arc;

use blockraft_blocks::Multihash;
use blockraft_blocks::store::LIST_LIMIT_MAX;
use blockraft_types::Position;
use thiserror::Error;

use crate::row::{CatalogState, DecodeRecordError, Keys, Row, StateRecord};
use crate::shared::Shared;
use crate::table::{KeyRange, ReadError, Table, View};

/// Reads a catalog, from any thread.
///
/// Every answer is of one moment between two entries and names the last one applied by then: no reader ever sees half
/// an entry.
#[derive(Debug)]
pub struct CatalogReader<T: Table> {
    shared: Arc<Shared<T>>,
    keys: Keys,
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

/// Why a row could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RowError {
    /// A row is not what the catalog writes.
    #[error("the row of block {multihash} is damaged")]
    Row {
        /// The block.
        multihash: Multihash,
        /// What is wrong with it.
        #[source]
        source: DecodeRecordError,
    },
    /// A row stands under a key that names no block.
    #[error("a row's key is damaged")]
    Key {
        /// What is wrong with it.
        #[source]
        source: DecodeRecordError,
    },
    /// The state is not what the catalog writes.
    #[error("the catalog's state is damaged")]
    State {
        /// What is wrong with it.
        #[source]
        source: DecodeRecordError,
    },
    /// The table couldn't be read.
    #[error("reading a row")]
    Table {
        /// What the table said.
        #[source]
        source: ReadError,
    },
}

impl<T: Table> CatalogReader<T> {
    pub(crate) const fn new(shared: Arc<Shared<T>>, keys: Keys) -> Self {
        Self { shared, keys }
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
        let value = row_in(view.as_ref(), self.keys, multihash)?;
        Ok(AsOf { position: self.position_of(view.as_ref())?, value })
    }

    /// The rows of many blocks at one moment, in the order asked, `None` for those that are not visible.
    ///
    /// # Errors
    /// As [`visible`](Self::visible).
    pub fn visible_many(&self, multihashes: &[Multihash]) -> Result<AsOf<Vec<Option<Row>>>, RowError> {
        let view = self.shared.table().view();
        let rows = multihashes.iter().map(|multihash| row_in(view.as_ref(), self.keys, multihash));
        let value = rows.collect::<Result<_, _>>()?;
        Ok(AsOf { position: self.position_of(view.as_ref())?, value })
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
        let first = after.map_or_else(|| self.keys.rows_first(), |after| self.keys.behind_row(&after));
        let range = KeyRange { first: &first, end: &self.keys.rows_end() };
        let pairs = view.scan(range, limit + 1).map_err(|source| RowError::Table { source })?;
        let more = limit < pairs.len();
        let mut rows = Vec::with_capacity(limit.min(pairs.len()));
        for (key, record) in pairs.into_iter().take(limit) {
            let multihash = self.keys.multihash(&key).map_err(|source| RowError::Key { source })?;
            let row = Row::decode(&record).map_err(|source| RowError::Row { multihash, source })?;
            rows.push((multihash, row));
        }
        let next = rows.last().map(|(multihash, _)| *multihash).filter(|_| more);
        Ok(AsOf { position: self.position_of(view.as_ref())?, value: RowPage { rows, next } })
    }

    /// The position of the view itself, which may be ahead of [`state`](Self::state).
    fn position_of(&self, view: &dyn View) -> Result<Position, RowError> {
        let record = view.get(&self.keys.state()).map_err(|source| RowError::Table { source })?;
        let Some(record) = record else {
            return Ok(Position::ZERO);
        };
        let record = StateRecord::decode(&record).map_err(|source| RowError::State { source })?;
        Ok(record.state.position)
    }
}

impl<T: Table> Clone for CatalogReader<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), keys: self.keys }
    }
}

pub(crate) fn row_in(view: &dyn View, keys: Keys, multihash: &Multihash) -> Result<Option<Row>, RowError> {
    let record = view.get(&keys.row(multihash)).map_err(|source| RowError::Table { source })?;
    let row = record.map(|record| Row::decode(&record)).transpose();
    row.map_err(|source| RowError::Row { multihash: *multihash, source })
}
