//! One node's end of an in-process network.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use std::sync::Arc;

use async_trait::async_trait;
use blockraft_types::NodeId;
use bytes::Bytes;

use crate::address::PeerAddress;
use crate::bulk::{Bulk, BulkError};
use crate::bulk_inbox::{BulkInbox, BulkSlot};
use crate::inbox::Inbox;
use crate::network::switchboard::{BulkRoute, PlugNumber, Receivers, Wiring};
use crate::peer::Peer;
use crate::send::SendError;
use crate::status::PeerStatus;
use crate::transport::{Incoming, Transport};

/// A [`Transport`] inside this process. Dropping it unplugs it, as a crash would.
///
/// A bulk transfer waits, without a limit in time, until the receiver has room for it.
#[derive(Debug)]
pub struct Endpoint {
    wiring: Wiring,
    peer: Peer,
    plug: PlugNumber,
    receivers: Arc<Receivers>,
}

impl Endpoint {
    pub(crate) fn start(wiring: Wiring, peer: Peer) -> Self {
        let receivers = Receivers { control: Inbox::new(CONTROL_BYTES_MAX), bulk: BulkInbox::new(BULK_BYTES_MAX) };
        let receivers = Arc::new(receivers);
        let plug = wiring.lock().plug(peer, Arc::clone(&receivers));
        Self { wiring, peer, plug, receivers }
    }

    /// Who this endpoint is.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.peer
    }
}

#[async_trait]
impl Transport for Endpoint {
    fn send(&self, to: NodeId, frame: Bytes) -> Result<(), SendError> {
        SendError::check_size(&frame)?;
        self.wiring.lock().send(self.peer.node, self.plug, to, frame)
    }

    async fn bulk(&self, to: NodeId, transfer: Bulk) -> Result<(), BulkError> {
        transfer.check_size()?;
        let flight = Flight::start(self, to, transfer.bytes())?;
        let slot = flight.land(transfer.bytes()).await.ok_or(BulkError::Lost { peer: to })?;
        let mut switchboard = self.wiring.lock();
        if flight.route.alive.is_closed() || switchboard.is_cut(self.peer.node, to) {
            return Err(BulkError::Lost { peer: to });
        }
        slot.deliver(transfer);
        switchboard.bulk_arrived(self.peer.node, self.plug, to);
        drop(switchboard);
        Ok(())
    }

    async fn receive(&self) -> Option<Incoming> {
        self.receivers.control.receive().await
    }

    async fn receive_bulk(&self) -> Option<(Peer, Bulk)> {
        self.receivers.bulk.receive().await
    }

    fn set_peer(&self, node: NodeId, address: Option<PeerAddress>) {
        self.wiring.lock().set_address(self.peer.node, self.plug, node, address);
    }

    fn peers(&self) -> Vec<PeerStatus> {
        self.wiring.lock().peers(self.peer.node, self.plug)
    }

    async fn close(&self) {
        self.wiring.lock().unplug(self.peer.node, self.plug);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.wiring.lock().unplug(self.peer.node, self.plug);
    }
}

/// A transfer on its way; dropping it takes its bytes off the books.
struct Flight<'a> {
    endpoint: &'a Endpoint,
    target: NodeId,
    bytes: u64,
    route: BulkRoute,
}

impl<'a> Flight<'a> {
    fn start(endpoint: &'a Endpoint, target: NodeId, bytes: usize) -> Result<Self, BulkError> {
        let bytes = bytes as u64;
        let mut switchboard = endpoint.wiring.lock();
        if !switchboard.is_plugged(endpoint.peer.node, endpoint.plug) {
            return Err(BulkError::Closed);
        }
        let route = switchboard.bulk_started(endpoint.peer.node, target, bytes);
        let route = route.ok_or(BulkError::NotConnected { peer: target })?;
        Ok(Self { endpoint, target, bytes, route })
    }

    /// Room at the receiver, or `None` when the link ends first.
    async fn land(&self, bytes: usize) -> Option<BulkSlot> {
        let mut ended = pin!(self.route.alive.acquire());
        let mut admitted = pin!(self.route.budget.admit(bytes));
        poll_fn(|context| {
            if ended.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            admitted.as_mut().poll(context).map(Some)
        })
        .await
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let Endpoint { wiring, peer, plug, .. } = self.endpoint;
        wiring.lock().bulk_ended(peer.node, *plug, self.target, self.bytes);
    }
}

/// Frames of one peer that may wait for the consumer, in bytes; beyond it `send` answers `QueueFull`.
const CONTROL_BYTES_MAX: u32 = 8 << 20;

/// Transfers of one peer that may wait for the consumer, in bytes; beyond it `bulk` waits.
const BULK_BYTES_MAX: u32 = 16 << 20;
