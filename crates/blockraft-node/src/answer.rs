//! What a node answers: a value, and the position that it is as of.

use blockraft_blocks::Multihash;
use blockraft_catalog::{Outcome, Row, Settled};
use blockraft_types::Position;

/// A write that is committed and applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Written {
    /// What it did.
    pub outcome: Outcome,
    /// Where it stands in the log: for a command of a session that was repeated, where it was carried out; for a put of a
    /// block that was already visible, the position at which that was confirmed.
    pub position: Position,
}

impl From<Settled> for Written {
    fn from(Settled { outcome, position }: Settled) -> Self {
        Self { outcome, position }
    }
}

/// The answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// The replica had applied at least this when it answered. Carry it to the next node that you ask.
    pub position: Position,
}

/// A page of names, in the order of their multihashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The blocks of this page.
    pub entries: Vec<(Multihash, Row)>,
    /// Where the next page starts; `None` after the last one.
    pub next: Option<Multihash>,
}

/// How many blocks are visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Visible blocks.
    pub blocks: u64,
    /// Their lengths together, in bytes.
    pub bytes: u64,
}
