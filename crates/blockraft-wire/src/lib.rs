//! Bytes to types and back, for everything that leaves a blockraft node.
//!
//! A frame is a versioned prelude, a postcard header and raw bodies ([`frame`]). Consensus ([`raft`]), the questions
//! between nodes ([`node`]) and the client protocol ([`client`]) have their types here; crates with wire types of their own use
//! [`frame::encode`] and [`frame::decode`].
//!
//! # Where it stands
//!
//! Floor 1, on `blockraft-types` and `blockraft-blocks`. It knows neither who is calling nor what is done with what it decoded.
//!
//! # Example
//!
//! ```
//! use blockraft_types::message::TimeoutNow;
//! use blockraft_types::{GroupId, Message, Position, Term};
//! use blockraft_wire::raft::{self, RaftMessage};
//!
//! let message = Message::TimeoutNow(TimeoutNow { term: Term(3), last: Position::ZERO });
//! let frame = raft::encode(&[RaftMessage::bare(GroupId(0), message.clone())])?;
//! let decoded = raft::decode(frame)?;
//! assert_eq!(decoded[0].message, message);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The contract
//!
//! 1. Decoding is total: any bytes give a value or a [`DecodeError`], never a panic.
//! 2. Lengths are checked against the kind's [`Limits`] before anything is allocated. Decoding allocates at most four
//!    times the frame's bytes and 64 KiB; bodies are slices of the frame.
//! 3. A frame is exactly one frame: bytes behind the header's value or behind the bodies are refused.
//! 4. Versions are refused by name. A number or the order of an enum's variants never changes its meaning within one.
//!
//! # Errors
//!
//! [`EncodeError`] is the caller's mistake: too much for one frame. [`DecodeError`] is the sender's, or its release's:
//! close the connection, or answer that the version is not supported.
//!
//! # Limits
//!
//! [`Kind::limits`] for each kind; at most [`raft::MESSAGES_MAX`] messages and [`raft::HEADS_MAX`] heads in a frame of
//! consensus, and [`client::BLOCKS_MAX`] blocks in a frame of a client. A body that is kept keeps its whole frame.

mod bounded;
mod budget;
mod change;
mod header;
mod mistake;

pub mod client;
pub mod frame;
pub mod kind;
pub mod node;
pub mod raft;
pub mod snapshot;

pub use frame::{DecodeError, EncodeError, Frame, Prelude};
pub use kind::{Kind, Limits};
#[cfg(seeded_bugs)]
pub use mistake::Mistake;
