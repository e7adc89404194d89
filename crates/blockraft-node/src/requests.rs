//! Questions between nodes: commands forwarded to the leader and read indexes, both sides of each.
//!
//! A forward is sent once, names the leader's term and is refused in another. Every ticket carries this node's
//! incarnation and boot, so that an answer to an earlier life finds nobody.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use blockraft_catalog::Settled;
use blockraft_driver::ChangeOutcome;
use blockraft_driver::change::ChangeError;
use blockraft_driver::proposal::{NotProposed as DriverNotProposed, ProposeError, Unknown};
use blockraft_driver::read::ReadError as DriverReadError;
use blockraft_driver::status::RoleStatus;
use blockraft_transport::{Peer, Transport};
use blockraft_types::{GroupId, LogIndex, MembershipChange, NodeId, Position, RemoteTicket, Role, Term};
use blockraft_wire::node::{
    self, ChangeMembers, ChangeMembersReply, ChangeMembersResult, Forward, ForwardReply, ForwardResult, NodeMessage,
    NotProposed, ReadIndex, ReadIndexReply, ReadIndexResult,
};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::config::Identity;
use crate::driver::Driver;
use crate::waiting::Waiting;

/// Asks the leader, wherever it is, and answers those who ask this node.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    identity: Identity,
    group: GroupId,
    driver: Driver,
    transport: Arc<dyn Transport>,
    waiting: Arc<Waiting>,
    /// How long a request of this node's clients tries, so that nobody waits for an answer any longer.
    request_timeout: Duration,
    counter: AtomicU64,
    /// Forwards and read-index questions of peers that are being answered.
    serving: Arc<Semaphore>,
}

/// What became of a batch of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BatchFate {
    /// Committed and applied at the leader.
    Committed { position: Position, outcomes: Vec<Settled> },
    /// Never happened and never will.
    NotProposed { reason: NotProposed, leader: Option<NodeId> },
    /// Nobody knows.
    Unknown { reason: &'static str },
}

impl Requests {
    pub(crate) fn new(
        identity: Identity,
        group: GroupId,
        driver: Driver,
        transport: Arc<dyn Transport>,
        waiting: Arc<Waiting>,
        request_timeout: Duration,
    ) -> Self {
        let serving = Arc::new(Semaphore::new(SERVING_MAX));
        let counter = AtomicU64::new(1);
        let shared = Shared { identity, group, driver, transport, waiting, request_timeout, counter, serving };
        Self { shared: Arc::new(shared) }
    }

    /// Takes nothing more from other nodes, which try elsewhere then, and waits until what was taken is answered, for so
    /// long at most.
    pub(crate) async fn finish(&self, patience: Duration) {
        let all = u32::try_from(SERVING_MAX).unwrap_or(u32::MAX);
        let _answered_or_late = timeout(patience, self.shared.serving.acquire_many(all)).await;
        self.shared.serving.close();
    }

    /// Whether this node, in this life, drew the ticket.
    pub(crate) fn asked(&self, ticket: RemoteTicket) -> bool {
        let Identity { incarnation, boot, .. } = self.shared.identity;
        ticket.incarnation == incarnation && ticket.boot == boot
    }

    /// Proposes a batch here if this node leads, or else at the leader. Tries once. `place` is free when the batch no
    /// longer stands in the way of others.
    pub(crate) async fn commit(&self, body: Bytes, place: OwnedSemaphorePermit) -> BatchFate {
        let shared = &self.shared;
        let role = *shared.driver.roles().borrow();
        match role {
            RoleStatus { role: Role::Leader, term, .. } => propose(&shared.driver, term, body).await,
            RoleStatus { leader: Some(leader), term, .. } if leader != shared.identity.node => {
                self.forward(leader, term, body, place).await
            }
            RoleStatus { .. } => BatchFate::NotProposed { reason: NotProposed::NotLeader, leader: None },
        }
    }

