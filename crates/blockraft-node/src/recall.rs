//! The first thing that a member does: it asks the others how far it had come.
//!
//! It says and hears nothing else meanwhile, so it votes and acknowledges nothing. It waits for the answers of all members
//! that it can reach within an election timeout; nobody waits for those that are away.

use core::time::Duration;
use std::collections::BTreeSet;

use blockraft_transport::{Incoming, Peer, Transport};
use blockraft_types::{GroupId, LogIndex, NodeId, RemoteTicket, Term};
use blockraft_wire::node::{self, NodeMessage, Recall, RecallReply};
use blockraft_wire::{Kind, frame};
use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::config::Identity;
use crate::start_error::StartError;
use crate::witness::Past;

/// A question to all the others.
pub(crate) struct Recollection<'a> {
    pub(crate) transport: &'a dyn Transport,
    pub(crate) identity: Identity,
    pub(crate) group: GroupId,
    /// The other members.
    pub(crate) others: BTreeSet<NodeId>,
    /// What the disks of this node hold.
    pub(crate) own: Past,
    /// How long to wait for members.
    pub(crate) patience: Duration,
}

impl Recollection<'_> {
    /// Asks, and returns who is connected then: nobody will hear of that again.
    ///
    /// # Errors
    /// [`StartError::BehindItsPast`].
    pub(crate) async fn ask(mut self) -> Result<BTreeSet<NodeId>, StartError> {
        let mut connected = BTreeSet::new();
        let deadline = Instant::now() + self.patience;
        let mut next_question = Instant::now();
        while !self.others.is_empty() {
            tokio::select! {
                biased;
                incoming = self.transport.receive() => match incoming {
                    Some(Incoming::Connected(peer)) => {
                        connected.insert(peer.node);
                        self.question(peer.node);
                    }
                    Some(Incoming::Disconnected(peer)) => drop(connected.remove(&peer)),
                    Some(Incoming::Message { from, frame }) => self.hear(from, frame)?,
                    None => break,
                },
                () = sleep_until(deadline) => break,
                () = sleep_until(next_question) => {
                    self.others.iter().for_each(|node| self.question(*node));
                    next_question = Instant::now() + QUESTION_INTERVAL;
                }
            }
        }
        Ok(connected)
    }

    fn question(&self, to: NodeId) {
        self.send(to, &NodeMessage::Recall(Recall { group: self.group, ticket: self.ticket() }));
    }

    fn hear(&mut self, from: Peer, frame: Bytes) -> Result<(), StartError> {
        if !matches!(frame::kind(&frame), Ok(Kind::Node)) {
            return Ok(());
        }
        match node::decode(frame) {
            // Who is just starting has seen nobody.
            Ok(NodeMessage::Recall(Recall { group, ticket })) if group == self.group => {
                let reply = RecallReply { group, ticket, term: Term::default(), index: LogIndex::ZERO };
                self.send(from.node, &NodeMessage::RecallReply(reply));
            }
            Ok(NodeMessage::RecallReply(reply)) if reply.group == self.group && reply.ticket == self.ticket() => {
                let remembered = Past { term: reply.term, index: reply.index };
                if self.own.lacks(remembered) {
                    let (node, own) = (self.identity.node, self.own);
                    return Err(StartError::BehindItsPast { node, by: from.node, remembered, own });
                }
                self.others.remove(&from.node);
            }
            Ok(_) => {}
            Err(error) => debug!(peer = from.node.0, error = &error as &dyn std::error::Error, "refused_frame"),
        }
        Ok(())
    }

    fn send(&self, to: NodeId, message: &NodeMessage) {
        // Whoever isn't connected yet is asked once it is.
        let _not_connected = node::encode(message).map(|frame| self.transport.send(to, frame));
    }

    const fn ticket(&self) -> RemoteTicket {
        // Zero is no other question's: those begin at one.
        RemoteTicket { incarnation: self.identity.incarnation, boot: self.identity.boot, counter: 0 }
    }
}

/// A question or its answer may be lost.
const QUESTION_INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
