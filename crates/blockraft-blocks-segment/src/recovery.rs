//! Opening: what is damage, what is a torn tail, and what the index has still to learn.
//!
//! Only the last segment can have a torn tail. Where it begins is told by the records themselves: each says up to where
//! the segment was synced when it was written, and so does the index. Damage before that mark is damage: it is reported
//! by name, and the block goes on being listed, so that a read says "damaged" and a put repairs it. What lies behind
//! the mark was never acknowledged, or only by the very last sync: intact records of it stay, the rest becomes void or is
//! cut off. What stays is written once more before it is synced: after a sync that failed, the system gives back pages
//! which it will never write, since it takes them for clean.
//!
//! The mark may lag by one group commit: if the last one before a crash was acknowledged and then damaged on disk,
//! recovery takes it for torn. Whoever must not miss that compares with a list of names of its own.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use blockraft_blocks::Multihash;
use thiserror::Error;

use crate::active::{Active, file_name, segment_of};
use crate::disk::{Disk, DiskFile};
use crate::ends::{read_any_header, read_table};
use crate::failure::Failure;
use crate::format::record::FIXED_BYTES;
use crate::format::segment::{HeaderFound, RECORDS_FROM, VERSION};
use crate::format::{FooterEntry, Mark, RecordHeader, RecordKind, SegmentHeader};
use crate::index::{Covered, Index, Location, Place, Usage};
use crate::mistake::Mistake;
use crate::options::{InvalidOption, Options};
use crate::reader::Reader;
use crate::recovered::{DamagedBlock, Gap, Recovered};
use crate::scan::{Body, Found, scan};
use crate::segments::{Parts, Segments};
use crate::table::Table;

