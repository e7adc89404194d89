//! One member of one group without its surroundings: events in, effects out.
//!
//! It holds the consensus core, the gate, the bodies that aren't durable yet, and everything that waits for something.
//! It reads no clock, starts nothing and waits for nobody, so that the simulator runs what production runs.

mod beginning;
mod ending;
mod inquiry;
mod sending;

use std::collections::{BTreeMap, VecDeque};

use blockraft_core::ready::{CommittedRange, Outgoing};
use blockraft_core::{BodyHead, Input, LogPoint, Persist, ProposalTicket, Raft, Ready, RestoreError, Restored, Sealed};
use blockraft_log::{Anchor, Batch};
use blockraft_types::message::AppendEntries;
use blockraft_types::{
    BodyDigest, Entry, EntryHead, EntryKind, GroupId, LogIndex, Message, NodeId, PersistReceipt, Position, Role, Term,
};
use bytes::Bytes;

use crate::backlog::Backlog;
use crate::body_cache::BodyCache;
use crate::compaction::Compaction;
use crate::config::ReplicaOptions;
use crate::effect::{Alarm, ApplyRange, Effect};
use crate::event::Event;
use crate::gate::{Admission, AppendGate, GateChanges, HeldChange, LogEvent};
use crate::handover::Handover;
use crate::held::{Arrival, HeldAppend, HeldAppends, body_bytes};
use crate::inquiry::Inquiry;
use crate::persists::Persists;
use crate::proposal::NotProposed;
use crate::ranges::Ranges;
use crate::status::{DriverStatus, RoleStatus};
use crate::writes::Writes;

/// A member of a group as a pure machine around the core.
///
/// Give it every event with [`step`](Self::step), as many as wait; then perform what
/// [`take_effects`](Self::take_effects) gives, in order.
#[derive(Debug)]
pub struct Replica<G: AppendGate> {
    raft: Raft,
    gate: G,
    options: ReplicaOptions,
    group: GroupId,
    cache: BodyCache,
    held: HeldAppends,
    ranges: Ranges,
    compaction: Compaction,
    inquiry: Inquiry,
    handover: Handover,
    /// Proposals that the gate lets wait.
    waiting: BTreeMap<ProposalTicket, Proposal>,
    /// Proposals that the core has and didn't answer yet.
    entering: BTreeMap<ProposalTicket, Body>,
    /// Bodies of accepted proposals whose heads come with a later batch.
    accepted: BTreeMap<LogIndex, Body>,
    /// Replies that wait for their batch, in the order of the batches.
    sealed: VecDeque<Sealed>,
    persists: Persists,
    writes: Writes,
    /// The last entry of the present log that was handed out in a batch or was there at the start.
    handed: LogIndex,
    durable: LogIndex,
    backlog: Backlog,
    tick: u64,
    role: RoleStatus,
    /// What the core was told of held appends.
    told_waiting: Option<LogIndex>,
    effects: Vec<Effect>,
}

/// A proposal on its way to the core.
#[derive(Debug)]
struct Proposal {
    /// The only term that it may enter the log in.
    term: Option<Term>,
    body: Bytes,
}

#[derive(Debug)]
struct Body {
    ticket: ProposalTicket,
    digest: BodyDigest,
    bytes: Bytes,
}

impl<G: AppendGate> Replica<G> {
    /// A member that goes on from what was durable. `seed` is the only chance it gets: draw it from the operating
    /// system. [`restore`](crate::restore()) makes `restored`.
    ///
    /// # Errors
    ///
    /// When the parts of `restored` contradict each other.
    pub fn new(options: ReplicaOptions, seed: u64, restored: Restored, gate: G) -> Result<Self, RestoreError> {
        let anchor = Anchor { position: restored.anchor.position, chain: restored.anchor.chain };
        let (group, last) = (restored.group, restored.last.position.index);
        let role = RoleStatus { role: Role::Follower, term: restored.hard_state.term, leader: None };
        let tail_bytes = restored.tail.iter().map(|head| u64::from(head.body_bytes)).sum();
        let mut compaction = Compaction::new(options.compaction, anchor.position.index);
        compaction.appended(last, tail_bytes);
        let applied = restored.applied;
        Ok(Self {
            raft: Raft::new(options.core, seed, restored)?,
            gate,
            options,
            group,
            cache: BodyCache::new(options.recent_bytes_max, options.recent_entries_max),
            held: HeldAppends::new(options.held_bytes_max),
            ranges: Ranges::new(anchor),
            compaction,
            inquiry: Inquiry::default(),
            handover: Handover::default(),
            waiting: BTreeMap::new(),
            entering: BTreeMap::new(),
            accepted: BTreeMap::new(),
            sealed: VecDeque::new(),
            persists: Persists::default(),
            writes: Writes::default(),
            handed: last,
            durable: last,
            backlog: Backlog::new(applied, options.apply_bytes_max),
            tick: 0,
            role,
            told_waiting: None,
            effects: Vec::new(),
        })
    }

