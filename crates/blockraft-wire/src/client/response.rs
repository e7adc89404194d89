//! What a node answers.

use blockraft_blocks::Multihash;
use blockraft_types::{ChangeRefusal, Position, SessionId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::client::limits::{BLOCKS_MAX, RELEASE_BYTES_MAX, STATUS_ROWS_MAX};
use crate::client::refusal::Refusal;
use crate::client::request::Cursor;
use crate::client::status::{NodeStatus, Reserve};
use crate::frame::{self, DecodeError, EncodeError, Frame};
use crate::header::BodyReader;
use crate::kind::Kind;

/// One answer of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// It was done.
    Answered {
        /// The moment that the answer is true at: for a change, where it stands in the log; for a read, the last entry
        /// applied before it.
        position: Position,
        /// The answer.
        answer: Answer,
    },
    /// It was not done, or that is unknown.
    Refused(Refusal),
}

/// What came of an operation: for each kind of [`Operation`](crate::client::Operation) the variant of its name, whether in a
/// session or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// For each block, in the order given.
    Put {
        /// What its put did.
        outcomes: Vec<PutOutcome>,
    },
    /// For each block, in the order asked.
    Get {
        /// What was found.
        blocks: Vec<Found>,
    },
    /// For each block, in the order asked.
    Stat {
        /// Whether it is visible.
        presences: Vec<Presence>,
    },
    /// For each block, in the order asked.
    Delete {
        /// What its delete did.
        outcomes: Vec<DeleteOutcome>,
    },
    /// A page of a listing.
    List {
        /// Visible blocks in the order of their multihashes.
        blocks: Vec<ListedBlock>,
        /// Where the next page begins; `None` at the end of the listing.
        next: Option<Cursor>,
    },
    /// How the node is doing.
    Status(NodeStatus),
    /// What became of a change of members.
    ChangeMembers {
        /// Whether it is as asked.
        outcome: ChangeMembersOutcome,
    },
    /// A session was opened.
    SessionOpened {
        /// Its name.
        session: SessionId,
    },
}

/// What became of a change of members. Asking again is always safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ChangeMembersOutcome {
    /// The members were as asked before.
    AlreadySo,
    /// They are as asked now, and that is committed.
    Changed,
    /// Not yet: ask again.
    NotYet {
        /// What stood in the way last, if the leader said so.
        refusal: Option<ChangeRefusal>,
    },
    /// They never will be.
    Refused {
        /// Why.
        refusal: ChangeRefusal,
    },
}

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PutOutcome {
    /// It made the block visible.
    Created,
    /// The block was visible before.
    AlreadyPresent,
}

/// What a delete did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeleteOutcome {
    /// It made the block invisible.
    Deleted,
    /// The block was not visible before.
    Absent,
    /// Nothing was done: a pin covers the block. A client of an older release can't read this.
    HeldByPin,
}

/// What a get found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The block's bytes, for the client to verify.
    Present(Bytes),
    /// The block is not visible.
    Absent,
    /// The block is visible, and the node has no readable copy of it yet: ask again, or elsewhere.
    Unreadable,
    /// The answer is full: ask for this one again.
    LeftOut,
}

/// What a stat found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Presence {
    /// The block is visible.
    Present {
        /// Its length in bytes.
        length: u32,
    },
    /// It is not.
    Absent,
}

/// One block of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ListedBlock {
    /// Its name.
    pub multihash: Multihash,
    /// Its length in bytes.
    pub length: u32,
}

impl Response {
    /// Writes one frame. The blocks in it are not copied.
    ///
    /// # Errors
    /// More elements than an answer may have, or more bytes than a frame may hold.
    pub fn encode(&self) -> Result<Frame, EncodeError> {
        let (header, bodies) = match self {
            Self::Answered { position, answer } => {
                check(answer)?;
                let (answer, bodies) = WireAnswer::split(answer);
                (WireResponse::Answered { position: *position, answer }, bodies)
            }
            Self::Refused(refusal) => (WireResponse::Refused(*refusal), Vec::new()),
        };
        frame::encode(Kind::ClientResponse, &header, bodies)
    }

    /// Reads one frame. Blocks are slices of it.
    ///
    /// # Errors
    /// The bytes are not exactly one frame of this kind in the supported version.
    pub fn decode(frame: Bytes) -> Result<Self, DecodeError> {
        frame::decode(Kind::ClientResponse, frame).and_then(Self::join)
    }

    /// Reads one frame that came in two parts: see [`decode_parts`](frame::decode_parts).
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_parts(head: Bytes, tail: Bytes) -> Result<Self, DecodeError> {
        frame::decode_parts(Kind::ClientResponse, head, tail).and_then(Self::join)
    }

    fn join((header, tail): (WireResponse, Bytes)) -> Result<Self, DecodeError> {
        let mut bodies = BodyReader::new(tail);
        let response = match header {
            WireResponse::Answered { position, answer } => {
                let answer = answer.join(&mut bodies).ok_or(DecodeError::Bodies { kind: Kind::ClientResponse })?;
                Self::Answered { position, answer }
            }
            WireResponse::Refused(refusal) => Self::Refused(refusal),
        };
        match bodies.rest_bytes() {
            0 => Ok(response),
            _ => Err(DecodeError::Bodies { kind: Kind::ClientResponse }),
        }
    }
}

