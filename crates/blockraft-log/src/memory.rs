//! A log in memory, on a pretended disk that survives its process and can lose its power.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_types::{Entry, GroupId, LogIndex, PersistReceipt};

use crate::admission::Admission;
use crate::batch::Batch;
use crate::reader::{ENTRY_OVERHEAD_BYTES, LogReader, ReadError};
use crate::state::{Anchor, LogState};
use crate::store::{CompactError, CreateGroupError, LoadError, LogStore, PersistError, ResetError, WriteTotals};

/// The pretended disk: keep it, and [`open`](Self::open) a log on it again after each pretended crash.
///
/// Clones are handles of one disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    platter: Arc<Mutex<Platter>>,
}

/// What a disk does when it is asked to sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Syncs {
    /// What was synced survives a power cut.
    #[default]
    Honoured,
    /// The disk says "done" and forgets at the next power cut everything since this was set. A negative control: a test
    /// that finds nothing wrong with it would find nothing at all.
    Swallowed,
}

/// A [`LogStore`] on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryLog {
    view: View,
    totals: WriteTotals,
}

/// Reads a [`MemoryDisk`] for one opening of it.
#[derive(Clone, Debug)]
struct View {
    platter: Arc<Mutex<Platter>>,
    opening: u64,
}

#[derive(Debug, Default)]
struct Platter {
    groups: BTreeMap<GroupId, GroupLog>,
    /// What a power cut would leave, while that is not `groups`.
    durable: Option<BTreeMap<GroupId, GroupLog>>,
    syncs: Syncs,
    /// What a disk that loses its tail goes back to.
    remembered: BTreeMap<GroupId, GroupLog>,
    /// Counts openings and power cuts: a log of an earlier opening is dead.
    opening: u64,
}

#[derive(Clone, Debug)]
struct GroupLog {
    state: LogState,
    /// The entry at `state.anchor.position.index + 1` and those after it.
    entries: VecDeque<Entry>,
}

/// The power was cut, or another log was opened on the same disk.
struct Dead;

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the log on this disk, as a process that starts would. A log opened earlier is fenced off: it can neither
    /// read nor write any more.
    #[must_use]
    pub fn open(&self) -> MemoryLog {
        let mut platter = lock(&self.platter);
        platter.opening += 1;
        let view = View { platter: Arc::clone(&self.platter), opening: platter.opening };
        MemoryLog { view, totals: WriteTotals::default() }
    }

    /// Another disk with what is durable on this one: what a copy of it holds that is made now.
    #[must_use]
    pub fn copy(&self) -> Self {
        let platter = lock(&self.platter);
        let groups = platter.durable.as_ref().unwrap_or(&platter.groups).clone();
        Self { platter: Arc::new(Mutex::new(Platter { groups, ..Platter::default() })) }
    }

    /// Cuts the power: what isn't durable is gone, and so is the log that was open.
    pub fn cut_power(&self) {
        let mut platter = lock(&self.platter);
        platter.opening += 1;
        if let Some(durable) = platter.durable.take() {
            platter.groups = durable;
        }
        if platter.syncs == Syncs::Swallowed {
            platter.durable = Some(platter.groups.clone());
        }
    }

    /// Remembers what is on the disk now, for [`lose_tail`](Self::lose_tail).
    pub fn remember(&self) {
        let mut platter = lock(&self.platter);
        platter.remembered = platter.groups.clone();
    }

    /// Cuts the power, and goes back to what was remembered last although all that came later was synced. Terms and votes
    /// survive, as if they stood elsewhere, and the log knows that its end is gone.
    pub fn lose_tail(&self) {
        let mut platter = lock(&self.platter);
        platter.opening += 1;
        platter.durable = None;
        for (group, older) in core::mem::take(&mut platter.remembered) {
            if let Some(log) = platter.groups.get_mut(&group) {
                log.go_back_to(older);
            }
        }
    }

    /// Says what becomes of syncs from now on. Once they are honoured again, everything is durable with the next write.
    pub fn set_syncs(&self, syncs: Syncs) {
        let mut platter = lock(&self.platter);
        platter.syncs = syncs;
        if syncs == Syncs::Swallowed && platter.durable.is_none() {
            platter.durable = Some(platter.groups.clone());
        }
    }
}

#[cfg(test)]
impl MemoryLog {
    pub(crate) fn forget_group(&mut self, group: GroupId) {
        lock(&self.view.platter).groups.remove(&group);
    }
}

impl LogStore for MemoryLog {
    fn groups(&self) -> Vec<GroupId> {
        self.view.live().map(|platter| platter.groups.keys().copied().collect()).unwrap_or_default()
    }

    fn create_group(&mut self, group: GroupId, anchor: Anchor) -> Result<(), CreateGroupError> {
        let mut platter = self.view.live().map_err(|Dead| CreateGroupError::Poisoned)?;
        if platter.groups.contains_key(&group) {
            return Err(CreateGroupError::Exists { group });
        }
        let state = LogState::empty(Default::default(), anchor);
        platter.groups.insert(group, GroupLog { state, entries: VecDeque::new() });
        platter.sync();
        self.totals.syncs += 1;
        Ok(())
    }

    fn load(&self, group: GroupId) -> Result<Option<LogState>, LoadError> {
        let platter = self.view.live().map_err(|Dead| LoadError::Poisoned)?;
        Ok(platter.groups.get(&group).map(|log| log.state.clone()))
    }

