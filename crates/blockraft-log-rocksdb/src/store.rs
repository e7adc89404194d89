//! The log itself: one writer, one database, one synced write for everything that waits.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blockraft_log::{
    Admission, Anchor, Batch, Cause, CompactError, CreateGroupError, LoadError, LogReader, LogState, LogStore,
    PersistError, ReadError, ResetError, WriteTotals,
};
use blockraft_types::{GroupId, HardState, LogIndex, PersistReceipt, PersistTicket, Position};
use rocksdb::{WriteBatch, WriteOptions};
use thiserror::Error;

use crate::config::RocksLogConfig;
use crate::engine;
use crate::key;
use crate::mistake::Mistake;
use crate::open::{self, FormatError, Member, OpenError};
use crate::reader::Shared;
use crate::record::{GroupRecord, encode_entry};
use crate::watermark::{MARK_BYTES, Mark, Watermark, Written};

/// A [`LogStore`] in a directory of its own.
///
/// Closed when it and every reader of it are dropped; another process can open the directory then.
pub struct RocksLog {
    members: BTreeMap<GroupId, Member>,
    totals: WriteTotals,
    synced: WriteOptions,
    shared: Shared,
}

/// RocksDB couldn't flush or compact.
#[derive(Debug, Error)]
#[error("the database failed {failures} times in the background")]
struct BackgroundFailure {
    failures: u64,
}

impl RocksLog {
    /// Makes the directory at `path` an empty log. Durable when it returns; an attempt that was cut short is finished.
    ///
    /// # Errors
    ///
    /// See [`FormatError`]: a directory that is a log already is never made one again.
    pub fn format(path: impl AsRef<Path>) -> Result<(), FormatError> {
        open::format(path.as_ref())
    }

