//! One life of a node: the production replica, gate, catalog and data plane, with virtual threads around them.
//!
//! It stands where the driver's threads and the node's tasks stand: what they decide is decided by the same code, what
//! they wait for is an event of the world.

mod apply;
mod bounds;
mod introductions;
mod log;
mod plane;
mod snapshot;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use blockraft_blocks::{Block, Multihash};
use blockraft_catalog::table::Table;
use blockraft_catalog::{CatalogReader, ExportRow, Importer, Settled};
use blockraft_core::Proof;
use blockraft_driver::proposal::ProposeError;
use blockraft_driver::proposals::{Proposals, Settled as SettledProposal};
use blockraft_driver::state_machine::StateMachine;
use blockraft_driver::{
    Alarm, ApplyRange, ChangeAnswer, ChangeTicket, Effect, Event, InForce, ProposalTicket, ReadTicket, Replica,
    RoleStatus,
};
use blockraft_exchange::ticket::ExportTicket;
use blockraft_exchange::{Effect as Wish, Input};
use blockraft_log::{Anchor, Batch, LogReader, LogStore, MemoryLog};
use blockraft_node::config::Identity;
use blockraft_node::freshness::{Freshness, Moment};
use blockraft_node::gate::NodeGate;
use blockraft_node::inline_pending::InlinePending;
use blockraft_node::machine::CatalogMachine;
use blockraft_node::payload::BlockPayload;
use blockraft_node::recall::BehindItsPast;
use blockraft_node::told::Told;
use blockraft_types::{GroupId, LogIndex, Membership, MembershipChange, NodeId, RemoteTicket, Role, Term};
use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::block_disk::BlockDisk;
use crate::chance::Chance;
use crate::happening::{Frame, What};
use crate::introductions::Introductions;
use crate::law::Law;
use crate::marks::Mark;
use crate::shadow::Change;
use crate::stage::Stage;
use crate::time::Time;

/// A node that runs.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) place: usize,
    pub(crate) identity: Identity,
    pub(crate) boot: u64,
    pub(crate) replica: Replica<NodeGate>,
    pub(crate) machine: CatalogMachine,
    pub(crate) importer: Importer<Arc<dyn Table>>,
    pub(crate) genesis: Membership,
    pub(crate) rows: CatalogReader<Arc<dyn Table>>,
    pub(crate) inline: Arc<InlinePending>,
    pub(crate) told: Arc<Told>,
    pub(crate) tellings: UnboundedReceiver<Input<BlockPayload>>,
    pub(crate) wishes: UnboundedReceiver<Wish<BlockPayload>>,
    pub(crate) status: tokio::sync::watch::Receiver<blockraft_exchange::Status>,
    pub(crate) log: MemoryLog,
    pub(crate) reader: Arc<dyn LogReader>,
    pub(crate) blocks: BlockDisk,
    pub(crate) freshness: Freshness,
    pub(crate) role: RoleStatus,
    pub(crate) introductions: Introductions,
    /// Whether a change of members is under way, as far as its log tells.
    is_joint: bool,
    pub(crate) applied: LogIndex,
    /// The last entry of the newest snapshot that this life installed.
    installed: LogIndex,
    pub(crate) chance: Chance,
    /// What this life says to the requests that it serves.
    pub(crate) said: VecDeque<Said>,
    proposals: Proposals<Waiter>,
    entering: BTreeMap<ProposalTicket, Waiter>,
    reads: BTreeMap<ReadTicket, Vec<Asker>>,
    newest_ticket: u64,
    newest_counter: u64,
    ticks: u64,
    inbox: VecDeque<Item>,
    turn: Clockwork,
    writes: VecDeque<Write>,
    compactions: VecDeque<LogIndex>,
    /// How many of the writes the sync under way covers.
    syncing: Option<usize>,
    jobs: VecDeque<Job>,
    apply: Clockwork,
    tell: Clockwork,
    operations: BTreeMap<u64, Operation>,
    newest_operation: u64,
    /// Snapshots that are held still for others.
    exports: BTreeMap<ExportTicket, (Vec<ExportRow>, Bytes)>,
}

/// Whether something is on its way already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clockwork {
    Idle,
    Due,
}

#[derive(Debug)]
enum Item {
    Tick,
    Event(Event<Input<BlockPayload>>),
    Propose { waiter: Waiter, term: Option<Term>, body: Bytes },
    Read(Asker),
}