    /// Takes in what happened.
    pub fn step(&mut self, event: Event<G::Event>) {
        match event {
            Event::Tick => self.tick(),
            Event::Received { from, message: Message::AppendEntries(append), bodies } => {
                self.receive_append(from, append, bodies);
            }
            Event::Received { from, message, bodies: _ } => self.raft.step(Input::Message { from, message }),
            Event::Undelivered { to } => self.raft.step(Input::Unreachable { peer: to }),
            Event::Propose { ticket, term, body } => self.propose(ticket, Proposal { term, body }),
            Event::ChangeMembership { ticket, change } => self.raft.step(Input::ChangeMembership { ticket, change }),
            Event::Read { ticket } => self.raft.step(Input::Read { ticket }),
            Event::TransferLeadership { to } => self.raft.step(Input::TransferLeadership { to }),
            Event::Persisted(receipt) => self.persisted(receipt),
            Event::EntriesRead { request, result } => {
                self.look_on(request, &result);
                if let Some(plan) = self.ranges.read(request, result, &self.cache, self.durable) {
                    self.perform(plan);
                }
            }
            Event::Applied { index } => self.take_applied(index),
            Event::Flushed { index } => self.flushed(index),
            Event::Installed { anchor } => self.installed(anchor),
            Event::Compacted { anchor } => self.compacted(anchor),
            Event::PeerConnected(peer) => self.gate.observe(LogEvent::PeerConnected(peer)),
            Event::PeerDisconnected(peer) => {
                self.gate.observe(LogEvent::PeerDisconnected(peer));
                self.raft.step(Input::Unreachable { peer });
            }
            Event::Gate(event) => {
                let changes = self.gate.handle(event);
                self.take_changes(changes);
            }
        }
    }

