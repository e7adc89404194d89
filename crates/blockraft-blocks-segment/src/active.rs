//! The one segment that records are appended to.

use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::failure::Failure;
use crate::format::segment::RECORDS_FROM;
use crate::format::{FooterEntry, Mark, RecordHeader, RecordKind, SegmentHeader, aligned, footer};
use crate::index::{Location, Place};

/// An open segment. What was appended is durable after [`sync`](Self::sync), not before.
#[derive(Debug)]
pub(crate) struct Active {
    number: u64,
    mark: Mark,
    file: Arc<dyn DiskFile>,
    /// Where the next record goes.
    tail: u64,
    /// Where the staged bytes go.
    staged_from: u64,
    staged: Vec<u8>,
    synced: u64,
    allocated: u64,
    entries: Vec<FooterEntry>,
}

impl Active {
    /// Begins a segment. Its name and header are durable when this returns.
    pub(crate) fn create(disk: &dyn Disk, number: u64) -> Result<Self, Failure> {
        let create = || format!("create segment {number}");
        let mark = Mark(disk.random());
        let file = disk.create(&file_name(number)).map_err(Failure::to(create))?;
        file.write_at(&SegmentHeader { number, mark }.encode(), 0).map_err(Failure::to(create))?;
        file.sync_data().map_err(Failure::to(create))?;
        disk.sync_directory().map_err(Failure::to(create))?;
        Ok(Self::resume(number, mark, file, RECORDS_FROM, Vec::new()))
    }

    /// Goes on with a segment whose records up to `tail` are `entries`, all of them synced.
    pub(crate) fn resume(
        number: u64,
        mark: Mark,
        file: Arc<dyn DiskFile>,
        tail: u64,
        entries: Vec<FooterEntry>,
    ) -> Self {
        let staged = Vec::new();
        Self { number, mark, file, tail, staged_from: tail, staged, synced: tail, allocated: tail, entries }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    pub(crate) fn tail(&self) -> Place {
        Place { segment: self.number, offset: self.tail }
    }

    pub(crate) fn record_bytes(&self) -> u64 {
        self.tail - RECORDS_FROM
    }

    pub(crate) fn records(&self) -> usize {
        self.entries.len()
    }

    /// Whether anything was appended that isn't synced.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced < self.tail
    }

    /// How much was reserved from the file system and not used yet.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        self.allocated.saturating_sub(self.tail)
    }

    /// Reserves space for the next `bytes`, in a piece of `extent_bytes` if that isn't less. A file system that can't
    /// reserve is no failure: the write itself will tell.
    pub(crate) fn reserve(&mut self, bytes: u64, extent_bytes: u64) {
        if self.tail + bytes > self.allocated {
            let more = extent_bytes.max(self.tail + bytes - self.allocated);
            if self.file.allocate(self.allocated, more).is_ok() {
                self.allocated += more;
            }
        }
    }

    /// Appends a record, and tells where it is and how many bytes went to the file so far because of it.
    pub(crate) fn append(&mut self, kind: RecordKind, body: &[u8], body_crc: u32) -> Result<(Location, u64), Failure> {
        let location = Location { segment: self.number, offset: self.tail, length: body.len() as u32 };
        let header = RecordHeader { kind, length: location.length, body_crc, synced: self.synced };
        header.encode(self.mark, self.tail, &mut self.staged);
        let mut written = 0;
        if body.len() > STAGED_BODY_BYTES_MAX {
            written += self.write_staged()?;
            self.write(body)?;
            written += body.len() as u64;
        } else {
            self.staged.extend_from_slice(body);
        }
        self.tail += kind.record_bytes(location.length);
        self.staged.resize((self.tail - self.staged_from) as usize, 0);
        if self.staged.len() > STAGED_BYTES_MAX {
            written += self.write_staged()?;
        }
        self.entries.push(FooterEntry { kind, offset: location.offset, length: location.length });
        Ok((location, written))
    }

    /// Makes all that was appended durable, and tells how many bytes that wrote.
    pub(crate) fn sync(&mut self) -> Result<u64, Failure> {
        let written = self.write_staged()?;
        self.file.sync_data().map_err(Failure::to(|| format!("sync segment {}", self.number)))?;
        self.synced = self.tail;
        Ok(written)
    }

    /// Ends the segment with its footer, makes all of it durable, and tells how many bytes that wrote. Nothing may be
    /// appended afterwards.
    pub(crate) fn seal(&mut self) -> Result<u64, Failure> {
        // Two syncs: an intact footer must prove that the records before it are durable.
        let mut written = self.sync()?;
        let table = footer::encode(&self.entries, self.tail, self.mark);
        self.write(&table)?;
        written += table.len() as u64;
        let file_bytes = self.tail + table.len() as u64;
        let seal = || format!("seal segment {}", self.number);
        self.file.truncate(file_bytes).map_err(Failure::to(seal))?;
        self.file.sync_data().map_err(Failure::to(seal))?;
        Ok(written)
    }

    fn write_staged(&mut self) -> Result<u64, Failure> {
        let staged = std::mem::take(&mut self.staged);
        self.write(&staged)?;
        let written = staged.len() as u64;
        self.staged = staged;
        self.staged.clear();
        Ok(written)
    }

    /// Writes behind what is written, past the staging.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.is_empty() {
            return Ok(());
        }
        let write = || format!("write to segment {}", self.number);
        self.file.write_at(bytes, self.staged_from).map_err(Failure::to(write))?;
        self.staged_from += bytes.len() as u64;
        Ok(())
    }
}

/// The name of a segment's file.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:016x}{SUFFIX}")
}

/// The segment that a file name means.
pub(crate) fn segment_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (file_name(number) == name).then_some(number)
}

/// How much of the file system a record of this kind takes.
pub(crate) fn room_for(kind: RecordKind, length: u32) -> u64 {
    // Its line in the footer counts too.
    kind.record_bytes(length) + aligned(FOOTER_LINE_BYTES_MAX)
}

const SUFFIX: &str = ".segment";
const FOOTER_LINE_BYTES_MAX: u64 = 80;
/// Larger bodies go to the file straight from the caller's memory.
const STAGED_BODY_BYTES_MAX: usize = 64 << 10;
const STAGED_BYTES_MAX: usize = 1 << 20;
