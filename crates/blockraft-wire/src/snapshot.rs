//! Rows of a snapshot as they travel: a version, then row behind row, in no frame of their own.
//!
//! ```text
//!  1 u8 | length of the multihash u8 | multihash | length of the block u32 LE | term u64 LE | index u64 LE | …
//!  2 u8 | length of the sessions u32 LE | sessions | rows as above …
//! ```
//!
//! The second form is for rows that bring the sessions of clients along, whose bytes mean nothing here.

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
    #[error("version {found} of a snapshot's rows is not supported, only versions up to {supported} are")]
    Version {
        /// The version that it names; zero for no bytes at all.
        found: u8,
        /// The newest version that this release reads.
        supported: u8,
    },
    /// The sessions break off.
    #[error("the sessions of a snapshot break off")]
    Sessions,
    /// A row breaks off, or names no block.
    #[error("row {number} of a snapshot can't be read")]
    Row {
        /// Which one, from zero.
        number: usize,
    },
}

/// Writes rows, and the sessions that come with them: none, or the bytes of all of them, less than 4 GiB.
#[must_use]
pub fn encode_rows(rows: &[SnapshotRow], sessions: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + LENGTH_BYTES + sessions.len() + rows.len() * ROW_BYTES_MAX);
    if sessions.is_empty() {
        bytes.push(VERSION);
    } else {
        bytes.push(SESSIONS_VERSION);
        let length = u32::try_from(sessions.len()).expect("the caller's sessions have less than 4 GiB");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(sessions);
    }
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

/// Reads rows, and the bytes of the sessions that come with them. Takes memory in proportion to `bytes`.
///
/// # Errors
/// The bytes are not exactly rows in the supported version.
pub fn decode_rows(bytes: &[u8]) -> Result<(Vec<SnapshotRow>, &[u8]), DecodeRowsError> {
    let (sessions, mut rest) = match bytes.split_first() {
        Some((&VERSION, rest)) => rest.split_at(0),
        Some((&SESSIONS_VERSION, mut rest)) => take_sessions(&mut rest).ok_or(DecodeRowsError::Sessions)?,
        other => {
            let found = other.map_or(0, |(version, _)| *version);
            return Err(DecodeRowsError::Version { found, supported: SESSIONS_VERSION });
        }
    };
    let mut rows = Vec::with_capacity(rest.len() / ROW_BYTES_MAX);
    while !rest.is_empty() {
        rows.push(take_row(&mut rest).ok_or(DecodeRowsError::Row { number: rows.len() })?);
    }
    Ok((rows, sessions))
}

/// The sessions, of which there are some, and what stands behind them.
fn take_sessions<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    rest.split_at_checked(length).filter(|_| 0 < length)
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

/// Rows alone.
const VERSION: u8 = 1;
/// Sessions in front of them.
const SESSIONS_VERSION: u8 = 2;

/// How many bytes the sessions have.
const LENGTH_BYTES: usize = 4;

/// The length and the bytes of the longest multihash, a length, a term and an index.
const ROW_BYTES_MAX: usize = 1 + 66 + 4 + 8 + 8;

#[cfg(test)]
mod tests;
