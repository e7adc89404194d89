//! The loop: one thread that owns a replica, takes all waiting events, acts once, and starts again.
//!
//! A thread of its own and not a task: a tick must come on time even when the runtime's workers are all busy hashing or
//! waiting for a disk, and nothing in the loop ever waits for a future. Everything it calls either returns at once or
//! hands the work to another thread.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread::Builder;
use std::time::Instant;

use blockraft_core::ready::{ChangeAnswer, InForce, ReadRefusal};
use blockraft_core::{ChangeTicket, ProposalTicket, ReadTicket};
use blockraft_types::{GroupId, LogIndex, Membership, Message, NodeId, Role};
use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::{Span, debug, error, field, info, info_span, trace, warn};

use crate::apply_thread::{ApplyThread, Ending};
use crate::change::{ChangeError, ChangePromise};
use crate::clock::Clock;
use crate::config::DriverConfig;
use crate::effect::{Alarm, Effect};
use crate::event::Event;
use crate::gate::AppendGate;
use crate::handle::{Applying, DriverHandle, Room, Shared};
use crate::inbox::{Inbox, Item, LogClient};
use crate::log_thread::{LogThread, ReadJob};
use crate::outbox::{Dispatch, Outbox};
use crate::proposal::{NotProposed, ProposeError, Unknown};
use crate::proposals::{Promise, Proposals};
use crate::read::ReadError;
use crate::replica::Replica;
use crate::restore::{Remains, RestoreFailure, restore};
use crate::state_machine::StateMachine;
use crate::status::RoleStatus;
use crate::stop::StopReason;

/// Runs one member of one group: the threads `raft` (the loop) and `apply`, over a [`LogThread`] that all groups of the
/// node share.
#[derive(Debug)]
pub struct Driver;

/// What a driver runs.
#[derive(Debug)]
pub struct DriverParts<SM: StateMachine, G: AppendGate> {
    /// This member.
    pub node: NodeId,
    /// Its group.
    pub group: GroupId,
    /// The newest configuration that the state machine knows of, which has applied the entry that brought it; the one that
    /// the group was born with before. The log adds what came later.
    pub membership: Membership,
    /// The entry that brought it; zero if the group was born with it.
    pub membership_index: LogIndex,
    /// Bytes of bodies that the log holds, by the last entry of each piece, in order; empty if nobody looked. Without them
    /// a log that a restart found counts as shorter than it is, and is compacted late.
    pub log_sizes: Vec<(LogIndex, u64)>,
    /// 8 random bytes of the operating system, fresh at every start: they keep election timeouts apart.
    pub seed: u64,
    /// The node's log.
    pub log: LogThread,
    /// Where messages leave.
    pub outbox: Arc<dyn Outbox>,
    /// What is done with committed entries.
    pub state_machine: SM,
    /// What decides when an entry may enter the log.
    pub gate: G,
}

/// Why a driver didn't start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The group has no log here, or another driver of this process runs it.
    #[error("group {group} has no log here that a driver could take")]
    NoLog {
        /// The group.
        group: GroupId,
    },
    /// Log and state machine don't go together.
    #[error("the member can't be restored")]
    Restore {
        /// How.
        #[from]
        source: RestoreFailure,
    },
    /// The operating system gave no thread.
    #[error("the driver's threads can't be started")]
    Spawn {
        /// What the operating system said.
        #[from]
        source: io::Error,
    },
}

