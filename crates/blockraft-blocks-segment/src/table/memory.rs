//! A table in memory that forgets on demand.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::seam::{Change, Table};

/// A table in memory. A clone is the same table.
#[derive(Clone, Debug, Default)]
pub struct MemoryTable {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    current: BTreeMap<Vec<u8>, Vec<u8>>,
    durable: BTreeMap<Vec<u8>, Vec<u8>>,
    unflushed: Vec<Vec<Change>>,
}

impl MemoryTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many batches were written since the last flush.
    #[must_use]
    pub fn unflushed_batches(&self) -> usize {
        self.state().unflushed.len()
    }

    /// Forgets what a crash would make it forget, but for the first `kept` batches since the last flush.
    pub fn power_cycle(&self, kept: usize) {
        let mut state = self.state();
        for batch in std::mem::take(&mut state.unflushed).into_iter().take(kept) {
            apply(&mut state.durable, batch);
        }
        state.current = state.durable.clone();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held can't have left a batch half applied that anyone still reads.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(table: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: Vec<Change>) {
    for Change { key, value } in batch {
        match value {
            Some(value) => drop(table.insert(key, value)),
            None => drop(table.remove(&key)),
        }
    }
}

impl Table for MemoryTable {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.state().current.get(key).cloned())
    }

    fn scan(&self, after: &[u8], before: &[u8], limit: usize) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        if after >= before {
            return Ok(Vec::new());
        }
        let bounds = (Bound::Excluded(after.to_vec()), Bound::Excluded(before.to_vec()));
        let state = self.state();
        Ok(state.current.range(bounds).take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&self, changes: Vec<Change>) -> io::Result<()> {
        let mut state = self.state();
        apply(&mut state.current, changes.clone());
        state.unflushed.push(changes);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        state.unflushed.clear();
        state.durable = state.current.clone();
        Ok(())
    }
}
