//! A directory in memory that loses power on demand: what was synced stays, and of the rest each sector, each length
//! and each name is old or new, as a seed decides.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::seam::{Disk, DiskFile};

/// A directory in memory. A clone is the same directory.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// Whether a sync does what it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncs {
    /// It does.
    #[default]
    Honest,
    /// It answers and does nothing: the negative control of every power-cut test.
    Swallowed,
}

#[derive(Debug)]
struct State {
    chance: u64,
    syncs: Syncs,
    capacity_bytes: u64,
    files: BTreeMap<FileId, FileState>,
    names: BTreeMap<String, FileId>,
    durable_names: BTreeMap<String, FileId>,
    unsynced_names: Vec<(String, Option<FileId>)>,
    next_file: FileId,
    steps: u64,
    power: Power,
    bad_sectors: Vec<BadSector>,
    counters: DiskCounters,
}

/// A byte that can't be read so many times more.
#[derive(Debug)]
struct BadSector {
    file: FileId,
    offset: usize,
    reads: u64,
}

/// What a [`MemoryDisk`] was asked to do so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounters {
    /// Bytes written to files.
    pub bytes_written: u64,
    /// Syncs of files.
    pub syncs: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    On,
    /// It goes off in the middle of the step with this number.
    OffAt(u64),
    Off,
    /// The step with this number fails, and all goes on.
    FailsAt(u64),
}

type FileId = u64;

#[derive(Debug, Default)]
struct FileState {
    current: Vec<u8>,
    durable: Vec<u8>,
    dirty_sectors: BTreeSet<usize>,
    allocated: usize,
}

