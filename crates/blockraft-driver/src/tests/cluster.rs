//! Replicas over logs in memory, their effects performed when a test or a seed says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;

use blockraft_core::{Config, LogPoint, Options, ProposalTicket, Snapshot, SnapshotOffer};
use blockraft_log::{Anchor, Batch, LogReader, LogStore, MemoryDisk, MemoryLog};
use blockraft_types::{
    ClusterId, Entry, EntryKind, GroupId, Incarnation, LogIndex, Membership, Message, NodeId, Position, Role,
};
use blockraft_wire::raft::{self, RaftMessage};
use bytes::Bytes;

use crate::config::{CompactionPolicy, ReplicaOptions};
use crate::effect::{ApplyRange, Effect, RangeRead, RangeResult};
use crate::event::Event;
use crate::gate::{Admission, AppendGate, GateChanges, GateRefusal, HeldChange, LogEvent};
use crate::proposal::NotProposed;
use crate::replica::Replica;
use crate::restore::{Remains, reconcile, restore};

pub(super) const GROUP: GroupId = GroupId(3);

pub(crate) fn membership(voters: u64) -> Membership {
    Membership::of_voters((1..=voters).map(|id| (NodeId(id), Incarnation::from_bytes([id as u8; 16]))))
}

pub(super) fn birth(membership: &Membership) -> Anchor {
    let LogPoint { position, chain } = LogPoint::genesis(ClusterId::from_bytes([9; 16]), GROUP, membership);
    Anchor { position, chain }
}

/// A window so small that followers are fed from the log, a log so short that it is compacted all the time, and a disk
/// queue so short that entries wait in the core.
pub(super) fn tight() -> ReplicaOptions {
    let core = Options { persists_inflight_max: 2, ..Options::default() };
    ReplicaOptions {
        core: Config::new(core).unwrap(),
        compaction: CompactionPolicy { entries_max: 8, entries_kept: 2, ..CompactionPolicy::default() },
        recent_bytes_max: 1 << 10,
        recent_entries_max: 1,
        held_bytes_max: 256,
        apply_bytes_max: 64,
    }
}

/// What a [`PayloadGate`] hears.
#[derive(Debug)]
pub(super) enum GateEvent {
    /// A payload is here.
    Payload(Bytes),
    /// A snapshot is complete.
    Complete(Snapshot),
}

/// Lets a command in once its body was announced, and holds the driver to what it says of leases.
#[derive(Debug, Default)]
pub(super) struct PayloadGate {
    pub(super) payloads: BTreeSet<Bytes>,
    waiting: BTreeMap<ProposalTicket, Bytes>,
    entering: BTreeSet<ProposalTicket>,
    /// Entries that were appended without having been admitted: proposals, as the next events must say.
    unexplained: BTreeSet<Position>,
    admitted: BTreeSet<Position>,
    appended: BTreeMap<LogIndex, Position>,
    floor: Option<LogIndex>,
    /// What the leader offered, until somebody gets it.
    pub(super) offer: Mutex<Option<SnapshotOffer>>,
    pub(super) installed: u64,
    pub(super) unneeded: u64,
}

impl PayloadGate {
    pub(super) fn with(payloads: BTreeSet<Bytes>) -> Self {
        Self { payloads, ..Self::default() }
    }

    /// Every lease that is held now.
    pub(super) fn leases(&self) -> usize {
        self.entering.len() + self.admitted.len() + self.appended.len() + self.waiting.len()
    }

    fn has(&self, entry: &Entry) -> bool {
        entry.head.kind != EntryKind::Command || self.payloads.contains(&entry.body)
    }
}

impl AppendGate for PayloadGate {
    type Event = GateEvent;

    fn admit(&mut self, entries: &[Entry]) -> usize {
        let admitted = entries.iter().take_while(|entry| self.has(entry)).count();
        self.admitted.extend(entries[..admitted].iter().map(|entry| entry.head.position));
        admitted
    }

    fn admit_proposal(&mut self, ticket: ProposalTicket, body: &Bytes) -> Admission {
        if body.is_empty() {
            return Admission::Refuse(GateRefusal::Never("it is empty"));
        }
        if !self.payloads.contains(body) {
            self.waiting.insert(ticket, body.clone());
            return Admission::Wait;
        }
        self.entering.insert(ticket);
        Admission::Enter
    }

