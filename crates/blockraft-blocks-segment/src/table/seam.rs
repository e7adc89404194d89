//! What the index asks of its table.

use std::fmt;
use std::io;

/// Keys in the order of their bytes, with their values.
pub trait Table: Send + Sync + fmt::Debug + 'static {
    /// Reads one value.
    ///
    /// # Errors
    ///
    /// What the table says.
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Reads at most `limit` keys and values in order, of those behind `after` and before `before`.
    ///
    /// # Errors
    ///
    /// What the table says.
    fn scan(&self, after: &[u8], before: &[u8], limit: usize) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>>;

    /// Writes all of it or nothing, to be read at once. Only one thread writes.
    ///
    /// # Errors
    ///
    /// What the table says; it must not be written to any more.
    fn write(&self, changes: Vec<Change>) -> io::Result<()>;

    /// Makes all that was written durable.
    ///
    /// # Errors
    ///
    /// What the table says; it must not be written to any more.
    fn flush(&self) -> io::Result<()>;
}

/// A key with its new value, or with none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// What it is to have.
    pub value: Option<Vec<u8>>,
}
