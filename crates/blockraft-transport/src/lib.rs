//! The seam between blockraft and its network: opaque frames and bulk transfers between authenticated peers.
//!
//! [`Transport`] is a control lane that is on time or silent, and a bulk lane that waits for credit. It is not a
//! message bus: there are no topics, no acknowledgements, no retries. Consensus above it is made to lose messages; what
//! it can't survive is a heartbeat that waits behind a gigabyte.
//!
//! # Where it stands
//!
//! Floor 1, above `blockraft-types` alone. It uses tokio's channels and locks, never its runtime. Adapters
//! (`blockraft-transport-quic`) stand on floor 2; `examples/tcp_transport.rs` is one in 150 lines.
//!
//! # Example
//!
//! ```
//! use blockraft_transport::{Incoming, Network, Peer, Transport};
//! use blockraft_types::{BootNonce, Incarnation, NodeId};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let peer = |id| Peer { node: NodeId(id), incarnation: Incarnation::from_bytes([id as u8; 16]), boot: BootNonce(7) };
//! let network = Network::new();
//! let (one, two) = (network.endpoint(peer(1)), network.endpoint(peer(2)));
//! one.set_peer(NodeId(2), Some(network.address()));
//!
//! assert_eq!(two.receive().await, Some(Incoming::Connected(peer(1))));
//! one.send(NodeId(2), "vote for me".into())?;
//! assert_eq!(two.receive().await, Some(Incoming::Message { from: peer(1), frame: "vote for me".into() }));
//! # Ok::<(), blockraft_transport::SendError>(()) }).unwrap();
//! ```
//!
//! # The contract
//!
//! The seven duties of an implementation stand on [`Transport`]. Its user has three:
//!
//! 1. Keep calling [`receive`](Transport::receive) and [`receive_bulk`](Transport::receive_bulk), from a task each.
//! 2. Treat a frame as lost unless the peer answers, and a bulk transfer as stored only when the peer says so.
//! 3. Put a deadline around [`bulk`](Transport::bulk).
//!
//! An implementation proves itself with the [`suite`]; [`connections`], [`inbox`] and
//! [`bulk_inbox`] keep most of the duties for it.
//!
//! # Errors
//!
//! [`SendError`] and [`BulkError`], one per operation, each variant saying what to do next.
//!
//! # Limits
//!
//! A control frame has at most [`FRAME_BYTES_MAX`](limits::FRAME_BYTES_MAX) bytes, a bulk header
//! [`BULK_HEADER_BYTES_MAX`](limits::BULK_HEADER_BYTES_MAX), a bulk body
//! [`BULK_BODY_BYTES_MAX`](limits::BULK_BODY_BYTES_MAX).

// The example is compiled into the tests too, where this crate has to be known by its name.
#[cfg(test)]
extern crate self as blockraft_transport;

pub mod address;
pub mod bulk;
pub mod bulk_inbox;
pub mod connections;
pub mod faulty;
pub mod inbox;
pub mod limits;
pub mod network;
pub mod peer;
pub mod send;
pub mod status;
pub mod stream;
pub mod suite;
pub mod transport;

pub use address::PeerAddress;
pub use bulk::{Bulk, BulkError};
pub use faulty::{Faults, Faulty};
pub use network::Network;
pub use peer::Peer;
pub use send::SendError;
pub use status::{PathStatus, PeerStatus};
pub use transport::{Incoming, Transport};
