//! Reads a whole database and says what it holds, or where it is damaged.

use std::collections::BTreeMap;

use blockraft_log::{Cause, LogState, Misfit};
use blockraft_types::{GroupId, LogIndex};
use rocksdb::{DB, IteratorMode};

use crate::key::{self, Key};
use crate::record::{Damage, GroupRecord, decode_entry};

/// Why a database isn't a whole log.
#[derive(Debug)]
pub(crate) enum AuditError {
    /// Something in it isn't what was written.
    Damaged { group: GroupId, index: LogIndex, what: &'static str },
    /// A key that no log has.
    ForeignKey,
    /// It can't be read.
    Failed(Cause),
}

/// The state of each group, after every entry was read, verified and chained.
pub(crate) fn audit(db: &DB) -> Result<BTreeMap<GroupId, LogState>, AuditError> {
    let records = records(db)?;
    let mut states: BTreeMap<GroupId, LogState> = BTreeMap::new();
    for (group, record) in &records {
        states.insert(*group, LogState::empty(record.hard_state, record.anchor));
    }
    // Entries come first in the order of keys: everything up to the first group record is one.
    for item in db.iterator(IteratorMode::Start) {
        let (key, value) = item.map_err(failed)?;
        let (group, index) = match key::parse(&key) {
            Some(Key::Entry(group, index)) => (group, index),
            Some(Key::Group(_)) => break,
            None => return Err(AuditError::ForeignKey),
        };
        let damaged = |what| AuditError::Damaged { group, index, what };
        let state = states.get_mut(&group).ok_or_else(|| damaged("the entry's group has no record"))?;
        let entry = decode_entry(group, index, &value).map_err(|Damage(what)| damaged(what))?;
        state.append(&entry).map_err(|misfit| damaged(what_breaks(&misfit)))?;
    }
    for (group, record) in records {
        let state = states.get(&group);
        if let Some(state) = state.filter(|state| state.last != record.last) {
            let index = state.last.position.index.min(record.last.position.index).next();
            let what = "the group's record and its last entry disagree";
            return Err(AuditError::Damaged { group, index, what });
        }
    }
    Ok(states)
}

/// The record of each group, read alone: enough to see whether two views of a database are the same.
pub(crate) fn records(db: &DB) -> Result<BTreeMap<GroupId, GroupRecord>, AuditError> {
    let mut records = BTreeMap::new();
    let first = key::group(GroupId(0));
    for item in db.iterator(IteratorMode::From(&first, rocksdb::Direction::Forward)) {
        let (key, value) = item.map_err(failed)?;
        let Some(Key::Group(group)) = key::parse(&key) else { return Err(AuditError::ForeignKey) };
        let record = GroupRecord::decode(group, &value);
        let damaged = |Damage(what)| AuditError::Damaged { group, index: LogIndex::ZERO, what };
        records.insert(group, record.map_err(damaged)?);
    }
    Ok(records)
}

fn failed(error: rocksdb::Error) -> AuditError {
    AuditError::Failed(error.into())
}

fn what_breaks(misfit: &Misfit) -> &'static str {
    match misfit {
        Misfit::OutOfOrder { .. } => "it doesn't follow the entry before it",
        Misfit::BreaksChain { .. } => "it breaks the digest chain",
        _ => "it isn't the entry that was written",
    }
}
