//! The seam to an ordered table: bytes to bytes, in the order of keys.
//!
//! A catalog needs little of a database: reads of one moment, atomic batches, and a flush now and then. It needs no
//! sync of its own for a batch, since the Raft log is its write-ahead log.

use core::error::Error;
use core::fmt;
use std::sync::Arc;

use thiserror::Error;

/// An ordered table.
///
/// # Who calls it
///
/// Any thread reads, writes and flushes, at the same time; no two write the same key. All calls wait for the disk; none may be made
/// from a task that must not wait.
///
/// # What an implementation promises
///
/// - *Atomic.* Of a batch, a view sees all or nothing, and so does whoever opens the table after a crash.
/// - *In order.* After a crash the table is as it was after one of its batches: never with a batch and without an
///   earlier one.
/// - *Durable by flush.* What was written before a [`flush`](Self::flush) began survives a power cut once it returned.
///   Without a flush, a batch may or may not survive.
/// - *One moment.* A [`View`] shows the table as it was when the view was taken, whatever is written meanwhile.
/// - *A failed write or flush is final.* The caller writes nothing more until the table is opened anew.
///
/// # What it must never do
///
/// Drop a damaged record in silence: a read that can't be trusted is an error.
///
/// # The suite
///
/// [`suite::run`](crate::suite::run) judges an implementation.
pub trait Table: Send + Sync + fmt::Debug + 'static {
    /// The table as it is now.
    fn view(&self) -> Box<dyn View + '_>;

    /// Writes a batch. It is visible once this returns, and durable after the next flush.
    ///
    /// # Errors
    /// Whether the batch was written is unknown.
    fn write(&self, batch: WriteBatch) -> Result<(), WriteError>;

    /// Makes everything durable that was written before the call.
    ///
    /// # Errors
    /// Nothing is known to be durable that was not before.
    fn flush(&self) -> Result<(), FlushError>;
}

/// A table at one moment.
pub trait View {
    /// The value of a key.
    ///
    /// # Errors
    /// The table couldn't be read. An absent key is no error.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError>;

    /// The pairs whose keys lie in `range`, in the order of their keys as bytes, at most `limit` of them.
    ///
    /// # Errors
    /// The table couldn't be read. A result is never short for another reason than that there are no more pairs.
    fn scan(&self, range: KeyRange<'_>, limit: usize) -> Result<Vec<Pair>, ReadError>;
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Keys from `first` on and before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange<'a> {
    /// The first key that may be in the range.
    pub first: &'a [u8],
    /// The first key behind the range.
    pub end: &'a [u8],
}

/// Changes that happen together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    /// In the order given: of two changes of one key the later one stays.
    pub changes: Vec<Change>,
}

/// One change of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives a key a value, whether it had one or not.
    Set {
        /// The key.
        key: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
    /// Takes a key away, whether it was there or not.
    Remove {
        /// The key.
        key: Vec<u8>,
    },
    /// Takes all keys of a range away, at a price that doesn't hang on how many there are.
    RemoveRange {
        /// The first key of the range.
        first: Vec<u8>,
        /// The first key behind it; nothing happens if that isn't greater.
        end: Vec<u8>,
    },
}

/// What a database or a device said when it failed: each table has its own words for it.
pub type Cause = Box<dyn Error + Send + Sync + 'static>;

/// The table couldn't be read.
#[derive(Debug, Error)]
#[error("reading the catalog's table")]
pub struct ReadError {
    /// What the table said.
    #[source]
    pub source: Cause,
}

/// A batch couldn't be written.
#[derive(Debug, Error)]
#[error("writing to the catalog's table")]
pub struct WriteError {
    /// What the table said.
    #[source]
    pub source: Cause,
}

/// A flush failed.
#[derive(Debug, Error)]
#[error("flushing the catalog's table")]
pub struct FlushError {
    /// What the table said.
    #[source]
    pub source: Cause,
}

impl<T: Table + ?Sized> Table for Arc<T> {
    fn view(&self) -> Box<dyn View + '_> {
        (**self).view()
    }

    fn write(&self, batch: WriteBatch) -> Result<(), WriteError> {
        (**self).write(batch)
    }

    fn flush(&self) -> Result<(), FlushError> {
        (**self).flush()
    }
}

impl<T: Table + ?Sized> Table for Box<T> {
    fn view(&self) -> Box<dyn View + '_> {
        (**self).view()
    }

    fn write(&self, batch: WriteBatch) -> Result<(), WriteError> {
        (**self).write(batch)
    }

    fn flush(&self) -> Result<(), FlushError> {
        (**self).flush()
    }
}
