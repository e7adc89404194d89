//! A wrapper around any log that fails a chosen write, stands still in one, or finds an entry damaged, when a test says so.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use blockraft_types::{Entry, GroupId, LogIndex, PersistReceipt};

use crate::batch::Batch;
use crate::cause::Cause;
use crate::chance::Chance;
use crate::reader::{LogReader, ReadError};
use crate::state::{Anchor, LogState};
use crate::store::{CompactError, CreateGroupError, LoadError, LogStore, PersistError, ResetError, WriteTotals};

/// A log whose disk fails as its [`LogFaults`] say.
///
/// After the failure it behaves as the seam demands of any store: everything answers `Poisoned`. A disk that claims
/// syncs it didn't make is another thing: see [`Syncs::Swallowed`](crate::Syncs::Swallowed).
#[derive(Debug)]
pub struct FaultyLog<L> {
    inner: L,
    faults: LogFaults,
    poisoned: Arc<AtomicBool>,
}

/// The switchboard of a [`FaultyLog`]; clones are handles of one.
#[derive(Clone, Debug, Default)]
pub struct LogFaults {
    shared: Arc<Shared>,
}

/// A failing write: which one, and what the disk holds afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FailingWrite {
    /// Counted from 1 since the log was wrapped: persists, compactions, resets and new groups alike.
    pub nth: u64,
    /// What reached the disk although the call failed. The caller can't know.
    pub reached: Reached,
}

/// What a failed write left on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reached {
    /// Nothing of it.
    Nothing,
    /// All of it: only the answer is missing.
    Everything,
}

/// Keeps every write of a [`FaultyLog`] waiting until it is dropped.
#[derive(Debug)]
#[must_use = "the stall ends when this is dropped"]
pub struct Stall {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    switches: Mutex<Switches>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Switches {
    failing: Option<FailingWrite>,
    damaged: Option<LogIndex>,
    writes: u64,
    stalls: u32,
    waiting: u32,
}

#[derive(Debug)]
struct FaultyReader {
    inner: Arc<dyn LogReader>,
    faults: LogFaults,
    poisoned: Arc<AtomicBool>,
}

/// What the pretended disk says.
#[derive(Debug, thiserror::Error)]
#[error("injected failure of write {nth}")]
struct Injected {
    nth: u64,
}

impl<L: LogStore> FaultyLog<L> {
    /// Wraps `inner`.
    #[must_use]
    pub fn new(inner: L, faults: LogFaults) -> Self {
        Self { inner, faults, poisoned: Arc::default() }
    }

    fn alive<E>(&self, poisoned: E) -> Result<(), E> {
        if self.poisoned.load(Ordering::Acquire) { Err(poisoned) } else { Ok(()) }
    }

    /// Counts a write, waits while it is stalled, and says whether and how it fails.
    fn next_write(&self) -> Option<(Reached, Cause)> {
        let failing = self.faults.shared.pass()?;
        self.poisoned.store(true, Ordering::Release);
        Some((failing.reached, Box::new(Injected { nth: failing.nth })))
    }
}

impl LogFaults {
    /// No faults yet.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// One failing write among the next `writes_max`, drawn from `seed`: the same seed, the same failure.
    #[must_use]
    pub fn from_seed(seed: u64, writes_max: u64) -> Self {
        let mut chance = Chance::new(seed);
        let nth = 1 + chance.below(writes_max.max(1));
        let reached = if chance.one_in(2) { Reached::Nothing } else { Reached::Everything };
        let faults = Self::default();
        faults.fail(FailingWrite { nth, reached });
        faults
    }

    /// Chooses the write that fails. It replaces an earlier choice.
    pub fn fail(&self, failing: FailingWrite) {
        self.shared.lock().failing = Some(failing);
    }

    /// The entry at `index` isn't what was written any more: whoever reads it from now on is told so.
    pub fn damage(&self, index: LogIndex) {
        self.shared.lock().damaged = Some(index);
    }

