//! Where the suite finds a store again after it was closed.

use crate::store::LogStore;

/// A place that holds a log while no process has it open: a temporary directory, a pretended disk.
pub trait Directory {
    /// Opens the log as a process that starts would; empty at first. The suite drops a store and its readers before it
    /// asks again.
    fn open(&self) -> Box<dyn LogStore>;

    /// Cuts the power while no store is open: what isn't durable is gone.
    fn cut_power(&self) -> PowerCut {
        PowerCut::Impossible
    }

    /// Remembers what is on the disk, while no store is open.
    fn remember(&self) {}

    /// Goes back, while no store is open, to the entries that were remembered last, as a disk would that lied about its syncs
    /// since. What the store keeps beside its entries so that such a loss is noticed stays as it is.
    fn lose_tail(&self) -> TailLoss {
        TailLoss::Impossible
    }
}

/// Whether the end of a log could be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailLoss {
    /// It is.
    Done,
    /// It can't be: what a store says of a loss isn't judged.
    Impossible,
}

/// Whether a directory could lose its power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// It did.
    Done,
    /// It can't: claims about durability are then judged by reopening alone.
    Impossible,
}
