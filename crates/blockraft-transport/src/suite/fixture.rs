//! What the suite needs to know of the transport that it runs against.

use core::time::Duration;
use std::sync::Arc;

use async_trait::async_trait;

use crate::address::PeerAddress;
use crate::peer::Peer;
use crate::transport::Transport;

/// Starts transports of one kind, all of which can reach each other.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// Starts the transport of `peer` on an address that nobody uses. It may be the second life of a node whose first
    /// one was closed, or still runs.
    async fn start(&self, peer: Peer) -> Started;

    /// Waits; the suite has no clock of its own.
    async fn sleep(&self, time: Duration);

    /// The most bytes of one peer's transfers that may have been received while nobody calls `receive_bulk`.
    fn bulk_unread_bytes_max(&self) -> usize {
        32 << 20
    }
}

/// A running transport.
#[derive(Clone, Debug)]
pub struct Started {
    /// The transport.
    pub transport: Arc<dyn Transport>,
    /// Where others dial it.
    pub address: PeerAddress,
}