    fn handle(&mut self, event: GateEvent) -> GateChanges {
        let payload = match event {
            GateEvent::Payload(payload) => payload,
            GateEvent::Complete(snapshot) => return GateChanges { snapshot: Some(snapshot), ..GateChanges::default() },
        };
        let released: Vec<_> =
            self.waiting.extract_if(.., |_, body| *body == payload).map(|(ticket, _)| ticket).collect();
        self.entering.extend(&released);
        self.payloads.insert(payload);
        GateChanges { held: HeldChange::Recheck, released, ..GateChanges::default() }
    }

    fn tick(&mut self) -> GateChanges {
        GateChanges::default()
    }

    fn observe(&mut self, event: LogEvent<'_>) {
        let explains = matches!(event, LogEvent::ProposalAccepted { .. });
        assert!(explains || self.unexplained.is_empty(), "{:?} were never admitted", self.unexplained);
        match event {
            LogEvent::Dropped { entries } => {
                for entry in entries {
                    self.admitted.remove(&entry.head.position);
                }
            }
            LogEvent::Appended { entries } => {
                for entry in entries {
                    let position = entry.head.position;
                    assert!(self.has(entry), "{position} entered the log before its payload was here");
                    if !self.admitted.remove(&position) && entry.head.kind == EntryKind::Command {
                        self.unexplained.insert(position);
                    }
                    self.appended.insert(position.index, position);
                }
            }
            LogEvent::Truncated { from } => {
                self.appended.retain(|index, _| *index < from);
            }
            LogEvent::Persisted { through } => self.appended.retain(|index, _| through < *index),
            LogEvent::ProposalAccepted { ticket, position } => {
                assert!(self.entering.remove(&ticket), "{ticket:?} was admitted");
                assert!(self.unexplained.remove(&position), "{position} was appended just before");
            }
            LogEvent::ProposalRefused { ticket } => {
                let known = self.entering.remove(&ticket) | self.waiting.remove(&ticket).is_some();
                assert!(known, "{ticket:?} was admitted or waited");
            }
            LogEvent::SnapshotWanted(offer) => *self.offer.lock().unwrap() = Some(offer),
            LogEvent::SnapshotInstalled(position) => {
                self.appended.retain(|index, _| position.index < *index);
                self.installed += 1;
            }
            LogEvent::SnapshotUnneeded(_) => self.unneeded += 1,
            _ => {}
        }
    }

    fn compaction_floor(&self) -> LogIndex {
        self.floor.unwrap_or(LogIndex(u64::MAX))
    }

    fn compaction_wanted(&self) -> Option<LogIndex> {
        self.payloads.contains(SPACE_IS_SHORT).then_some(LogIndex(1))
    }

    fn is_obstructed(&self) -> bool {
        self.payloads.contains(NOTHING_CAN_BE_KEPT)
    }
}

/// A gate that got this is obstructed.
pub(super) const NOTHING_CAN_BE_KEPT: &[u8] = b"nothing can be kept";

/// The payload after which the gate wants the log compacted through its first entry.
pub(super) const SPACE_IS_SHORT: &[u8] = b"space is short";

/// One member and everything that it has asked for.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) replica: Replica<PayloadGate>,
    disk: MemoryDisk,
    log: MemoryLog,
    members: Membership,
    options: ReplicaOptions,
    pub(super) batches: VecDeque<Batch>,
    /// Snapshots that are complete here, each with what the state machine will hold.
    staged: BTreeMap<LogIndex, Vec<Entry>>,
    pub(super) reads: Vec<Reading>,
    pub(super) applies: VecDeque<ApplyJob>,
    /// What the state machine holds, from the first entry on.
    pub(super) applied: Vec<Entry>,
    flushed: usize,
    pub(super) accepted: BTreeMap<ProposalTicket, Position>,
    pub(super) refused: Vec<(ProposalTicket, NotProposed)>,
    pub(super) sent: Vec<(NodeId, Message)>,
    pub(super) alarms: Vec<String>,
    pub(super) compactions: u64,
    wire: Vec<(NodeId, Bytes)>,
}