impl MemoryDisk {
    /// An empty directory on a disk without bounds. The seed decides what a power cut takes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                chance: seed,
                syncs: Syncs::Honest,
                capacity_bytes: u64::MAX,
                files: BTreeMap::new(),
                names: BTreeMap::new(),
                durable_names: BTreeMap::new(),
                unsynced_names: Vec::new(),
                next_file: 0,
                steps: 0,
                power: Power::On,
                bad_sectors: Vec::new(),
                counters: DiskCounters::default(),
            })),
        }
    }

    /// Bounds the bytes in all files together.
    pub fn set_capacity_bytes(&self, capacity_bytes: u64) {
        self.state().capacity_bytes = capacity_bytes;
    }

    /// Makes syncs honest or not.
    pub fn set_syncs(&self, syncs: Syncs) {
        self.state().syncs = syncs;
    }

    /// How many steps (calls that change something) there were.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// What it was asked to do so far.
    #[must_use]
    pub fn counters(&self) -> DiskCounters {
        self.state().counters
    }

    /// Lets the power go off in the middle of the step that comes after `steps` others; from then on every call fails.
    pub fn cut_power_after(&self, steps: u64) {
        let mut state = self.state();
        state.power = Power::OffAt(state.steps + steps);
    }

    /// Lets the step that comes after `steps` others fail. It may be done in part. What a sync of a file failed to write
    /// can still be read, and is never written, as on Linux.
    pub fn fail_after(&self, steps: u64) {
        let mut state = self.state();
        state.power = Power::FailsAt(state.steps + steps);
    }

    /// Turns the power off, if it isn't, and on again: what wasn't synced is lost or not, by chance. Files that were
    /// open must be opened anew.
    pub fn power_cycle(&self) {
        self.state().power_cycle();
    }

    /// Flips one bit of a file, as a bad disk would, and tells whether the file has that byte.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) -> bool {
        let mut state = self.state();
        let Some(file) = state.names.get(name).copied() else { return false };
        let Some(file) = state.files.get_mut(&file) else { return false };
        let at = offset as usize;
        let Some(byte) = file.current.get_mut(at) else { return false };
        *byte ^= 1 << (bit % 8);
        if let Some(byte) = file.durable.get_mut(at) {
            *byte ^= 1 << (bit % 8);
        }
        true
    }

    /// Lets the next `reads` reads that touch this byte of a file fail, as a bad sector does, and tells whether there is
    /// such a file.
    pub fn fail_reads(&self, name: &str, offset: u64, reads: u64) -> bool {
        let mut state = self.state();
        let Some(file) = state.names.get(name).copied() else { return false };
        state.bad_sectors.push(BadSector { file, offset: offset as usize, reads });
        true
    }

    /// A copy of a file's bytes.
    #[must_use]
    pub fn bytes_of(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).and_then(|file| state.files.get(file)).map(|file| file.current.clone())
    }

    /// Puts a durable file of these bytes in place of whatever had this name: to open files of old versions.
    pub fn place(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let file = state.new_file(FileState { current: bytes.clone(), durable: bytes, ..FileState::default() });
        state.names.insert(name.to_owned(), file);
        state.durable_names.insert(name.to_owned(), file);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Tests that panic elsewhere still want to see the disk.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn coin(&mut self) -> bool {
        self.random() & 1 == 1
    }

    fn powered(&self) -> io::Result<()> {
        if self.power == Power::Off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Counts a step and tells whether it goes through.
    fn step(&mut self) -> io::Result<Step> {
        self.powered()?;
        let number = self.steps;
        self.steps += 1;
        Ok(match self.power {
            Power::OffAt(at) if number >= at => {
                self.power = Power::Off;
                Step::Breaks
            }
            Power::FailsAt(at) if number == at => Step::Breaks,
            Power::On | Power::Off | Power::OffAt(_) | Power::FailsAt(_) => Step::GoesThrough,
        })
    }

    fn new_file(&mut self, file: FileState) -> FileId {
        let id = self.next_file;
        self.next_file += 1;
        self.files.insert(id, file);
        id
    }

    fn set_name(&mut self, name: &str, file: Option<FileId>) {
        match file {
            Some(file) => drop(self.names.insert(name.to_owned(), file)),
            None => drop(self.names.remove(name)),
        }
        self.unsynced_names.push((name.to_owned(), file));
    }

    fn sync_names(&mut self) {
        self.durable_names = self.names.clone();
        self.unsynced_names.clear();
    }

    fn used_bytes(&self) -> u64 {
        let files = self.names.values().filter_map(|file| self.files.get(file));
        files.map(|file| file.current.len().max(file.allocated) as u64).sum()
    }

    fn power_cycle(&mut self) {
        // A journal keeps the changes of names in their order: a prefix of them survives.
        let survive = (self.random() as usize) % (self.unsynced_names.len() + 1);
        for (name, file) in std::mem::take(&mut self.unsynced_names).into_iter().take(survive) {
            match file {
                Some(file) => drop(self.durable_names.insert(name, file)),
                None => drop(self.durable_names.remove(&name)),
            }
        }
        self.names = self.durable_names.clone();
        let ids: Vec<FileId> = self.files.keys().copied().collect();
        for id in ids {
            let Some(mut file) = self.files.remove(&id) else { continue };
            if !self.names.values().any(|named| *named == id) {
                continue;
            }
            self.tear(&mut file);
            // Whoever held the old file open holds it no more.
            let renewed = self.new_file(file);
            for names in [&mut self.names, &mut self.durable_names] {
                names.values_mut().filter(|named| **named == id).for_each(|named| *named = renewed);
            }
        }
        self.power = Power::On;
    }

    /// Leaves of each unsynced sector, and of the length, the old or the new.
    fn tear(&mut self, file: &mut FileState) {
        let (old, new) = (file.durable.len(), file.current.len());
        let between = old.min(new) + (self.random() as usize) % (old.abs_diff(new) + 1);
        let length = if self.coin() { new } else { between };
        let mut survivor = file.durable.clone();
        survivor.resize(length, 0);
        for sector in std::mem::take(&mut file.dirty_sectors) {
            if self.coin() {
                copy_sector(&file.current, &mut survivor, sector);
            }
        }
        file.current = survivor.clone();
        file.durable = survivor;
        file.allocated = 0;
    }
}

enum Step {
    GoesThrough,
    /// It may do some of its work, and then fails.
    Breaks,
}

impl Step {
    fn conclude(self) -> io::Result<()> {
        match self {
            Self::GoesThrough => Ok(()),
            Self::Breaks => Err(io::Error::other("injected fault")),
        }
    }
}

impl Disk for MemoryDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.step()?.conclude()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.new_file(FileState::default());
        state.set_name(name, Some(file));
        Ok(Arc::new(MemoryFile { state: self.state.clone(), file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let state = self.state();
        state.powered()?;
        let file = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile { state: self.state.clone(), file }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.step()?.conclude()?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.set_name(name, None);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state();
        state.powered()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state();
        state.step()?.conclude()?;
        if state.syncs == Syncs::Honest {
            state.sync_names();
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.state();
        state.powered()?;
        Ok(state.capacity_bytes.saturating_sub(state.used_bytes()))
    }

    fn random(&self) -> [u8; 8] {
        self.state().random().to_le_bytes()
    }
}

#[derive(Debug)]
struct MemoryFile {
    state: Arc<Mutex<State>>,
    file: FileId,
}

impl MemoryFile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn file(&mut self, file: FileId) -> io::Result<&mut FileState> {
        self.files.get_mut(&file).ok_or_else(|| io::Error::other("the file was opened before the power went off"))
    }

    /// Refuses a read that touches a bad sector.
    fn try_sectors(&mut self, file: FileId, range: Range<usize>) -> io::Result<()> {
        let touched = |bad: &&mut BadSector| bad.file == file && 0 < bad.reads && range.contains(&bad.offset);
        match self.bad_sectors.iter_mut().find(touched) {
            Some(bad) => {
                bad.reads -= 1;
                Err(Errno::IO.into())
            }
            None => Ok(()),
        }
    }

    /// Refuses what would make the file reach up to `to` if that is more than the disk has.
    fn make_room(&mut self, file: FileId, to: usize) -> io::Result<()> {
        let free_bytes = self.capacity_bytes.saturating_sub(self.used_bytes());
        let file = self.file(file)?;
        let more = to.saturating_sub(file.current.len().max(file.allocated));
        if more as u64 > free_bytes { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state();
        state.powered()?;
        state.try_sectors(self.file, offset as usize..offset as usize + buffer.len())?;
        let file = state.file(self.file)?;
        let rest = file.current.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state();
        let step = state.step()?;
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        state.make_room(self.file, to)?;
        let file = state.file(self.file)?;
        if file.current.len() < to {
            file.current.resize(to, 0);
        }
        if let Some(place) = file.current.get_mut(from..to) {
            place.copy_from_slice(bytes);
        }
        file.dirty_sectors.extend(from / SECTOR_BYTES..to.div_ceil(SECTOR_BYTES));
        state.counters.bytes_written += bytes.len() as u64;
        step.conclude()
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        let step = state.step()?;
        if matches!(step, Step::Breaks) && state.power != Power::Off {
            // What a kernel does: pages that couldn't be written are taken for clean, and no later sync writes them.
            state.file(self.file)?.dirty_sectors.clear();
        }
        step.conclude()?;
        state.counters.syncs += 1;
        if state.syncs == Syncs::Swallowed {
            return Ok(());
        }
        let file = state.file(self.file)?;
        file.durable.resize(file.current.len(), 0);
        for sector in std::mem::take(&mut file.dirty_sectors) {
            copy_sector(&file.current, &mut file.durable, sector);
        }
        Ok(())
    }

    fn allocate(&self, offset: u64, length: u64) -> io::Result<()> {
        let mut state = self.state();
        state.step()?.conclude()?;
        let to = (offset + length) as usize;
        state.make_room(self.file, to)?;
        let file = state.file(self.file)?;
        file.allocated = file.allocated.max(to);
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        state.step()?.conclude()?;
        let file = state.file(self.file)?;
        file.current.truncate(length as usize);
        file.allocated = 0;
        // Sectors that are written again later start from zeroes, not from what was cut.
        file.dirty_sectors.extend(length as usize / SECTOR_BYTES..file.durable.len().div_ceil(SECTOR_BYTES));
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.state();
        state.powered()?;
        Ok(state.file(self.file)?.current.len() as u64)
    }
}

/// Copies one sector, as far as both have it; what only `to` has becomes zero.
fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let start = sector * SECTOR_BYTES;
    let Some(to) = to.get_mut(start..).map(|rest| rest.split_at_mut(rest.len().min(SECTOR_BYTES)).0) else { return };
    let from = from.get(start..).unwrap_or_default();
    let common = from.len().min(to.len());
    let (copied, beyond) = to.split_at_mut(common);
    copied.copy_from_slice(from.get(..common).unwrap_or_default());
    beyond.fill(0);
}

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
