//! Where each block is, kept in a [`Table`] and always able to be rebuilt from the segments.
//!
//! A row is written only for a record that is durable. The table also holds up to where it covers the segments, written
//! in the same batch as the rows, so that after a crash exactly what lies behind that place is read again.

use std::io;
use std::sync::Arc;

use blockraft_blocks::Multihash;
use blockraft_blocks::limits::BLOCK_BYTES_MAX;

use crate::table::{Change, Table};

/// Where a block's record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) segment: u64,
    /// Where the record's header begins.
    pub(crate) offset: u64,
    /// How long the body is.
    pub(crate) length: u32,
}

/// A place in the sequence of all records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
}

/// What the table says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Covered {
    /// All records before this place are in the table.
    pub(crate) up_to: Place,
    /// How many blocks the table knows.
    pub(crate) blocks: u64,
}

/// How much of a segment still means something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes of records that the index points to.
    pub(crate) live_bytes: u64,
    /// Bytes of tombstones.
    pub(crate) tombstone_bytes: u64,
}

/// The index over its table. A clone is the same index.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    table: Arc<dyn Table>,
}

impl Index {
    pub(crate) fn new(table: Arc<dyn Table>) -> Self {
        Self { table }
    }

    pub(crate) fn get(&self, multihash: &Multihash) -> io::Result<Option<Location>> {
        let value = self.table.get(&row_key(multihash))?;
        value.map(|value| decode_location(&value).ok_or_else(|| damaged("row"))).transpose()
    }

    /// Blocks behind `after`, in order.
    pub(crate) fn list(&self, after: Option<Multihash>, limit: usize) -> io::Result<Vec<(Multihash, Location)>> {
        let after = after.map_or_else(|| vec![ROW], |after| row_key(&after));
        let rows = self.table.scan(&after, &[ROW + 1], limit)?;
        rows.iter().map(|(key, value)| decode_row(key, value).ok_or_else(|| damaged("row"))).collect()
    }

    /// `None` if nothing was ever written to the table, or another version of this code wrote it.
    pub(crate) fn covered(&self) -> io::Result<Option<Covered>> {
        Ok(self.table.get(&[COVERED])?.and_then(|value| decode_covered(&value)))
    }

    pub(crate) fn usages(&self) -> io::Result<Vec<(u64, Usage)>> {
        let rows = self.table.scan(&[USAGE], &[USAGE + 1], usize::MAX)?;
        rows.iter().map(|(key, value)| decode_usage(key, value).ok_or_else(|| damaged("usage"))).collect()
    }

    /// Forgets everything, to be rebuilt.
    pub(crate) fn clear(&self) -> io::Result<()> {
        loop {
            let rows = self.table.scan(&[], &[u8::MAX], 4_096)?;
            if rows.is_empty() {
                return Ok(());
            }
            self.table.write(rows.into_iter().map(|(key, _)| Change { key, value: None }).collect())?;
        }
    }

    pub(crate) fn write(
        &self,
        rows: impl IntoIterator<Item = (Multihash, Option<Location>)>,
        usages: impl IntoIterator<Item = (u64, Option<Usage>)>,
        covered: Covered,
    ) -> io::Result<()> {
        let rows = rows.into_iter().map(|(multihash, location)| Change {
            key: row_key(&multihash),
            value: location.map(|location| encode_location(&location)),
        });
        let usages = usages.into_iter().map(|(segment, usage)| Change {
            key: usage_key(segment),
            value: usage.map(|usage| [usage.live_bytes.to_le_bytes(), usage.tombstone_bytes.to_le_bytes()].concat()),
        });
        let covered = Change { key: vec![COVERED], value: Some(encode_covered(&covered)) };
        self.table.write(rows.chain(usages).chain([covered]).collect())
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.table.flush()
    }
}

fn row_key(multihash: &Multihash) -> Vec<u8> {
    [&[ROW], multihash.as_bytes()].concat()
}

fn usage_key(segment: u64) -> Vec<u8> {
    [&[USAGE][..], &segment.to_be_bytes()].concat()
}

fn encode_location(location: &Location) -> Vec<u8> {
    let mut value = Vec::with_capacity(20);
    value.extend_from_slice(&location.segment.to_le_bytes());
    value.extend_from_slice(&location.offset.to_le_bytes());
    value.extend_from_slice(&location.length.to_le_bytes());
    value
}

fn decode_location(value: &[u8]) -> Option<Location> {
    let (segment, rest) = value.split_first_chunk()?;
    let (offset, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(rest.try_into().ok()?);
    (length <= BLOCK_BYTES_MAX).then_some(Location {
        segment: u64::from_le_bytes(*segment),
        offset: u64::from_le_bytes(*offset),
        length,
    })
}

fn decode_row(key: &[u8], value: &[u8]) -> Option<(Multihash, Location)> {
    Some((Multihash::from_bytes(key.get(1..)?).ok()?, decode_location(value)?))
}

fn decode_usage(key: &[u8], value: &[u8]) -> Option<(u64, Usage)> {
    let segment = u64::from_be_bytes(key.get(1..)?.try_into().ok()?);
    let (live, tombstones) = value.split_first_chunk()?;
    let tombstone_bytes = u64::from_le_bytes(tombstones.try_into().ok()?);
    Some((segment, Usage { live_bytes: u64::from_le_bytes(*live), tombstone_bytes }))
}

fn encode_covered(covered: &Covered) -> Vec<u8> {
    let mut value = VERSION.to_le_bytes().to_vec();
    value.extend_from_slice(&covered.up_to.segment.to_le_bytes());
    value.extend_from_slice(&covered.up_to.offset.to_le_bytes());
    value.extend_from_slice(&covered.blocks.to_le_bytes());
    value
}

fn decode_covered(value: &[u8]) -> Option<Covered> {
    let (version, rest) = value.split_first_chunk()?;
    let (segment, rest) = rest.split_first_chunk()?;
    let (offset, rest) = rest.split_first_chunk()?;
    let blocks = u64::from_le_bytes(rest.try_into().ok()?);
    let up_to = Place { segment: u64::from_le_bytes(*segment), offset: u64::from_le_bytes(*offset) };
    (u16::from_le_bytes(*version) == VERSION).then_some(Covered { up_to, blocks })
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a {what} of the block index is damaged"))
}

/// Another version is not read but rebuilt.
const VERSION: u16 = 1;

// The first byte of a key. Keys of one kind stand together.
const COVERED: u8 = b'c';
const ROW: u8 = b'm';
const USAGE: u8 = b'u';
