//! blockraft's network: QUIC between authenticated nodes and clients, under the cluster's own certificate authority.
//!
//! [`QuicTransport`] is a [`Transport`](blockraft_transport::Transport) over one UDP port, on which a node also serves
//! its clients ([`ClientListener`], [`ClientConnection`]). It is not a general QUIC library, trusts no public authority,
//! and knows nothing of what it carries.
//!
//! ```text
//!  node 1                                     node 2
//!  ──────                                     ──────
//!  send    ─▶ queue ─▶ control connection ─▶ inbox  ─▶ receive         one stream, frames in order
//!  bulk    ─▶ credit ─▶ bulk connection    ─▶ budget ─▶ receive_bulk    one stream for each transfer
//!  ClientListener ◀─ client connections ◀─ ClientConnection             one stream for each request
//! ```
//!
//! # Where it stands
//!
//! Floor 2, on the seam of `blockraft-transport`. Its tasks, all ended by `close` or by dropping the transport: one that
//! accepts, one for each handshake, one that dials for each configured peer, one for each connected peer, one for each
//! transfer and each request that arrives, and quinn's own.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use blockraft_transport::{Incoming, Peer, Transport};
//! use blockraft_transport_quic::{AdmitAll, Authority, QuicConfig, QuicLimits, QuicTransport, ResetKey, Subject};
//! use blockraft_types::{BootNonce, ClusterId, Incarnation, NodeId};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let cluster = ClusterId::from_bytes([7; 16]);
//! let authority = Authority::generate(cluster)?;
//! let node = |id: u64| {
//!     let (node, incarnation) = (NodeId(id), Incarnation::from_bytes([id as u8; 16]));
//!     QuicTransport::bind(QuicConfig {
//!         listen: ([127, 0, 0, 1], 0).into(),
//!         credentials: authority.issue(&Subject::Node { cluster, node, incarnation }).expect("a fresh certificate"),
//!         cluster,
//!         node,
//!         incarnation,
//!         boot: BootNonce(1),
//!         reset_key: ResetKey::from_bytes([id as u8; 64]),
//!         wire_versions: 1..=1,
//!         policy: Arc::new(AdmitAll),
//!         limits: QuicLimits::default(),
//!     })
//! };
//! let ((one, _clients), (two, _)) = (node(1)?, node(2)?);
//! one.set_peer(NodeId(2), Some(two.local_address().into()));
//! let Some(Incoming::Connected(Peer { node, .. })) = two.receive().await else { panic!("nobody came") };
//! assert_eq!(node, NodeId(1));
//! two.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The contract
//!
//! 1. *Identity.* TLS 1.3 alone, certificates on both ends, one protocol name for each lane. A certificate has exactly
//!    one name ([`Subject`]), compared exactly; then a [`Hello`](hello::Hello) on each connection has to agree with it,
//!    and an [`IdentityPolicy`] has the last word. An unknown id with a good certificate is admitted.
//! 2. *Nothing is replayed.* No early data, no tickets, no resumption: every connection proves itself anew.
//! 3. *Refusals have names.* A connection is closed with a [`Refusal`]; [`QuicTransport::refusals`] counts them, and
//!    traces are limited in rate. (Refusals inside TLS are one: `Handshake`.)
//! 4. *Two connections for each pair*, so that bulk which nobody reads can't use up the credit of frames. Whoever has
//!    the other's address dials; of two simultaneous dials the lower id's stays, on both ends, and one that was overtaken
//!    is given up before it says Hello. A restarted node's new connection replaces its old one at once.
//! 5. *Reconnection* by itself, after pauses that double from 50 ms to 2 s with jitter. A node that restarts on its
//!    address with its [`ResetKey`] ends its peers' dead connections at the next datagram.
//! 6. *A transfer has arrived* when the receiver has said so, after it was read whole; it waits for room for a second at
//!    most and is then refused.
//!
//! # Errors
//!
//! [`BindError`], [`ConnectError`], [`RequestError`] (which says whether the request can have been carried out),
//! [`RespondError`], and those of the seam.
//!
//! # Limits
//!
//! All in [`limits`]. Live connections outlast the validity of their certificates, and there is no revocation list:
//! membership decides who is counted, and a policy who is refused.

pub mod client;
mod endpoint;
mod frame;
mod handshakes;
pub mod hello;
pub mod limits;
mod peer;
pub mod pki;
pub mod policy;
pub mod refusal;
mod socket;
pub mod subject;
mod tasks;
pub mod tls;
pub mod transport;

pub use client::connection::{ClientConnection, ConnectError, RequestError};
pub use client::listener::{ClientListener, ClientRequest, RespondError, Responder};
pub use endpoint::ResetKey;
pub use limits::QuicLimits;
pub use pki::authority::Authority;
pub use pki::credentials::Credentials;
pub use policy::{AdmitAll, IdentityPolicy, IdentityRefusal};
pub use refusal::Refusal;
pub use subject::{ClientName, Subject};
pub use transport::{BindError, QuicConfig, QuicTransport};

#[cfg(test)]
mod tests;
