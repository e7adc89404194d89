//! What can be asked of the catalog through the log.

use blockraft_blocks::Multihash;
use bytes::Bytes;

/// One command. An entry's body is a [batch](crate::batch) of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Make a block visible.
    Put {
        /// Its name.
        multihash: Multihash,
        /// Its length in bytes.
        length: u32,
        /// The block's bytes, when it is small enough to ride in the log; `None` when they were made durable beside it.
        inline: Option<Bytes>,
    },
    /// Make a block invisible.
    Delete {
        /// Its name.
        multihash: Multihash,
    },
    /// Change nothing.
    Noop,
}
