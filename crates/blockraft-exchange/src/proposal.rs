//! Proposals at the leader that wait until their payloads are durable here, and the leases that they hold from then until
//! their entry is in the log.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_blocks::Multihash;

use crate::effect::ProposalRefusal;
use crate::ledger::Ledger;
use crate::ledger::record::Holder;
use crate::payload::{Named, Payload};
use crate::ticket::ProposalTicket;

#[derive(Debug, Default)]
pub(crate) struct Proposals {
    open: BTreeMap<ProposalTicket, Proposal>,
    waiting: BTreeMap<Multihash, BTreeSet<ProposalTicket>>,
    waiting_count: usize,
}

#[derive(Debug)]
struct Proposal {
    names: Vec<Named>,
    missing: BTreeSet<Multihash>,
    deadline: u64,
}

/// A wait that is over.
#[derive(Debug)]
pub(crate) enum Settled {
    Ready(ProposalTicket),
    Refused(ProposalTicket, ProposalRefusal),
}

impl Proposals {
    pub(crate) const fn waiting_count(&self) -> usize {
        self.waiting_count
    }

    /// Leases the payloads and notes which of them aren't durable yet.
    pub(crate) fn open<P: Payload>(
        &mut self,
        ticket: ProposalTicket,
        names: &[Named],
        deadline: u64,
        ledger: &mut Ledger<P>,
    ) -> Vec<Named> {
        for named in names {
            ledger.lease(named.name, Holder::Proposer);
        }
        let lacking: Vec<Named> =
            names.iter().filter(|named| ledger.durable_length(named.name).is_none()).copied().collect();
        let missing: BTreeSet<Multihash> = lacking.iter().map(|named| named.name).collect();
        for name in &missing {
            self.waiting.entry(*name).or_default().insert(ticket);
        }
        self.waiting_count += usize::from(!missing.is_empty());
        self.open.insert(ticket, Proposal { names: names.to_vec(), missing, deadline });
        lacking.into_iter().collect::<BTreeSet<Named>>().into_iter().collect()
    }

    pub(crate) fn is_open(&self, ticket: ProposalTicket) -> bool {
        self.open.contains_key(&ticket)
    }

    /// A payload is durable: what it settles. Refused proposals have to be closed by the caller.
    pub(crate) fn durable(&mut self, durable: Named) -> Vec<Settled> {
        let mut settled = Vec::new();
        for ticket in self.waiting.remove(&durable.name).unwrap_or_default() {
            let Some(proposal) = self.open.get_mut(&ticket) else { continue };
            proposal.missing.remove(&durable.name);
            if proposal.names.iter().any(|named| named.name == durable.name && named.length != durable.length) {
                settled.push(Settled::Refused(ticket, ProposalRefusal::Length));
                self.waiting_count -= usize::from(proposal.missing.is_empty());
            } else if proposal.missing.is_empty() {
                self.waiting_count -= 1;
                settled.push(Settled::Ready(ticket));
            }
        }
        settled
    }

    /// Ends the leases. Gives back the names that it waited for.
    pub(crate) fn close<P: Payload>(&mut self, ticket: ProposalTicket, ledger: &mut Ledger<P>) -> BTreeSet<Multihash> {
        let Some(proposal) = self.open.remove(&ticket) else { return BTreeSet::new() };
        for named in &proposal.names {
            ledger.release(named.name, Holder::Proposer);
        }
        self.waiting_count -= usize::from(!proposal.missing.is_empty());
        for name in &proposal.missing {
            if let Some(tickets) = self.waiting.get_mut(name) {
                tickets.remove(&ticket);
                if tickets.is_empty() {
                    self.waiting.remove(name);
                }
            }
        }
        proposal.missing
    }

    /// How many wait for the payload.
    pub(crate) fn waiting_for(&self, name: Multihash) -> usize {
        self.waiting.get(&name).map_or(0, BTreeSet::len)
    }

    /// Waits that took too long.
    pub(crate) fn overdue(&self, now: u64) -> Vec<ProposalTicket> {
        if self.waiting_count == 0 {
            return Vec::new();
        }
        let is_overdue = |proposal: &Proposal| !proposal.missing.is_empty() && proposal.deadline <= now;
        self.open.iter().filter(|(_, proposal)| is_overdue(proposal)).map(|(ticket, _)| *ticket).collect()
    }

    /// All that still wait.
    pub(crate) fn all_waiting(&self) -> Vec<ProposalTicket> {
        self.open.iter().filter(|(_, proposal)| !proposal.missing.is_empty()).map(|(ticket, _)| *ticket).collect()
    }
}
