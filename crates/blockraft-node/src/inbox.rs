//! What arrives from peers, sorted to whom it concerns.
//!
//! The control lane is read by one task that never waits for anything else. The bulk lane is read by a few tasks that
//! verify what came: bytes that don't hash to their name go no further.

use std::sync::Arc;

use blockraft_blocks::Block;
use blockraft_driver::InForce;
use blockraft_exchange::Input;
use blockraft_exchange::message::BulkHeader;
use blockraft_transport::{Bulk, Incoming, Peer, Transport};
use blockraft_types::{BodyDigest, GroupId, NodeId};
use blockraft_wire::node::{self, ChangeMembersResult, ForwardResult, NodeMessage, ReadIndexResult};
use blockraft_wire::{Kind, frame, raft};
use bytes::Bytes;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::driver::Driver;
use crate::exchange_frame;
use crate::introductions::Introductions;
use crate::payload::BlockPayload;
use crate::requests::Requests;
use crate::snapshot::received_chunk;
use crate::waiting::Waiting;

/// Sorts what arrives.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    pub(crate) group: GroupId,
    pub(crate) driver: Driver,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) requests: Requests,
    pub(crate) memberships: watch::Receiver<InForce>,
    pub(crate) introductions: Arc<Introductions>,
}

impl Inbox {
    /// Reads the control lane until the transport is closed.
    pub(crate) async fn run(self) {
        while let Some(incoming) = self.transport.receive().await {
            match incoming {
                Incoming::Connected(peer) => {
                    info!(peer = peer.node.0, incarnation = %peer.incarnation, "peer_connected");
                    let _ = self.driver.peer_connected(peer.node);
                    self.introductions.may_talk(peer.node);
                }
                Incoming::Disconnected(peer) => {
                    info!(peer = peer.0, "peer_disconnected");
                    let _ = self.driver.peer_disconnected(peer);
                    self.give_up_on(peer);
                }
                Incoming::Message { from, frame } if self.knows_otherwise(from) => {
                    warn!(peer = from.node.0, incarnation = %from.incarnation, bytes = frame.len(), "refused_incarnation");
                }
                Incoming::Message { from, frame } => self.message(from, frame),
            }
        }
    }

    /// Reads the bulk lane until the transport is closed. Several may run at once.
    pub(crate) async fn run_bulk(self) {
        while let Some((from, bulk)) = self.transport.receive_bulk().await {
            self.payload(from, bulk).await;
        }
    }

    /// Whether the peer's id belongs to another data directory: this one was wiped or copied, and lacks what that one
    /// promised. Transports refuse it when it connects; this holds for any transport.
    fn knows_otherwise(&self, peer: Peer) -> bool {
        let known = self.memberships.borrow().membership.incarnation(peer.node);
        known.is_some_and(|known| known != peer.incarnation)
    }

    /// What was asked of a peer that is gone is answered by nobody: its outcome is open.
    fn give_up_on(&self, peer: NodeId) {
        self.waiting.forwards.settle_where(|(_, asked)| *asked == peer, &ForwardResult::Unknown);
        self.waiting.read_indexes.settle_where(|(_, asked)| *asked == peer, &ReadIndexResult::NoQuorum);
        self.waiting.changes.settle_where(|(_, asked)| *asked == peer, &ChangeMembersResult::Unknown);
    }

    fn message(&self, from: Peer, bytes: Bytes) {
        let node = from.node;
        let read = match frame::kind(&bytes) {
            Ok(Kind::Raft) => self.raft(from, bytes),
            Ok(Kind::Node) => node::decode(bytes).map(|message| self.node_message(from, message)),
            Ok(Kind::Exchange) => exchange_frame::decode_message(bytes).map(|message| {
                let _ = self.driver.gate(Input::Message { from: node, message });
            }),
            Ok(kind @ (Kind::ClientRequest | Kind::ClientResponse)) => {
                warn!(peer = node.0, %kind, "refused_frame");
                return;
            }
            Err(error) => Err(error),
        };
        if let Err(error) = read {
            warn!(peer = node.0, error = &error as &dyn std::error::Error, "refused_frame");
        }
    }

