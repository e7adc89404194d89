//! Handles of payloads, and what the log says about them.

use core::fmt::Debug;

use blockraft_blocks::Multihash;
use blockraft_types::Position;

/// A handle of a block's bytes, cheap to clone.
///
/// In production it is a verified block whose bytes are shared; in a simulation a name and a length are enough. Who
/// makes one vouches that the bytes hash to the name: the exchange never looks at them.
pub trait Payload: Clone + Debug {
    /// The block's multihash.
    fn name(&self) -> Multihash;

    /// Its length in bytes.
    fn length(&self) -> u32;

    /// Both together.
    fn named(&self) -> Named {
        Named { name: self.name(), length: self.length() }
    }
}

/// A block as a log entry names it. The simplest [`Payload`] too: one without bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Named {
    /// The block's multihash.
    pub name: Multihash,
    /// Its length in bytes.
    pub length: u32,
}

/// The payloads that an entry needs: the blocks of its puts whose bodies aren't inlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryNames {
    /// Term and index of the entry.
    pub position: Position,
    /// What it names; empty for entries that need no payload.
    pub names: Vec<Named>,
}

impl Payload for Named {
    fn name(&self) -> Multihash {
        self.name
    }

    fn length(&self) -> u32 {
        self.length
    }
}