#[derive(Debug)]
enum Job {
    Apply(ApplyRange),
    Install(Anchor),
    Flush,
}

#[derive(Debug)]
enum Write {
    Batch(Batch, Change),
    Reset(Anchor),
}

/// Who proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    Request(u64),
    Peer { from: NodeId, ticket: RemoteTicket },
}

/// Who asked for a read index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Request(u64),
    Peer { from: NodeId, ticket: RemoteTicket },
}

#[derive(Debug)]
enum Operation {
    Store { block: Block, space: blockraft_exchange::effect::Space },
    Remove { name: Multihash },
}

/// What a life says to those who wait.
#[derive(Debug)]
pub(crate) enum Said {
    Proposed(SettledProposal<Waiter, Vec<Settled>>),
    ReadIndex(Asker, Option<LogIndex>),
    PutReady(blockraft_exchange::PutId),
    PutFailed(blockraft_exchange::PutId),
    Repaired(Multihash),
    RepairFailed(Multihash),
    RoleChanged,
    Applied,
}

/// The life is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The log failed.
    Log,
    /// The block store failed.
    Store,
    /// It is behind its own past.
    BehindItsPast(BehindItsPast),
    /// A part of it broke; that is a breach already.
    Broken,
}

/// What a life is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) place: usize,
    pub(crate) identity: Identity,
    pub(crate) boot: u64,
    pub(crate) replica: Replica<NodeGate>,
    pub(crate) machine: CatalogMachine,
    pub(crate) importer: Importer<Arc<dyn Table>>,
    pub(crate) genesis: Membership,
    pub(crate) rows: CatalogReader<Arc<dyn Table>>,
    pub(crate) inline: Arc<InlinePending>,
    pub(crate) told: Arc<Told>,
    pub(crate) tellings: UnboundedReceiver<Input<BlockPayload>>,
    pub(crate) wishes: UnboundedReceiver<Wish<BlockPayload>>,
    pub(crate) status: tokio::sync::watch::Receiver<blockraft_exchange::Status>,
    pub(crate) log: MemoryLog,
    pub(crate) blocks: BlockDisk,
    pub(crate) freshness: Freshness,
    pub(crate) introductions: Introductions,
    pub(crate) chance: Chance,
}

