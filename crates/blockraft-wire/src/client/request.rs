//! What a client asks.

use blockraft_blocks::block::VerifyError;
use blockraft_blocks::{Block, Multihash};
use blockraft_types::{MembershipChange, Position, Turn};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::change::WireChange;
use crate::client::limits::BLOCKS_MAX;
use crate::frame::{self, DecodeError, EncodeError, Frame};
use crate::header::BodyReader;
use crate::kind::Kind;

/// One question of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The highest position that any answer to this client carried; [`Position::ZERO`] before the first one.
    pub position: Position,
    /// What is to be done.
    pub operation: Operation,
}

/// What a client wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Make these blocks visible.
    Put {
        /// At most [`BLOCKS_MAX`].
        blocks: Vec<UnverifiedBlock>,
    },
    /// Send these blocks.
    Get {
        /// At most [`BLOCKS_MAX`].
        multihashes: Vec<Multihash>,
        /// How sure the answer has to be.
        consistency: Consistency,
    },
    /// Say which of these blocks are visible, and how long they are.
    Stat {
        /// At most [`BLOCKS_MAX`].
        multihashes: Vec<Multihash>,
        /// How sure the answer has to be.
        consistency: Consistency,
    },
    /// Make these blocks invisible.
    Delete {
        /// At most [`BLOCKS_MAX`].
        multihashes: Vec<Multihash>,
    },
    /// List visible blocks in the order of their multihashes.
    List {
        /// The end of the page before, or `None` for the first page.
        cursor: Option<Cursor>,
        /// The most blocks that the page should hold; the node may send fewer.
        limit: u32,
        /// How sure the answer has to be.
        consistency: Consistency,
    },
    /// Tell how the node asked is doing, as it sees itself.
    Status,
    /// Change the members of the cluster. Safe to repeat.
    ChangeMembers(MembershipChange),
    /// Open a session.
    OpenSession,
    /// Make these blocks visible, each once. Safe to repeat with the same turn, whatever became of it.
    PutInSession {
        /// Of the first block; each further one has the turn behind.
        turn: Turn,
        /// At most [`BLOCKS_MAX`].
        blocks: Vec<UnverifiedBlock>,
    },
    /// Make these blocks invisible, each once. Safe to repeat with the same turn, whatever became of it.
    DeleteInSession {
        /// Of the first block; each further one has the turn behind.
        turn: Turn,
        /// At most [`BLOCKS_MAX`].
        multihashes: Vec<Multihash>,
    },
}

/// Bytes that claim to be a block. [`verify`](Self::verify) finds out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedBlock {
    /// The name that they claim.
    pub multihash: Multihash,
    /// The bytes.
    pub bytes: Bytes,
}

/// How sure an answer about presence has to be. Bytes are never in doubt: they hash to their name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Consistency {
    /// What the node asked happens to know.
    Local,
    /// "Absent" is confirmed by a quorum. "Present" may be out of date with regard to deletes alone, and never with
    /// regard to what this client has seen.
    #[default]
    Confirmed,
    /// Confirmed by a quorum, always.
    Linearizable,
}

/// Where a page of a listing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// The last block of the page.
    pub after: Multihash,
    /// The position that the page was true at: the next one is never older.
    pub position: Position,
}

impl UnverifiedBlock {
    /// Hashes the bytes.
    ///
    /// # Errors
    /// They are another block's.
    pub fn verify(self) -> Result<Block, VerifyError> {
        Block::verify(self.multihash, self.bytes)
    }
}

impl From<Block> for UnverifiedBlock {
    fn from(block: Block) -> Self {
        Self { multihash: *block.multihash(), bytes: block.bytes().clone() }
    }
}

impl Request {
    /// Writes one frame. The blocks in it are not copied.
    ///
    /// # Errors
    /// More than [`BLOCKS_MAX`] blocks, or more bytes than a frame may hold.
    pub fn encode(&self) -> Result<Frame, EncodeError> {
        let (operation, bodies) = WireOperation::split(&self.operation);
        frame::at_most("blocks", operation.blocks(), BLOCKS_MAX)?;
        frame::encode(Kind::ClientRequest, &WireRequest { position: self.position, operation }, bodies)
    }

    /// Reads one frame. Blocks are slices of it.
    ///
    /// # Errors
    /// The bytes are not exactly one frame of this kind in the supported version.
    pub fn decode(frame: Bytes) -> Result<Self, DecodeError> {
        frame::decode(Kind::ClientRequest, frame).and_then(Self::join)
    }

    /// Reads one frame that came in two parts: see [`decode_parts`](frame::decode_parts).
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_parts(head: Bytes, tail: Bytes) -> Result<Self, DecodeError> {
        frame::decode_parts(Kind::ClientRequest, head, tail).and_then(Self::join)
    }