/// What the state machine is to do.
#[derive(Debug)]
pub(super) enum ApplyJob {
    Apply(ApplyRange),
    Install(Anchor),
}

#[derive(Debug)]
pub(super) struct Reading {
    pub(super) request: RangeRead,
    first: LogIndex,
    last: LogIndex,
    bytes_max: u64,
    /// What was read, if it was read already.
    result: Option<RangeResult>,
}

impl Node {
    pub(super) fn new(id: u64, members: &Membership, options: ReplicaOptions) -> Self {
        let disk = MemoryDisk::new();
        let mut log = disk.open();
        log.create_group(GROUP, birth(members)).unwrap();
        let replica = Self::restored(NodeId(id), members, options, &log, birth(members), PayloadGate::default());
        Self {
            id: NodeId(id),
            replica,
            disk,
            log,
            members: members.clone(),
            options,
            batches: VecDeque::new(),
            staged: BTreeMap::new(),
            reads: Vec::new(),
            applies: VecDeque::new(),
            applied: Vec::new(),
            flushed: 0,
            accepted: BTreeMap::new(),
            refused: Vec::new(),
            sent: Vec::new(),
            alarms: Vec::new(),
            compactions: 0,
            wire: Vec::new(),
        }
    }

    fn restored(
        node: NodeId,
        members: &Membership,
        options: ReplicaOptions,
        log: &MemoryLog,
        applied: Anchor,
        gate: PayloadGate,
    ) -> Replica<PayloadGate> {
        let state = log.load(GROUP).unwrap().unwrap();
        let (membership, membership_index) = (members.clone(), LogIndex::ZERO);
        let reader = log.reader();
        let remains =
            Remains { node, group: GROUP, log: state, applied, membership, membership_index, reader: &*reader };
        Replica::new(options, node.0, restore(remains).unwrap(), gate).unwrap()
    }

    /// Starts again, without a power cut, with a gate that needs the log after `floor`.
    pub(super) fn hold_log_from(&mut self, floor: LogIndex) {
        let payloads = self.replica.gate().payloads.clone();
        let gate = PayloadGate { payloads, floor: Some(floor), ..PayloadGate::default() };
        let applied = self.applied.last().map_or(birth(&self.members), anchor_of);
        self.replica = Self::restored(self.id, &self.members, self.options, &self.log, applied, gate);
        while !self.leads() {
            self.tick(1);
            self.settle();
        }
    }

    /// A power cut: what wasn't durable is gone, in the log and in the state machine. Payloads are durable.
    pub(super) fn restart(&mut self) {
        self.disk.cut_power();
        self.log = self.disk.open();
        self.batches.clear();
        self.staged.clear();
        self.reads.clear();
        self.applies.clear();
        self.applied.truncate(self.flushed);
        self.accepted.clear();
        let applied = self.applied.last().map_or(birth(&self.members), anchor_of);
        let gate = PayloadGate::with(self.replica.gate().payloads.clone());
        reconcile(&mut self.log, GROUP, applied).unwrap();
        self.replica = Self::restored(self.id, &self.members, self.options, &self.log, applied, gate);
    }

    pub(super) fn step(&mut self, event: Event<GateEvent>) {
        self.replica.step(event);
        for effect in self.replica.take_effects() {
            self.perform(effect);
        }
    }

