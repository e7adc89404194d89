//! The native client protocol, served from a node.
//!
//! It takes requests off a [`ClientListener`](blockraft_transport_quic::ClientListener), has the node do them and sends
//! the answers back. It knows the node's API and the wire, and nothing of consensus.
//!
//! # Where it stands
//!
//! Floor 4, beside `blockraft-client`, which speaks the other half. The binary puts both over a node.
//!
//! # The contract
//!
//! 1. Blocks from clients are bytes until they hash to their names: the request is refused whole otherwise, before
//!    anything is stored or sent.
//! 2. A refusal says what the client can do about it. "Nothing was done" is said only when that is sure of every block of
//!    the request; of a batch that was done in part the outcome is unknown.
//! 3. Requests are independent of each other, bounded in number and, by the listener, in bytes; what is beyond is
//!    refused as busy, which is safe to retry.
//! 4. Answers hold a bounded number of bytes of blocks until clients have taken them, those of one client at most half of
//!    it. An answer whose blocks find no room is refused as overloaded; what doesn't fit into one answer is left out.

mod answer_room;
mod operations;
pub mod served;
pub mod service;
mod status;

pub use served::About;
pub use service::{Answering, Service};

#[cfg(test)]
mod tests;
