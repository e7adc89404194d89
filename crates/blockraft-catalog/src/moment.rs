//! What a view of the table shows: the state of one moment, and its rows.

use blockraft_blocks::Multihash;
use thiserror::Error;

use crate::row::{DecodeRecordError, Keys, Row, Slot, StateRecord};
use crate::table::{KeyRange, Pair, ReadError, View};

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
    /// Nothing was applied yet.
    #[error("the catalog has no state yet")]
    NoState,
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

/// What `view` shows of the state, if there is any yet, and where its rows are.
pub(crate) fn moment_of(view: &dyn View, group: Keys) -> Result<(Option<StateRecord>, Keys), RowError> {
    let record = view.get(&group.state()).map_err(|source| RowError::Table { source })?;
    let record = record.map(|record| StateRecord::decode(&record)).transpose();
    let record = record.map_err(|source| RowError::State { source })?;
    Ok((record, group.in_slot(record.map_or(Slot::First, |record| record.slot))))
}

/// At most `limit` rows behind `after`.
pub(crate) fn rows_in(
    view: &dyn View,
    keys: Keys,
    after: Option<Multihash>,
    limit: usize,
) -> Result<Vec<(Multihash, Row)>, RowError> {
    let first = after.map_or_else(|| keys.rows_first(), |after| keys.behind_row(&after));
    let range = KeyRange { first: &first, end: &keys.rows_end() };
    let pairs = view.scan(range, limit).map_err(|source| RowError::Table { source })?;
    let row = |(key, record): Pair| {
        let multihash = keys.multihash(&key).map_err(|source| RowError::Key { source })?;
        let row = Row::decode(&record).map_err(|source| RowError::Row { multihash, source })?;
        Ok((multihash, row))
    };
    pairs.into_iter().map(row).collect()
}

pub(crate) fn row_in(view: &dyn View, keys: Keys, multihash: &Multihash) -> Result<Option<Row>, RowError> {
    let record = view.get(&keys.row(multihash)).map_err(|source| RowError::Table { source })?;
    let row = record.map(|record| Row::decode(&record)).transpose();
    row.map_err(|source| RowError::Row { multihash: *multihash, source })
}
