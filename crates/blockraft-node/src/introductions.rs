//! What two nodes tell each other before they speak of consensus: how far each has seen the other come.
//!
//! The [recollection](crate::recall) decides, the [witness](crate::witness) remembers; here are the questions, the answers,
//! and the door that stays shut in between. A question or an answer that is lost is made up for by the next message of
//! consensus that the door holds back, whichever way it goes.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_driver::{Dispatch, Outbox, TransportOutbox};
use blockraft_transport::{Incoming, Peer, Transport};
use blockraft_types::{GroupId, Membership, Message, NodeId, RemoteTicket};
use blockraft_wire::node::{self, NodeMessage, Recall, RecallReply};
use blockraft_wire::{Kind, frame};
use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use crate::config::Identity;
use crate::recall::{BehindItsPast, Recollection};
use crate::witness::{Past, Witness};

/// Asks others what they remember of this node, and tells them what it remembers of them.
#[derive(Debug)]
pub(crate) struct Introductions {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) identity: Identity,
    pub(crate) group: GroupId,
    pub(crate) recollection: Mutex<Recollection>,
    pub(crate) witness: Mutex<Witness>,
}

impl Introductions {
    /// Asks all that are waited for, for so long at most, and returns who is connected then: nobody will hear of that again.
    /// From then on the node takes part.
    ///
    /// # Errors
    /// This node must not take part.
    pub(crate) async fn ask_all(&self, patience: Duration) -> Result<BTreeSet<NodeId>, BehindItsPast> {
        let mut connected = BTreeSet::new();
        let deadline = Instant::now() + patience;
        let mut next_question = Instant::now();
        while !self.recollection().is_complete() {
            tokio::select! {
                biased;
                incoming = self.transport.receive() => match incoming {
                    Some(Incoming::Connected(peer)) => {
                        connected.insert(peer.node);
                        self.ask(peer.node);
                    }
                    Some(Incoming::Disconnected(peer)) => drop(connected.remove(&peer)),
                    Some(Incoming::Message { from, frame }) => self.hear(from, frame)?,
                    None => break,
                },
                () = sleep_until(deadline) => break,
                () = sleep_until(next_question) => {
                    let awaited: Vec<NodeId> = self.recollection().awaited().collect();
                    awaited.into_iter().for_each(|node| self.ask(node));
                    next_question = Instant::now() + QUESTION_INTERVAL;
                }
            }
        }
        self.recollection().take_part();
        Ok(connected)
    }

    fn hear(&self, from: Peer, frame: Bytes) -> Result<(), BehindItsPast> {
        if !matches!(frame::kind(&frame), Ok(Kind::Node)) {
            return Ok(());
        }
        match node::decode(frame) {
            Ok(NodeMessage::Recall(question)) if question.group == self.group => self.serve(from, question.ticket),
            Ok(NodeMessage::RecallReply(reply)) => return self.answered(from, reply),
            Ok(_) => {}
            Err(error) => debug!(peer = from.node.0, error = &error as &dyn std::error::Error, "refused_frame"),
        }
        Ok(())
    }

    /// Asks `peer`, unless it isn't connected: it is asked once it is.
    pub(crate) fn ask(&self, peer: NodeId) {
        self.send(peer, &NodeMessage::Recall(Recall { group: self.group, ticket: self.ticket() }));
    }

    /// Whether messages of consensus may pass between this node and `peer`, which is asked if it hasn't answered yet.
    pub(crate) fn may_talk(&self, peer: NodeId) -> bool {
        let has_answered = self.recollection().has_answered(peer);
        if !has_answered {
            self.ask(peer);
        }
        has_answered
    }

    /// Takes an answer; one to another question is left aside.
    ///
    /// # Errors
    /// This node must not take part any more.
    pub(crate) fn answered(&self, by: Peer, reply: RecallReply) -> Result<(), BehindItsPast> {
        if reply.group != self.group || reply.ticket != self.ticket() {
            return Ok(());
        }
        let RecallReply { term, voted_for, index, .. } = reply;
        self.recollection().answer(by.node, Past { term, voted_for, index })
    }

    /// Tells a node how far it was seen to have come.
    pub(crate) fn serve(&self, from: Peer, ticket: RemoteTicket) {
        let Past { term, voted_for, index } = self.witness().recall(from);
        // It asks again if this gets lost.
        self.send(
            from.node,
            &NodeMessage::RecallReply(RecallReply { group: self.group, ticket, term, voted_for, index }),
        );
    }

    /// Remembers how far the peer has come, should it ever come back from before that.
    pub(crate) fn heard(&self, from: Peer, message: &Message, members: &Membership) {
        self.witness().heard(self.identity.node, from, message, members);
    }

    /// What this node remembers of the others.
    pub(crate) fn witness(&self) -> MutexGuard<'_, Witness> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recollection(&self) -> MutexGuard<'_, Recollection> {
        self.recollection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, to: NodeId, message: &NodeMessage) {
        let _not_connected = node::encode(message).map(|frame| self.transport.send(to, frame));
    }

    const fn ticket(&self) -> RemoteTicket {
        // Zero is no other question's: those begin at one.
        RemoteTicket { incarnation: self.identity.incarnation, boot: self.identity.boot, counter: 0 }
    }
}

/// Lets messages of consensus leave for those alone who have answered.
#[derive(Debug)]
pub(crate) struct IntroducedOutbox {
    pub(crate) introductions: Arc<Introductions>,
    pub(crate) outbox: TransportOutbox,
}

impl Outbox for IntroducedOutbox {
    fn send(&self, to: NodeId, group: GroupId, message: Message, bodies: Vec<Bytes>) -> Dispatch {
        if self.introductions.may_talk(to) { self.outbox.send(to, group, message, bodies) } else { Dispatch::Dropped }
    }
}

/// A question or its answer may be lost.
const QUESTION_INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
