//! A table in memory that can lose its power.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::table::{Change, FlushError, KeyRange, Pair, ReadError, Table, View, WriteBatch, WriteError};

/// A [`Table`] in memory. Clones are handles of one table, so a test keeps one, drops the catalog and opens another.
///
/// It remembers every batch since the last flush to be able to [lose it](Self::cut_power): flush now and then.
///
/// # Examples
/// ```
/// use blockraft_catalog::{Change, MemoryTable, Table, WriteBatch};
///
/// let table = MemoryTable::new();
/// let set = |key: &str| WriteBatch { changes: vec![Change::Set { key: key.into(), value: vec![] }] };
/// table.write(set("flushed"))?;
/// table.flush()?;
/// table.write(set("lost"))?;
/// table.cut_power(0);
/// assert!(table.view().get(b"flushed")?.is_some());
/// assert!(table.view().get(b"lost")?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryTable {
    image: Arc<Mutex<Image>>,
}

/// What the table is told to fail at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The next write fails and changes nothing.
    Write,
    /// The next flush fails and makes nothing durable.
    Flush,
    /// The next read fails.
    Read,
}

/// A fault that a test asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a fault was injected")]
pub struct InjectedFault;

#[derive(Debug, Default)]
struct Image {
    durable: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// What was written since the last flush, oldest first.
    unflushed: VecDeque<WriteBatch>,
    /// `durable` with `unflushed` on top.
    current: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct MemoryView {
    pairs: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
    table: MemoryTable,
}

impl MemoryTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power. What was flushed stays; of the batches written since, the first `surviving` stay, as when the
    /// table had begun to write them out on its own.
    pub fn cut_power(&self, surviving: usize) {
        let image = &mut *self.image();
        let survivors = image.unflushed.drain(..).take(surviving).collect::<Vec<_>>();
        for batch in survivors {
            change(&mut image.durable, batch);
        }
        image.current = Arc::new(BTreeMap::clone(&image.durable));
    }

    /// Another table with what is durable in this one: what a copy of it holds that is made now.
    #[must_use]
    pub fn copy(&self) -> Self {
        let durable = Arc::clone(&self.image().durable);
        let image = Image { current: Arc::clone(&durable), durable, ..Image::default() };
        Self { image: Arc::new(Mutex::new(image)) }
    }

    /// How many batches were written since the last flush.
    #[must_use]
    pub fn unflushed(&self) -> usize {
        self.image().unflushed.len()
    }

    /// Lets the next operation of this kind fail.
    pub fn inject(&self, fault: Fault) {
        self.image().faults.push(fault);
    }

    fn image(&self) -> MutexGuard<'_, Image> {
        // Every change of the image is whole before anything can panic, so a poisoned lock guards a sound image.
        self.image.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table for MemoryTable {
    fn view(&self) -> Box<dyn View + '_> {
        Box::new(MemoryView { pairs: Arc::clone(&self.image().current), table: self.clone() })
    }

    fn write(&self, batch: WriteBatch) -> Result<(), WriteError> {
        let image = &mut *self.image();
        image.fail(Fault::Write).map_err(|fault| WriteError { source: fault.into() })?;
        change(&mut image.current, batch.clone());
        image.unflushed.push_back(batch);
        Ok(())
    }

    fn flush(&self) -> Result<(), FlushError> {
        let image = &mut *self.image();
        image.fail(Fault::Flush).map_err(|fault| FlushError { source: fault.into() })?;
        for batch in image.unflushed.drain(..) {
            change(&mut image.durable, batch);
        }
        Ok(())
    }
}

impl View for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.table.image().fail(Fault::Read).map_err(|fault| ReadError { source: fault.into() })?;
        Ok(self.pairs.get(key).cloned())
    }

    fn scan(&self, range: KeyRange<'_>, limit: usize) -> Result<Vec<Pair>, ReadError> {
        self.table.image().fail(Fault::Read).map_err(|fault| ReadError { source: fault.into() })?;
        if range.end <= range.first {
            return Ok(Vec::new());
        }
        let bounds = (Bound::Included(range.first), Bound::Excluded(range.end));
        let pairs = self.pairs.range::<[u8], _>(bounds).take(limit);
        Ok(pairs.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl Image {
    fn fail(&mut self, kind: Fault) -> Result<(), InjectedFault> {
        let Some(place) = self.faults.iter().position(|&fault| fault == kind) else {
            return Ok(());
        };
        self.faults.remove(place);
        Err(InjectedFault)
    }
}

/// Copies the pairs only while a view shares them.
fn change(pairs: &mut Arc<BTreeMap<Vec<u8>, Vec<u8>>>, batch: WriteBatch) {
    let pairs = Arc::make_mut(pairs);
    for change in batch.changes {
        match change {
            Change::Set { key, value } => drop(pairs.insert(key, value)),
            Change::Remove { key } => drop(pairs.remove(&key)),
            Change::RemoveRange { first, end } => pairs.retain(|key, _| *key < first || end <= *key),
        }
    }
}
