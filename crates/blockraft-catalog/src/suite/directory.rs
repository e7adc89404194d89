//! What the suite needs of a place where a table lives.

use crate::table::Table;

/// A place that holds a table while no process has it open: a temporary directory, a pretended disk.
pub trait Directory {
    /// Opens the table as a process that starts would; empty at first. The suite drops a table before it asks again.
    fn open(&self) -> Box<dyn Table>;

    /// Cuts the power while no table is open: what isn't durable may be gone.
    fn cut_power(&self) -> PowerCut {
        PowerCut::Impossible
    }
}

/// Whether a directory could lose its power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// It did.
    Done,
    /// It can't: claims about durability are then judged by reopening alone.
    Impossible,
}
