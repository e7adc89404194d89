//! What can be asked of the catalog through the log.

use blockraft_blocks::Multihash;
use blockraft_types::{ImportId, LogIndex, Turn};
use bytes::Bytes;

use crate::links::Links;
use crate::pin::PinMode;
use crate::vertex::Vertex;

/// A command as it stands in the log. An entry's body is a [batch](crate::batch) of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Whose turn it is, if it belongs to a session: then it is carried out once at most, however often it stands in the
    /// log. Without one it is carried out each time.
    pub turn: Option<Turn>,
    /// What is to be done.
    pub command: Command,
}

/// One command.
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
    /// Make a block invisible, unless a pin covers it.
    Delete {
        /// Its name.
        multihash: Multihash,
    },
    /// Change nothing.
    Noop,
    /// Begin a session. Its name follows from where this command stands: see [`SessionId`](blockraft_types::SessionId).
    OpenSession,
    /// Begin an import: until it is over, nothing is collected. Its name follows from where this command stands: see
    /// [`ImportId`]. It comes before the first look for what is there already.
    OpenImport,
    /// Say that an import goes on.
    KeepImport {
        /// Its name.
        import: ImportId,
    },
    /// End an import.
    EndImport {
        /// Its name.
        import: ImportId,
    },
    /// End an import that nobody keeps any more, as a node thinks by its own clock.
    ExpireImport {
        /// Its name.
        import: ImportId,
        /// The entry that kept it last, as far as that node knows: if another one has since, it goes on.
        last_kept: LogIndex,
    },
    /// Record what a visible block links to.
    Link {
        /// The block, and the codec that its bytes were read with.
        parent: Vertex,
        /// What they were found to link to.
        links: Links,
    },
    /// Keep a block, or all that it leads to, if all of it is here.
    Pin {
        /// Where it begins.
        root: Vertex,
        /// How much is kept.
        mode: PinMode,
    },
    /// Take a pin away.
    Unpin {
        /// Where it began.
        root: Vertex,
        /// How much was kept.
        mode: PinMode,
    },
    /// Make a block invisible that nothing holds: neither a pin that covers it, nor any import.
    Collect {
        /// Its name.
        multihash: Multihash,
    },
}

impl From<Command> for Request {
    /// A command of no session.
    fn from(command: Command) -> Self {
        Self { turn: None, command }
    }
}