impl Driver {
    /// Restores the member and starts its threads. Blocks while it reads the end of the log.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. Nothing runs then.
    pub fn start<SM: StateMachine, G: AppendGate>(
        config: DriverConfig,
        parts: DriverParts<SM, G>,
    ) -> Result<DriverHandle<SM, G>, StartError> {
        let DriverParts {
            node,
            group,
            membership,
            membership_index,
            log_sizes,
            seed,
            log,
            outbox,
            state_machine,
            gate,
        } = parts;
        let state = log.take_state(group).ok_or(StartError::NoLog { group })?;
        let applied = state_machine.applied();
        let reader = log.reader();
        let remains = Remains { node, group, log: state, applied, membership, membership_index, reader: &*reader };
        let restored = restore(remains)?;
        let inconsistent = |source| RestoreFailure::Inconsistent { group, source };
        let mut replica = Replica::new(config.replica, seed, restored, gate).map_err(inconsistent)?;
        replica.found(&log_sizes);
        let shared = Arc::new(Shared {
            node,
            group,
            inbox: Arc::new(Inbox::new(config.messages_max, config.message_bytes_max)),
            room: Room {
                proposals: Arc::new(Semaphore::new(config.proposals_max)),
                bytes: Arc::new(Semaphore::new(config.proposal_bytes_max as usize)),
                bytes_max: config.proposal_bytes_max,
            },
            proposals: Mutex::new(Proposals::new()),
            status: watch::Sender::new(replica.status()),
            role: watch::Sender::new(replica.role()),
            membership: watch::Sender::new(replica.status().core.in_force()),
            applied: watch::Sender::new(Applying::Running(applied.position.index)),
            stop: watch::Sender::new(None),
        });
        let apply = ApplyThread::start(state_machine, reader, Arc::clone(&shared))?;
        let client: Arc<dyn LogClient> = Arc::<Inbox<SM::Output, G::Event>>::clone(&shared.inbox);
        log.register(group, Arc::clone(&client));
        let raft = Loop {
            config,
            replica,
            shared: Arc::clone(&shared),
            log,
            client,
            outbox,
            entering: BTreeMap::new(),
            reads: BTreeMap::new(),
            changes: BTreeMap::new(),
            newest_ticket: 0,
            tick: 0,
            leaving: None,
            contradicted: None,
            span: info_span!("raft", node = node.0, group = group.0, term = field::Empty),
        };
        Builder::new().name("raft".into()).spawn(move || run(raft, apply))?;
        Ok(DriverHandle::new(shared))
    }
}

struct Loop<O, G: AppendGate> {
    config: DriverConfig,
    replica: Replica<G>,
    shared: Arc<Shared<O, G::Event>>,
    log: LogThread,
    client: Arc<dyn LogClient>,
    outbox: Arc<dyn Outbox>,
    /// Who proposed what the core didn't answer yet.
    entering: BTreeMap<ProposalTicket, Promise<O>>,
    /// Who waits for a read index; all that came together share a ticket.
    reads: BTreeMap<ReadTicket, Vec<ReadAnswer>>,
    /// Who asked for another configuration.
    changes: BTreeMap<ChangeTicket, ChangePromise>,
    newest_ticket: u64,
    tick: u64,
    /// The tick at which a shutdown waits no longer for another leader.
    leaving: Option<u64>,
    /// Set when another member's log contradicts this one: this turn is the last.
    contradicted: Option<StopReason>,
    span: Span,
}

type ReadAnswer = oneshot::Sender<Result<LogIndex, ReadError>>;

/// The whole life of the thread, down to the last caller's answer.
fn run<O: Send, G: AppendGate>(mut raft: Loop<O, G>, apply: ApplyThread) {
    let shared = Arc::clone(&raft.shared);
    let span = raft.span.clone();
    let _entered = span.enter();
    // The loop's state is dropped as it is; what others wait for lives in `shared` and is settled below.
    let turned = catch_unwind(AssertUnwindSafe(|| raft.turn(&apply)));
    let reason = turned.unwrap_or(StopReason::Panicked { thread: "raft" });
    raft.log.unregister(shared.group);
    // What the core never answered has not left this thread, unless the loop broke off half-way: then nobody knows.
    let unanswered = match reason {
        StopReason::Panicked { .. } => ProposeError::Unknown { reason: Unknown::Stopped },
        _ => ProposeError::Stopped,
    };
    for promise in core::mem::take(&mut raft.entering).into_values() {
        promise.keep(Err(unanswered.clone()));
    }
    drop(raft);
    for item in shared.inbox.end() {
        if let Item::Propose { promise, .. } = item {
            promise.keep(Err(ProposeError::Stopped));
        }
    }
    shared.room.proposals.close();
    shared.room.bytes.close();
    apply.end(if matches!(reason, StopReason::Shutdown) { Ending::Graceful } else { Ending::Abrupt });
    let stopped = shared.proposals().stop();
    for (promise, error) in stopped {
        promise.keep(Err(error));
    }
    let applied = shared.applied.borrow().index();
    shared.applied.send_replace(Applying::Ended(applied));
    // Whoever waits for the reason hears of it even if tracing it panics.
    shared.stop.send_replace(Some(reason.clone()));
    match &reason {
        StopReason::Shutdown => info!("stopped"),
        reason => error!(error = reason as &dyn core::error::Error, "stopped"),
    }
}