    async fn forward(&self, leader: NodeId, term: Term, commands: Bytes, place: OwnedSemaphorePermit) -> BatchFate {
        let shared = &self.shared;
        let ticket = self.ticket();
        let mut asked = shared.waiting.forwards.wait((ticket.counter, leader));
        let question = NodeMessage::Forward(Forward { group: shared.group, ticket, term, commands });
        if !self.send(leader, &question) {
            return BatchFate::NotProposed { reason: NotProposed::NotLeader, leader: Some(leader) };
        }
        let answered = tokio::select! {
            biased;
            answered = timeout(shared.request_timeout, asked.answer()) => answered,
            () = self.silenced(leader, term, place) => {
                return BatchFate::Unknown { reason: "another leader was elected, and this one says nothing any more" };
            }
        };
        match answered {
            Ok(Some(ForwardResult::Committed { position, outcomes })) => {
                match Settled::decode_list(&outcomes, position) {
                    Ok(outcomes) => BatchFate::Committed { position, outcomes },
                    Err(_) => BatchFate::Unknown { reason: "the leader's answer could not be read" },
                }
            }
            Ok(Some(ForwardResult::NotProposed { reason, leader })) => BatchFate::NotProposed { reason, leader },
            Ok(Some(ForwardResult::Unknown) | None) => BatchFate::Unknown { reason: "the leader was lost on the way" },
            Err(_) => BatchFate::Unknown { reason: "the leader did not answer in time" },
        }
    }

    /// A read index, taken here or at the leader after this call.
    pub(crate) async fn read_index(&self) -> Result<LogIndex, ReadIndexFailure> {
        let shared = &self.shared;
        let RoleStatus { role, term, leader, .. } = *shared.driver.roles().borrow();
        let leader = match (role, leader) {
            (Role::Leader, _) => return shared.driver.read_index().await.map_err(ReadIndexFailure::from),
            (_, Some(leader)) if leader != shared.identity.node => leader,
            _ => return Err(ReadIndexFailure::NoLeader),
        };
        let answered = tokio::select! {
            biased;
            answered = timeout(READ_INDEX_TIMEOUT, self.ask_for_read_index(leader)) => answered,
            () = self.superseded(term) => return Err(ReadIndexFailure::NotConfirmed),
        };
        match answered {
            Ok(Some(ReadIndexResult::Index { position })) => Ok(position.index),
            Ok(Some(ReadIndexResult::NotLeader { .. }) | None) => Err(ReadIndexFailure::NoLeader),
            Ok(Some(ReadIndexResult::NoQuorum | ReadIndexResult::Overloaded)) | Err(_) => {
                Err(ReadIndexFailure::NotConfirmed)
            }
        }
    }

    /// What the leader says to a change of members; `None` where none could be asked. Tries once.
    pub(crate) async fn change_members(&self, change: &MembershipChange) -> Option<ChangeMembersResult> {
        let shared = &self.shared;
        let RoleStatus { role, leader, .. } = *shared.driver.roles().borrow();
        if role == Role::Leader {
            return Some(change_members(&shared.driver, change.clone()).await);
        }
        let leader = leader.filter(|leader| *leader != shared.identity.node)?;
        let ticket = self.ticket();
        let mut place = shared.waiting.changes.wait((ticket.counter, leader));
        let question = ChangeMembers { group: shared.group, ticket, change: change.clone() };
        if !self.send(leader, &NodeMessage::ChangeMembers(question)) {
            return None;
        }
        timeout(CHANGE_TIMEOUT, place.answer()).await.ok().flatten()
    }

    /// Answers a change of members.
    pub(crate) fn serve_change(&self, from: Peer, question: ChangeMembers) {
        let requests = self.clone();
        let ChangeMembers { group, ticket, change } = question;
        tokio::spawn(async move {
            let result = change_members(&requests.shared.driver, change).await;
            let reply = NodeMessage::ChangeMembersReply(ChangeMembersReply { group, ticket, result });
            requests.send(from.node, &reply);
        });
    }

    /// What `leader` answers, whether or not it leads; `None` where it can't be asked.
    async fn ask_for_read_index(&self, leader: NodeId) -> Option<ReadIndexResult> {
        let shared = &self.shared;
        let ticket = self.ticket();
        let mut place = shared.waiting.read_indexes.wait((ticket.counter, leader));
        if !self.send(leader, &NodeMessage::ReadIndex(ReadIndex { group: shared.group, ticket })) {
            return None;
        }
        place.answer().await
    }