    /// How many writes were begun so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.shared.lock().writes
    }

    /// How many writes wait in a stall at the moment.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.shared.lock().waiting
    }

    /// Lets every write that begins from now on wait until the returned value (and every other stall) is dropped.
    pub fn stall(&self) -> Stall {
        self.shared.lock().stalls += 1;
        Stall { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.shared.lock().stalls -= 1;
        self.shared.moved.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Switches> {
        // The switches are plain numbers: whoever panicked while holding them left them whole.
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self) -> Option<FailingWrite> {
        let mut switches = self.lock();
        switches.writes += 1;
        let nth = switches.writes;
        switches.waiting += 1;
        while switches.stalls > 0 {
            switches = self.moved.wait(switches).unwrap_or_else(PoisonError::into_inner);
        }
        switches.waiting -= 1;
        switches.failing.filter(|failing| failing.nth == nth)
    }
}

impl<L: LogStore> LogStore for FaultyLog<L> {
    fn groups(&self) -> Vec<GroupId> {
        self.inner.groups()
    }

    fn create_group(&mut self, group: GroupId, anchor: Anchor) -> Result<(), CreateGroupError> {
        self.alive(CreateGroupError::Poisoned)?;
        match self.next_write() {
            None => self.inner.create_group(group, anchor),
            Some((Reached::Nothing, source)) => Err(CreateGroupError::Failed { group, source }),
            Some((Reached::Everything, source)) => {
                self.inner.create_group(group, anchor)?;
                Err(CreateGroupError::Failed { group, source })
            }
        }
    }

    fn load(&self, group: GroupId) -> Result<Option<LogState>, LoadError> {
        self.alive(LoadError::Poisoned)?;
        self.inner.load(group)
    }

    fn persist(&mut self, batches: Vec<Batch>) -> Result<Vec<PersistReceipt>, PersistError> {
        self.alive(PersistError::Poisoned)?;
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        match self.next_write() {
            None => self.inner.persist(batches),
            Some((Reached::Nothing, source)) => Err(PersistError::Failed { source }),
            Some((Reached::Everything, source)) => {
                self.inner.persist(batches)?;
                Err(PersistError::Failed { source })
            }
        }
    }

    fn compact(&mut self, group: GroupId, through: LogIndex) -> Result<Anchor, CompactError> {
        self.alive(CompactError::Poisoned)?;
        match self.next_write() {
            None => self.inner.compact(group, through),
            Some((Reached::Nothing, source)) => Err(CompactError::Failed { group, source }),
            Some((Reached::Everything, source)) => {
                self.inner.compact(group, through)?;
                Err(CompactError::Failed { group, source })
            }
        }
    }

    fn reset(&mut self, group: GroupId, anchor: Anchor) -> Result<(), ResetError> {
        self.alive(ResetError::Poisoned)?;
        match self.next_write() {
            None => self.inner.reset(group, anchor),
            Some((Reached::Nothing, source)) => Err(ResetError::Failed { group, source }),
            Some((Reached::Everything, source)) => {
                self.inner.reset(group, anchor)?;
                Err(ResetError::Failed { group, source })
            }
        }
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        let (faults, poisoned) = (self.faults.clone(), Arc::clone(&self.poisoned));
        Arc::new(FaultyReader { inner: self.inner.reader(), faults, poisoned })
    }

    fn totals(&self) -> WriteTotals {
        self.inner.totals()
    }
}

impl LogReader for FaultyReader {
    fn entries(
        &self,
        group: GroupId,
        first: LogIndex,
        last: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, ReadError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(ReadError::Poisoned);
        }
        let damaged = self.faults.shared.lock().damaged;
        match damaged.filter(|index| first <= *index && *index <= last) {
            Some(index) => Err(ReadError::Damaged { group, index, what: "injected damage" }),
            None => self.inner.entries(group, first, last, bytes_max),
        }
    }
}