    /// Takes everything that is to be done, in the order in which it is to be done.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        loop {
            self.tell_waiting();
            let ready = self.raft.take_ready();
            if ready.is_empty() {
                return core::mem::take(&mut self.effects);
            }
            self.absorb(ready);
        }
    }

    /// The state of this member, for people and metrics.
    #[must_use]
    pub fn status(&self) -> DriverStatus {
        DriverStatus {
            group: self.group,
            core: self.raft.status(),
            log_entries: self.compaction.entries(),
            log_bytes: self.compaction.bytes(),
            held_appends: self.held.len(),
            held_bytes: self.held.bytes(),
            held_dropped: self.held.dropped(),
            waiting_proposals: self.waiting.len(),
            range_reads: self.ranges.reading(),
            persists_inflight: self.persists.len(),
            persist_stalls: self.persists.stalls(),
            messages_dropped: 0,
        }
    }

    /// Role, term and leader.
    #[must_use]
    pub const fn role(&self) -> RoleStatus {
        self.role
    }

    /// The group.
    #[must_use]
    pub const fn group(&self) -> GroupId {
        self.group
    }

    /// The gate, to be looked at.
    #[must_use]
    pub const fn gate(&self) -> &G {
        &self.gate
    }

    fn tick(&mut self) {
        self.tick += 1;
        let patience = u64::from(self.options.core.options().election_ticks_max);
        if self.persists.stalls_now(self.tick, patience) {
            self.raft.step(Input::StorageStalled);
            self.effects.push(Effect::Alarm(Alarm::PersistStalled));
        }
        self.raft.step(Input::Tick);
        let changes = self.gate.tick();
        self.take_changes(changes);
        self.hand_over_if_obstructed();
        if self.tick.is_multiple_of(COMPACTION_TICKS) {
            let wanted = if self.tick.is_multiple_of(WANTED_TICKS) { self.gate.compaction_wanted() } else { None };
            self.flush_if_due(wanted);
        }
    }

    fn receive_append(&mut self, from: NodeId, append: AppendEntries, bodies: Vec<Bytes>) {
        let bytes = bodies.iter().map(|body| body.len() as u64).sum();
        let arrival = if append.heads.is_empty() && self.held.front().is_none() || append.term < self.role.term {
            Arrival::Bare
        } else {
            self.held.judge(from, &append, bytes)
        };
        match arrival {
            Arrival::Enter => {}
            Arrival::Replace => self.drop_held(),
            Arrival::Queue => {}
            Arrival::Bare => return self.enter(from, AppendEntries { heads: Vec::new(), ..append }, Vec::new()),
            Arrival::Drop => return self.held.count_dropped(),
        }
        let append = match HeldAppend::verified(append, bodies) {
            Ok(append) => append,
            Err(foreign) => {
                return self.effects.push(Effect::Alarm(Alarm::ForeignBody { from, position: foreign.position }));
            }
        };
        if arrival == Arrival::Queue {
            self.gate.observe(LogEvent::Held { entries: &append.entries });
            return self.held.push(from, append);
        }
        if append.entries.is_empty() {
            return self.enter(from, append.start, append.entries);
        }
        let admitted = self.gate.admit(&append.entries).min(append.entries.len());
        if admitted == append.entries.len() {
            return self.enter(from, append.start, append.entries);
        }
        self.held.push(from, append);
        self.enter_held(admitted);
    }

    /// Hands the admitted part of the first held append to the core. Without entries it is a bare probe, from which
    /// the core learns of the leader and the leader of the agreement up to here.
    fn enter_held(&mut self, admitted: usize) {
        let Some(from) = self.held.from() else { return };
        if let Some(HeldAppend { start, entries }) = self.held.admit(admitted) {
            self.enter(from, start, entries);
        }
    }

    fn recheck_held(&mut self) {
        while let Some(first) = self.held.front() {
            let wanted = first.entries.len();
            let admitted = self.gate.admit(&first.entries).min(wanted);
            if 0 < admitted {
                self.enter_held(admitted);
            }
            if admitted < wanted {
                return;
            }
        }
    }

    fn drop_held(&mut self) {
        for append in self.held.clear() {
            self.gate.observe(LogEvent::Dropped { entries: &append.entries });
        }
    }

    /// Lets the core judge entries whose payloads are here, and keeps the bodies of those that it took.
    fn enter(&mut self, from: NodeId, mut append: AppendEntries, entries: Vec<Entry>) {
        let Some(last) = entries.last().map(|entry| entry.head.position) else {
            return self.raft.step(Input::Message { from, message: Message::AppendEntries(append) });
        };
        append.heads = entries.iter().map(|entry| entry.head.clone()).collect();
        let before = self.raft.last();
        let known = entries.iter().take_while(|entry| self.in_log(entry)).count();
        self.raft.step(Input::Message { from, message: Message::AppendEntries(append) });
        self.durable = self.raft.durable_index();
        let appended = self.raft.last() == last && before != last;
        let (refused, fresh) = entries.split_at(if appended { known } else { entries.len() });
        self.keep(fresh);
        // What is in the log already and goes out with a later batch keeps its lease.
        let pending: Vec<bool> =
            refused.iter().map(|entry| self.handed < entry.head.position.index && self.in_log(entry)).collect();
        let mut rest = refused;
        for run in pending.chunk_by(PartialEq::eq) {
            let (entries, others) = rest.split_at(run.len());
            rest = others;
            if run.first() == Some(&false) {
                self.gate.observe(LogEvent::Dropped { entries });
            }
        }
    }

    fn in_log(&self, entry: &Entry) -> bool {
        let Position { term, index } = entry.head.position;
        self.raft.term_at(index) == Some(term)
    }

    /// Keeps the bodies of entries that the core appended.
    fn keep(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first().map(|entry| entry.head.position.index) else { return };
        for Body { ticket, .. } in self.accepted.split_off(&first).into_values() {
            self.gate.observe(LogEvent::ProposalRefused { ticket });
        }
        for entry in entries {
            let dropped = self.cache.push(entry.clone());
            let handed = dropped.partition_point(|entry| entry.head.position.index <= self.handed);
            if let Some(unhanded) = dropped.get(handed..).filter(|entries| !entries.is_empty()) {
                self.gate.observe(LogEvent::Dropped { entries: unhanded });
            }
        }
        self.handed = self.handed.min(first.previous());
    }

    fn propose(&mut self, ticket: ProposalTicket, proposal: Proposal) {
        if self.role.role != Role::Leader {
            return self.refuse(ticket, NotProposed::NotLeader);
        }
        match self.gate.admit_proposal(ticket, &proposal.body) {
            Admission::Enter => self.enter_proposal(ticket, proposal),
            Admission::Wait => {
                self.waiting.insert(ticket, proposal);
            }
            Admission::Refuse(refusal) => self.refuse(ticket, NotProposed::Gate(refusal)),
        }
    }

    fn enter_proposal(&mut self, ticket: ProposalTicket, Proposal { term, body }: Proposal) {
        // The core's own term: the role that was told of last may be behind it by a batch.
        let present = self.raft.term();
        if term.is_some_and(|term| term != present) {
            self.gate.observe(LogEvent::ProposalRefused { ticket });
            return self.refuse(ticket, NotProposed::OtherTerm { term: present });
        }
        let Some(head) = BodyHead::of(&body) else {
            self.gate.observe(LogEvent::ProposalRefused { ticket });
            let (bytes, bytes_max) = (body.len() as u64, u64::from(u32::MAX));
            return self.refuse(ticket, NotProposed::TooLarge { bytes, bytes_max });
        };
        self.entering.insert(ticket, Body { ticket, digest: head.digest, bytes: body });
        self.raft.step(Input::Propose { ticket, bodies: vec![head] });
    }

    fn refuse(&mut self, ticket: ProposalTicket, reason: NotProposed) {
        self.effects.push(Effect::Refused { ticket, reason, leader: self.role.leader });
    }

    fn take_changes(&mut self, changes: GateChanges) {
        for ticket in changes.released {
            if let Some(proposal) = self.waiting.remove(&ticket) {
                self.enter_proposal(ticket, proposal);
            }
        }
        for (ticket, refusal) in changes.refused {
            if self.waiting.remove(&ticket).is_some() {
                self.refuse(ticket, NotProposed::Gate(refusal));
            }
        }
        match changes.held {
            HeldChange::Recheck => self.recheck_held(),
            HeldChange::Unchanged => {}
        }
        if let Some(snapshot) = changes.snapshot {
            self.install(snapshot);
        }
    }

    /// Tells the core what is held back, if that changed: it says so to the leader.
    fn tell_waiting(&mut self) {
        // A newer term than that of the held appends: their leader leads no more.
        if self.held.term().is_some_and(|term| term < self.role.term) {
            self.drop_held();
        }
        let index = self.held.waiting_index();
        if index != self.told_waiting {
            self.told_waiting = index;
            self.raft.step(Input::PayloadWaiting { index });
        }
    }

    fn persisted(&mut self, receipt: PersistReceipt) {
        self.raft.step(Input::Persisted(receipt));
        self.persists.confirm(receipt.number(), self.tick);
        while let Some(sealed) = self.sealed.pop_front_if(|sealed| sealed.number() <= receipt.number()) {
            match sealed.open(&receipt) {
                Ok((to, message)) => self.effects.push(Effect::Send { to, message, bodies: Vec::new() }),
                Err(sealed) => return self.sealed.push_front(sealed),
            }
        }
        let through = self.raft.durable_index();
        if self.durable != through {
            self.durable = through;
            self.cache.evict(through);
            self.gate.observe(LogEvent::Persisted { through });
        }
    }

    fn take_applied(&mut self, index: LogIndex) {
        self.backlog.take(index);
        self.raft.step(Input::Applied { index });
        self.gate.observe(LogEvent::Applied { through: index });
    }

    fn absorb(&mut self, ready: Ready) {
        let Ready {
            messages,
            sealed,
            appends,
            persist,
            accepted,
            refused,
            committed,
            reads,
            refused_reads,
            state,
            changes,
            membership,
            transfer_aborted: _,
            snapshot_wanted,
            snapshot_unneeded,
            recovered,
            alarms,
        } = ready;
        if let Some(state) = state {
            self.change_role(RoleStatus { role: state.role, term: state.term, leader: state.leader });
        }
        if let Some(in_force) = membership {
            self.gate.observe(LogEvent::Membership(&in_force.membership));
            self.effects.push(Effect::MembershipChanged(in_force));
        }
        self.effects.extend(changes.into_iter().map(Effect::ChangeAnswered));
        for proposal in accepted {
            let Some(body) = self.entering.remove(&proposal.ticket) else { continue };
            self.accepted.insert(proposal.first.index, body);
            self.effects.push(Effect::Accepted { ticket: proposal.ticket, position: proposal.first });
        }
        for proposal in refused {
            self.entering.remove(&proposal.ticket);
            self.gate.observe(LogEvent::ProposalRefused { ticket: proposal.ticket });
            self.refuse(proposal.ticket, NotProposed::by_core(proposal.reason));
        }
        self.sealed.extend(sealed);
        if let Some(persist) = persist {
            self.persist(persist);
        }
        for Outgoing { to, message } in messages {
            self.effects.push(Effect::Send { to, message, bodies: Vec::new() });
        }
        for range in appends {
            self.append(range);
        }
        if let Some(committed) = committed {
            self.apply(committed);
        }
        for read in reads {
            self.effects.push(Effect::ReadSafe { ticket: read.ticket, index: read.index });
        }
        for read in refused_reads {
            self.effects.push(Effect::ReadRefused { ticket: read.ticket, reason: read.reason });
        }
        if let Some(offer) = snapshot_wanted {
            self.gate.observe(LogEvent::SnapshotWanted(offer));
        }
        if let Some(position) = snapshot_unneeded {
            self.gate.observe(LogEvent::SnapshotUnneeded(position));
        }
        self.effects.extend(recovered.map(Effect::Recovered));
        for alarm in alarms {
            self.look_into(alarm);
            self.effects.push(Effect::Alarm(Alarm::Core(alarm)));
        }
    }

    fn change_role(&mut self, role: RoleStatus) {
        if role.role != Role::Leader || role.term != self.role.term {
            self.ranges.clear();
        }
        self.role = role;
        self.effects.push(Effect::RoleChanged(role));
        self.gate.observe(LogEvent::Leader { term: role.term, leader: role.leader });
        if role.role == Role::Leader {
            return;
        }
        for (ticket, _) in core::mem::take(&mut self.waiting) {
            self.gate.observe(LogEvent::ProposalRefused { ticket });
            self.refuse(ticket, NotProposed::NotLeader);
        }
    }

    fn persist(&mut self, persist: Persist) {
        let Persist { ticket, reset, hard_state, truncate_from, heads } = persist;
        self.persists.issue(ticket.number(), self.tick);
        if reset.is_some() || truncate_from.is_some() {
            self.inquiry.give_up();
        }
        if let Some(from) = truncate_from {
            self.gate.observe(LogEvent::Truncated { from });
        }
        let mut proposed = Vec::new();
        let entries: Vec<Entry> = heads.into_iter().map(|head| self.entry(head, &mut proposed)).collect();
        if let Some(last) = entries.last() {
            self.handed = last.head.position.index;
            self.compaction.appended(self.handed, body_bytes(&entries));
            self.gate.observe(LogEvent::Appended { entries: &entries });
        }
        for (ticket, position) in proposed {
            self.gate.observe(LogEvent::ProposalAccepted { ticket, position });
        }
        let reset = reset.map(|LogPoint { position, chain }| Anchor { position, chain });
        self.writes.push(reset, Batch { ticket, hard_state, truncate_from, entries }, &mut self.effects);
    }

    /// The entry of a head that the core hands out. Bodies are here from the moment that the core hears of them.
    fn entry(&mut self, head: EntryHead, proposed: &mut Vec<(ProposalTicket, Position)>) -> Entry {
        let position = head.position;
        if let Some(entry) = self.cache.get(position.index).filter(|entry| entry.head == head) {
            return entry.clone();
        }
        let body = match (&head.kind, self.accepted.remove(&position.index)) {
            (EntryKind::Command, Some(body)) if body.digest == head.body_digest => {
                proposed.push((body.ticket, position));
                body.bytes
            }
            (EntryKind::Command, _) => unreachable!("the core names only bodies that it was told of: {position}"),
            (EntryKind::Blank | EntryKind::Membership(_), _) => Bytes::new(),
        };
        let entry = Entry { head, body };
        self.cache.push(entry.clone());
        entry
    }

    fn apply(&mut self, committed: CommittedRange) {
        let CommittedRange { first, last } = committed;
        let count = last.index.next().since(first) as usize;
        let entries = if self.backlog.has_room() { self.cache.run(first, last.index, u64::MAX) } else { None };
        let entries = entries.filter(|entries| entries.len() == count);
        if let Some(entries) = &entries {
            self.backlog.give(last.index, entries);
        }
        self.effects.push(Effect::Apply(ApplyRange { first, last, entries }));
    }
}

/// How often the size of the log is looked at.
const COMPACTION_TICKS: u64 = 10;

/// How often the gate may have it compacted: each time costs a flush of the state machine.
const WANTED_TICKS: u64 = 10 * COMPACTION_TICKS;
