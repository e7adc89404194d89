//! All segments of a store and the only hand that writes them: plain blocking code without a thread, a clock or a queue,
//! so that a simulator runs exactly what production runs.
//!
//! One call of [`Segments::write`] is one group commit: everything is appended, one sync makes it durable, and only then
//! does the index learn of it. Nobody can be told "already present" about bytes that a power cut could still take.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use blockraft_blocks::limits::{BlockTooLarge, check_storable};
use blockraft_blocks::{Block, Multihash, WriteError};

use crate::active::{Active, room_for};
use crate::disk::Disk;
use crate::failure::Failure;
use crate::format::RecordKind;
use crate::format::segment::RECORDS_FROM;
use crate::index::{Covered, Index, Location, Usage};
use crate::mistake::Mistake;
use crate::options::Options;
use crate::reader::Reader;
use crate::recovered::Recovered;
use crate::status::Status;
use crate::victim::Victim;

/// One write of a batch.
#[derive(Clone, Debug)]
pub enum Write {
    /// Store this block.
    Put(Block),
    /// Store this block, if need be in half of the reserve.
    PutReserved(Block),
    /// Forget this block.
    Delete(Multihash),
}

/// What became of one write of a batch that succeeded as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Written {
    /// The block is stored; it wasn't, or its copy was known to be damaged.
    Created,
    /// The block was stored.
    AlreadyPresent,
    /// The block was stored and is gone.
    Deleted,
    /// The block wasn't stored.
    Absent,
    /// There was no room for the block.
    Full {
        /// What is free, in bytes.
        free_bytes: u64,
    },
    /// No store takes a block of this size.
    TooLarge(BlockTooLarge),
}

/// The segments of one store. See the module for what it is, and `SegmentStore` for the asynchronous shell around it.
#[derive(Debug)]
pub struct Segments {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) index: Index,
    pub(crate) reader: Arc<Reader>,
    pub(crate) options: Options,
    pub(crate) active: Active,
    /// How many bytes of records each sealed segment has.
    pub(crate) sealed: BTreeMap<u64, u64>,
    pub(crate) usages: BTreeMap<u64, Usage>,
    pub(crate) blocks: u64,
    pub(crate) compaction: Option<Victim>,
    /// Segments that stay since something in them can't be read: this block, or more than one knows.
    pub(crate) held: BTreeMap<u64, Option<Multihash>>,
    pub(crate) recovered: Recovered,
    pub(crate) status: Status,
    flush_due: bool,
    tight: bool,
    poisoned_by: Option<String>,
}

/// What a group commit is about to change, beside the records themselves.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Of each block: where the index has it, and where it will have it.
    changes: HashMap<Multihash, (Option<Location>, Option<Location>)>,
    /// Tombstones appended, by segment.
    tombstone_bytes: BTreeMap<u64, u64>,
}

/// What [`Segments`] is made of when it was opened.
pub(crate) struct Parts {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) index: Index,
    pub(crate) reader: Arc<Reader>,
    pub(crate) options: Options,
    pub(crate) active: Active,
    pub(crate) sealed: BTreeMap<u64, u64>,
    pub(crate) usages: BTreeMap<u64, Usage>,
    pub(crate) blocks: u64,
    pub(crate) recovered: Recovered,
}

impl Segments {
    pub(crate) fn from_parts(parts: Parts) -> Self {
        let Parts { disk, index, reader, options, active, sealed, usages, blocks, recovered } = parts;
        Self {
            disk,
            index,
            reader,
            options,
            active,
            sealed,
            usages,
            blocks,
            compaction: None,
            held: BTreeMap::new(),
            recovered,
            status: Status::default(),
            flush_due: false,
            tight: false,
            poisoned_by: None,
        }
    }

    /// The reading half, to be used from any thread.
    #[must_use]
    pub fn reader(&self) -> Arc<Reader> {
        self.reader.clone()
    }

    /// What opening found.
    #[must_use]
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// Does all of `writes` in their order, durably, with one sync, and tells what became of each. A put that finds the
    /// disk full doesn't keep the others from being done.
    ///
    /// # Errors
    ///
    /// [`WriteError::Failed`] once, when a write or sync fails: any part of the batch may be done. From then on
    /// [`WriteError::Poisoned`].
    pub fn write(&mut self, writes: &[Write]) -> Result<Vec<Written>, WriteError> {
        self.guarded(|segments| segments.try_write(writes))
    }

