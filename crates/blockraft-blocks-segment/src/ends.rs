//! The two ends of a segment file as the disk has them: its header, and the footer of a sealed one.

use std::io;

use crate::disk::DiskFile;
use crate::format::footer::{self, TRAILER_BYTES};
use crate::format::segment::{HeaderFound, RECORDS_FROM};
use crate::format::{FooterEntry, Mark, SegmentHeader, Trailer};
use crate::scan::read_or_zero;

/// A sealed segment's table.
pub(crate) struct SealedTable {
    pub(crate) entries: Vec<FooterEntry>,
    /// Where the records end.
    pub(crate) tail: u64,
}

/// The header of a segment file, if it is intact and of this version.
pub(crate) fn read_header(file: &dyn DiskFile) -> io::Result<Option<SegmentHeader>> {
    Ok(match read_any_header(file)? {
        HeaderFound::Current(header) => Some(header),
        HeaderFound::Newer { .. } | HeaderFound::Damaged => None,
    })
}

/// What the first bytes of a segment file turn out to be.
pub(crate) fn read_any_header(file: &dyn DiskFile) -> io::Result<HeaderFound> {
    let mut bytes = vec![0; RECORDS_FROM as usize];
    let read = read_or_zero(file, &mut bytes, 0)?;
    Ok(SegmentHeader::decode(bytes.get(..read).unwrap_or_default()))
}

/// The footer of a sealed segment, if there is an intact one.
pub(crate) fn read_table(file: &dyn DiskFile, mark: Mark) -> io::Result<Option<SealedTable>> {
    let file_bytes = file.length()?;
    let Some(trailer_from) = file_bytes.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
    let mut bytes = [0; TRAILER_BYTES];
    read_or_zero(file, &mut bytes, trailer_from)?;
    let Some(trailer) = Trailer::decode(&bytes, mark, file_bytes) else { return Ok(None) };
    // The trailer is intact and says that the table fits the file, so this allocates no more than the file has.
    let mut table = vec![0; trailer.table_bytes as usize];
    read_or_zero(file, &mut table, trailer.table_from)?;
    Ok(footer::decode(&table, &trailer).map(|entries| SealedTable { entries, tail: trailer.table_from }))
}