    pub(super) fn tick(&mut self, ticks: u32) {
        (0..ticks).for_each(|_| self.step(Event::Tick));
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, message, bodies } => {
                if let Message::AppendEntries(append) = &message {
                    let mut chain = append.prev_chain;
                    for (head, body) in append.heads.iter().zip(&bodies) {
                        assert!(head.follows(chain), "an append is one chain");
                        assert!(head.position.term <= append.term, "no body of a later term leaves in an append");
                        let entry = Entry { head: head.clone(), body: body.clone() };
                        assert!(entry.body_matches_head(), "bodies are those of their heads");
                        chain = head.chain;
                    }
                }
                self.sent.push((to, message.clone()));
                let frame = raft::encode(&[RaftMessage { group: GROUP, message, bodies }]).unwrap();
                self.wire.push((to, frame));
            }
            Effect::Persist(batch) => self.batches.push_back(batch),
            Effect::ReadEntries { request, first, last, bytes_max } => {
                self.reads.push(Reading { request, first, last, bytes_max, result: None });
            }
            Effect::Apply(range) => self.applies.push_back(ApplyJob::Apply(range)),
            Effect::Install { anchor } => self.applies.push_back(ApplyJob::Install(anchor)),
            Effect::Reset { anchor } => {
                // In the order of the log: first what was handed out before.
                while self.persist() {}
                let state = self.applied.last().map(anchor_of);
                assert_eq!(state, Some(anchor), "the state machine has the snapshot before the log is reset");
                self.log.reset(GROUP, anchor).unwrap();
            }
            Effect::Accepted { ticket, position } => drop(self.accepted.insert(ticket, position)),
            Effect::Refused { ticket, reason, leader: _ } => self.refused.push((ticket, reason)),
            Effect::Flush => {
                self.flushed = self.applied.len();
                let index = LogIndex(self.flushed as u64);
                self.step(Event::Flushed { index });
            }
            Effect::Compact { through } => {
                self.compactions += 1;
                let anchor = self.log.compact(GROUP, through).unwrap();
                self.step(Event::Compacted { anchor });
            }
            Effect::Alarm(alarm) => self.alarms.push(format!("{alarm:?}")),
            Effect::Contradicted(contradiction) => self.alarms.push(format!("{contradiction:?}")),
            Effect::ReadSafe { .. }
            | Effect::ReadRefused { .. }
            | Effect::RoleChanged(_)
            | Effect::ChangeAnswered(_)
            | Effect::MembershipChanged(_)
            | Effect::Recovered(_) => {}
        }
    }

    pub(super) fn receive(&mut self, from: NodeId, message: Message, bodies: Vec<Bytes>) {
        self.step(Event::Received { from, message, bodies });
    }

    /// Makes the oldest batch durable.
    pub(super) fn persist(&mut self) -> bool {
        let Some(batch) = self.batches.pop_front() else { return false };
        for receipt in self.log.persist(vec![batch]).unwrap() {
            self.step(Event::Persisted(receipt));
        }
        true
    }

    /// Reads what was asked for and keeps it to itself.
    pub(super) fn read(&mut self, nth: usize) {
        let reader = self.log.reader();
        if let Some(reading) = self.reads.get_mut(nth) {
            reading.read(&*reader);
        }
    }

    /// Reads, if it wasn't done before, and answers.
    pub(super) fn answer_read(&mut self, nth: usize) -> bool {
        if self.reads.len() <= nth {
            return false;
        }
        self.read(nth);
        let Reading { request, result, .. } = self.reads.remove(nth);
        self.step(Event::EntriesRead { request, result: result.expect("it was read just now") });
        true
    }

    pub(super) fn apply(&mut self) -> bool {
        let range = match self.applies.pop_front() {
            None => return false,
            Some(ApplyJob::Apply(range)) => range,
            Some(ApplyJob::Install(anchor)) => {
                self.applied = self.staged.remove(&anchor.position.index).expect("it was complete");
                self.flushed = self.applied.len();
                self.step(Event::Installed { anchor });
                return true;
            }
        };
        let reader = self.log.reader();
        let read = || reader.entries(GROUP, range.first, range.last.index, u64::MAX).unwrap();
        let entries = range.entries.unwrap_or_else(read);
        for entry in entries {
            assert_eq!(entry.head.position.index, LogIndex(self.applied.len() as u64 + 1), "applied in order");
            self.applied.push(entry);
        }
        assert_eq!(self.applied.last().map(|entry| entry.head.position), Some(range.last));
        self.step(Event::Applied { index: range.last.index });
        true
    }

    /// A snapshot of `state` is complete here.
    pub(super) fn complete(&mut self, state: Vec<Entry>) {
        let Some(Anchor { position, chain }) = state.last().map(anchor_of) else { return };
        let membership = self.members.clone();
        let snapshot = Snapshot { point: LogPoint { position, chain }, membership, membership_index: LogIndex::ZERO };
        self.staged.insert(position.index, state);
        self.step(Event::Gate(GateEvent::Complete(snapshot)));
    }

    pub(super) fn announce(&mut self, payload: Bytes) {
        self.step(Event::Gate(GateEvent::Payload(payload)));
    }

    /// Does everything that was asked of disk and state machine.
    pub(super) fn settle(&mut self) {
        while self.persist() || self.answer_read(0) || self.apply() {}
    }

    pub(super) fn take_wire(&mut self) -> Vec<(NodeId, Bytes)> {
        core::mem::take(&mut self.wire)
    }

    pub(super) fn log_last(&self) -> Position {
        self.replica.status().last()
    }

    pub(super) fn leads(&self) -> bool {
        self.replica.role().role == Role::Leader
    }
}