impl Life {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            place,
            identity,
            boot,
            replica,
            machine,
            importer,
            genesis,
            rows,
            inline,
            told,
            tellings,
            wishes,
            status,
            log,
            blocks,
            freshness,
            introductions,
            chance,
        } = parts;
        let (role, applied, reader) = (replica.role(), machine.applied().position.index, log.reader());
        let is_joint = replica.status().core.membership.is_joint();
        Self {
            place,
            identity,
            boot,
            replica,
            machine,
            importer,
            genesis,
            rows,
            inline,
            told,
            tellings,
            wishes,
            status,
            log,
            reader,
            blocks,
            freshness,
            role,
            introductions,
            is_joint,
            applied,
            installed: LogIndex::ZERO,
            chance,
            said: VecDeque::new(),
            proposals: Proposals::new(),
            entering: BTreeMap::new(),
            reads: BTreeMap::new(),
            newest_ticket: 0,
            newest_counter: 0,
            ticks: 0,
            inbox: VecDeque::new(),
            turn: Clockwork::Idle,
            writes: VecDeque::new(),
            compactions: VecDeque::new(),
            syncing: None,
            jobs: VecDeque::new(),
            apply: Clockwork::Idle,
            tell: Clockwork::Idle,
            operations: BTreeMap::new(),
            newest_operation: 0,
            exports: BTreeMap::new(),
        }
    }

    /// What time it is by this node's clock.
    pub(crate) fn moment(&self, stage: &Stage) -> Moment {
        let permille = stage.weather.clock_permille.get(self.place).copied().unwrap_or(1_000);
        Moment(Time(stage.now.0 * permille / 1_000).since_begin())
    }

    /// A ticket for a question to a peer.
    pub(crate) fn ticket(&mut self) -> RemoteTicket {
        self.newest_counter += 1;
        let Identity { incarnation, boot, .. } = self.identity;
        RemoteTicket { incarnation, boot, counter: self.newest_counter }
    }

    // What others hand in.

    pub(crate) fn event(&mut self, stage: &mut Stage, event: Event<Input<BlockPayload>>) {
        self.take_in(stage, Item::Event(event));
    }

    pub(crate) fn gate(&mut self, stage: &mut Stage, input: Input<BlockPayload>) {
        self.event(stage, Event::Gate(input));
    }

    pub(crate) fn propose(&mut self, stage: &mut Stage, waiter: Waiter, term: Term, body: Bytes) {
        self.take_in(stage, Item::Propose { waiter, term: Some(term), body });
    }

    pub(crate) fn read_index(&mut self, stage: &mut Stage, asker: Asker) {
        self.take_in(stage, Item::Read(asker));
    }

    pub(crate) fn change(&mut self, stage: &mut Stage, change: MembershipChange) {
        let ticket = ChangeTicket(self.next_ticket());
        self.event(stage, Event::ChangeMembership { ticket, change });
    }

    pub(crate) fn send(&self, stage: &mut Stage, to: NodeId, frame: Frame) -> bool {
        stage.send(self.place, to, frame)
    }

    fn take_in(&mut self, stage: &mut Stage, item: Item) {
        self.inbox.push_back(item);
        if self.turn == Clockwork::Idle {
            self.turn = Clockwork::Due;
            let delay = stage.weather.turn.draw(&mut self.chance);
            stage.after(delay, self.place, Some(self.boot), What::Turn);
        }
    }

    pub(crate) fn tick(&mut self, stage: &mut Stage, count: u64) {
        for _ in 0..count {
            self.take_in(stage, Item::Tick);
        }
    }

    // The thread `raft`.

    pub(crate) fn turn(&mut self, stage: &mut Stage) {
        self.turn = Clockwork::Idle;
        let mut reads = Vec::new();
        for item in core::mem::take(&mut self.inbox) {
            match item {
                Item::Tick => self.tick_once(stage),
                Item::Event(event) => self.replica.step(event),
                Item::Propose { waiter, term, body } => {
                    let ticket = ProposalTicket(self.next_ticket());
                    self.entering.insert(ticket, waiter);
                    self.replica.step(Event::Propose { ticket, term, body });
                }
                Item::Read(asker) => reads.push(asker),
            }
        }
        if !reads.is_empty() {
            let ticket = ReadTicket(self.next_ticket());
            self.reads.insert(ticket, reads);
            self.replica.step(Event::Read { ticket });
        }
        loop {
            let effects = self.replica.take_effects();
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                self.perform(stage, effect);
            }
            stage.judge_leader(self.place);
        }
        while let Ok(wish) = self.wishes.try_recv() {
            self.grant(stage, wish);
        }
    }

    const fn next_ticket(&mut self) -> u64 {
        self.newest_ticket += 1;
        self.newest_ticket
    }

    fn tick_once(&mut self, stage: &mut Stage) {
        self.ticks += 1;
        self.replica.step(Event::Tick);
        for (waiter, error) in self.proposals.expire(self.ticks) {
            self.said.push_back(Said::Proposed((waiter, Err(error))));
        }
        if self.ticks.is_multiple_of(LOOK_TICKS) {
            self.look_at_bounds(stage);
        }
    }

    fn perform(&mut self, stage: &mut Stage, effect: Effect) {
        match effect {
            Effect::Send { to, message, bodies } => {
                let carries_entries = !bodies.is_empty();
                let sent = self.may_talk(stage, to) && self.send(stage, to, Frame::Raft { message, bodies });
                if !sent && carries_entries {
                    self.replica.step(Event::Undelivered { to });
                }
            }
            Effect::Persist(batch) => self.persist(stage, batch),
            Effect::Install { anchor } => self.add_job(stage, Job::Install(anchor)),
            Effect::Reset { anchor } => {
                stage.reset(self.place, anchor);
                self.writes.push_back(Write::Reset(anchor));
                self.sync(stage);
            }
            Effect::ReadEntries { request, first, last, bytes_max } => {
                stage.meet(Mark::RangeRead);
                let delay = stage.weather.store_read.draw(&mut self.chance);
                let what = What::LogRead { request, first, last, bytes_max };
                stage.after(delay, self.place, Some(self.boot), what);
            }
            Effect::Apply(range) => self.add_job(stage, Job::Apply(range)),
            Effect::Flush => self.add_job(stage, Job::Flush),
            Effect::Compact { through } => {
                self.compactions.push_back(through);
                self.sync(stage);
            }
            Effect::Accepted { ticket, position } => {
                if let Some(waiter) = self.entering.remove(&ticket) {
                    self.proposals.accept(position, waiter);
                }
            }
            Effect::Refused { ticket, reason, leader } => {
                if let Some(waiter) = self.entering.remove(&ticket) {
                    let error = ProposeError::NotProposed { reason, leader };
                    self.said.push_back(Said::Proposed((waiter, Err(error))));
                }
            }
            Effect::ReadSafe { ticket, index } => self.answer_reads(ticket, Some(index)),
            Effect::ReadRefused { ticket, .. } => self.answer_reads(ticket, None),
            Effect::RoleChanged(role) => self.change_role(stage, role),
            Effect::MembershipChanged(InForce { membership, index, .. }) => {
                stage.shadows.announced(index, &membership);
                let now = stage.now;
                stage.trace.say(now, format_args!("node {} goes by {membership:?}", self.place + 1));
                self.is_joint = membership.is_joint();
                self.introductions.members = membership;
            }
            Effect::ChangeAnswered(ChangeAnswer { outcome, .. }) => {
                let now = stage.now;
                stage.trace.say(now, format_args!("node {} answers a change: {outcome:?}", self.place + 1));
            }
            Effect::Recovered(lost) => {
                let now = stage.now;
                stage.trace.say(now, format_args!("node {} holds again {lost:?}", self.place + 1));
                stage.meet(Mark::Recovered);
                let committed = stage.oracle.links(lost.index);
                let verdict = stage.shadows.recovered(self.place, &committed);
                stage.judge(verdict);
            }
            Effect::Contradicted(contradiction) => {
                stage.breach(Law::NoAlarm, format!("node {}: {contradiction}", self.place + 1));
            }
            Effect::Alarm(alarm) => self.alarm(stage, &alarm),
        }
    }

    fn answer_reads(&mut self, ticket: ReadTicket, index: Option<LogIndex>) {
        for asker in self.reads.remove(&ticket).into_iter().flatten() {
            self.said.push_back(Said::ReadIndex(asker, index));
        }
    }

    fn change_role(&mut self, stage: &mut Stage, role: RoleStatus) {
        let now = stage.now;
        stage.trace.say(now, format_args!("node {} is {} in term {}", self.place + 1, role.role, role.term));
        let was = self.role;
        if was.role == Role::Leader && role.role != Role::Leader {
            self.proposals.set_deadline(self.ticks + stage.weather.unknown_after_ticks);
            if was.term == role.term {
                stage.meet(Mark::SteppedDown);
            }
        }
        if role.role == Role::Leader && was != role {
            let verdict = stage.shadows.leads(self.place, role.term);
            stage.judge(verdict);
            if Term(1) < role.term {
                stage.meet(Mark::Reelected);
            }
            if self.is_joint {
                stage.meet(Mark::JointElection);
            }
        }
        if let Some(leading) = stage.leading.get_mut(self.place) {
            *leading = (role.role == Role::Leader).then_some(role.term);
        }
        stage.trace.take(&[40, self.place as u64, role.term.0, role.role as u64]);
        self.role = role;
        self.said.push_back(Said::RoleChanged);
    }

    fn alarm(&self, stage: &mut Stage, alarm: &Alarm) {
        let now = stage.now;
        stage.trace.say(now, format_args!("node {} alarms: {alarm:?}", self.place + 1));
        let law = match alarm {
            Alarm::PersistStalled => return stage.meet(Mark::PersistStalled),
            Alarm::Core(alarm) if alarm.proves() == Proof::Nothing => return,
            Alarm::Core(_) | Alarm::UnreadableRange { .. } => Law::NoAlarm,
            Alarm::ForeignBody { .. } => Law::RightBytes,
            // Another one leads soon who has what is missing here.
            _ => return,
        };
        stage.breach(law, format!("node {}: {alarm:?}", self.place + 1));
    }
}

/// What a look at a copy found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Whole(Block),
    Absent,
    Damaged,
}

/// The group of every simulated node.
pub(crate) const GROUP: GroupId = GroupId(0);

/// Ticks between two looks at the bounds.
const LOOK_TICKS: u64 = 20;
