//! The seam through which consensus messages leave: small, so that a caller may share one transport with other traffic.

use core::fmt::Debug;
use std::sync::Arc;

use blockraft_transport::Transport;
use blockraft_types::{GroupId, Message, NodeId};
use blockraft_wire::raft::{self, RaftMessage};
use bytes::Bytes;
use tracing::warn;

/// Takes messages that leave this member. The driver's loop calls it, so it must never wait.
pub trait Outbox: Debug + Send + Sync + 'static {
    /// Sends `message` with the bodies of its entries, one for each head, or drops it.
    ///
    /// Messages to one receiver keep their order.
    fn send(&self, to: NodeId, group: GroupId, message: Message, bodies: Vec<Bytes>) -> Dispatch;
}

/// What became of a message that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// It is on its way; it may still be lost.
    Queued,
    /// It was dropped: no connection, or no room.
    Dropped,
}

/// Sends each message as a frame of its own on a transport's control lane.
#[derive(Clone, Debug)]
pub struct TransportOutbox {
    transport: Arc<dyn Transport>,
}

impl TransportOutbox {
    /// An outbox over `transport`.
    #[must_use]
    pub const fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }
}

impl Outbox for TransportOutbox {
    fn send(&self, to: NodeId, group: GroupId, message: Message, bodies: Vec<Bytes>) -> Dispatch {
        let name = message.name();
        match raft::encode(&[RaftMessage { group, message, bodies }]) {
            Ok(frame) => match self.transport.send(to, frame) {
                Ok(()) => Dispatch::Queued,
                Err(_) => Dispatch::Dropped,
            },
            Err(error) => {
                warn!(peer = to.0, message = name, error = &error as &dyn core::error::Error, "unencodable_message");
                Dispatch::Dropped
            }
        }
    }
}
