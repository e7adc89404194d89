//! The suite passes the table in memory, and finds each way in which a table can be wrong.

use std::sync::{Arc, Mutex};

use crate::memory::MemoryTable;
use crate::suite::{self, Directory, PowerCut, Violation};
use crate::table::{Change, FlushError, KeyRange, Pair, ReadError, Table, View, WriteBatch, WriteError};

/// What a table does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    WritesOneByOne,
    FirstChangeOfAKeyStays,
    FlushIsALie,
    SurvivorsAreTheLatest,
    ScanRunsBackwards,
    ScanIgnoresItsLimit,
    ScanIncludesItsEnd,
    ScanIgnoresItsFirst,
    ViewsMove,
    EmptyValuesAreAbsent,
    KeysAreText,
    RemovedKeysComeBack,
    RangesKeepTheirFirst,
}

#[derive(Clone, Debug)]
struct Flawed {
    flaw: Flaw,
    table: MemoryTable,
    /// Batches since the last flush, for what only a disk can do wrong.
    unflushed: Arc<Mutex<Vec<WriteBatch>>>,
}

struct FlawedView<'a> {
    flawed: &'a Flawed,
    view: Box<dyn View + 'a>,
}

impl Flawed {
    fn of(flaw: Flaw) -> Self {
        Self { flaw, table: MemoryTable::new(), unflushed: Arc::default() }
    }
}

impl Directory for Flawed {
    fn open(&self) -> Box<dyn Table> {
        Box::new(self.clone())
    }

    fn cut_power(&self) -> PowerCut {
        let unflushed = std::mem::take(&mut *self.unflushed.lock().unwrap());
        match self.flaw {
            Flaw::SurvivorsAreTheLatest => {
                self.table.cut_power(0);
                unflushed.into_iter().next_back().into_iter().for_each(|batch| self.table.write(batch).unwrap());
            }
            Flaw::FlushIsALie => self.table.cut_power(0),
            _ => self.table.cut_power(self.table.unflushed() / 2),
        }
        PowerCut::Done
    }
}

impl Table for Flawed {
    fn view(&self) -> Box<dyn View + '_> {
        Box::new(FlawedView { flawed: self, view: self.table.view() })
    }

    fn write(&self, mut batch: WriteBatch) -> Result<(), WriteError> {
        self.unflushed.lock().unwrap().push(batch.clone());
        match self.flaw {
            Flaw::WritesOneByOne => {
                return batch
                    .changes
                    .into_iter()
                    .try_for_each(|change| self.table.write(WriteBatch { changes: vec![change] }));
            }
            Flaw::FirstChangeOfAKeyStays => batch.changes.reverse(),
            Flaw::RemovedKeysComeBack => batch.changes.retain(|change| !matches!(change, Change::Remove { .. })),
            Flaw::RangesKeepTheirFirst => {
                for change in &mut batch.changes {
                    if let Change::RemoveRange { first, .. } = change {
                        first.push(0);
                    }
                }
            }
            Flaw::KeysAreText => {
                for change in &mut batch.changes {
                    let keys = match change {
                        Change::Set { key, .. } | Change::Remove { key } => vec![key],
                        Change::RemoveRange { first, end } => vec![first, end],
                    };
                    keys.into_iter().for_each(|key| *key = String::from_utf8_lossy(key).into_owned().into_bytes());
                }
            }
            _ => {}
        }
        self.table.write(batch)
    }

    fn flush(&self) -> Result<(), FlushError> {
        self.unflushed.lock().unwrap().clear();
        if self.flaw == Flaw::FlushIsALie { Ok(()) } else { self.table.flush() }
    }
}

impl View for FlawedView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let value = match self.flawed.flaw {
            Flaw::ViewsMove => self.flawed.table.view().get(key)?,
            _ => self.view.get(key)?,
        };
        Ok(value.filter(|value| self.flawed.flaw != Flaw::EmptyValuesAreAbsent || !value.is_empty()))
    }

    fn scan(&self, range: KeyRange<'_>, limit: usize) -> Result<Vec<Pair>, ReadError> {
        match self.flawed.flaw {
            Flaw::ViewsMove => self.flawed.table.view().scan(range, limit),
            Flaw::ScanIgnoresItsLimit => self.view.scan(range, usize::MAX),
            Flaw::ScanIncludesItsEnd => self.view.scan(KeyRange { end: &[range.end, &[0]].concat(), ..range }, limit),
            Flaw::ScanIgnoresItsFirst => self.view.scan(KeyRange { first: &[], ..range }, limit),
            Flaw::ScanRunsBackwards => {
                let mut pairs = self.view.scan(range, limit)?;
                pairs.reverse();
                Ok(pairs)
            }
            _ => self.view.scan(range, limit),
        }
    }
}

fn judge(flaw: Flaw) -> Result<(), Violation> {
    suite::run(&|| Box::new(Flawed::of(flaw)))
}

#[test]
fn the_table_in_memory_keeps_every_claim() {
    judge(Flaw::None).unwrap();
}

#[test]
fn every_flaw_breaks_a_claim() {
    for (flaw, claims) in [
        (
            Flaw::WritesOneByOne,
            // Which one depends on how two threads meet; the second one finds it always.
            &["a view shows all of a batch or nothing", "after a power cut the table is as after one of its batches"][..],
        ),
        (Flaw::FirstChangeOfAKeyStays, &["the last change of a key in a batch stays"][..]),
        (Flaw::FlushIsALie, &["keys and values are any bytes"][..]),
        (Flaw::SurvivorsAreTheLatest, &["after a power cut the table is as after one of its batches"][..]),
        (Flaw::ScanRunsBackwards, &["the last change of a key in a batch stays"][..]),
        (Flaw::ScanIgnoresItsLimit, &["a scan gives the pairs of its range in the order of bytes"][..]),
        (Flaw::ScanIncludesItsEnd, &["a scan gives the pairs of its range in the order of bytes"][..]),
        (Flaw::ScanIgnoresItsFirst, &["a scan gives the pairs of its range in the order of bytes"][..]),
        (Flaw::ViewsMove, &["a view shows one moment"][..]),
        (Flaw::EmptyValuesAreAbsent, &["keys and values are any bytes"][..]),
        (Flaw::KeysAreText, &["a scan gives the pairs of its range in the order of bytes"][..]),
        (Flaw::RangesKeepTheirFirst, &["a range of keys goes with one change"][..]),
        (Flaw::RemovedKeysComeBack, &["a batch is visible once it was written"][..]),
    ] {
        let violation = judge(flaw).expect_err(&format!("{flaw:?} went unnoticed"));
        assert!(claims.contains(&violation.claim), "{flaw:?}: {violation}");
    }
}