/// Why a store didn't open. Nothing was changed, or nothing that matters.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no segment where a store has to exist.
    #[error("{path} holds no segments, and no store is made in place of one that may be lost")]
    Missing {
        /// The directory.
        path: String,
    },
    /// Another process, or another store in this one, has the directory open.
    #[error("{path} is open in another process")]
    Locked {
        /// The directory.
        path: String,
    },
    /// A newer version of this software wrote here.
    #[error("{file} has format version {version}, and this software reads version {VERSION}")]
    Newer {
        /// Which file.
        file: String,
        /// Its version.
        version: u16,
    },
    /// An option is out of range.
    #[error(transparent)]
    Option(#[from] InvalidOption),
    /// The system refused something.
    #[error("could not {attempt}")]
    Failed {
        /// What was attempted.
        attempt: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Segments {
    /// Opens the segments of `disk`, and brings the index in `table` up to date.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn open(disk: Arc<dyn Disk>, table: Arc<dyn Table>, options: Options) -> Result<Self, OpenError> {
        options.check()?;
        Opening::begin(disk, table, options)?.run()
    }
}

struct Opening {
    disk: Arc<dyn Disk>,
    index: Index,
    reader: Arc<Reader>,
    options: Options,
    covered: Covered,
    usages: BTreeMap<u64, Usage>,
    sealed: BTreeMap<u64, u64>,
    /// Records with damaged bodies, whether or not they still mean something.
    damaged: Vec<(Multihash, Location)>,
    recovered: Recovered,
}

/// A segment file with a readable header.
struct Segment {
    number: u64,
    mark: Mark,
    file: Arc<dyn DiskFile>,
}

impl Opening {
    fn begin(disk: Arc<dyn Disk>, table: Arc<dyn Table>, options: Options) -> Result<Self, OpenError> {
        let index = Index::new(table);
        let covered = index.covered().map_err(Failure::to(|| "read the block index"))?;
        let covered = match covered {
            Some(covered) => covered,
            None => {
                index.clear().map_err(Failure::to(|| "clear the block index"))?;
                Covered { up_to: Place { segment: 0, offset: 0 }, blocks: 0 }
            }
        };
        let usages = index.usages().map_err(Failure::to(|| "read the block index"))?.into_iter().collect();
        let reader = Arc::new(Reader::new(index.clone()));
        let (sealed, damaged, recovered) = (BTreeMap::new(), Vec::new(), Recovered::default());
        Ok(Self { disk, index, reader, options, covered, usages, sealed, damaged, recovered })
    }

    fn run(mut self) -> Result<Segments, OpenError> {
        let segments = self.open_files()?;
        let highest = self.highest(&segments);
        let mut active = None;
        for segment in segments {
            let table = read_table(&*segment.file, segment.mark).map_err(Failure::to(|| reading(segment.number)))?;
            match table {
                Some(table) => {
                    self.sealed.insert(segment.number, table.tail.saturating_sub(RECORDS_FROM));
                    self.replay(segment.number, &table.entries, table.tail)?;
                }
                None if segment.number == highest => active = Some(self.resume(segment)?),
                None => self.replay_without_footer(&segment)?,
            }
        }
        self.report_damage().map_err(Failure::to(|| "read the block index"))?;
        self.note_lost_segments();
        let active = match active {
            Some(active) => active,
            None => {
                let active = Active::create(&*self.disk, highest.saturating_add(1))?;
                self.reader.add_file(active.number(), active.file().clone());
                active
            }
        };
        let Self { disk, index, reader, options, covered, usages, sealed, recovered, .. } = self;
        let blocks = covered.blocks;
        Ok(Segments::from_parts(Parts { disk, index, reader, options, active, sealed, usages, blocks, recovered }))
    }

    /// Opens all segment files, in their order.
    fn open_files(&mut self) -> Result<Vec<Segment>, OpenError> {
        // After a mere crash of the process, names may exist that a power cut would still take.
        self.disk.sync_directory().map_err(Failure::to(|| "sync the directory"))?;
        let names = self.disk.list().map_err(Failure::to(|| "list the directory"))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_of(name)).collect();
        numbers.sort_unstable();
        let last = numbers.last().copied();
        let mut segments = Vec::with_capacity(numbers.len());
        for number in numbers {
            let name = file_name(number);
            let file = self.disk.open(&name).map_err(Failure::to(|| reading(number)))?;
            match read_any_header(&*file).map_err(Failure::to(|| reading(number)))? {
                HeaderFound::Current(header) if header.number == number => {
                    self.reader.add_file(number, file.clone());
                    segments.push(Segment { number, mark: header.mark, file });
                }
                HeaderFound::Newer { version } => return Err(OpenError::Newer { file: name, version }),
                HeaderFound::Current(_) | HeaderFound::Damaged => {
                    let file_bytes = file.length().map_err(Failure::to(|| reading(number)))?;
                    let is_torn =
                        Some(number) == last && file_bytes <= RECORDS_FROM && self.covered.up_to.segment < number;
                    if is_torn {
                        // The header is synced before the first record is written.
                        let remove = || format!("remove the unfinished segment {number}");
                        self.disk.remove(&name).map_err(Failure::to(remove))?;
                        self.disk.sync_directory().map_err(Failure::to(remove))?;
                    } else {
                        self.recovered.lost_segments.push(number);
                    }
                }
            }
        }
        Ok(segments)
    }

    /// The highest number that was ever given to a segment, as far as files and index tell: it isn't given again.
    fn highest(&self, segments: &[Segment]) -> u64 {
        let listed = segments.iter().map(|segment| segment.number).chain(self.recovered.lost_segments.iter().copied());
        let indexed = self.usages.keys().copied().chain([self.covered.up_to.segment]);
        listed.chain(indexed).max().unwrap_or_default()
    }

    /// A segment that should have a footer and hasn't: all that is in it was synced once.
    fn replay_without_footer(&mut self, segment: &Segment) -> Result<(), OpenError> {
        let bodies_from = self.bodies_from(segment.number);
        let scanned =
            scan(&*segment.file, segment.mark, bodies_from).map_err(Failure::to(|| reading(segment.number)))?;
        let mut entries = Vec::new();
        for found in scanned.found {
            self.note_damage(segment.number, &found);
            if let Found::Record { entry, .. } = found {
                entries.push(entry);
            }
        }
        let tail = entries.last().map_or(RECORDS_FROM, |entry| entry.offset + entry.kind.record_bytes(entry.length));
        self.sealed.insert(segment.number, tail - RECORDS_FROM);
        self.replay(segment.number, &entries, tail)
    }

    /// The last segment: finds its tail, mends it, and goes on appending there.
    fn resume(&mut self, segment: Segment) -> Result<Active, OpenError> {
        let Segment { number, mark, file } = segment;
        let resume = || format!("recover segment {number}");
        let file_bytes = file.length().map_err(Failure::to(resume))?;
        let scanned = scan(&*file, mark, self.bodies_from(number)).map_err(Failure::to(resume))?;
        let covered = if self.covered.up_to.segment == number { self.covered.up_to.offset } else { RECORDS_FROM };
        let synced = if Mistake::DamageCutAsTorn.is_made() { RECORDS_FROM } else { scanned.synced().max(covered) };
        let intact_end = scanned.found.iter().filter(|found| found.is_intact()).map(|found| found.range().end).max();
        let tail = intact_end.unwrap_or(RECORDS_FROM).max(synced);
        let mut entries = Vec::new();
        for found in scanned.found {
            let range = found.range();
            let is_torn = !found.is_intact() && range.start >= synced;
            match found {
                Found::Record { entry, .. } if !is_torn => {
                    self.note_damage(number, &found);
                    if range.start >= synced {
                        rewrite(&*file, &entry).map_err(Failure::to(resume))?;
                    }
                    entries.push(entry);
                }
                Found::Gap(_) if !is_torn => self.note_damage(number, &found),
                Found::Record { .. } | Found::Gap(_) => {
                    self.recovered.torn_bytes += range.end.min(file_bytes).saturating_sub(range.start);
                    if range.start < tail {
                        void(&*file, mark, &range, synced).map_err(Failure::to(resume))?;
                    }
                }
            }
        }
        if file_bytes > tail {
            file.truncate(tail).map_err(Failure::to(resume))?;
        }
        if synced == RECORDS_FROM {
            // Nothing says that even the header was synced.
            file.write_at(&SegmentHeader { number, mark }.encode(), 0).map_err(Failure::to(resume))?;
        }
        // What a mere crash of the process left unsynced becomes durable before the index learns of it.
        file.sync_data().map_err(Failure::to(resume))?;
        self.replay(number, &entries, tail)?;
        Ok(Active::resume(number, mark, file, tail, entries))
    }

    fn bodies_from(&self, segment: u64) -> u64 {
        match self.covered.up_to {
            up_to if up_to.segment > segment => u64::MAX,
            up_to if up_to.segment == segment => up_to.offset,
            _ => RECORDS_FROM,
        }
    }

    fn note_damage(&mut self, segment: u64, found: &Found) {
        match found {
            Found::Record { entry, body: Body::Damaged, .. } => {
                let at = Location { segment, offset: entry.offset, length: entry.length };
                self.damaged.extend(entry.kind.multihash().map(|multihash| (*multihash, at)));
            }
            Found::Record { .. } => {}
            Found::Gap(range) => {
                self.recovered.gaps.push(Gap { segment, offset: range.start, bytes: range.end - range.start });
            }
        }
    }

    /// Tells the index what it doesn't know yet of a segment whose records, all durable, end at `tail`.
    fn replay(&mut self, segment: u64, entries: &[FooterEntry], tail: u64) -> Result<(), OpenError> {
        let unknown = |entry: &&FooterEntry| Place { segment, offset: entry.offset } >= self.covered.up_to;
        let entries: Vec<FooterEntry> = entries.iter().filter(unknown).copied().collect();
        let mut entries = entries.as_slice();
        while !entries.is_empty() {
            let (some, rest) = entries.split_at(entries.len().min(REPLAY_RECORDS));
            entries = rest;
            let up_to = rest.first().map_or(tail, |next| next.offset);
            self.replay_some(segment, some, up_to).map_err(Failure::to(|| "write the block index"))?;
        }
        Ok(())
    }

    fn replay_some(&mut self, segment: u64, entries: &[FooterEntry], up_to: u64) -> io::Result<()> {
        let mut rows: BTreeMap<Multihash, Option<Location>> = BTreeMap::new();
        let mut touched = BTreeMap::new();
        for entry in entries {
            let Some(multihash) = entry.kind.multihash().copied() else { continue };
            let after = match entry.kind {
                RecordKind::Block(_) => Some(Location { segment, offset: entry.offset, length: entry.length }),
                RecordKind::Tombstone(_) | RecordKind::Void => None,
            };
            let before = match rows.get(&multihash) {
                Some(before) => *before,
                None => self.index.get(&multihash)?,
            };
            let bytes = |location: &Location| RecordKind::Block(multihash).record_bytes(location.length);
            if let Some(before) = before {
                let usage = self.usages.entry(before.segment).or_default();
                usage.live_bytes = usage.live_bytes.saturating_sub(bytes(&before));
                touched.insert(before.segment, ());
                self.covered.blocks = self.covered.blocks.saturating_sub(1);
            }
            let usage = self.usages.entry(segment).or_default();
            match &after {
                Some(after) => {
                    usage.live_bytes += bytes(after);
                    self.covered.blocks += 1;
                }
                None => usage.tombstone_bytes += entry.kind.record_bytes(0),
            }
            touched.insert(segment, ());
            rows.insert(multihash, after);
        }
        self.recovered.replayed_records += entries.len() as u64;
        self.covered.up_to = self.covered.up_to.max(Place { segment, offset: up_to });
        let usages = touched.keys().map(|segment| (*segment, self.usages.get(segment).copied()));
        self.index.write(rows, usages.collect::<Vec<_>>(), self.covered)
    }

    /// Tells of the damaged records that the index points to: others were put anew or deleted since.
    fn report_damage(&mut self) -> io::Result<()> {
        for (multihash, at) in std::mem::take(&mut self.damaged) {
            if self.index.get(&multihash)? == Some(at) {
                self.reader.remember_damaged(multihash, at);
                self.recovered.damaged.push(DamagedBlock { multihash, segment: at.segment });
            }
        }
        Ok(())
    }

    fn note_lost_segments(&mut self) {
        let lost = &mut self.recovered.lost_segments;
        for (segment, usage) in &self.usages {
            if usage.live_bytes > 0 && self.reader.file(*segment).is_none() && !lost.contains(segment) {
                lost.push(*segment);
            }
        }
    }
}

