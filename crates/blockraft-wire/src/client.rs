//! The protocol of native clients: one [`Request`] frame, one [`Response`] frame.
//!
//! Blocks are named by multihash: what codec a CID wraps around it is the client's matter, and identity CIDs never
//! leave it. The bytes of blocks travel raw, and whoever receives them hashes them: on this side of that check they are
//! an [`UnverifiedBlock`].
//!
//! Every answer carries the position of the moment that it is true at, and every request the highest position that its
//! client has seen, so that a client that hops from node to node never goes back in time.

mod limits;
mod refusal;
mod request;
mod response;
mod status;

pub use limits::{BLOCKS_MAX, RELEASE_BYTES_MAX, STATUS_ROWS_MAX};
pub use refusal::{GiveUpReason, LeaderHint, Refusal, RetryElsewhereReason, RetryLaterReason};
pub use request::{Consistency, Cursor, Operation, Request, UnverifiedBlock};
pub use response::{Answer, ChangeMembersOutcome, DeleteOutcome, Found, ListedBlock, Presence, PutOutcome, Response};
pub use status::{Connection, GroupStatus, MemberKind, MemberStatus, NodeStatus, Reserve};
