//! Imports: what names one.
//!
//! Whoever brings in a graph of blocks opens an import first, through the log: while it is open, no garbage is collected,
//! so what was found to be there stays until something holds it.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::position::LogIndex;

/// An import, named by the command that opened it. The log gives each name once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ImportId {
    /// The entry that opened it.
    pub opened: LogIndex,
    /// The place of the command in that entry, counted from 0.
    pub number: u32,
}

impl fmt::Display for ImportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.opened, self.number)
    }
}

impl fmt::Debug for ImportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "import {self}")
    }
}
