//! Reading entries from a shared database, each verified against the chain before it is given out.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blockraft_log::{Anchor, Cause, ENTRY_OVERHEAD_BYTES, LogReader, ReadError};
use blockraft_types::{Entry, GroupId, LogIndex};
use rocksdb::{DB, ReadOptions, Snapshot};

use crate::directory::Directory;
use crate::key;
use crate::record::{Damage, GroupRecord, decode_entry};

/// An open database that its one writer and all readers share; each of them keeps it open.
#[derive(Clone)]
pub(crate) struct Shared {
    // Fields are dropped in this order: the database is closed before the directory's lock is let go.
    pub(crate) db: Arc<DB>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) poisoned: Arc<AtomicBool>,
}

impl Shared {
    pub(crate) fn new(db: DB, directory: Directory) -> Self {
        Self { db: Arc::new(db), directory: Arc::new(directory), poisoned: Arc::default() }
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// The entry at `index` of a group, as an anchor for what follows it.
    pub(crate) fn anchor_at(&self, group: GroupId, index: LogIndex) -> Result<Anchor, ReadError> {
        anchor_at(&self.db.snapshot(), group, index)
    }
}

impl LogReader for Shared {
    fn entries(
        &self,
        group: GroupId,
        first: LogIndex,
        last: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, ReadError> {
        if self.is_poisoned() {
            return Err(ReadError::Poisoned);
        }
        let view = self.db.snapshot();
        let record = view.get_pinned(key::group(group)).map_err(|error| failed(group, error.into()))?;
        let record = record.ok_or(ReadError::UnknownGroup { group })?;
        let damaged = |index, what| ReadError::Damaged { group, index, what };
        let record = GroupRecord::decode(group, &record).map_err(|Damage(what)| damaged(LogIndex::ZERO, what))?;
        let anchor = record.anchor.position;
        if first <= anchor.index {
            return Err(ReadError::Compacted { group, first, anchor });
        }
        let last = last.min(record.last.position.index);
        if last < first {
            return Ok(Vec::new());
        }
        let before = first.previous();
        let mut previous = if before == anchor.index { record.anchor } else { anchor_at(&view, group, before)? };

        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(key::entry(group, last.next()).to_vec());
        let mut rows = view.raw_iterator_opt(options);
        rows.seek(key::entry(group, first));
        let mut budget = bytes_max;
        let mut entries: Vec<Entry> = Vec::new();
        while previous.position.index < last {
            let index = previous.position.index.next();
            let Some((key, value)) = rows.item() else {
                rows.status().map_err(|error| failed(group, error.into()))?;
                return Err(damaged(index, "the entry is missing"));
            };
            if key != key::entry(group, index) {
                return Err(damaged(index, "the entry is missing"));
            }
            let entry = decode_entry(group, index, value).map_err(|Damage(what)| damaged(index, what))?;
            if !entry.head.follows(previous.chain) {
                return Err(damaged(index, "it breaks the digest chain"));
            }
            let cost = u64::from(entry.head.body_bytes) + ENTRY_OVERHEAD_BYTES;
            if budget < cost && !entries.is_empty() {
                break;
            }
            budget = budget.saturating_sub(cost);
            previous = Anchor { position: entry.head.position, chain: entry.head.chain };
            entries.push(entry);
            rows.next();
        }
        Ok(entries)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { db: _, directory, poisoned } = self;
        f.debug_struct("Shared").field("directory", directory).field("poisoned", poisoned).finish_non_exhaustive()
    }
}

fn anchor_at(view: &Snapshot<'_>, group: GroupId, index: LogIndex) -> Result<Anchor, ReadError> {
    let damaged = |what| ReadError::Damaged { group, index, what };
    let value = view.get_pinned(key::entry(group, index)).map_err(|error| failed(group, error.into()))?;
    let value = value.ok_or_else(|| damaged("the entry is missing"))?;
    let entry = decode_entry(group, index, &value).map_err(|Damage(what)| damaged(what))?;
    Ok(Anchor { position: entry.head.position, chain: entry.head.chain })
}

fn failed(group: GroupId, source: Cause) -> ReadError {
    ReadError::Failed { group, source }
}