/// A response as it stands in the header, the bytes of blocks behind it.
///
/// The order of the variants is the wire's: it changes only with the version.
#[derive(Serialize, Deserialize)]
enum WireResponse {
    Answered { position: Position, answer: WireAnswer },
    Refused(Refusal),
}

#[derive(Serialize, Deserialize)]
enum WireAnswer {
    Put {
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        outcomes: Vec<PutOutcome>,
    },
    Get {
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        blocks: Vec<WireFound>,
    },
    Stat {
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        presences: Vec<Presence>,
    },
    Delete {
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        outcomes: Vec<DeleteOutcome>,
    },
    List {
        #[serde(deserialize_with = "bounded::vec::<_, _, BLOCKS_MAX>")]
        blocks: Vec<ListedBlock>,
        next: Option<Cursor>,
    },
    Status(NodeStatus),
    ChangeMembers {
        outcome: ChangeMembersOutcome,
    },
    SessionOpened {
        session: SessionId,
    },
}

#[derive(Serialize, Deserialize)]
enum WireFound {
    Present { length: u64 },
    Absent,
    Unreadable,
    LeftOut,
}

impl WireAnswer {
    fn split(answer: &Answer) -> (Self, Vec<Bytes>) {
        let header = match answer {
            Answer::Put { outcomes } => Self::Put { outcomes: outcomes.clone() },
            Answer::Get { blocks } => {
                let bodies = blocks.iter().filter_map(|found| match found {
                    Found::Present(bytes) => Some(bytes.clone()),
                    Found::Absent | Found::Unreadable | Found::LeftOut => None,
                });
                return (Self::Get { blocks: blocks.iter().map(WireFound::of).collect() }, bodies.collect());
            }
            Answer::Stat { presences } => Self::Stat { presences: presences.clone() },
            Answer::Delete { outcomes } => Self::Delete { outcomes: outcomes.clone() },
            Answer::List { blocks, next } => Self::List { blocks: blocks.clone(), next: *next },
            Answer::Status(status) => Self::Status(status.clone()),
            Answer::ChangeMembers { outcome } => Self::ChangeMembers { outcome: *outcome },
            Answer::SessionOpened { session } => Self::SessionOpened { session: *session },
        };
        (header, Vec::new())
    }

    fn join(self, bodies: &mut BodyReader) -> Option<Answer> {
        Some(match self {
            Self::Put { outcomes } => Answer::Put { outcomes },
            Self::Get { blocks } => {
                let found = |found| match found {
                    WireFound::Present { length } => bodies.take(length).map(Found::Present),
                    WireFound::Absent => Some(Found::Absent),
                    WireFound::Unreadable => Some(Found::Unreadable),
                    WireFound::LeftOut => Some(Found::LeftOut),
                };
                Answer::Get { blocks: blocks.into_iter().map(found).collect::<Option<_>>()? }
            }
            Self::Stat { presences } => Answer::Stat { presences },
            Self::Delete { outcomes } => Answer::Delete { outcomes },
            Self::List { blocks, next } => Answer::List { blocks, next },
            Self::Status(status) => Answer::Status(status),
            Self::ChangeMembers { outcome } => Answer::ChangeMembers { outcome },
            Self::SessionOpened { session } => Answer::SessionOpened { session },
        })
    }
}

impl WireFound {
    fn of(found: &Found) -> Self {
        match found {
            Found::Present(bytes) => Self::Present { length: bytes.len() as u64 },
            Found::Absent => Self::Absent,
            Found::Unreadable => Self::Unreadable,
            Found::LeftOut => Self::LeftOut,
        }
    }
}

fn check(answer: &Answer) -> Result<(), EncodeError> {
    let blocks = match answer {
        Answer::ChangeMembers { .. } | Answer::SessionOpened { .. } => return Ok(()),
        Answer::Put { outcomes } => outcomes.len(),
        Answer::Get { blocks } => blocks.len(),
        Answer::Stat { presences } => presences.len(),
        Answer::Delete { outcomes } => outcomes.len(),
        Answer::List { blocks, .. } => blocks.len(),
        Answer::Status(status) => {
            frame::at_most("bytes of a release's name", status.release.len(), RELEASE_BYTES_MAX)?;
            frame::at_most("groups", status.groups.len(), STATUS_ROWS_MAX)?;
            let far = status.groups.iter().filter_map(|group| match &group.reserve {
                Some(Reserve::Short { far }) => Some(far.len()),
                Some(Reserve::Impossible | Reserve::Enough) | None => None,
            });
            frame::at_most("voters that are far behind", far.max().unwrap_or(0), STATUS_ROWS_MAX)?;
            let members = status.groups.iter().map(|group| group.members.len());
            return frame::at_most("members of a group", members.max().unwrap_or(0), STATUS_ROWS_MAX);
        }
    };
    frame::at_most("blocks", blocks, BLOCKS_MAX)
}
