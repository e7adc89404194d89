//! What can be asked of the catalog through the log.

use blockraft_blocks::Multihash;
use blockraft_types::Turn;
use bytes::Bytes;

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
    /// Make a block invisible.
    Delete {
        /// Its name.
        multihash: Multihash,
    },
    /// Change nothing.
    Noop,
    /// Begin a session. Its name follows from where this command stands: see [`SessionId`](blockraft_types::SessionId).
    OpenSession,
}

impl From<Command> for Request {
    /// A command of no session.
    fn from(command: Command) -> Self {
        Self { turn: None, command }
    }
}