impl<O: Send, G: AppendGate> Loop<O, G> {
    /// Turns until there is a reason to stop.
    fn turn(&mut self, apply: &ApplyThread) -> StopReason {
        let mut clock = Clock::new(Instant::now(), self.config.tick, self.config.ticks_per_pause_max);
        let mut items = VecDeque::new();
        loop {
            self.shared.inbox.take(&mut items, clock.next());
            for _ in 0..clock.due(Instant::now()) {
                self.tick();
            }
            let (mut reads, mut failure) = (Vec::new(), None);
            for item in items.drain(..) {
                match item {
                    Item::Read(answer) => reads.push(answer),
                    Item::Shutdown => self.leave(),
                    Item::Failed(reason) => failure = failure.or(Some(reason)),
                    item => self.take(item),
                }
            }
            if let Some(reason) = failure {
                return reason;
            }
            if !reads.is_empty() {
                let ticket = ReadTicket(self.next_ticket());
                self.reads.insert(ticket, reads);
                self.replica.step(Event::Read { ticket });
            }
            self.perform_all(apply);
            if let Some(reason) = self.contradicted.take() {
                return reason;
            }
            if self.has_left() {
                return StopReason::Shutdown;
            }
        }
    }

    fn tick(&mut self) {
        self.tick += 1;
        self.replica.step(Event::Tick);
        let expired = self.shared.proposals().expire(self.tick);
        for (promise, error) in expired {
            promise.keep(Err(error));
        }
        let mut status = self.replica.status();
        status.messages_dropped = self.shared.inbox.messages_dropped();
        self.shared.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }

    fn take(&mut self, item: Item<O, G::Event>) {
        let event = match item {
            Item::Message { from, message, bodies } => Event::Received { from, message, bodies },
            Item::Propose { term, body, promise } if self.leaving.is_none() => {
                let ticket = ProposalTicket(self.next_ticket());
                self.entering.insert(ticket, promise);
                Event::Propose { ticket, term, body }
            }
            Item::Propose { promise, .. } => {
                let leader = self.replica.role().leader;
                return promise.keep(Err(ProposeError::NotProposed { reason: NotProposed::ShuttingDown, leader }));
            }
            Item::Change { change, promise } => {
                let ticket = ChangeTicket(self.next_ticket());
                self.changes.insert(ticket, promise);
                Event::ChangeMembership { ticket, change }
            }
            Item::Gate(event) => Event::Gate(event),
            Item::Transfer { to } => Event::TransferLeadership { to },
            Item::PeerConnected(peer) => Event::PeerConnected(peer),
            Item::PeerDisconnected(peer) => Event::PeerDisconnected(peer),
            Item::Persisted(receipt) => Event::Persisted(receipt),
            Item::Compacted(anchor) => Event::Compacted { anchor },
            Item::EntriesRead { request, result } => Event::EntriesRead { request, result },
            Item::Applied(index) => Event::Applied { index },
            Item::Flushed(index) => Event::Flushed { index },
            Item::Installed(anchor) => Event::Installed { anchor },
            Item::Read(_) | Item::Shutdown | Item::Failed(_) => unreachable!("the turn takes these itself"),
        };
        self.replica.step(event);
    }