    /// Waits until this node follows a leader of a later term than `asked`.
    async fn superseded(&self, asked: Term) {
        let mut roles = self.shared.driver.roles();
        // An error means that the driver stopped, which ends the waiting questions by itself.
        if roles.wait_for(|role| asked < role.term && role.leader.is_some()).await.is_err() {
            core::future::pending::<()>().await;
        }
    }

    /// Waits until another leader followed the one of the term `asked`, and that one says nothing any more.
    ///
    /// A leader that was merely deposed learns what became of its entries, sooner or later, and tells: as long as it
    /// answers anything it is waited for, and meanwhile the batch gives up its `place` to those for the new leader. One
    /// that died says nothing, and its connection ends only seconds later.
    async fn silenced(&self, leader: NodeId, asked: Term, place: OwnedSemaphorePermit) {
        self.superseded(asked).await;
        drop(place);
        // Any answer is a sign of life.
        let mut patience = SILENCE_MAX;
        while let Ok(Some(_)) = timeout(patience, self.ask_for_read_index(leader)).await {
            // It didn't die of what deposed it.
            patience = READ_INDEX_TIMEOUT;
            sleep(SIGN_OF_LIFE_PAUSE).await;
        }
        debug!(peer = leader.0, term = asked.0, "gave_up_on_silent_leader");
    }

    /// Answers a forward. Beyond the bound it is refused, which is safe to retry.
    pub(crate) fn serve_forward(&self, from: Peer, forward: Forward) {
        let requests = self.clone();
        let Forward { ticket, term, commands, .. } = forward;
        let Ok(permit) = Arc::clone(&self.shared.serving).try_acquire_owned() else {
            let refused = ForwardResult::NotProposed { reason: NotProposed::Overloaded, leader: None };
            return self.reply_forward(from.node, ticket, refused);
        };
        tokio::spawn(async move {
            let RoleStatus { role, leader, .. } = *requests.shared.driver.roles().borrow();
            let fate = match role {
                Role::Leader => propose(&requests.shared.driver, term, commands).await,
                _ => BatchFate::NotProposed { reason: NotProposed::NotLeader, leader },
            };
            let result = match fate {
                BatchFate::Committed { position, outcomes } => {
                    ForwardResult::Committed { position, outcomes: Settled::encode_list(&outcomes, position) }
                }
                BatchFate::NotProposed { reason, leader } => ForwardResult::NotProposed { reason, leader },
                BatchFate::Unknown { .. } => ForwardResult::Unknown,
            };
            requests.reply_forward(from.node, ticket, result);
            drop(permit);
        });
    }

    /// Answers a question for a read index.
    pub(crate) fn serve_read_index(&self, from: Peer, question: ReadIndex) {
        let requests = self.clone();
        let Ok(permit) = Arc::clone(&self.shared.serving).try_acquire_owned() else {
            return self.reply_read_index(from.node, question.ticket, ReadIndexResult::Overloaded);
        };
        tokio::spawn(async move {
            let shared = &requests.shared;
            let result = match timeout(READ_INDEX_TIMEOUT, shared.driver.read_index()).await {
                Ok(Ok(index)) => {
                    let term = shared.driver.roles().borrow().term;
                    ReadIndexResult::Index { position: Position { term, index } }
                }
                Ok(Err(DriverReadError::NotLeader { leader })) => ReadIndexResult::NotLeader { leader },
                Ok(Err(DriverReadError::Full)) => ReadIndexResult::Overloaded,
                Ok(Err(DriverReadError::Stopped)) | Err(_) => ReadIndexResult::NoQuorum,
            };
            requests.reply_read_index(from.node, question.ticket, result);
            drop(permit);
        });
    }

    fn reply_forward(&self, to: NodeId, ticket: RemoteTicket, result: ForwardResult) {
        let reply = NodeMessage::ForwardReply(ForwardReply { group: self.shared.group, ticket, result });
        self.send(to, &reply);
    }

    fn reply_read_index(&self, to: NodeId, ticket: RemoteTicket, result: ReadIndexResult) {
        self.send(to, &NodeMessage::ReadIndexReply(ReadIndexReply { group: self.shared.group, ticket, result }));
    }