    /// Makes the index durable, so that opening has nothing to read again. Blocks are durable without.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.guarded(Self::flush_index)
    }

    /// Whether a put was refused for want of room, and none was admitted since.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.tight
    }

    /// Whether a write or sync failed, so that nothing can be written any more.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned_by.is_some()
    }

    /// Counters and sizes.
    #[must_use]
    pub fn status(&self) -> Status {
        let live_bytes = self.usages.values().map(|usage| usage.live_bytes).sum();
        let record_bytes = self.sealed.values().sum::<u64>() + self.active.record_bytes();
        Status {
            blocks: self.blocks,
            live_bytes,
            dead_bytes: record_bytes.saturating_sub(live_bytes),
            segments: self.sealed.len() as u64 + 1,
            damaged_blocks: self.reader.damaged_blocks() as u64,
            segments_held: self.held.len() as u64,
            poisoned_by: self.poisoned_by.clone(),
            ..self.status.clone()
        }
    }

    /// Runs `work` unless the store is poisoned, and poisons it if `work` fails.
    pub(crate) fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, WriteError> {
        if let Some(attempt) = &self.poisoned_by {
            return Err(WriteError::Poisoned { attempt: attempt.clone() });
        }
        work(self).map_err(|failure| {
            if !Mistake::FailedSyncTriedAgain.is_made() {
                self.poisoned_by = Some(failure.attempt.clone());
            }
            failure.into()
        })
    }

    fn try_write(&mut self, writes: &[Write]) -> Result<Vec<Written>, Failure> {
        let free_bytes = self.disk.free_bytes().map_err(Failure::to(|| "ask for free space"))?;
        let reserve_bytes = self.options.reserve_bytes;
        let mut room = free_bytes + self.active.reserved_bytes();
        let mut batch = Batch::default();
        let mut written = Vec::with_capacity(writes.len());
        for write in writes {
            written.push(match write {
                Write::Put(block) => {
                    let written = self.put(&mut batch, block, (free_bytes, reserve_bytes), &mut room)?;
                    self.tight = match written {
                        Written::Full { .. } => true,
                        Written::Created => false,
                        _ => self.tight,
                    };
                    written
                }
                Write::PutReserved(block) => self.put(&mut batch, block, (free_bytes, reserve_bytes / 2), &mut room)?,
                Write::Delete(multihash) => self.delete(&mut batch, multihash)?,
            });
        }
        self.commit(batch)?;
        Ok(written)
    }

    /// Stores a block if at least `kept_bytes` of `room` are left then.
    fn put(
        &mut self,
        batch: &mut Batch,
        block: &Block,
        (free_bytes, kept_bytes): (u64, u64),
        room: &mut u64,
    ) -> Result<Written, Failure> {
        if let Err(too_large) = check_storable(block) {
            return Ok(Written::TooLarge(too_large));
        }
        let multihash = *block.multihash();
        if let Some(location) = self.locate(batch, &multihash)?
            && !self.reader.is_damaged(&multihash, &location)
        {
            return Ok(Written::AlreadyPresent);
        }
        let kind = RecordKind::Block(multihash);
        let left = room.checked_sub(room_for(kind, block.bytes().len() as u32));
        let Some(left) = left.filter(|left| kept_bytes <= *left) else {
            return Ok(Written::Full { free_bytes });
        };
        *room = left;
        let location = self.append(kind, block.bytes(), crc32c::crc32c(block.bytes()))?;
        batch.set(multihash, Some(location));
        Ok(Written::Created)
    }

    fn delete(&mut self, batch: &mut Batch, multihash: &Multihash) -> Result<Written, Failure> {
        if self.locate(batch, multihash)?.is_none() {
            return Ok(Written::Absent);
        }
        self.bury(batch, multihash)?;
        batch.set(*multihash, None);
        Ok(Written::Deleted)
    }

    /// Appends a tombstone.
    pub(crate) fn bury(&mut self, batch: &mut Batch, multihash: &Multihash) -> Result<(), Failure> {
        let kind = RecordKind::Tombstone(*multihash);
        let location = self.append(kind, &[], 0)?;
        *batch.tombstone_bytes.entry(location.segment).or_default() += kind.record_bytes(0);
        Ok(())
    }

    /// Where a block is, as the batch will leave it.
    pub(crate) fn locate(&self, batch: &mut Batch, multihash: &Multihash) -> Result<Option<Location>, Failure> {
        if let Some((_, after)) = batch.changes.get(multihash) {
            return Ok(*after);
        }
        let before = self.index.get(multihash).map_err(Failure::to(|| "read the block index"))?;
        batch.changes.insert(*multihash, (before, before));
        Ok(before)
    }

    /// Appends a record to the active segment, or to a new one if it wouldn't fit.
    pub(crate) fn append(&mut self, kind: RecordKind, body: &[u8], body_crc: u32) -> Result<Location, Failure> {
        let bytes = kind.record_bytes(body.len() as u32);
        let outgrown = self.active.record_bytes() + RECORDS_FROM + bytes > self.options.segment_bytes_max;
        if self.active.records() > 0 && (outgrown || self.active.records() >= self.options.segment_records_max) {
            self.roll()?;
        }
        if self.active.reserved_bytes() < bytes {
            let free_bytes = self.disk.free_bytes().map_err(Failure::to(|| "ask for free space"))?;
            // Extents must not eat into the reserve, though the record itself may.
            let spare = free_bytes.saturating_sub(self.options.reserve_bytes);
            self.active.reserve(bytes, self.options.extent_bytes.min(spare));
        }
        let (location, written) = self.active.append(kind, body, body_crc)?;
        self.status.bytes_written += written;
        Ok(location)
    }

    /// Seals the active segment and begins the next one.
    pub(crate) fn roll(&mut self) -> Result<(), Failure> {
        self.status.bytes_written += self.active.seal()?;
        self.sealed.insert(self.active.number(), self.active.record_bytes());
        self.active = Active::create(&*self.disk, self.active.number() + 1)?;
        self.status.bytes_written += RECORDS_FROM;
        self.status.syncs += 3;
        self.reader.add_file(self.active.number(), self.active.file().clone());
        self.flush_due = true;
        Ok(())
    }

    /// Syncs what was appended, then tells the index.
    pub(crate) fn commit(&mut self, batch: Batch) -> Result<(), Failure> {
        if self.active.is_dirty() {
            self.status.bytes_written += self.active.sync()?;
            self.status.syncs += 1;
        }
        let changes: Vec<_> = batch.changes.into_iter().filter(|(_, (before, after))| before != after).collect();
        if changes.is_empty() && batch.tombstone_bytes.is_empty() {
            return Ok(());
        }
        let mut touched = BTreeMap::new();
        for (multihash, (before, after)) in &changes {
            let bytes = |location: &Location| RecordKind::Block(*multihash).record_bytes(location.length);
            if let Some(before) = before {
                let usage = self.usages.entry(before.segment).or_default();
                usage.live_bytes = usage.live_bytes.saturating_sub(bytes(before));
                touched.insert(before.segment, Some(*usage));
                self.blocks = self.blocks.saturating_sub(1);
            }
            if let Some(after) = after {
                let usage = self.usages.entry(after.segment).or_default();
                usage.live_bytes += bytes(after);
                touched.insert(after.segment, Some(*usage));
                self.blocks += 1;
            }
        }
        for (segment, bytes) in batch.tombstone_bytes {
            let usage = self.usages.entry(segment).or_default();
            usage.tombstone_bytes += bytes;
            touched.insert(segment, Some(*usage));
        }
        let covered = Covered { up_to: self.active.tail(), blocks: self.blocks };
        let rows = changes.iter().map(|(multihash, (_, after))| (*multihash, *after));
        self.index.write(rows, touched, covered).map_err(Failure::to(|| "write the block index"))?;
        for (multihash, (_, after)) in &changes {
            self.reader.moved(multihash, after.as_ref());
            self.held.retain(|_, damaged| damaged.as_ref() != Some(multihash));
        }
        if self.flush_due {
            self.flush_index()?;
        }
        Ok(())
    }

    pub(crate) fn flush_index(&mut self) -> Result<(), Failure> {
        self.flush_due = false;
        self.index.flush().map_err(Failure::to(|| "flush the block index"))
    }
}

impl Batch {
    /// Says where a block will be. The batch must have located it before.
    pub(crate) fn set(&mut self, multihash: Multihash, location: Option<Location>) {
        self.changes.entry(multihash).or_default().1 = location;
    }
}