    /// Performs effects until there are none: a message that can't leave is an event at once.
    fn perform_all(&mut self, apply: &ApplyThread) {
        loop {
            let effects = self.replica.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.perform(effect, apply);
            }
        }
    }

    fn perform(&mut self, effect: Effect, apply: &ApplyThread) {
        match effect {
            Effect::Send { to, message, bodies } => self.send(to, message, bodies),
            Effect::Persist(batch) => self.log.persist(batch),
            Effect::Install { anchor } => {
                info!(snapshot = %anchor.position, "installing_snapshot");
                apply.install(anchor);
            }
            Effect::Reset { anchor } => {
                info!(snapshot = %anchor.position, "installed_snapshot");
                self.log.reset(self.shared.group, anchor);
            }
            Effect::ReadEntries { request, first, last, bytes_max } => {
                let (group, client) = (self.shared.group, Arc::clone(&self.client));
                self.log.read(ReadJob { group, request, first, last, bytes_max, client });
            }
            Effect::Apply(range) => apply.apply(range),
            Effect::Accepted { ticket, position } => {
                if let Some(promise) = self.entering.remove(&ticket) {
                    self.shared.proposals().accept(position, promise);
                }
            }
            Effect::Refused { ticket, reason, leader } => {
                if let Some(promise) = self.entering.remove(&ticket) {
                    promise.keep(Err(ProposeError::NotProposed { reason, leader }));
                }
            }
            Effect::ReadSafe { ticket, index } => self.answer_reads(ticket, Ok(index)),
            Effect::ReadRefused { ticket, reason } => {
                let error = match reason {
                    ReadRefusal::NotLeader { leader } => ReadError::NotLeader { leader },
                    _ => ReadError::Full,
                };
                self.answer_reads(ticket, Err(error));
            }
            Effect::RoleChanged(role) => self.change_role(role),
            Effect::ChangeAnswered(ChangeAnswer { ticket, outcome }) => {
                if let Some(promise) = self.changes.remove(&ticket) {
                    // A caller that has gone away is no error.
                    let _ = promise.send(outcome.map_err(ChangeError::Refused));
                }
            }
            Effect::MembershipChanged(in_force) => {
                let InForce { membership, index, standing } = &in_force;
                let (voters, joint) = (membership.voters.len(), membership.is_joint());
                let learners = membership.learners.len();
                info!(index = index.0, ?standing, voters, learners, joint, "changed_membership");
                self.shared.membership.send_replace(in_force);
            }
            Effect::Flush => apply.flush(),
            Effect::Compact { through } => self.log.compact(self.shared.group, through),
            Effect::Recovered(lost) => info!(lost = lost.index.0, "recovered_lost_tail"),
            Effect::Contradicted(source) => {
                self.contradicted.get_or_insert(StopReason::LogContradicted { source });
            }
            Effect::Alarm(alarm) => trace_alarm(&alarm),
        }
    }

    fn send(&mut self, to: NodeId, message: Message, bodies: Vec<Bytes>) {
        trace!(peer = to.0, message = message.name(), "sent");
        let carries_entries = !bodies.is_empty();
        let dispatch = self.outbox.send(to, self.shared.group, message, bodies);
        // Only entries are waited for; everything else is repeated by itself.
        if dispatch == Dispatch::Dropped && carries_entries {
            self.replica.step(Event::Undelivered { to });
        }
    }

    fn answer_reads(&mut self, ticket: ReadTicket, result: Result<LogIndex, ReadError>) {
        for answer in self.reads.remove(&ticket).into_iter().flatten() {
            // A caller that has gone away is no error.
            let _ = answer.send(result);
        }
    }

    fn change_role(&mut self, role: RoleStatus) {
        self.span.record("term", role.term.0);
        let was_leader = self.shared.role.borrow().role == Role::Leader;
        match role.role {
            Role::Leader => info!(term = role.term.0, "became_leader"),
            Role::Candidate | Role::PreCandidate => debug!(term = role.term.0, role = %role.role, "campaigned"),
            Role::Follower | Role::Learner => {
                info!(term = role.term.0, leader = role.leader.map(|leader| leader.0), "followed");
            }
        }
        if was_leader && role.role != Role::Leader {
            let deadline = self.tick + u64::from(self.config.unknown_after_ticks);
            self.shared.proposals().set_deadline(deadline);
        }
        self.shared.role.send_replace(role);
    }

    /// Begins to leave: whoever leads hands over to the voter that is furthest.
    fn leave(&mut self) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(self.tick + u64::from(self.config.handover_ticks_max));
        let status = self.replica.status().core;
        let successor = status.progress.iter().filter(|(node, _)| status.membership.is_voter(**node));
        if let Some((&to, _)) = successor.max_by_key(|(_, progress)| progress.match_index) {
            info!(to = to.0, "handing_over");
            self.replica.step(Event::TransferLeadership { to });
        }
    }

    /// Whether nobody needs this member any more, or has waited long enough.
    fn has_left(&self) -> bool {
        let Some(deadline) = self.leaving else { return false };
        let alone = || self.replica.status().core.progress.is_empty();
        deadline <= self.tick || self.replica.role().role != Role::Leader || alone()
    }

    const fn next_ticket(&mut self) -> u64 {
        self.newest_ticket += 1;
        self.newest_ticket
    }
}

fn trace_alarm(alarm: &Alarm) {
    match alarm {
        Alarm::PersistStalled => warn!("stalled_persist"),
        Alarm::ObstructedLeader { to } => warn!(to = to.0, "obstructed_leader_hands_over"),
        Alarm::UnreadableRange { to, first, what } => warn!(peer = to.0, first = first.0, what, "unreadable_range"),
        Alarm::ForeignBody { from, position } => error!(peer = from.0, %position, "foreign_body"),
        Alarm::Core(alarm) => warn!(?alarm, "alarmed"),
    }
}
