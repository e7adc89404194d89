//! What clients ask for, and how it comes before the leader.

use rand::Rng;

use super::World;
use super::event::{Event, What};
use super::log::{Command, Entry};
use crate::{Admission, Input, Named, ProposalTicket, PutId};

impl World {
    pub(super) fn client_put(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        let named = self.blocks[self.rng.random_range(0..self.blocks.len())];
        if !self.life(node).exchange.has_room_for_put(named.length) {
            return Ok(());
        }
        let op = PutId(self.number());
        let closes = self.life(node).ticks + self.rng.random_range(5..80);
        self.life(node).puts.insert(op, (named, closes));
        self.step(node, Input::Put { op, payload: named })
    }

    pub(super) fn client_inline(&mut self) -> Result<(), String> {
        let named = self.blocks[self.rng.random_range(0..self.blocks.len())];
        self.propose(Command::PutInline(named))
    }

    pub(super) fn client_delete(&mut self) -> Result<(), String> {
        let named = self.blocks[self.rng.random_range(0..self.blocks.len())];
        self.propose(Command::Delete(named.name))
    }

    fn propose(&mut self, command: Command) -> Result<(), String> {
        match self.leader.filter(|leader| self.nodes[*leader].life.is_some()) {
            Some(leader) => self.append_at(leader, Entry { term: self.term, command }),
            None => Ok(()),
        }
    }

    pub(super) fn forwarded(&mut self, node: usize, named: Named, origin: Option<usize>) -> Result<(), String> {
        if !self.life(node).believes_leader {
            return Ok(());
        }
        let ticket = ProposalTicket(self.number());
        let origin = origin.map(|origin| self.nodes[origin].id);
        match self.life(node).exchange.reserve_proposal(ticket, &[named], origin) {
            Admission::Enter => self.enter_later(node, ticket, vec![named]),
            Admission::Wait => {
                self.life(node).proposals.insert(ticket, vec![named]);
            }
            Admission::Refuse(_) => {}
        }
        self.perform(node)
    }

    /// Proposals queue up for the core, and only their leases keep the payloads meanwhile.
    pub(super) fn enter_later(&mut self, node: usize, ticket: ProposalTicket, names: Vec<Named>) {
        let boot = self.nodes[node].boot;
        self.pending.push(Event { node, boot, what: What::Enter(ticket, names) });
    }

    /// What the proposer's core does with an admitted proposal: an old leader's goes into its own log in its own term.
    pub(super) fn enter(&mut self, node: usize, ticket: ProposalTicket, names: Vec<Named>) -> Result<(), String> {
        if self.life(node).believes_leader {
            let term = if self.leader == Some(node) { self.term } else { self.life(node).log.last().0 };
            self.append_at(node, Entry { term, command: Command::Put(names) })?;
        }
        self.step(node, Input::ProposalClosed { ticket })
    }
}