/// Writes an intact record as it is, so that the next sync can't pass over it.
fn rewrite(file: &dyn DiskFile, entry: &FooterEntry) -> io::Result<()> {
    let bytes = match entry.kind {
        RecordKind::Block(_) | RecordKind::Tombstone(_) => entry.kind.record_bytes(entry.length),
        // What follows the header of a void need not be readable.
        RecordKind::Void => entry.kind.header_bytes(),
    };
    let mut record = vec![0; bytes as usize];
    let read = file.read_at(&mut record, entry.offset)?;
    record.truncate(read);
    file.write_at(&record, entry.offset)
}

/// Makes of a torn stretch one record that means nothing, so that later scans pass over it.
fn void(file: &dyn DiskFile, mark: Mark, range: &std::ops::Range<u64>, synced: u64) -> io::Result<()> {
    let bytes = range.end - range.start;
    if bytes < FIXED_BYTES as u64 {
        return Ok(());
    }
    let mut header = Vec::new();
    RecordHeader::void(bytes, synced).encode(mark, range.start, &mut header);
    file.write_at(&header, range.start)
}

fn reading(segment: u64) -> String {
    format!("read segment {segment}")
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Failed { attempt: failure.attempt, source: failure.source }
    }
}

/// So many records go to the index at once.
const REPLAY_RECORDS: usize = 4_096;