    fn join((header, tail): (WireRequest, Bytes)) -> Result<Self, DecodeError> {
        let mut bodies = BodyReader::new(tail);
        let operation = header.operation.join(&mut bodies).ok_or(DecodeError::Bodies { kind: Kind::ClientRequest })?;
        match bodies.rest_bytes() {
            0 => Ok(Self { position: header.position, operation }),
            _ => Err(DecodeError::Bodies { kind: Kind::ClientRequest }),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct WireRequest {
    position: Position,
    operation: WireOperation,
}

/// An operation as it stands in the header, the bytes of blocks behind it.
///
/// The order of the variants is the wire's: it changes only with the version.
#[derive(Serialize, Deserialize)]
enum WireOperation {
    Put {
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        blocks: Vec<BlockHead>,
    },
    Get {
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        multihashes: Vec<Multihash>,
        consistency: Consistency,
    },
    Stat {
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        multihashes: Vec<Multihash>,
        consistency: Consistency,
    },
    Delete {
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        multihashes: Vec<Multihash>,
    },
    List {
        cursor: Option<Cursor>,
        limit: u32,
        consistency: Consistency,
    },
    Status,
    ChangeMembers(WireChange),
    OpenSession,
    PutInSession {
        turn: Turn,
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        blocks: Vec<BlockHead>,
    },
    DeleteInSession {
        turn: Turn,
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        multihashes: Vec<Multihash>,
    },
}

#[derive(Serialize, Deserialize)]
struct BlockHead {
    multihash: Multihash,
    length: u64,
}

impl WireOperation {
    fn split(operation: &Operation) -> (Self, Vec<Bytes>) {
        let header = match operation {
            Operation::Put { blocks } => {
                let (blocks, bodies) = split_blocks(blocks);
                return (Self::Put { blocks }, bodies);
            }
            Operation::PutInSession { turn, blocks } => {
                let (blocks, bodies) = split_blocks(blocks);
                return (Self::PutInSession { turn: *turn, blocks }, bodies);
            }
            Operation::Get { multihashes, consistency } => {
                Self::Get { multihashes: multihashes.clone(), consistency: *consistency }
            }
            Operation::Stat { multihashes, consistency } => {
                Self::Stat { multihashes: multihashes.clone(), consistency: *consistency }
            }
            Operation::Delete { multihashes } => Self::Delete { multihashes: multihashes.clone() },
            Operation::List { cursor, limit, consistency } => {
                Self::List { cursor: *cursor, limit: *limit, consistency: *consistency }
            }
            Operation::Status => Self::Status,
            Operation::ChangeMembers(change) => Self::ChangeMembers(WireChange::of(change)),
            Operation::OpenSession => Self::OpenSession,
            Operation::DeleteInSession { turn, multihashes } => {
                Self::DeleteInSession { turn: *turn, multihashes: multihashes.clone() }
            }
        };
        (header, Vec::new())
    }

    fn join(self, bodies: &mut BodyReader) -> Option<Operation> {
        Some(match self {
            Self::Put { blocks } => Operation::Put { blocks: join_blocks(blocks, bodies)? },
            Self::PutInSession { turn, blocks } => {
                Operation::PutInSession { turn, blocks: join_blocks(blocks, bodies)? }
            }
            Self::Get { multihashes, consistency } => Operation::Get { multihashes, consistency },
            Self::Stat { multihashes, consistency } => Operation::Stat { multihashes, consistency },
            Self::Delete { multihashes } => Operation::Delete { multihashes },
            Self::List { cursor, limit, consistency } => Operation::List { cursor, limit, consistency },
            Self::Status => Operation::Status,
            Self::ChangeMembers(change) => Operation::ChangeMembers(change.change()),
            Self::OpenSession => Operation::OpenSession,
            Self::DeleteInSession { turn, multihashes } => Operation::DeleteInSession { turn, multihashes },
        })
    }

    fn blocks(&self) -> usize {
        match self {
            Self::Put { blocks } | Self::PutInSession { blocks, .. } => blocks.len(),
            Self::Get { multihashes, .. }
            | Self::Stat { multihashes, .. }
            | Self::Delete { multihashes }
            | Self::DeleteInSession { multihashes, .. } => multihashes.len(),
            Self::List { .. } | Self::Status | Self::ChangeMembers(_) | Self::OpenSession => 0,
        }
    }
}

fn split_blocks(blocks: &[UnverifiedBlock]) -> (Vec<BlockHead>, Vec<Bytes>) {
    let head = |block: &UnverifiedBlock| BlockHead { multihash: block.multihash, length: block.bytes.len() as u64 };
    (blocks.iter().map(head).collect(), blocks.iter().map(|block| block.bytes.clone()).collect())
}

fn join_blocks(heads: Vec<BlockHead>, bodies: &mut BodyReader) -> Option<Vec<UnverifiedBlock>> {
    let block = |BlockHead { multihash, length }| bodies.take(length).map(|bytes| UnverifiedBlock { multihash, bytes });
    heads.into_iter().map(block).collect()
}
