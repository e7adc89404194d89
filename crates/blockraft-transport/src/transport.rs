//! The seam: what blockraft asks of a network, and what a network must never do.

use core::fmt::Debug;

use async_trait::async_trait;
use blockraft_types::NodeId;
use bytes::Bytes;

use crate::address::PeerAddress;
use crate::bulk::{Bulk, BulkError};
use crate::peer::Peer;
use crate::send::SendError;
use crate::status::PeerStatus;

/// Carries opaque frames between authenticated peers on two lanes that never delay each other.
///
/// The *control lane* ([`send`](Self::send), [`receive`](Self::receive)) is for what must be on time: it delivers now
/// or drops. The *bulk lane* ([`bulk`](Self::bulk), [`receive_bulk`](Self::receive_bulk)) is for what is large: it
/// waits for credit. An implementation knows neither terms nor retries.
///
/// # Duties of an implementation
///
/// 1. Nobody is handed up as a [`Peer`] who hasn't proved that identity (or the transport says on its crate page that
///    it trusts its network).
/// 2. Per peer, events alternate: `Connected`, then frames of exactly this `Peer`, then `Disconnected`. Frames arrive
///    in the order sent, each at most once. A frame may be lost only to a full queue or to the end of a connection.
/// 3. A new authenticated connection of a node replaces its old one at once: a restarted peer never waits for the
///    death of its former self to be noticed.
/// 4. `send` never waits and never blocks its thread. Everything queued is bounded per peer, in bytes.
/// 5. A `receive_bulk` that nobody calls delays no control frame, and holds a bounded number of bytes per peer:
///    transfers beyond that wait at the sender or are refused there.
/// 6. A slow peer costs the others nothing.
/// 7. Every `async` method may be dropped at any await point: a dropped `receive` loses nothing, a dropped `bulk` has
///    arrived whole or never arrives.
///
/// # Who calls
///
/// Any task or thread may call any method. `receive` and `receive_bulk` have one consumer each; with more than one,
/// each value goes to one of them.
///
/// The suite in [`suite`](crate::suite) holds an implementation to all of this but the first duty.
#[async_trait]
pub trait Transport: Send + Sync + Debug + 'static {
    /// Hands a frame to the control lane of `to`: it is queued now, or dropped now.
    ///
    /// `Ok` means queued on a connection that lived, not received. There is no connection to oneself.
    ///
    /// # Errors
    ///
    /// [`SendError`] says why the frame was dropped.
    fn send(&self, to: NodeId, frame: Bytes) -> Result<(), SendError>;

    /// Sends a transfer on the bulk lane of `to` and resolves when the peer's transport has received it whole.
    ///
    /// Waits for credit while too many bytes are in flight to this peer, for as long as the peer's consumer is slow:
    /// put a deadline around it. Transfers keep no order among each other. Received is not processed, let alone
    /// durable: only the peer's own answer says that.
    ///
    /// Cancellation: dropping the future gives its credit back; the transfer has then arrived whole or never will.
    ///
    /// # Errors
    ///
    /// [`BulkError`]; after [`BulkError::Lost`] the transfer may have arrived.
    async fn bulk(&self, to: NodeId, transfer: Bulk) -> Result<(), BulkError>;

    /// The next event or frame of the control lane; `None` once the transport is closed. Cancel-safe.
    async fn receive(&self) -> Option<Incoming>;

    /// The next transfer of the bulk lane and who sent it; `None` once the transport is closed. Cancel-safe.
    ///
    /// A transfer that was received before its sender disconnected may come after `Disconnected`.
    async fn receive_bulk(&self) -> Option<(Peer, Bulk)>;

    /// Sets where `node` is dialled; from now on the transport keeps a connection to it alive by itself. `None` stops
    /// that and ends a connection that lives. A node that dials us is let in with or without an address.
    fn set_peer(&self, node: NodeId, address: Option<PeerAddress>);

    /// Every peer that has an address or a connection, in the order of their ids.
    fn peers(&self) -> Vec<PeerStatus>;

    /// Ends every connection, in a bounded time. Afterwards `send` and `bulk` answer `Closed` and the receivers
    /// `None`; what wasn't taken by then is dropped. Closing twice is fine.
    async fn close(&self);
}

/// What comes up the control lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A peer is there: frames to and from it flow.
    Connected(Peer),
    /// A frame.
    Message {
        /// Who sent it; always the `Peer` of the last `Connected` of this node.
        from: Peer,
        /// What was handed to its `send`.
        frame: Bytes,
    },
    /// The peer is gone; frames on their way to it are lost.
    Disconnected(NodeId),
}
