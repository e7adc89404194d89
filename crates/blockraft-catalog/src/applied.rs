//! What applying an entry did, or why it wasn't applied.

use blockraft_blocks::Multihash;
use blockraft_types::Position;
use bytes::Bytes;
use thiserror::Error;

use crate::batch::DecodeBatchError;
use crate::moment::RowError;
use crate::outcome::Settled;
use crate::table::WriteError;

/// What applying one entry did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The entry.
    pub position: Position,
    /// What became of each command of its body, in order; none for an entry of consensus itself.
    pub outcomes: Vec<Settled>,
    /// What changed for the data plane, in order.
    pub effects: Vec<Effect>,
}

/// A change that concerns the bytes of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The block became visible: its payload must stay.
    Live {
        /// Its name.
        multihash: Multihash,
        /// Its length in bytes.
        length: u32,
        /// Its bytes, when they came in the log: they have to reach the block store before the log may be compacted
        /// past this entry.
        inline: Option<Bytes>,
    },
    /// The block became invisible: its payload may be reclaimed once the log is compacted past this entry, unless the
    /// block is visible again by then.
    Dead {
        /// Its name.
        multihash: Multihash,
        /// Its length in bytes.
        length: u32,
    },
}

/// Why an entry was not applied. Each of these stops the member: skipping the entry would let replicas part in silence.
/// Nothing of the call's entries was applied, except after [`Write`](Self::Write), where that is unknown.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The entry is not the one after the last one applied.
    #[error("entry {found} does not come after {applied}, which was applied last")]
    OutOfOrder {
        /// The entry that came.
        found: Position,
        /// The last one applied.
        applied: Position,
    },
    /// The entry continues another log than the one applied so far.
    #[error("entry {position} continues another log than the one applied so far")]
    Chain {
        /// The entry.
        position: Position,
    },
    /// The body is not the one that the head describes.
    #[error("the body of entry {position} is damaged")]
    Body {
        /// The entry.
        position: Position,
    },
    /// The body is no batch of commands that this release can read.
    #[error("the body of committed entry {position} is no batch of commands")]
    Undecodable {
        /// The entry.
        position: Position,
        /// What is wrong with it.
        #[source]
        source: DecodeBatchError,
    },
    /// A row that the entry needs could not be read.
    #[error("reading a row for entry {position}")]
    Row {
        /// The entry.
        position: Position,
        /// What is wrong.
        #[source]
        source: RowError,
    },
    /// The entries could not be written.
    #[error("writing what entries up to {position} changed")]
    Write {
        /// The last entry of the call.
        position: Position,
        /// What the table said.
        #[source]
        source: WriteError,
    },
    /// A write or a flush failed before: nothing is applied until the catalog is opened anew.
    #[error("the catalog stopped after a failed write or flush")]
    Stopped,
}