    fn send(&self, to: NodeId, message: &NodeMessage) -> bool {
        let sent = node::encode(message).map(|frame| self.shared.transport.send(to, frame));
        let sent = matches!(sent, Ok(Ok(())));
        if !sent {
            debug!(peer = to.0, "node_message_dropped");
        }
        sent
    }

    fn ticket(&self) -> RemoteTicket {
        let Identity { incarnation, boot, .. } = self.shared.identity;
        RemoteTicket { incarnation, boot, counter: self.shared.counter.fetch_add(1, Ordering::Relaxed) }
    }
}

/// Why there is no read index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadIndexFailure {
    /// Nobody who leads could be asked. Ask again once the leader is known.
    NoLeader,
    /// No quorum confirmed it in time.
    NotConfirmed,
    /// This node has stopped.
    Stopped,
}

impl From<DriverReadError> for ReadIndexFailure {
    fn from(error: DriverReadError) -> Self {
        match error {
            DriverReadError::NotLeader { .. } => Self::NoLeader,
            DriverReadError::Full => Self::NotConfirmed,
            DriverReadError::Stopped => Self::Stopped,
        }
    }
}

/// Proposes in `term` or not at all: whoever asked may have been told that the term is over.
async fn propose(driver: &Driver, term: Term, body: Bytes) -> BatchFate {
    match driver.propose_in(term, body).await {
        Ok(committed) => BatchFate::Committed { position: committed.position, outcomes: committed.output },
        Err(ProposeError::NotProposed { reason, leader }) => {
            BatchFate::NotProposed { reason: wire_reason(reason), leader }
        }
        Err(ProposeError::Unknown { reason: Unknown::LeadershipLost }) => {
            BatchFate::Unknown { reason: "leadership was lost while the entry's fate was open" }
        }
        Err(ProposeError::Unknown { .. }) => {
            BatchFate::Unknown { reason: "the node stopped while the entry's fate was open" }
        }
        Err(ProposeError::Stopped) => BatchFate::NotProposed { reason: NotProposed::Stopping, leader: None },
    }
}

async fn change_members(driver: &Driver, change: MembershipChange) -> ChangeMembersResult {
    match driver.change_membership(change).await {
        Ok(ChangeOutcome::AlreadySo) => ChangeMembersResult::AlreadySo,
        Ok(ChangeOutcome::Begun { position }) => ChangeMembersResult::Begun { position },
        Err(ChangeError::Refused(refusal)) => ChangeMembersResult::Refused(refusal),
        Err(ChangeError::Stopped) => ChangeMembersResult::Unknown,
    }
}

const fn wire_reason(reason: DriverNotProposed) -> NotProposed {
    use blockraft_driver::gate::GateRefusal;
    match reason {
        DriverNotProposed::OtherTerm { term } => NotProposed::OtherTerm { term },
        DriverNotProposed::Transferring { .. } => NotProposed::Transferring,
        DriverNotProposed::TooLarge { .. } | DriverNotProposed::Gate(GateRefusal::Never(_)) => NotProposed::Invalid,
        DriverNotProposed::Full | DriverNotProposed::Gate(GateRefusal::Later(_)) => NotProposed::Overloaded,
        DriverNotProposed::Gate(GateRefusal::NoRoom) => NotProposed::DiskFull,
        DriverNotProposed::ShuttingDown => NotProposed::Stopping,
        // An overwritten entry will never commit: its commands are free again, at whoever leads now.
        _ => NotProposed::NotLeader,
    }
}

/// How long a leader may say nothing when another one has followed it, before it counts as dead. Whoever waits for one that
/// was killed waits so much longer than the election took; one that lives answers at once, unless it is stopped or
/// starved.
const SILENCE_MAX: Duration = Duration::from_millis(200);

/// How often a deposed leader is asked for a sign of life.
const SIGN_OF_LIFE_PAUSE: Duration = Duration::from_millis(50);

/// How long one confirmation may take before the leader is doubted.
const READ_INDEX_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a leader may take to say whether a change of members is begun.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(1);

/// Peers' questions answered at once; more are refused as overloaded.
const SERVING_MAX: usize = 4_096;
