//! Rows of a snapshot as they travel: a version, then row behind row, in no frame of their own.
//!
//! ```text
//!  version u8 | length of the multihash u8 | multihash | length of the block u32 LE | term u64 LE | index u64 LE | …
//! ```

use blockraft_blocks::Multihash;
use blockraft_types::{LogIndex, Position, Term};
use thiserror::Error;

/// A block that a snapshot names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its name.
    pub multihash: Multihash,
    /// Its length in bytes.
    pub length: u32,
    /// The entry that made it visible.
    pub created: Position,
}

/// Why bytes are not rows of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeRowsError {
    /// A version that this release does not read.
    #[error("version {found} of a snapshot's rows is not supported, only version {supported} is")]
    Version {
        /// The version that it names; zero for no bytes at all.
        found: u8,
        /// The version that this release reads.
        supported: u8,
    },
    /// A row breaks off, or names no block.
    #[error("row {number} of a snapshot can't be read")]
    Row {
        /// Which one, from zero.
        number: usize,
    },
}

/// Writes rows.
#[must_use]
pub fn encode_rows(rows: &[SnapshotRow]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + rows.len() * ROW_BYTES_MAX);
    bytes.push(VERSION);
    for SnapshotRow { multihash, length, created } in rows {
        let name = multihash.as_bytes();
        bytes.push(u8::try_from(name.len()).expect("a multihash has at most 66 bytes"));
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&created.term.0.to_le_bytes());
        bytes.extend_from_slice(&created.index.0.to_le_bytes());
    }
    bytes
}

/// Reads rows. Takes memory in proportion to `bytes`.
///
/// # Errors
/// The bytes are not exactly rows in the supported version.
pub fn decode_rows(bytes: &[u8]) -> Result<Vec<SnapshotRow>, DecodeRowsError> {
    let Some((&VERSION, mut rest)) = bytes.split_first() else {
        return Err(DecodeRowsError::Version { found: bytes.first().copied().unwrap_or(0), supported: VERSION });
    };
    let mut rows = Vec::with_capacity(rest.len() / ROW_BYTES_MAX);
    while !rest.is_empty() {
        rows.push(take_row(&mut rest).ok_or(DecodeRowsError::Row { number: rows.len() })?);
    }
    Ok(rows)
}

fn take_row(rest: &mut &[u8]) -> Option<SnapshotRow> {
    let [name_bytes] = take(rest)?;
    let (name, behind) = rest.split_at_checked(name_bytes.into())?;
    *rest = behind;
    let multihash = Multihash::from_bytes(name).ok()?;
    let length = u32::from_le_bytes(take(rest)?);
    let (term, index) = (Term(u64::from_le_bytes(take(rest)?)), LogIndex(u64::from_le_bytes(take(rest)?)));
    Some(SnapshotRow { multihash, length, created: Position { term, index } })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}

const VERSION: u8 = 1;

/// The length and the bytes of the longest multihash, a length, a term and an index.
const ROW_BYTES_MAX: usize = 1 + 66 + 4 + 8 + 8;

#[cfg(test)]
mod tests;
