//! The words of blockraft's consensus as plain data.
//!
//! This crate is what every other crate of the house agrees on: who is who ([`NodeId`], [`ClusterId`],
//! [`Incarnation`]), where something stands ([`Term`], [`LogIndex`], [`Position`]), what the log is made of
//! ([`Entry`], [`EntryHead`]), what must survive a restart ([`HardState`]), who is counted ([`Membership`]), what
//! members say to each other ([`Message`], one struct per RPC of the Raft paper), and whose turn a client's command is
//! ([`Turn`]).
//!
//! It is not a protocol: nothing here decides, waits, reads a clock or knows what the bytes of an entry mean.
//!
//! # Where it stands
//!
//! Floor 0. Everything may depend on it; it depends on `serde`, `bytes` and a hash function.
//!
//! # Example
//!
//! ```
//! use blockraft_types::{BodyDigest, ChainDigest, ClusterId, EntryHead, EntryKind, GroupId, LogIndex, Membership};
//! use blockraft_types::{Incarnation, NodeId, Position, Term};
//!
//! let membership = Membership::of_voters([(NodeId(1), Incarnation::from_bytes([7; 16]))]);
//! let genesis = ChainDigest::genesis(ClusterId::from_bytes([1; 16]), GroupId(0), &membership);
//! let body = b"put";
//! let head = EntryHead::chained(
//!     genesis,
//!     Position { term: Term(1), index: LogIndex(1) },
//!     EntryKind::Command,
//!     body.len() as u32,
//!     BodyDigest::of(body),
//! );
//! assert!(head.follows(genesis));
//! ```
#![no_std]

extern crate alloc;

pub mod chain;
pub mod digest;
pub mod entry;
pub mod hard_state;
pub mod id;
pub mod import;
pub mod kind;
pub mod lost_tail;
pub mod membership;
pub mod membership_change;
pub mod message;
pub mod mistakes;
pub mod persist;
pub mod position;
pub mod role;
pub mod session;
pub mod turns;

pub use chain::ChainDigest;
pub use digest::BodyDigest;
pub use entry::{Entry, EntryHead};
pub use hard_state::HardState;
pub use id::{BootNonce, ClusterId, GroupId, Incarnation, NodeId, RemoteTicket};
pub use import::ImportId;
pub use kind::EntryKind;
pub use lost_tail::LostTail;
pub use membership::Membership;
pub use membership_change::{ChangeRefusal, MembershipChange};
pub use message::Message;
pub use persist::{PersistNumber, PersistReceipt, PersistTicket};
pub use position::{LogIndex, Position, Term};
pub use role::Role;
pub use session::{Sequence, SessionId, Turn};
pub use turns::Turns;

#[cfg(test)]
mod tests;