    /// Opens the log in the directory at `path`, which must have been [formatted](Self::format).
    ///
    /// Reads and verifies the whole log, before RocksDB may change a file of it, and compares its end, term and vote
    /// with the watermark. Takes time in proportion to the un-compacted log.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. The files are then as they were found.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, RocksLogConfig::default())
    }

    /// Opens as [`open`](Self::open) does, with other sizes. They may change from one opening to the next.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open_with(path: impl AsRef<Path>, config: RocksLogConfig) -> Result<Self, OpenError> {
        Self::open_although(path, config, |_, _| Err("it was to be opened only if it is whole".into()))
    }

    /// Opens as [`open_with`](Self::open_with) does, and a log of which only the end is gone as well, if `may_go_on` says so of
    /// each such group and what is left of it: consensus can bear that where others hold what is gone. The log
    /// [knows](LogState::lost_tail) of the loss until it is made good, over restarts too.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. The files are then as they were found.
    pub fn open_although(
        path: impl AsRef<Path>,
        config: RocksLogConfig,
        mut may_go_on: impl FnMut(GroupId, &LogState) -> Result<(), Cause>,
    ) -> Result<Self, OpenError> {
        let opened = open::open(path.as_ref(), config, &mut may_go_on)?;
        Ok(Self {
            members: opened.members,
            totals: WriteTotals::default(),
            synced: engine::synced(),
            shared: opened.shared,
        })
    }

    fn alive<E>(&self, poisoned: E) -> Result<(), E> {
        if self.shared.is_poisoned() { Err(poisoned) } else { Ok(()) }
    }

    /// Poisons the store: after a failure nobody can know what the disk holds.
    fn fatal<T>(&self, outcome: Result<T, Cause>) -> Result<T, Cause> {
        if outcome.is_err() && !Mistake::FailedWriteTriedAgain.is_made() {
            self.shared.poisoned.store(true, Ordering::Release);
        }
        outcome
    }

    /// Judges all batches and says what each group will hold, before anything is written.
    fn admit(&self, batches: &[Batch]) -> Result<BTreeMap<GroupId, Admission>, PersistError> {
        let mut admissions = BTreeMap::<GroupId, Admission>::new();
        for batch in batches {
            let group = batch.group();
            let member = self.members.get(&group).ok_or(PersistError::UnknownGroup { group })?;
            let admission = admissions.entry(group).or_insert_with(|| Admission::new(member.state.clone()));
            let verdict = admission.admit(batch, |index| self.stored(group, &member.state, index));
            let verdict = self.fatal(verdict.map_err(Cause::from)).map_err(|source| PersistError::Failed { source })?;
            verdict.map_err(|source| PersistError::Misfit { group, source })?;
        }
        Ok(admissions)
    }

    fn stored(&self, group: GroupId, state: &LogState, index: LogIndex) -> Result<Anchor, ReadError> {
        if index == state.anchor.position.index { Ok(state.anchor) } else { self.shared.anchor_at(group, index) }
    }

    /// Writes the batches and then what they admit to the witnesses.
    fn write(
        &mut self,
        batches: Vec<Batch>,
        admissions: BTreeMap<GroupId, Admission>,
    ) -> Result<Vec<PersistTicket>, Cause> {
        self.lower_marks(&admissions)?;
        let mut writes = WriteBatch::default();
        let mut tickets = Vec::with_capacity(batches.len());
        for batch in batches {
            let group = batch.group();
            if let Some(from) = batch.truncate_from {
                writes.delete_range(key::entry(group, from), key::entries_end(group));
            }
            for entry in &batch.entries {
                writes.put(key::entry(group, entry.head.position.index), encode_entry(group, entry));
            }
            tickets.push(batch.ticket);
        }
        for (group, admission) in &admissions {
            put_record(&mut writes, *group, admission.state());
        }
        self.write_synced(writes)?;
        for (group, admission) in admissions {
            let state = admission.into_state();
            let member = self.members.get_mut(&group).expect("admissions are made of members");
            member.state = state;
            self.raise_mark(group)?;
        }
        Ok(tickets)
    }

    /// A truncation must not reach the log while the witness still vouches for what it drops.
    fn lower_marks(&mut self, admissions: &BTreeMap<GroupId, Admission>) -> io::Result<()> {
        for (&group, admission) in admissions {
            let member = self.members.get_mut(&group).expect("admissions are made of members");
            let mark = member.watermark.mark();
            let Some(from) = admission.truncated_from().filter(|&from| from <= mark.position.index) else { continue };
            let index = from.previous();
            let term = member.state.term_at(index).expect("the entry before a truncation is in the log");
            let position = Position { term, index };
            member.watermark.put_synced(group, Mark { position, ..mark })?;
            self.count_mark(Written::Synced);
        }
        Ok(())
    }

    /// Lets the witness vouch for what the group's state holds, which is durable by now.
    fn raise_mark(&mut self, group: GroupId) -> io::Result<()> {
        let member = self.members.get_mut(&group).expect("the caller wrote this member");
        let (mark, seen) = (member.watermark.mark(), open::seen(&member.state));
        let written = if seen == mark {
            return Ok(());
        } else if seen == (Mark { position: seen.position, ..mark }) {
            member.watermark.raise(group, seen.position)?
        } else {
            // Term and vote are never late: they are on the device before the receipt is out.
            member.watermark.put_synced(group, seen)?;
            Written::Synced
        };
        self.count_mark(written);
        Ok(())
    }

    fn write_synced(&mut self, writes: WriteBatch) -> Result<(), Cause> {
        // A flush that failed in the background is as final as a failed write: RocksDB may have resumed by itself.
        let failures = self.shared.db.property_int_value(BACKGROUND_ERRORS)?.unwrap_or(0);
        if failures > 0 {
            return Err(Box::new(BackgroundFailure { failures }));
        }
        let bytes = writes.size_in_bytes() as u64;
        self.shared.db.write_opt(writes, &self.synced)?;
        self.totals.syncs += 1;
        self.totals.bytes_written += bytes;
        Ok(())
    }

    fn count_mark(&mut self, written: Written) {
        let (syncs, marks) = match written {
            // A synced mark is copied into the other slot.
            Written::Synced => (1, 2),
            Written::Unsynced => (0, 1),
        };
        self.totals.syncs += syncs;
        self.totals.bytes_written += marks * MARK_BYTES as u64;
    }

    fn make_group(&mut self, group: GroupId, anchor: Anchor) -> Result<(), Cause> {
        let mut watermark = Watermark::create(self.shared.directory.path(), group)?;
        self.shared.directory.sync()?;
        self.totals.syncs += 1;
        let state = LogState::empty(HardState::default(), anchor);
        let mut writes = WriteBatch::default();
        put_record(&mut writes, group, &state);
        self.write_synced(writes)?;
        watermark.put_synced(group, open::seen(&state))?;
        self.count_mark(Written::Synced);
        self.count_mark(Written::Synced);
        self.members.insert(group, Member { state, watermark });
        Ok(())
    }

    fn write_compaction(&mut self, group: GroupId, anchor: Anchor) -> Result<(), Cause> {
        let member = self.members.get_mut(&group).expect("the caller found this member");
        let first = member.state.anchor.position.index.next();
        member.state.compact(anchor);
        let mut writes = WriteBatch::default();
        writes.delete_range(key::entry(group, first), key::entry(group, anchor.position.index.next()));
        put_record(&mut writes, group, &member.state);
        self.write_synced(writes)
    }

    fn write_reset(&mut self, group: GroupId, anchor: Anchor) -> Result<(), Cause> {
        let member = self.members.get_mut(&group).expect("the caller found this member");
        let mark = member.watermark.mark();
        member.watermark.put_synced(group, Mark { position: Position::ZERO, ..mark })?;
        member.state.reset(anchor);
        let mut writes = WriteBatch::default();
        writes.delete_range(key::entry(group, LogIndex::ZERO), key::entries_end(group));
        put_record(&mut writes, group, &member.state);
        self.write_synced(writes)?;
        let member = self.members.get_mut(&group).expect("the caller found this member");
        member.watermark.put_synced(group, open::seen(&member.state))?;
        self.count_mark(Written::Synced);
        self.count_mark(Written::Synced);
        Ok(())
    }
}