    fn persist(&mut self, batches: Vec<Batch>) -> Result<Vec<PersistReceipt>, PersistError> {
        let mut platter = self.view.live().map_err(|Dead| PersistError::Poisoned)?;
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        for (group, state) in admitted(&platter.groups, &batches)? {
            if let Some(log) = platter.groups.get_mut(&group) {
                log.state = state;
            }
        }
        let mut receipts = Vec::with_capacity(batches.len());
        for batch in batches {
            self.totals.bytes_written += bytes(&batch.entries);
            if let Some(log) = platter.groups.get_mut(&batch.group()) {
                log.write(batch.truncate_from, batch.entries);
            }
            receipts.push(batch.ticket);
        }
        platter.sync();
        self.totals.syncs += 1;
        Ok(receipts.into_iter().map(|ticket| ticket.redeem()).collect())
    }

    fn compact(&mut self, group: GroupId, through: LogIndex) -> Result<Anchor, CompactError> {
        let mut platter = self.view.live().map_err(|Dead| CompactError::Poisoned)?;
        let log = platter.groups.get_mut(&group).ok_or(CompactError::UnknownGroup { group })?;
        let (anchor, last) = (log.state.anchor, log.state.last.position);
        if last.index < through {
            return Err(CompactError::BeyondEnd { group, through, last });
        }
        if through <= anchor.position.index {
            return Ok(anchor);
        }
        let anchor = log.anchor_at(through);
        log.entries.drain(..log.offset(through.next()));
        log.state.compact(anchor);
        platter.sync();
        self.totals.syncs += 1;
        Ok(anchor)
    }

    fn reset(&mut self, group: GroupId, anchor: Anchor) -> Result<(), ResetError> {
        let mut platter = self.view.live().map_err(|Dead| ResetError::Poisoned)?;
        let log = platter.groups.get_mut(&group).ok_or(ResetError::UnknownGroup { group })?;
        log.entries.clear();
        log.state.reset(anchor);
        platter.sync();
        self.totals.syncs += 1;
        Ok(())
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(self.view.clone())
    }

    fn totals(&self) -> WriteTotals {
        self.totals
    }
}

impl LogReader for View {
    fn entries(
        &self,
        group: GroupId,
        first: LogIndex,
        last: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, ReadError> {
        let platter = self.live().map_err(|Dead| ReadError::Poisoned)?;
        let log = platter.groups.get(&group).ok_or(ReadError::UnknownGroup { group })?;
        let anchor = log.state.anchor.position;
        if first <= anchor.index {
            return Err(ReadError::Compacted { group, first, anchor });
        }
        let mut budget = bytes_max;
        let mut entries = Vec::new();
        for entry in log.entries.iter().skip(log.offset(first)) {
            let cost = bytes(std::slice::from_ref(entry));
            let fits = entries.is_empty() || cost <= budget;
            if last < entry.head.position.index || !fits {
                break;
            }
            budget = budget.saturating_sub(cost);
            entries.push(entry.clone());
        }
        Ok(entries)
    }
}

impl View {
    fn live(&self) -> Result<MutexGuard<'_, Platter>, Dead> {
        let platter = lock(&self.platter);
        if platter.opening == self.opening { Ok(platter) } else { Err(Dead) }
    }
}

impl Platter {
    fn sync(&mut self) {
        if self.syncs == Syncs::Honoured {
            self.durable = None;
        }
    }
}

impl GroupLog {
    fn write(&mut self, truncate_from: Option<LogIndex>, entries: Vec<Entry>) {
        if let Some(from) = truncate_from {
            self.entries.truncate(self.offset(from));
        }
        self.entries.extend(entries);
    }

    fn go_back_to(&mut self, older: Self) {
        let LogState { hard_state, last, lost_tail, .. } = self.state;
        if older.state.last == last {
            return;
        }
        *self = older;
        (self.state.hard_state, self.state.lost_tail) = (hard_state, lost_tail);
        self.state.lose_tail(last.position.index);
    }

    /// How many entries stand before `index`.
    fn offset(&self, index: LogIndex) -> usize {
        let before = index.previous().since(self.state.anchor.position.index);
        usize::try_from(before).map_or(self.entries.len(), |before| before.min(self.entries.len()))
    }

    /// The anchor, or the entry at `index`, which must exist.
    fn anchor_at(&self, index: LogIndex) -> Anchor {
        if index == self.state.anchor.position.index {
            return self.state.anchor;
        }
        let entry = self.entries.get(self.offset(index)).expect("the caller asked the state whether it is here");
        Anchor { position: entry.head.position, chain: entry.head.chain }
    }
}

/// The state of each group once `batches` are written, or why they can't be.
fn admitted(
    groups: &BTreeMap<GroupId, GroupLog>,
    batches: &[Batch],
) -> Result<BTreeMap<GroupId, LogState>, PersistError> {
    let mut admissions = BTreeMap::<GroupId, Admission>::new();
    for batch in batches {
        let group = batch.group();
        let log = groups.get(&group).ok_or(PersistError::UnknownGroup { group })?;
        let admission = admissions.entry(group).or_insert_with(|| Admission::new(log.state.clone()));
        let Ok(verdict) = admission.admit(batch, |index| Ok::<_, Infallible>(log.anchor_at(index)));
        verdict.map_err(|source| PersistError::Misfit { group, source })?;
    }
    Ok(admissions.into_iter().map(|(group, admission)| (group, admission.into_state())).collect())
}

fn bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| u64::from(entry.head.body_bytes) + ENTRY_OVERHEAD_BYTES).sum()
}

fn lock(platter: &Mutex<Platter>) -> MutexGuard<'_, Platter> {
    // Nothing between lock and unlock panics, and if it did: the disk is as good as a process that died half-way.
    platter.lock().unwrap_or_else(PoisonError::into_inner)
}
