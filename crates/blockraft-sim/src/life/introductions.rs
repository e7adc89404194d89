//! Where the node's introductions stand: until a peer has said how far it has seen this node come, nothing of consensus
//! passes between the two; and a node that starts waits a while for those who can say it.

use blockraft_driver::Event;
use blockraft_exchange::{Input, Named};
use blockraft_node::witness::Past;
use blockraft_transport::Peer;
use blockraft_types::{BootNonce, Message, NodeId, RemoteTicket};
use blockraft_wire::node::{NodeMessage, Recall, RecallReply};

use crate::happening::Frame;
use crate::introductions::{Course, Introductions};
use crate::life::{Death, GROUP, Life};
use crate::place::{incarnation, place_of};
use crate::stage::Stage;

impl Life {
    pub(crate) const fn is_starting(&self) -> bool {
        matches!(self.introductions.course, Course::Starting { .. })
    }

    /// Time passes for a node that starts.
    pub(crate) fn wait_for_others(&mut self, stage: &mut Stage, count: u64) {
        let Course::Starting { ticks, .. } = &mut self.introductions.course else { return };
        *ticks = ticks.saturating_sub(count);
        if *ticks == 0 || self.introductions.recollection.is_complete() {
            return self.take_part(stage);
        }
        let awaited: Vec<NodeId> = self.introductions.recollection.awaited().collect();
        awaited.into_iter().for_each(|peer| self.ask(stage, peer));
    }

    fn take_part(&mut self, stage: &mut Stage) {
        let course = core::mem::replace(&mut self.introductions.course, Course::TakingPart);
        let Course::Starting { connected, lost, .. } = course else { return };
        self.introductions.recollection.take_part();
        for peer in connected {
            self.event(stage, Event::PeerConnected(peer));
        }
        for Named { name, length } in lost {
            self.gate(stage, Input::Repair { name, length });
        }
    }

    pub(crate) fn connected(&mut self, stage: &mut Stage, peer: NodeId) {
        match &mut self.introductions.course {
            Course::Starting { connected, .. } => {
                connected.insert(peer);
            }
            Course::TakingPart => self.event(stage, Event::PeerConnected(peer)),
        }
        self.may_talk(stage, peer);
    }

    pub(crate) fn disconnected(&mut self, stage: &mut Stage, peer: NodeId) {
        match &mut self.introductions.course {
            Course::Starting { connected, .. } => drop(connected.remove(&peer)),
            Course::TakingPart => self.event(stage, Event::PeerDisconnected(peer)),
        }
    }

    /// Whether messages of consensus may pass; asks the peer if not.
    pub(crate) fn may_talk(&self, stage: &mut Stage, peer: NodeId) -> bool {
        let has_answered = self.introductions.recollection.has_answered(peer);
        if !has_answered {
            self.ask(stage, peer);
        }
        has_answered
    }

    fn ask(&self, stage: &mut Stage, peer: NodeId) {
        let question = Recall { group: GROUP, ticket: self.recall_ticket() };
        self.send(stage, peer, Frame::Node(NodeMessage::Recall(question)));
    }

    /// A message of consensus came: remembers what it shows of its sender.
    pub(crate) fn heard(&mut self, stage: &mut Stage, from: NodeId, message: &Message) {
        let Introductions { witness, members, .. } = &mut self.introductions;
        let peer = peer(from);
        witness.heard(self.identity.node, peer, message, members);
        if members.incarnation(from) == Some(peer.incarnation) {
            stage.testimony.heard(self.place, place_of(from), Past::shown(from, message, self.identity.node));
        }
    }

    /// Somebody asks.
    pub(crate) fn recall(&self, stage: &mut Stage, to: NodeId, question: Recall) {
        let Past { term, voted_for, index } = self.introductions.witness.recall(peer(to));
        let reply = RecallReply { group: GROUP, ticket: question.ticket, term, voted_for, index };
        self.send(stage, to, Frame::Node(NodeMessage::RecallReply(reply)));
    }

    /// Somebody answers.
    pub(crate) fn told(&mut self, stage: &mut Stage, by: NodeId, reply: RecallReply) -> Result<(), Death> {
        if reply.ticket != self.recall_ticket() {
            return Ok(());
        }
        let RecallReply { term, voted_for, index, .. } = reply;
        self.introductions.recollection.answer(by, Past { term, voted_for, index }).map_err(Death::BehindItsPast)?;
        if self.is_starting() && self.introductions.recollection.is_complete() {
            self.take_part(stage);
        }
        Ok(())
    }

    const fn recall_ticket(&self) -> RemoteTicket {
        RemoteTicket { incarnation: self.identity.incarnation, boot: self.identity.boot, counter: 0 }
    }
}

/// A node as a transport names it; nothing here asks for its life.
fn peer(node: NodeId) -> Peer {
    Peer { node, incarnation: incarnation(place_of(node)), boot: BootNonce(0) }
}
