//! The data plane of one node: takes what happened, gives what to do.

mod questions;
mod snapshots;

use blockraft_blocks::Multihash;
use blockraft_types::{LogIndex, NodeId, Position, RemoteTicket};

use crate::arrivals::Arrivals;
use crate::config::{Config, ConfigError};
use crate::debt::Measure;
use crate::dissemination::{self, Dissemination};
use crate::effect::{Admission, Effect, ProposalRefusal, PutFailure, Space};
use crate::exports::Exports;
use crate::fetch::{self, Fetches, Purpose};
use crate::gate::{Gate, GateMove};
use crate::identity::Identity;
use crate::import::Import;
use crate::inline::Inlines;
use crate::input::{Input, StoreFailure};
use crate::ledger::record::{Holder, Waiter};
use crate::ledger::{Completed, Ledger, LogEnd, Presence};
use crate::log_names::LogNames;
use crate::message::{BulkHeader, Message, Receipt, RefusalReason, Verdict};
use crate::mistake::Mistake;
use crate::payload::{EntryNames, Named, Payload};
use crate::proposal::{Proposals, Settled};
use crate::reclamation::Reclamation;
use crate::repair::Repairs;
use crate::serve::Serves;
use crate::ticket::{ProposalTicket, PutId};
use crate::tickets::Tickets;
use crate::view::View;

/// The data plane of one node as a plain value. See the crate page for the duties of its owner.
#[derive(Debug)]
pub struct Exchange<P> {
    config: Config,
    now: u64,
    view: View,
    tickets: Tickets,
    ledger: Ledger<P>,
    log: LogNames,
    gate: Gate,
    proposals: Proposals,
    dissemination: Dissemination<P>,
    arrivals: Arrivals,
    fetches: Fetches,
    serves: Serves,
    repairs: Repairs,
    inlines: Inlines<P>,
    reclamation: Reclamation,
    exports: Exports,
    import: Import,
    /// The last entry that was applied here.
    applied: LogIndex,
    /// What debts are measured against; none unless this node leads.
    measure: Option<Measure>,
    length_conflicts: u64,
    /// Whether something happened that may let a fetch start.
    may_fetch: bool,
    out: Vec<Effect<P>>,
}