impl Reading {
    fn read(&mut self, reader: &dyn LogReader) {
        let (first, last, bytes_max) = (self.first, self.last, self.bytes_max);
        self.result.get_or_insert_with(|| reader.entries(GROUP, first, last, bytes_max));
    }

    pub(super) fn replace(&mut self, result: RangeResult) {
        self.result = Some(result);
    }
}

pub(super) fn anchor_of(entry: &Entry) -> Anchor {
    Anchor { position: entry.head.position, chain: entry.head.chain }
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    frame: Bytes,
}

/// Members and the messages between them.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) packets: Vec<Packet>,
    /// Everything that anybody ever applied.
    committed: Vec<Entry>,
}

impl Cluster {
    pub(super) fn new(voters: u64, options: ReplicaOptions) -> Self {
        let members = membership(voters);
        let nodes = (1..=voters).map(|id| (NodeId(id), Node::new(id, &members, options))).collect();
        Self { nodes, packets: Vec::new(), committed: Vec::new() }
    }

    pub(super) fn node(&mut self, id: u64) -> &mut Node {
        self.nodes.get_mut(&NodeId(id)).unwrap()
    }

    /// Collects what the members sent, and checks that all applied the same.
    pub(super) fn gather(&mut self) {
        for (&from, node) in &mut self.nodes {
            self.packets.extend(node.take_wire().into_iter().map(|(to, frame)| Packet { from, to, frame }));
            for (ours, theirs) in self.committed.iter().zip(&node.applied).skip(node.flushed) {
                assert_eq!(ours, theirs, "two members applied different entries");
            }
            if self.committed.len() < node.applied.len() {
                self.committed.extend_from_slice(&node.applied[self.committed.len()..]);
            }
        }
    }

    pub(super) fn deliver(&mut self, Packet { from, to, frame }: Packet) {
        for message in raft::decode(frame).unwrap() {
            self.nodes.get_mut(&to).unwrap().receive(from, message.message, message.bodies);
        }
    }

    /// Ticks everyone and performs everything, so many times.
    pub(super) fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.nodes.values_mut().for_each(|node| node.tick(1));
            self.settle();
        }
    }

    /// Performs everything until nothing is left to do.
    pub(super) fn settle(&mut self) {
        loop {
            self.nodes.values_mut().for_each(Node::settle);
            self.gather();
            if self.packets.is_empty() {
                return;
            }
            core::mem::take(&mut self.packets).into_iter().for_each(|packet| self.deliver(packet));
        }
    }

    /// The state that a member was offered, as the one who offered it has it now, if it was offered one.
    pub(super) fn take_offered(&mut self, id: u64) -> Option<Vec<Entry>> {
        let offer = self.nodes[&NodeId(id)].replica.gate().offer.lock().unwrap().take()?;
        Some(self.nodes[&offer.from].applied.clone())
    }

    pub(super) fn leader(&self) -> Option<NodeId> {
        let newest = self.nodes.values().filter(|node| node.leads()).max_by_key(|node| node.replica.role().term);
        newest.map(|node| node.id)
    }

    /// Runs until somebody leads.
    pub(super) fn elect(&mut self) -> u64 {
        for _ in 0..ELECTION_TICKS {
            self.run(1);
            if let Some(leader) = self.leader() {
                return leader.0;
            }
        }
        panic!("nobody was elected in {ELECTION_TICKS} ticks");
    }

    pub(super) fn announce(&mut self, payload: &Bytes) {
        self.nodes.values_mut().for_each(|node| node.announce(payload.clone()));
    }

    pub(super) fn committed(&self) -> &[Entry] {
        &self.committed
    }
}

const ELECTION_TICKS: u32 = 1_000;