    fn raft(&self, from: Peer, bytes: Bytes) -> Result<(), frame::DecodeError> {
        for message in raft::decode(bytes)? {
            if message.group == self.group {
                self.introductions.heard(from, &message.message, &self.memberships.borrow().membership);
                if self.introductions.may_talk(from.node) {
                    self.driver.receive(from.node, message.message, message.bodies);
                }
            } else {
                debug!(peer = from.node.0, group = message.group.0, "message_of_unknown_group");
            }
        }
        Ok(())
    }

    fn node_message(&self, from: Peer, message: NodeMessage) {
        match message {
            NodeMessage::Forward(forward) if forward.group == self.group => self.requests.serve_forward(from, forward),
            NodeMessage::ReadIndex(question) if question.group == self.group => {
                self.requests.serve_read_index(from, question);
            }
            NodeMessage::ChangeMembers(question) if question.group == self.group => {
                self.requests.serve_change(from, question);
            }
            NodeMessage::Recall(question) if question.group == self.group => {
                self.introductions.serve(from, question.ticket);
            }
            NodeMessage::RecallReply(reply) => {
                if let Err(behind) = self.introductions.answered(from, reply) {
                    self.driver.fail_member(Arc::new(behind));
                }
            }
            NodeMessage::ChangeMembersReply(reply) if self.requests.asked(reply.ticket) => {
                self.waiting.changes.settle(&(reply.ticket.counter, from.node), reply.result);
            }
            NodeMessage::ForwardReply(reply) if self.requests.asked(reply.ticket) => {
                self.waiting.forwards.settle(&(reply.ticket.counter, from.node), reply.result);
            }
            NodeMessage::ReadIndexReply(reply) if self.requests.asked(reply.ticket) => {
                self.waiting.read_indexes.settle(&(reply.ticket.counter, from.node), reply.result);
            }
            NodeMessage::Forward(_)
            | NodeMessage::ReadIndex(_)
            | NodeMessage::ForwardReply(_)
            | NodeMessage::ReadIndexReply(_)
            | NodeMessage::ChangeMembers(_)
            | NodeMessage::ChangeMembersReply(_)
            | NodeMessage::Recall(_) => debug!(peer = from.node.0, "node_message_not_for_us"),
        }
    }

    /// Rows of a snapshot, behind their digest.
    fn rows(&self, from: NodeId, header: BulkHeader, body: &Bytes) {
        let BulkHeader::Chunk { export, after, rest, digest } = header else { return };
        if BodyDigest::of(body) != digest {
            return warn!(peer = from.0, "refused_rows");
        }
        match received_chunk(after, rest, body) {
            Ok(chunk) => drop(self.driver.gate(Input::ChunkArrived { from, export, chunk })),
            Err(error) => warn!(peer = from.0, error = &error as &dyn std::error::Error, "refused_rows"),
        }
    }

    async fn payload(&self, from: Peer, bulk: Bulk) {
        let header = match exchange_frame::decode_bulk_header(bulk.header) {
            Ok(header) => header,
            Err(error) => {
                warn!(peer = from.node.0, error = &error as &dyn std::error::Error, "refused_transfer");
                return;
            }
        };
        let Some(name) = header.name() else { return self.rows(from.node, header, &bulk.body) };
        let body = bulk.body;
        let verified = if body.len() < VERIFY_APART_BYTES_MIN {
            Block::verify(name, body)
        } else {
            let verify = tokio::task::spawn_blocking(move || Block::verify(name, body));
            match verify.await {
                Ok(verified) => verified,
                // The runtime is shutting down.
                Err(_) => return,
            }
        };
        match verified {
            Ok(block) => {
                let payload = BlockPayload(block);
                let _ = self.driver.gate(Input::Arrived { from: from.node, header, payload });
            }
            Err(error) => {
                warn!(peer = from.node.0, %name, error = &error as &dyn std::error::Error, "refused_payload");
            }
        }
    }
}

/// From this length on, hashing is worth a thread of its own: about a millisecond.
const VERIFY_APART_BYTES_MIN: usize = 1 << 20;
