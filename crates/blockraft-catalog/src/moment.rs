//! What a view of the table shows: the state of one moment, and its rows.

use blockraft_blocks::Multihash;
use thiserror::Error;

use crate::bond::Bond;
use crate::keys::{Keys, Kind};
use crate::links::Links;
use crate::reach::{Lack, Sight};
use crate::record::DecodeRecordError;
use crate::row::{Row, Slot, StateRecord};
use crate::table::{KeyRange, Pair, ReadError, View};
use crate::vertex::Vertex;

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
    /// What is known of a block's links and pins is not what the catalog writes.
    #[error("the links or pins of block {multihash} are damaged")]
    Bond {
        /// The block.
        multihash: Multihash,
        /// What is wrong with it.
        #[source]
        source: DecodeRecordError,
    },
    /// A row or a bond stands under a key that names no block.
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
    let first = after.map_or_else(|| keys.first(Kind::Rows), |after| keys.behind(Kind::Rows, &after));
    let range = KeyRange { first: &first, end: &keys.end(Kind::Rows) };
    let pairs = view.scan(range, limit).map_err(|source| RowError::Table { source })?;
    let row = |(key, record): Pair| {
        let multihash = keys.multihash(Kind::Rows, &key).map_err(|source| RowError::Key { source })?;
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

/// The bonds of blocks behind `after` up to `last`, of which there are no more than `limit`.
pub(crate) fn bonds_in(
    view: &dyn View,
    keys: Keys,
    after: Option<Multihash>,
    last: &Multihash,
    limit: usize,
) -> Result<Vec<(Multihash, Bond)>, RowError> {
    let first = after.map_or_else(|| keys.first(Kind::Bonds), |after| keys.behind(Kind::Bonds, &after));
    let range = KeyRange { first: &first, end: &keys.behind(Kind::Bonds, last) };
    let pairs = view.scan(range, limit).map_err(|source| RowError::Table { source })?;
    let bond = |(key, record): Pair| {
        let multihash = keys.multihash(Kind::Bonds, &key).map_err(|source| RowError::Key { source })?;
        let bond = Bond::decode(&record).map_err(|source| RowError::Bond { multihash, source })?;
        Ok((multihash, bond))
    };
    pairs.into_iter().map(bond).collect()
}

pub(crate) fn bond_in(view: &dyn View, keys: Keys, multihash: &Multihash) -> Result<Option<Bond>, RowError> {
    let record = view.get(&keys.bond(multihash)).map_err(|source| RowError::Table { source })?;
    let bond = record.map(|record| Bond::decode(&record)).transpose();
    bond.map_err(|source| RowError::Bond { multihash: *multihash, source })
}

/// The links that were recorded of a vertex.
pub(crate) fn links_in(view: &dyn View, keys: Keys, vertex: &Vertex) -> Result<Option<Links>, RowError> {
    let record = view.get(&keys.links(vertex)).map_err(|source| RowError::Table { source })?;
    let links = record.map(|record| Links::decode(&record)).transpose();
    links.map_err(|source| RowError::Bond { multihash: vertex.multihash, source })
}

/// What is known of a vertex.
pub(crate) fn sight_in(view: &dyn View, keys: Keys, vertex: &Vertex) -> Result<Sight, RowError> {
    if row_in(view, keys, &vertex.multihash)?.is_none() {
        return Ok(Sight::Lacks(Lack::Block));
    }
    if vertex.is_raw() {
        return Ok(Sight::Known(Links::default()));
    }
    Ok(links_in(view, keys, vertex)?.map_or(Sight::Lacks(Lack::Links), Sight::Known))
}
