//! Gives dead space back: what still means something in a segment is copied to the active one, and once the copies and
//! the index are durable, the segment's file goes.
//!
//! A tombstone means something as long as an older segment exists that may hold a record it outlaws; then it is carried
//! along.

use std::collections::VecDeque;

use blockraft_blocks::WriteError;

use crate::active::file_name;
use crate::ends::{read_header, read_table};
use crate::failure::Failure;
use crate::format::{FooterEntry, RecordKind};
use crate::index::{Covered, Location, Usage};
use crate::scan::{Found, header_at, read_or_zero, scan};
use crate::segments::{Batch, Segments};
use crate::victim::Victim;

/// How much dead space makes a segment worth emptying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thoroughness {
    /// Half of it: what goes on in the background.
    Lazy,
    /// A tenth of it, the active segment included: when space is short, or someone asked.
    Thorough,
}

impl Segments {
    /// Whether [`compact`](Self::compact) would do anything.
    #[must_use]
    pub fn has_compaction_due(&self, thoroughness: Thoroughness) -> bool {
        !self.is_poisoned() && (self.compaction.is_some() || self.victim(thoroughness).is_some())
    }

    /// Does one bounded step of compaction, at most about `compaction_step_bytes` of copies and one sync.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn compact(&mut self, thoroughness: Thoroughness) -> Result<(), WriteError> {
        self.guarded(|segments| segments.try_compact(thoroughness))
    }

    fn try_compact(&mut self, thoroughness: Thoroughness) -> Result<(), Failure> {
        let mut victim = match self.compaction.take() {
            Some(victim) => victim,
            None => match self.victim(thoroughness) {
                None => return Ok(()),
                Some(segment) => {
                    if segment == self.active.number() {
                        self.roll()?;
                    }
                    self.enumerate(segment)?
                }
            },
        };
        let mut batch = Batch::default();
        let mut copied = 0;
        while copied < self.options.compaction_step_bytes
            && let Some(entry) = victim.left.pop_front()
        {
            copied += self.carry(&mut batch, &victim, entry)?;
        }
        self.status.bytes_copied += copied;
        self.commit(batch)?;
        if victim.left.is_empty() {
            self.conclude(victim.segment)?;
        } else {
            self.compaction = Some(victim);
        }
        Ok(())
    }

    /// The segment with the largest share of dead bytes, if that is large enough.
    fn victim(&self, thoroughness: Thoroughness) -> Option<u64> {
        let least_percent = match thoroughness {
            Thoroughness::Lazy => 50,
            Thoroughness::Thorough => 10,
        };
        let active = (thoroughness == Thoroughness::Thorough && self.active.records() > 0)
            .then(|| (self.active.number(), self.active.record_bytes()));
        let candidates = self.sealed.iter().map(|(segment, bytes)| (*segment, *bytes)).chain(active);
        candidates
            .filter(|(segment, _)| !self.held.contains(segment))
            .map(|(segment, bytes)| (self.dead_bytes(segment, bytes) * 100 / bytes.max(1), segment, bytes))
            .filter(|(percent, _, bytes)| *percent >= least_percent || *bytes == 0)
            .max_by_key(|(percent, segment, _)| (*percent, u64::MAX - segment))
            .map(|(_, segment, _)| segment)
    }

    fn dead_bytes(&self, segment: u64, bytes: u64) -> u64 {
        let usage = self.usages.get(&segment).copied().unwrap_or_default();
        let tombstone_bytes = if self.is_oldest(segment) { 0 } else { usage.tombstone_bytes };
        bytes.saturating_sub(usage.live_bytes + tombstone_bytes)
    }

    fn is_oldest(&self, segment: u64) -> bool {
        self.sealed.range(..segment).next().is_none()
    }

    /// Finds out what is in a sealed segment.
    fn enumerate(&self, segment: u64) -> Result<Victim, Failure> {
        let read = || format!("read segment {segment} to compact it");
        let Some(file) = self.reader.file(segment) else {
            return Ok(Victim { segment, mark: None, left: VecDeque::new() });
        };
        let Some(mark) = read_header(&*file).map_err(Failure::to(read))?.map(|header| header.mark) else {
            return Ok(Victim { segment, mark: None, left: VecDeque::new() });
        };
        let left = match read_table(&*file, mark).map_err(Failure::to(read))? {
            Some(sealed) => sealed.entries.into(),
            None => {
                let scanned = scan(&*file, mark, u64::MAX).map_err(Failure::to(read))?;
                let entry = |found| match found {
                    Found::Record { entry, .. } => Some(entry),
                    Found::Gap(_) => None,
                };
                scanned.found.into_iter().filter_map(entry).collect()
            }
        };
        Ok(Victim { segment, mark: Some(mark), left })
    }

    /// Copies a record if it still means something, and tells how many bytes that took.
    fn carry(&mut self, batch: &mut Batch, from: &Victim, entry: FooterEntry) -> Result<u64, Failure> {
        match entry.kind {
            RecordKind::Void => Ok(0),
            RecordKind::Tombstone(multihash) => {
                if self.is_oldest(from.segment) || self.locate(batch, &multihash)?.is_some() {
                    return Ok(0);
                }
                self.bury(batch, &multihash)?;
                Ok(entry.kind.record_bytes(0))
            }
            RecordKind::Block(multihash) => {
                let here = Location { segment: from.segment, offset: entry.offset, length: entry.length };
                if self.locate(batch, &multihash)? != Some(here) {
                    return Ok(0);
                }
                let (body, body_crc) = self.read_body(from, &entry)?;
                let was_damaged = self.reader.is_damaged(&multihash, &here);
                let location = self.append(entry.kind, &body, body_crc)?;
                batch.set(multihash, Some(location));
                if was_damaged {
                    self.reader.still_damaged(multihash, location);
                }
                Ok(entry.kind.record_bytes(entry.length))
            }
        }
    }

    /// The body as it is, damaged or not, with the checksum it was written with: damage stays damage.
    fn read_body(&self, from: &Victim, entry: &FooterEntry) -> Result<(Vec<u8>, u32), Failure> {
        let read = || format!("read segment {} to compact it", from.segment);
        let mut body = vec![0; entry.length as usize];
        let mut header = None;
        if let (Some(file), Some(mark)) = (self.reader.file(from.segment), from.mark) {
            read_or_zero(&*file, &mut body, entry.offset + entry.kind.header_bytes()).map_err(Failure::to(read))?;
            header = header_at(&*file, mark, entry.offset).map_err(Failure::to(read))?;
        }
        let body_crc = header.map_or_else(|| crc32c::crc32c(&body), |header| header.body_crc);
        Ok((body, body_crc))
    }

    /// Removes an emptied segment, if it is empty indeed. The copies are synced already.
    fn conclude(&mut self, segment: u64) -> Result<(), Failure> {
        if self.usages.get(&segment).is_some_and(|usage| usage.live_bytes > 0) {
            // The index knows blocks here that no footer or scan tells of. They stay damaged, not absent.
            self.held.push(segment);
            return Ok(());
        }
        self.flush_index()?;
        let remove = || format!("remove segment {segment}");
        self.disk.remove(&file_name(segment)).map_err(Failure::to(remove))?;
        self.disk.sync_directory().map_err(Failure::to(remove))?;
        self.reader.remove_file(segment);
        self.sealed.remove(&segment);
        self.usages.remove(&segment);
        self.status.segments_removed += 1;
        let covered = Covered { up_to: self.active.tail(), blocks: self.blocks };
        let forgotten: [(u64, Option<Usage>); 1] = [(segment, None)];
        self.index.write([], forgotten, covered).map_err(Failure::to(|| "write the block index"))
    }
}
