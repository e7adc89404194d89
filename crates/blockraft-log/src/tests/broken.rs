//! Stores with one bug each: the negative controls of the suite.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use blockraft_types::{Entry, GroupId, LogIndex, PersistNumber, PersistReceipt, PersistTicket};

use crate::batch::Batch;
use crate::memory::MemoryLog;
use crate::reader::{LogReader, ReadError};
use crate::state::{Anchor, LogState, Misfit};
use crate::store::{CompactError, CreateGroupError, LoadError, LogStore, PersistError, ResetError, WriteTotals};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    ForgetsTruncation,
    ForgetsVote,
    ForgetsLastBatch,
    ReversesReceipts,
    MixesGroups,
    PersistsOneByOne,
    WritesPartOfAMisfit,
    TakesAnyHardState,
    ForgetsCompaction,
    ForgetsVoteAtReset,
    IgnoresByteBound,
    SkipsTheEntryTooLarge,
    ReadsAnOldView,
    /// Takes what is left of a log for all of it.
    HidesALoss,
    /// Takes a log for whole once anything is appended.
    ForgetsALoss,
}

#[derive(Debug)]
pub(super) struct Broken {
    inner: MemoryLog,
    bug: Bug,
}

#[derive(Debug)]
struct BrokenReader {
    inner: Arc<dyn LogReader>,
    bug: Bug,
    seen: Mutex<BTreeMap<GroupId, Vec<Entry>>>,
}

impl Broken {
    pub(super) fn new(inner: MemoryLog, bug: Bug) -> Self {
        Self { inner, bug }
    }

    fn one_by_one(&mut self, batches: Vec<Batch>) -> Result<Vec<PersistReceipt>, PersistError> {
        let mut receipts = Vec::new();
        for batch in batches {
            receipts.extend(self.inner.persist(vec![batch])?);
        }
        Ok(receipts)
    }
}

/// A store doesn't make tickets; a wrong one that drops a batch must, to hide it.
fn forged(batch: &Batch) -> PersistReceipt {
    PersistTicket::new(batch.group(), batch.ticket.number()).redeem()
}

impl LogStore for Broken {
    fn groups(&self) -> Vec<GroupId> {
        self.inner.groups()
    }

    fn create_group(&mut self, group: GroupId, anchor: Anchor) -> Result<(), CreateGroupError> {
        self.inner.create_group(group, anchor)
    }

    fn load(&self, group: GroupId) -> Result<Option<LogState>, LoadError> {
        let mut state = self.inner.load(group)?;
        if let Some(state) = &mut state {
            let lost = state.lost_tail.take();
            state.lost_tail = lost.filter(|lost| match self.bug {
                Bug::HidesALoss => false,
                Bug::ForgetsALoss => state.last.position.index < lost.index,
                _ => true,
            });
        }
        Ok(state)
    }

    fn persist(&mut self, mut batches: Vec<Batch>) -> Result<Vec<PersistReceipt>, PersistError> {
        match self.bug {
            Bug::ForgetsTruncation => {
                for batch in &mut batches {
                    if batch.entries.is_empty() {
                        batch.truncate_from = None;
                    }
                }
                self.inner.persist(batches)
            }
            Bug::ForgetsVote => {
                for hard_state in batches.iter_mut().filter_map(|batch| batch.hard_state.as_mut()) {
                    hard_state.voted_for = None;
                }
                self.inner.persist(batches)
            }
            Bug::ForgetsLastBatch if batches.len() > 1 => {
                let forgotten = batches.pop().map(|batch| forged(&batch));
                let mut receipts = self.inner.persist(batches)?;
                receipts.extend(forgotten);
                Ok(receipts)
            }
            Bug::ReversesReceipts => {
                let mut receipts = self.inner.persist(batches)?;
                receipts.reverse();
                Ok(receipts)
            }
            Bug::MixesGroups => {
                // Keys that keep only the low byte of a group.
                let homonym = |group: GroupId| GroupId(group.0 & 0xFF);
                for batch in &mut batches {
                    let group = homonym(batch.group());
                    if group != batch.group() && self.inner.groups().contains(&group) {
                        batch.entries.clear();
                    }
                }
                self.inner.persist(batches)
            }
            Bug::PersistsOneByOne if batches.len() > 8 => self.one_by_one(batches),
            Bug::WritesPartOfAMisfit => {
                let alone: Vec<_> = batches.iter().map(|batch| (batch.group(), batch.hard_state)).collect();
                let verdict = self.inner.persist(batches);
                if matches!(verdict, Err(PersistError::Misfit { .. })) {
                    for (group, hard_state) in alone {
                        let ticket = PersistTicket::new(group, PersistNumber(0));
                        let batch = Batch { hard_state, ..Batch::new(ticket) };
                        // What becomes of the rest is this bug's whole point.
                        let _ = self.inner.persist(vec![batch]);
                    }
                }
                verdict
            }
            Bug::TakesAnyHardState => {
                let receipts: Vec<_> = batches.iter().map(forged).collect();
                match self.inner.persist(batches) {
                    Err(PersistError::Misfit { source: Misfit::HardStateRegressed { .. }, .. }) => Ok(receipts),
                    other => other,
                }
            }
            Bug::ForgetsLastBatch
            | Bug::PersistsOneByOne
            | Bug::ForgetsCompaction
            | Bug::ForgetsVoteAtReset
            | Bug::IgnoresByteBound
            | Bug::SkipsTheEntryTooLarge
            | Bug::ReadsAnOldView
            | Bug::HidesALoss
            | Bug::ForgetsALoss => self.inner.persist(batches),
        }
    }

    fn compact(&mut self, group: GroupId, through: LogIndex) -> Result<Anchor, CompactError> {
        if self.bug == Bug::ForgetsCompaction
            && let Ok(Some(state)) = self.inner.load(group)
            && state.holds(through)
        {
            return Ok(state.anchor);
        }
        self.inner.compact(group, through)
    }

    fn reset(&mut self, group: GroupId, anchor: Anchor) -> Result<(), ResetError> {
        if self.bug == Bug::ForgetsVoteAtReset && self.inner.groups().contains(&group) {
            self.inner.forget_group(group);
            return self.inner.create_group(group, anchor).map_err(|_| ResetError::Poisoned);
        }
        self.inner.reset(group, anchor)
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(BrokenReader { inner: self.inner.reader(), bug: self.bug, seen: Mutex::default() })
    }

    fn totals(&self) -> WriteTotals {
        self.inner.totals()
    }
}

impl LogReader for BrokenReader {
    fn entries(
        &self,
        group: GroupId,
        first: LogIndex,
        last: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, ReadError> {
        match self.bug {
            Bug::IgnoresByteBound => self.inner.entries(group, first, last, u64::MAX),
            Bug::SkipsTheEntryTooLarge => {
                let mut entries = self.inner.entries(group, first, last, bytes_max)?;
                entries.retain(|entry| u64::from(entry.head.body_bytes) <= bytes_max);
                Ok(entries)
            }
            Bug::ReadsAnOldView => {
                let entries = self.inner.entries(group, first, last, bytes_max)?;
                let mut seen = self.seen.lock().expect("no test panics while it reads");
                Ok(seen.entry(group).or_insert(entries).clone())
            }
            _ => self.inner.entries(group, first, last, bytes_max),
        }
    }
}