impl LogStore for RocksLog {
    fn groups(&self) -> Vec<GroupId> {
        self.members.keys().copied().collect()
    }

    fn create_group(&mut self, group: GroupId, anchor: Anchor) -> Result<(), CreateGroupError> {
        self.alive(CreateGroupError::Poisoned)?;
        if self.members.contains_key(&group) {
            return Err(CreateGroupError::Exists { group });
        }
        let outcome = self.make_group(group, anchor);
        self.fatal(outcome).map_err(|source| CreateGroupError::Failed { group, source })
    }

    fn load(&self, group: GroupId) -> Result<Option<LogState>, LoadError> {
        self.alive(LoadError::Poisoned)?;
        Ok(self.members.get(&group).map(|member| member.state.clone()))
    }

    fn persist(&mut self, batches: Vec<Batch>) -> Result<Vec<PersistReceipt>, PersistError> {
        self.alive(PersistError::Poisoned)?;
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let admissions = self.admit(&batches)?;
        let outcome = self.write(batches, admissions);
        let tickets = self.fatal(outcome).map_err(|source| PersistError::Failed { source })?;
        Ok(tickets.into_iter().map(PersistTicket::redeem).collect())
    }

    fn compact(&mut self, group: GroupId, through: LogIndex) -> Result<Anchor, CompactError> {
        self.alive(CompactError::Poisoned)?;
        let member = self.members.get(&group).ok_or(CompactError::UnknownGroup { group })?;
        let (anchor, last) = (member.state.anchor, member.state.last.position);
        if last.index < through {
            return Err(CompactError::BeyondEnd { group, through, last });
        }
        if through <= anchor.position.index {
            return Ok(anchor);
        }
        let anchor = self.shared.anchor_at(group, through).map_err(|error| match error {
            ReadError::Damaged { index, what, .. } => CompactError::Damaged { group, index, what },
            other => CompactError::Failed { group, source: other.into() },
        })?;
        let outcome = self.write_compaction(group, anchor);
        self.fatal(outcome).map_err(|source| CompactError::Failed { group, source })?;
        Ok(anchor)
    }

    fn reset(&mut self, group: GroupId, anchor: Anchor) -> Result<(), ResetError> {
        self.alive(ResetError::Poisoned)?;
        if !self.members.contains_key(&group) {
            return Err(ResetError::UnknownGroup { group });
        }
        let outcome = self.write_reset(group, anchor);
        self.fatal(outcome).map_err(|source| ResetError::Failed { group, source })
    }

    fn reader(&self) -> Arc<dyn LogReader> {
        Arc::new(self.shared.clone())
    }

    fn totals(&self) -> WriteTotals {
        self.totals
    }
}

impl fmt::Debug for RocksLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksLog")
            .field("members", &self.members)
            .field("totals", &self.totals)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

fn put_record(writes: &mut WriteBatch, group: GroupId, state: &LogState) {
    let record = GroupRecord { hard_state: state.hard_state, anchor: state.anchor, last: state.last };
    writes.put(key::group(group), record.encode(group));
}

const BACKGROUND_ERRORS: &str = "rocksdb.background-errors";