impl<P: Payload> Exchange<P> {
    /// An exchange that knows nothing yet: tell it the membership, the log (`Replayed`, then `ReplayFinished`) and the
    /// connections.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the configuration contradicts itself.
    pub fn new(identity: Identity, config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            now: 0,
            view: View::new(identity.node),
            tickets: Tickets::new(identity.incarnation, identity.boot),
            ledger: Ledger::new(&config),
            log: LogNames::default(),
            gate: Gate::default(),
            proposals: Proposals::default(),
            dissemination: Dissemination::new(),
            arrivals: Arrivals::default(),
            fetches: Fetches::default(),
            serves: Serves::default(),
            repairs: Repairs::default(),
            inlines: Inlines::new(),
            reclamation: Reclamation::new(),
            exports: Exports::default(),
            import: Import::new(),
            applied: LogIndex::ZERO,
            measure: None,
            length_conflicts: 0,
            may_fetch: false,
            out: Vec::new(),
            config,
        })
    }

    /// Takes in one event. Never fails and never waits; what follows from it is among the effects.
    pub fn step(&mut self, input: Input<P>) {
        match input {
            Input::Tick => self.tick(),
            Input::Measured { measure } => self.measure = measure,
            Input::Put { op, payload } => self.put(op, payload),
            Input::PutClosed { op } => self.disseminate(|puts, round| puts.close(op, round)),
            Input::ProposalClosed { ticket } => self.close_proposal(ticket),
            Input::Repair { name, length } => self.repair(Named { name, length }),
            Input::Message { from, message } => self.receive(from, message),
            Input::Arrived { from, header, payload } => self.arrived(from, header, payload),
            Input::PushEnded { to, ticket, outcome } => {
                if let Some(counter) = self.tickets.own(ticket) {
                    self.disseminate(|puts, round| puts.push_ended(to, counter, outcome, round));
                }
            }
            Input::Served { ticket, outcome } => {
                self.serves.served(ticket, outcome, &mut self.ledger, &mut self.out);
            }
            Input::PeerConnected { peer } => {
                self.view.connect(peer);
                self.fetches.connected();
                self.may_fetch = true;
                self.disseminate(|puts, round| puts.advance_all(round));
            }
            Input::PeerDisconnected { peer } => {
                self.view.disconnect(peer);
                self.arrivals.disconnect(peer);
                self.fetches.disconnected(peer);
                self.may_fetch = true;
                self.disseminate(|puts, round| puts.disconnected(peer, round));
            }
            Input::Stored { name, result } => self.ledger.stored(name, result),
            Input::Statted { name, length } => self.ledger.statted(name, length, &mut self.out),
            Input::Removed { name, result } => self.ledger.removed(name, result, &mut self.out),
            Input::StoreListed { entries, next } => {
                let until = self.now.saturating_add(self.config.sweep_ticks);
                let rooms = (&mut self.ledger, &mut self.tickets, &mut self.out);
                self.reclamation.listed(entries, next, until, rooms);
            }
            Input::RowsChecked { ticket, absent } => {
                let until = self.now.saturating_add(self.config.sweep_ticks);
                self.reclamation.rows_checked(ticket, &absent, until, (&mut self.ledger, &mut self.out));
            }
            Input::SnapshotOffered { .. }
            | Input::ExportReady { .. }
            | Input::ChunkSent { .. }
            | Input::ChunkArrived { .. }
            | Input::ChunkImported
            | Input::ImportSealed { .. }
            | Input::ImportCleared
            | Input::SnapshotInstalled { .. }
            | Input::SnapshotUnneeded { .. } => self.step_snapshot(input),
            Input::Replayed { position, names } => self.log_gained(position, names),
            Input::Appended { position, names } => {
                self.log_gained(position, names);
                self.importing(|import, round| import.log_grows(round));
            }
            Input::Persisted { position } => {
                for named in self.log.persisted(position) {
                    self.ledger.log_lost(named.name, LogEnd::Truncated);
                }
                self.gate.persisted(position, &mut self.ledger);
                self.import.log_is_durable(position.index);
            }
            Input::Truncated { from } => self.log.truncate(from),
            Input::AppendDropped { positions } => {
                let waited_for = self.gate.waiting_for();
                for name in self.gate.dropped(&positions, &mut self.ledger) {
                    self.fetches.unwant(name, Purpose::Gate(LogIndex::ZERO));
                }
                if waited_for != self.gate.waiting_for() {
                    self.out.push(Effect::GateMoved);
                }
            }
            Input::Applied { index, created, deleted } => {
                self.applied = self.applied.max(index);
                for name in created {
                    self.ledger.created(name);
                }
                for name in deleted {
                    self.ledger.deleted(name, index);
                }
            }
            Input::InlineApplied { index, payload } => {
                self.inlines.add(index, payload.clone());
                self.ledger.store(payload, Waiter::Inline { index }, Space::Common, &mut self.out);
            }
            Input::Compacted { through } => {
                for named in self.log.compact(through) {
                    self.ledger.log_lost(named.name, LogEnd::Compacted);
                }
                self.ledger.compacted(through);
            }
            Input::ReplayFinished { applied } => {
                self.applied = self.applied.max(applied);
                self.reclamation.replay_finished();
                self.inlines.replay_finished();
            }
            Input::Leader { term, leader } => {
                self.view.observe_leader(term, leader);
                self.disseminate(|puts, round| puts.advance_all(round));
            }
            Input::Membership { membership } => {
                self.view.set_membership(membership);
                self.disseminate(|puts, round| puts.advance_all(round));
            }
        }
        self.draw_consequences();
    }

    /// Takes what the steps since the last call ask for, in order.
    #[must_use = "effects that aren't performed are promises that aren't kept"]
    pub fn take_effects(&mut self) -> Vec<Effect<P>> {
        core::mem::take(&mut self.out)
    }

    /// How many of these entries, a contiguous piece of the leader's log, may enter this node's log now: the prefix whose
    /// payloads are all durable here. They are leased until the log has the entries (`Appended`) or they are dropped
    /// (`AppendDropped`). For the others payloads are fetched, lowest index first; `GateMoved` tells when to ask again.
    ///
    /// What waited before is forgotten unless it is among `entries`: the caller keeps held messages in order and asks
    /// about the first.
    pub fn reserve_append(&mut self, entries: &[EntryNames]) -> usize {
        let (admitted, held) = self.gate.reserve(entries, self.config.gate_names_max, &mut self.ledger);
        self.length_conflicts += held.conflicts;
        for name in held.unwanted {
            self.fetches.unwant(name, Purpose::Gate(LogIndex::ZERO));
        }
        for (named, index) in held.wanted {
            self.want(named, Purpose::Gate(index));
        }
        self.draw_consequences();
        admitted
    }

    /// Whether a proposal that names these blocks may enter the log here, at the leader. `origin` is the node that put
    /// them, if it isn't this one: it has the bytes for sure.
    ///
    /// After `Enter`, `Wait` and `ProposalReady` the payloads stay leased until `ProposalClosed`.
    pub fn reserve_proposal(&mut self, ticket: ProposalTicket, names: &[Named], origin: Option<NodeId>) -> Admission {
        if self.ledger.is_poisoned() {
            return Admission::Refuse(ProposalRefusal::Poisoned);
        }
        let conflicts = |named: &Named| self.ledger.durable_length(named.name).is_some_and(|have| have != named.length);
        if names.iter().any(conflicts) {
            self.length_conflicts += 1;
            return Admission::Refuse(ProposalRefusal::Length);
        }
        if self.proposals.waiting_count() >= self.config.proposals_max || self.proposals.is_open(ticket) {
            return Admission::Refuse(ProposalRefusal::Full);
        }
        if self.is_full() && names.iter().any(|named| self.ledger.durable_length(named.name).is_none()) {
            return Admission::Refuse(ProposalRefusal::StoreFull);
        }
        let deadline = self.now.saturating_add(self.config.proposal_ticks_max);
        let lacking = self.proposals.open(ticket, names, deadline, &mut self.ledger);
        if lacking.is_empty() {
            return Admission::Enter;
        }
        for named in lacking {
            self.want(named, Purpose::Proposal(origin));
        }
        self.draw_consequences();
        Admission::Wait
    }

    /// Keeps a block from being reclaimed while it is read, imported or transferred, until it is [released](Self::release).
    /// Says nothing about whether it is there; a reclaim that has begun isn't stopped, so look at the block after this.
    pub fn lease(&mut self, name: Multihash, holder: Holder) {
        self.ledger.lease(name, holder);
    }

    /// Gives back one lease.
    pub fn release(&mut self, name: Multihash, holder: Holder) {
        self.ledger.release(name, holder);
    }

    /// Switches a known mistake on, so that a simulation can show that it notices.
    #[cfg(any(test, seeded_bugs))]
    pub fn seed_mistake(&mut self, mistake: Mistake) {
        self.ledger.mistakes.choose(mistake);
    }

    fn log_gained(&mut self, position: Position, names: Vec<Named>) {
        for named in &names {
            self.ledger.log_gained(*named);
        }
        self.log.append(position, names);
        self.gate.appended(position, &mut self.ledger);
    }

    fn tick(&mut self) {
        self.now += 1;
        self.may_fetch = true;
        self.ledger.tick(self.now);
        self.arrivals.tick(self.now);
        self.fetches.tick(self.now, &self.config);
        self.disseminate(|puts, round| puts.tick(round));
        for ticket in self.proposals.overdue(self.now) {
            self.refuse_proposal(ticket, ProposalRefusal::NotHeld);
        }
        for name in self.repairs.overdue(self.now) {
            self.end_repair(name, RepairEnd::Failed);
        }
        if self.now.is_multiple_of(self.config.retry_ticks.max(1)) {
            self.retry_inline(1);
        }
        self.tick_snapshots();
        let rooms = (&mut self.ledger, &mut self.tickets, &mut self.out);
        self.reclamation.tick(self.now, &self.config, rooms);
    }

    /// Tries some bodies again that found no room. One tells whether there is any; each that does finds out for two more.
    fn retry_inline(&mut self, count: usize) {
        for (index, payload) in self.inlines.take_failed(count) {
            self.ledger.store(payload, Waiter::Inline { index }, Space::Reserve, &mut self.out);
        }
    }

    fn put(&mut self, op: PutId, payload: P) {
        let length = payload.length();
        if self.ledger.staged().1 + u64::from(length) > self.config.staged_bytes_max {
            self.ledger.evict(u64::from(length));
        }
        let refusal = if self.ledger.is_poisoned() {
            Some(PutFailure::Poisoned)
        } else if self.dissemination.is_open(op) || !self.has_room_for_put(length) {
            Some(PutFailure::Full)
        } else {
            None
        };
        if let Some(reason) = refusal {
            self.out.push(Effect::PutFailed { op, reason });
            return;
        }
        self.ledger.store(payload.clone(), Waiter::Put, Space::Common, &mut self.out);
        self.disseminate(|puts, round| puts.put(op, &payload, round));
    }

    fn receive(&mut self, from: NodeId, message: Message) {
        match message {
            Message::PushBegun(push) => {
                let deadline = self.now.saturating_add(self.config.fetch_ticks_max);
                self.arrivals.announce(push.name, from, deadline, self.config.announced_max);
            }
            Message::Receipt(receipt) => {
                if let Some(counter) = self.tickets.own(receipt.ticket) {
                    let answer = (receipt.name, receipt.verdict);
                    self.disseminate(|puts, round| puts.receipt(from, counter, answer, round));
                }
            }
            Message::Fetch(fetch) => {
                let rooms = (&mut self.ledger, &mut self.tickets, &mut self.out);
                self.serves.asked(from, fetch, &self.config, rooms);
            }
            Message::Missing(missing) => {
                if let Some(counter) = self.tickets.own(missing.ticket) {
                    self.fetches.missing(from, counter, missing.name, missing.reason);
                    self.may_fetch = true;
                }
            }
            Message::SnapshotWanted(_)
            | Message::ExportOpened(_)
            | Message::ChunkWanted(_)
            | Message::ExportGone(_)
            | Message::ExportClosed(_)
            | Message::ExportNeeded(_) => self.receive_snapshot(from, message),
        }
    }

    fn arrived(&mut self, from: NodeId, header: BulkHeader, payload: P) {
        let named = payload.named();
        self.arrivals.end(named.name, from);
        self.may_fetch = true;
        let expected = self.fetches.expected_length(named.name);
        let space = self.fetches.space(named.name);
        if expected.is_some_and(|expected| expected != named.length) {
            self.length_conflicts += 1;
        }
        match header {
            BulkHeader::Push { ticket, .. } => {
                if expected.is_some() || self.makes_room(named) {
                    if self.ledger.mistakes.makes(Mistake::ReceiptBeforeDurability) {
                        self.send_receipt(from, ticket, named, Verdict::Durable);
                    }
                    self.fetches.arrived(from, named.name, self.now);
                    self.ledger.store(payload, Waiter::Receipt { to: from, ticket }, space, &mut self.out);
                } else {
                    self.send_receipt(from, ticket, named, Verdict::Refused(RefusalReason::Full));
                }
            }
            // An answer that nobody waits for any more is dropped: it is somebody else's block, and unasked for.
            BulkHeader::Fetched { .. } if expected.is_some() => {
                self.fetches.arrived(from, named.name, self.now);
                self.ledger.store(payload, Waiter::Fetch, space, &mut self.out);
            }
            // Rows of a snapshot are no payload: they come as `ChunkArrived`.
            BulkHeader::Fetched { .. } | BulkHeader::Chunk { .. } => {}
        }
    }

    /// Whether a pushed block may be staged; if not, the oldest staged blocks start to make room.
    fn makes_room(&mut self, named: Named) -> bool {
        if self.ledger.presence(named.name) == Presence::Durable {
            return true;
        }
        let length = u64::from(named.length);
        // The puts of this node have a budget of their own. Nodes that were full of theirs and took none of the others'
        // would wait for each other.
        let (blocks, bytes) = self.ledger.staged();
        let blocks = blocks.saturating_sub(self.dissemination.puts());
        let bytes = bytes.saturating_sub(self.dissemination.bytes());
        if blocks >= self.config.staged_blocks_max || bytes + length > self.config.staged_bytes_max {
            self.ledger.evict(length);
            return false;
        }
        self.ledger.storing_bytes() == 0 || self.ledger.storing_bytes() + length <= self.config.arriving_bytes_max
    }

    fn repair(&mut self, named: Named) {
        if self.repairs.is_open(named.name) {
            return;
        }
        if self.repairs.len() >= self.config.repairs_max || self.ledger.is_poisoned() {
            self.out.push(Effect::RepairFailed { name: named.name });
            return;
        }
        self.repairs.open(named.name, self.now.saturating_add(self.config.repair_ticks_max));
        // The lease comes first: without it the ledger would forget a block that it believes to be visible and well.
        self.ledger.lease(named.name, Holder::Reader);
        self.ledger.damaged(named.name, named.length);
        self.fetches.want(named, Purpose::Repair);
        self.may_fetch = true;
    }

    fn end_repair(&mut self, name: Multihash, end: RepairEnd) {
        if self.repairs.close(name) {
            self.fetches.unwant(name, Purpose::Repair);
            self.ledger.release(name, Holder::Reader);
            self.out.push(match end {
                RepairEnd::Durable => Effect::Repaired { name },
                RepairEnd::Failed => Effect::RepairFailed { name },
            });
        }
    }

    fn want(&mut self, named: Named, purpose: Purpose) {
        self.may_fetch = true;
        self.fetches.want(named, purpose);
        self.ledger.stat(named.name, &mut self.out);
    }

    fn close_proposal(&mut self, ticket: ProposalTicket) {
        for name in self.proposals.close(ticket, &mut self.ledger) {
            self.fetches.unwant(name, Purpose::Proposal(None));
        }
    }

    fn refuse_proposal(&mut self, ticket: ProposalTicket, reason: ProposalRefusal) {
        if self.proposals.is_open(ticket) {
            self.close_proposal(ticket);
            self.out.push(Effect::ProposalRefused { ticket, reason });
        }
    }

    /// Goes on until nothing follows any more: waits that ended, names whose state changed, fetches that may start.
    fn draw_consequences(&mut self) {
        loop {
            if let Some(completed) = self.ledger.next_completed() {
                self.completed(completed);
            } else if let Some(name) = self.ledger.next_changed() {
                self.changed(name);
            } else {
                break;
            }
        }
        if self.ledger.is_poisoned() {
            self.disseminate(|puts, round| puts.poisoned(round));
            for ticket in self.proposals.all_waiting() {
                self.refuse_proposal(ticket, ProposalRefusal::Poisoned);
            }
            return;
        }
        if !core::mem::take(&mut self.may_fetch) {
            return;
        }
        let mut round = fetch::Round {
            now: self.now,
            config: &self.config,
            view: &self.view,
            ledger: &self.ledger,
            arrivals: &self.arrivals,
            tickets: &mut self.tickets,
            out: &mut self.out,
        };
        self.fetches.pump(&mut round);
        for name in self.fetches.take_nobody_has() {
            self.importing(|import, round| import.nobody_has(name, round));
        }
    }

    fn completed(&mut self, Completed { named, waiter, result }: Completed) {
        match waiter {
            Waiter::Put => self.disseminate(|puts, round| puts.stored(named.name, result, round)),
            Waiter::Receipt { to, ticket } => {
                let verdict = match result {
                    Ok(()) => Verdict::Durable,
                    Err(StoreFailure::Full) => Verdict::Refused(RefusalReason::Full),
                    Err(StoreFailure::Poisoned) => Verdict::Refused(RefusalReason::Poisoned),
                };
                self.send_receipt(to, ticket, named, verdict);
            }
            Waiter::Inline { index } => match result {
                Ok(()) => {
                    self.inlines.durable(index, named.name);
                    self.out.push(Effect::InlineStored { index, name: named.name });
                    self.retry_inline(2);
                }
                Err(_) => self.inlines.failed(index, named.name),
            },
            Waiter::Fetch => {}
        }
    }

    /// An operation on the block ended: whoever waits for it to be durable looks again.
    fn changed(&mut self, name: Multihash) {
        self.may_fetch = true;
        let retry_at = self.now.saturating_add(self.config.retry_ticks);
        self.fetches.written(name, self.ledger.presence(name), retry_at);
        if let Some(length) = self.ledger.durable_length(name) {
            self.durable(Named { name, length });
        } else if self.fetches.is_wanted(name) {
            self.ledger.stat(name, &mut self.out);
        }
    }

    fn durable(&mut self, named: Named) {
        if self.gate.lacks(named.name) {
            match self.gate.durable(named) {
                GateMove::FirstComplete => self.out.push(Effect::GateMoved),
                GateMove::Closer => {}
                GateMove::Unmoved => self.length_conflicts += 1,
            }
            self.fetches.unwant(named.name, Purpose::Gate(LogIndex::ZERO));
        }
        // Each of them wanted it, those too that go on waiting for other payloads.
        for _ in 0..self.proposals.waiting_for(named.name) {
            self.fetches.unwant(named.name, Purpose::Proposal(None));
        }
        for settled in self.proposals.durable(named) {
            match settled {
                Settled::Ready(ticket) => self.out.push(Effect::ProposalReady { ticket }),
                Settled::Refused(ticket, reason) => self.refuse_proposal(ticket, reason),
            }
        }
        self.end_repair(named.name, RepairEnd::Durable);
        self.importing(|import, round| import.durable(named.name, round));
    }

    fn send_receipt(&mut self, to: NodeId, ticket: RemoteTicket, named: Named, verdict: Verdict) {
        let receipt = Receipt { ticket, name: named.name, length: named.length, verdict };
        self.out.push(Effect::Send { to, message: Message::Receipt(receipt) });
    }

    fn disseminate(&mut self, act: impl FnOnce(&mut Dissemination<P>, &mut dissemination::Round<'_, P>)) {
        let mut round = dissemination::Round {
            now: self.now,
            config: &self.config,
            view: &self.view,
            ledger: &mut self.ledger,
            tickets: &mut self.tickets,
            out: &mut self.out,
        };
        act(&mut self.dissemination, &mut round);
    }
}

/// How a repair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RepairEnd {
    Durable,
    Failed,
}
