//! Reads a segment from front to back without trusting any of it: what is intact is found, whatever lies between.

use std::io;
use std::ops::Range;

use rustix::io::Errno;

use crate::disk::DiskFile;
use crate::format::record::HEADER_BYTES_MAX;
use crate::format::segment::RECORDS_FROM;
use crate::format::{ALIGNMENT, FooterEntry, Mark, RecordHeader, RecordKind};

/// What a segment turned out to hold, in the order of offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub(crate) found: Vec<Found>,
}

/// One stretch of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record with an intact header.
    Record { entry: FooterEntry, synced: u64, body: Body },
    /// Bytes in which no record begins.
    Gap(Range<u64>),
}

/// What is known of a record's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Intact,
    /// Its checksum is wrong, or the file ends before it does.
    Damaged,
    /// It wasn't to be looked at.
    Unread,
}

impl Found {
    pub(crate) fn range(&self) -> Range<u64> {
        match self {
            Self::Record { entry, .. } => entry.offset..entry.offset + entry.kind.record_bytes(entry.length),
            Self::Gap(range) => range.clone(),
        }
    }

    pub(crate) fn is_intact(&self) -> bool {
        matches!(self, Self::Record { body: Body::Intact | Body::Unread, .. })
    }
}

impl Scanned {
    /// Everything before this offset was synced once, as far as intact records tell.
    pub(crate) fn synced(&self) -> u64 {
        let claims = self.found.iter().filter_map(|found| match found {
            Found::Record { synced, .. } => Some(*synced),
            Found::Gap(_) => None,
        });
        claims.max().unwrap_or(RECORDS_FROM)
    }
}

/// Scans the records of a segment. Bodies are read from `bodies_from` on.
pub(crate) fn scan(file: &dyn DiskFile, mark: Mark, bodies_from: u64) -> io::Result<Scanned> {
    let file_bytes = file.length()?;
    let mut scanned = Scanned::default();
    let mut offset = RECORDS_FROM;
    while offset < file_bytes {
        let Some(header) = header_at(file, mark, offset)? else {
            let next = next_header(file, mark, offset + ALIGNMENT, file_bytes)?;
            scanned.found.push(Found::Gap(offset..next));
            offset = next;
            continue;
        };
        let entry = FooterEntry { kind: header.kind, offset, length: header.length };
        let body_from = offset + header.kind.header_bytes();
        let body = match header.kind {
            RecordKind::Tombstone(_) | RecordKind::Void => Body::Intact,
            RecordKind::Block(_) if offset < bodies_from => Body::Unread,
            RecordKind::Block(_) if body_from + u64::from(header.length) > file_bytes => Body::Damaged,
            RecordKind::Block(_) if body_crc(file, body_from, header.length)? == header.body_crc => Body::Intact,
            RecordKind::Block(_) => Body::Damaged,
        };
        scanned.found.push(Found::Record { entry, synced: header.synced, body });
        offset += header.record_bytes();
    }
    Ok(scanned)
}

/// The record header at `offset`, if there is an intact one.
pub(crate) fn header_at(file: &dyn DiskFile, mark: Mark, offset: u64) -> io::Result<Option<RecordHeader>> {
    let mut bytes = [0; HEADER_BYTES_MAX];
    let read = read_or_zero(file, &mut bytes, offset)?;
    Ok(RecordHeader::decode(bytes.get(..read).unwrap_or_default(), mark, offset))
}

/// Reads like `read_at`, but takes sectors that the disk can't read for zeroes: they are damage like any other.
pub(crate) fn read_or_zero(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    match file.read_at(buffer, offset) {
        Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
            buffer.fill(0);
            let left = file.length()?.saturating_sub(offset);
            Ok(buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX)))
        }
        read => read,
    }
}

fn body_crc(file: &dyn DiskFile, from: u64, length: u32) -> io::Result<u32> {
    let mut crc = 0;
    let mut window = vec![0; WINDOW_BYTES.min(length as usize)];
    let mut done = 0;
    while done < length {
        let part = window.len().min((length - done) as usize);
        let Some(buffer) = window.get_mut(..part) else { break };
        if read_or_zero(file, buffer, from + u64::from(done))? < part {
            break;
        }
        crc = crc32c::crc32c_append(crc, buffer);
        done += part as u32;
    }
    Ok(crc)
}

/// Looks for the mark, from `from` on; the end of the file if it doesn't come again.
fn next_header(file: &dyn DiskFile, mark: Mark, from: u64, file_bytes: u64) -> io::Result<u64> {
    let mut window = vec![0; WINDOW_BYTES];
    let mut window_from = from;
    while window_from < file_bytes {
        let read = read_or_zero(file, &mut window, window_from)?;
        let places = window.get(..read).unwrap_or_default().chunks_exact(ALIGNMENT as usize);
        for (place, bytes) in places.enumerate() {
            let offset = window_from + place as u64 * ALIGNMENT;
            if bytes == mark.0 && header_at(file, mark, offset)?.is_some() {
                return Ok(offset);
            }
        }
        window_from += WINDOW_BYTES as u64;
    }
    Ok(file_bytes)
}

/// How much is read at once; a multiple of the alignment.
const WINDOW_BYTES: usize = 1 << 20;
