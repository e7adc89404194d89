//! Gives dead space back: what still means something in a segment is copied to the active one, and once the copies and
//! the index are durable, the segment's file goes.
//!
//! A tombstone means something as long as an older segment exists that may hold a record it outlaws; then it is carried
//! along.
//!
//! What can't be read is no reason to lose it: the segment stays, and with it whatever a disk that recovers may still
//! give back.

use std::collections::VecDeque;

use blockraft_blocks::{Block, Multihash, WriteError};
use tracing::warn;

use crate::active::file_name;
use crate::ends::{read_header, read_table};
use crate::failure::Failure;
use crate::format::segment::RECORDS_FROM;
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
        let victim = match self.compaction.take() {
            Some(victim) => Some(victim),
            None => self.next_victim(thoroughness)?,
        };
        let Some(mut victim) = victim else { return Ok(()) };
        let mut batch = Batch::default();
        let mut copied = 0;
        let mut unreadable = None;
        while copied < self.options.compaction_step_bytes
            && unreadable.is_none()
            && let Some(entry) = victim.left.pop_front()
        {
            match self.carry(&mut batch, &victim, entry)? {
                Carried::Copied { bytes } => copied += bytes,
                Carried::Meaningless => {}
                Carried::Unreadable(multihash) => unreadable = Some(multihash),
            }
        }
        self.status.bytes_copied += copied;
        self.commit(batch)?;
        if let Some(multihash) = unreadable {
            self.hold(victim.segment, Some(multihash));
        } else if victim.left.is_empty() {
            self.conclude(victim.segment)?;
        } else {
            self.compaction = Some(victim);
        }
        Ok(())
    }

    /// Chooses a segment and finds out what is in it; holds it instead if that can't be told.
    fn next_victim(&mut self, thoroughness: Thoroughness) -> Result<Option<Victim>, Failure> {
        let Some(segment) = self.victim(thoroughness) else { return Ok(None) };
        if segment == self.active.number() {
            self.roll()?;
        }
        let victim = self.enumerate(segment)?;
        if victim.is_none() {
            self.hold(segment, None);
        }
        Ok(victim)
    }

    /// Leaves a segment alone from now on, because of this block or of more than one knows.
    fn hold(&mut self, segment: u64, damaged: Option<Multihash>) {
        let block = damaged.map(tracing::field::display);
        warn!(segment, block, "segment_not_compacted_for_damage");
        self.held.insert(segment, damaged);
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
            .filter(|(segment, _)| !self.held.contains_key(segment))
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

    /// Finds out what is in a sealed segment. `None` if something can't be read: it might be a tombstone that still means
    /// something, and nobody would miss that.
    fn enumerate(&self, segment: u64) -> Result<Option<Victim>, Failure> {
        let read = || format!("read segment {segment} to compact it");
        let Some(file) = self.reader.file(segment) else { return Ok(None) };
        let Some(header) = read_header(&*file).map_err(Failure::to(read))? else { return Ok(None) };
        let mark = header.mark;
        if let Some(table) = read_table(&*file, mark).map_err(Failure::to(read))? {
            return Ok(Some(Victim { segment, mark, left: table.entries.into() }));
        }
        let records_end = self.sealed.get(&segment).map_or(u64::MAX, |bytes| RECORDS_FROM + bytes);
        let mut left = VecDeque::new();
        for found in scan(&*file, mark, u64::MAX).map_err(Failure::to(read))?.found {
            match found {
                Found::Record { entry, .. } => left.push_back(entry),
                Found::Gap(range) if range.start < records_end => return Ok(None),
                // What is left of the footer.
                Found::Gap(_) => {}
            }
        }
        Ok(Some(Victim { segment, mark, left }))
    }

    /// Copies a record if it still means something and can be read.
    fn carry(&mut self, batch: &mut Batch, from: &Victim, entry: FooterEntry) -> Result<Carried, Failure> {
        match entry.kind {
            RecordKind::Void => Ok(Carried::Meaningless),
            RecordKind::Tombstone(multihash) => {
                if self.is_oldest(from.segment) || self.locate(batch, &multihash)?.is_some() {
                    return Ok(Carried::Meaningless);
                }
                self.bury(batch, &multihash)?;
                Ok(Carried::Copied { bytes: entry.kind.record_bytes(0) })
            }
            RecordKind::Block(multihash) => {
                let here = Location { segment: from.segment, offset: entry.offset, length: entry.length };
                if self.locate(batch, &multihash)? != Some(here) {
                    return Ok(Carried::Meaningless);
                }
                let Some(body) = self.read_sound(from, &multihash, &here)? else {
                    self.reader.remember_damaged(multihash, here);
                    return Ok(Carried::Unreadable(multihash));
                };
                let location = self.append(entry.kind, &body, crc32c::crc32c(&body))?;
                batch.set(multihash, Some(location));
                Ok(Carried::Copied { bytes: entry.kind.record_bytes(entry.length) })
            }
        }
    }

    /// A body whose bytes are proven right: by the checksum that they were written with, or by their hash if that checksum
    /// is lost or the block was found damaged before. A read that fails is tried again, since it may pass.
    fn read_sound(&self, from: &Victim, multihash: &Multihash, at: &Location) -> Result<Option<Vec<u8>>, Failure> {
        let read = || format!("read segment {} to compact it", from.segment);
        let Some(file) = self.reader.file(from.segment) else { return Ok(None) };
        let body_from = at.offset + RecordKind::Block(*multihash).header_bytes();
        for _ in 0..READS_MAX {
            let mut body = vec![0; at.length as usize];
            let bytes = read_or_zero(&*file, &mut body, body_from).map_err(Failure::to(read))?;
            let header = header_at(&*file, from.mark, at.offset).map_err(Failure::to(read))?;
            let is_right = match header {
                Some(header) if !self.reader.is_damaged(multihash, at) => header.body_crc == crc32c::crc32c(&body),
                _ => Block::verify(*multihash, body.clone()).is_ok(),
            };
            if bytes == body.len() && is_right {
                return Ok(Some(body));
            }
        }
        Ok(None)
    }

    /// Removes an emptied segment, if it is empty indeed. The copies are synced already.
    fn conclude(&mut self, segment: u64) -> Result<(), Failure> {
        if self.usages.get(&segment).is_some_and(|usage| usage.live_bytes > 0) {
            // The index knows blocks here that no footer or scan tells of. They stay damaged, not absent.
            self.hold(segment, None);
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

/// What became of one record of a segment that is being emptied.
enum Carried {
    Copied {
        bytes: u64,
    },
    Meaningless,
    /// This block's bytes aren't right, or not to be had.
    Unreadable(Multihash),
}

/// So often compaction tries to read a body.
const READS_MAX: usize = 2;
