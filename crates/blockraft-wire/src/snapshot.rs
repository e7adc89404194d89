//! Rows of a snapshot as they travel: a version, then row behind row, in no frame of their own.
//!
//! ```text
//!  1 u8 | length of the multihash u8 | multihash | length of the block u32 LE | term u64 LE | index u64 LE | …
//!  2 u8 | length of the clients' tables u32 LE | these | rows as above …
//!  3 u8 | length of the clients' tables u32 LE | these | a row as above | length of its bond u32 LE | bond | …
//! ```
//!
//! The second form is for rows that bring the sessions and imports of clients along, the third one for rows some of which have
//! bonds: what they link to, and which pins hold them. The bytes of either mean nothing here.

use blockraft_blocks::Multihash;
use blockraft_types::{LogIndex, Position, Term};
use bytes::{Buf, Bytes};
use thiserror::Error;

/// A block that a snapshot names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its name.
    pub multihash: Multihash,
    /// Its length in bytes.
    pub length: u32,
    /// The entry that made it visible.
    pub created: Position,
    /// The bytes of its bond, less than 4 GiB; none if it has no bond.
    pub bond: Bytes,
}

/// Why bytes are not rows of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeRowsError {
    /// A version that this release does not read.
    #[error("version {found} of a snapshot's rows is not supported, only versions up to {supported} are")]
    Version {
        /// The version that it names; zero for no bytes at all.
        found: u8,
        /// The newest version that this release reads.
        supported: u8,
    },
    /// The tables of clients break off.
    #[error("the sessions and imports of a snapshot break off")]
    Clients,
    /// A row breaks off, or names no block.
    #[error("row {number} of a snapshot can't be read")]
    Row {
        /// Which one, from zero.
        number: usize,
    },
}

/// Writes rows, and the tables of clients that come with them: none, or the bytes of all of them, less than 4 GiB.
#[must_use]
pub fn encode_rows(rows: &[SnapshotRow], clients: &[u8]) -> Vec<u8> {
    let bond_bytes: usize = rows.iter().map(|row| row.bond.len()).sum();
    let rows_bytes = rows.len() * (ROW_BYTES_MAX + LENGTH_BYTES) + bond_bytes;
    let mut bytes = Vec::with_capacity(1 + LENGTH_BYTES + clients.len() + rows_bytes);
    let version = match bond_bytes {
        0 if clients.is_empty() => VERSION,
        0 => CLIENTS_VERSION,
        _ => BONDS_VERSION,
    };
    bytes.push(version);
    if version != VERSION {
        put_with_length(&mut bytes, clients);
    }
    for SnapshotRow { multihash, length, created, bond } in rows {
        let name = multihash.as_bytes();
        bytes.push(u8::try_from(name.len()).expect("a multihash has at most 66 bytes"));
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&created.term.0.to_le_bytes());
        bytes.extend_from_slice(&created.index.0.to_le_bytes());
        if version == BONDS_VERSION {
            put_with_length(&mut bytes, bond);
        }
    }
    bytes
}

/// Reads rows, and the bytes of the clients' tables that come with them. Takes memory in proportion to `bytes`, of which
/// the bonds are slices.
///
/// # Errors
/// The bytes are not exactly rows in a supported version.
pub fn decode_rows(bytes: &Bytes) -> Result<(Vec<SnapshotRow>, Bytes), DecodeRowsError> {
    let version = bytes.first().copied().unwrap_or_default();
    let mut rest = match version {
        VERSION | CLIENTS_VERSION | BONDS_VERSION => bytes.slice(1..),
        found => return Err(DecodeRowsError::Version { found, supported: BONDS_VERSION }),
    };
    let clients = match version {
        VERSION => Bytes::new(),
        _ => take_with_length(&mut rest).ok_or(DecodeRowsError::Clients)?,
    };
    if version == CLIENTS_VERSION && clients.is_empty() {
        return Err(DecodeRowsError::Clients);
    }
    let mut rows = Vec::with_capacity(rest.len() / (ROW_BYTES_MAX + LENGTH_BYTES));
    while !rest.is_empty() {
        rows.push(take_row(&mut rest, version).ok_or(DecodeRowsError::Row { number: rows.len() })?);
    }
    Ok((rows, clients))
}

fn put_with_length(bytes: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("the caller's parts have less than 4 GiB");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(part);
}

fn take_with_length(rest: &mut Bytes) -> Option<Bytes> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    (length <= rest.len()).then(|| rest.split_to(length))
}

fn take_row(rest: &mut Bytes, version: u8) -> Option<SnapshotRow> {
    let [name_bytes] = take(rest)?;
    let name = rest.get(..name_bytes.into())?;
    let multihash = Multihash::from_bytes(name).ok()?;
    rest.advance(name_bytes.into());
    let length = u32::from_le_bytes(take(rest)?);
    let (term, index) = (Term(u64::from_le_bytes(take(rest)?)), LogIndex(u64::from_le_bytes(take(rest)?)));
    let bond = if version == BONDS_VERSION { take_with_length(rest)? } else { Bytes::new() };
    Some(SnapshotRow { multihash, length, created: Position { term, index }, bond })
}

fn take<const N: usize>(rest: &mut Bytes) -> Option<[u8; N]> {
    let taken = *rest.first_chunk::<N>()?;
    rest.advance(N);
    Some(taken)
}

/// Rows alone.
const VERSION: u8 = 1;
/// Tables of clients in front of them.
const CLIENTS_VERSION: u8 = 2;
/// Rows with bonds, and tables of clients in front of them, or none.
const BONDS_VERSION: u8 = 3;

/// How many bytes say how long something is.
const LENGTH_BYTES: usize = 4;

/// The length and the bytes of the longest multihash, a length, a term and an index.
const ROW_BYTES_MAX: usize = 1 + 66 + 4 + 8 + 8;

#[cfg(test)]
mod tests;
