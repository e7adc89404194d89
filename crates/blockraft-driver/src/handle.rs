//! The way to a running driver for everybody else: cheap to clone, usable from any task or thread.

use core::fmt;
use core::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_core::ready::{ChangeOutcome, InForce};
use blockraft_types::{GroupId, LogIndex, MembershipChange, Message, NodeId, Term};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot, watch};

use crate::change::ChangeError;
use crate::gate::AppendGate;
use crate::inbox::{Inbox, Item};
use crate::outbox::Dispatch;
use crate::proposal::{Committed, NotProposed, ProposeError, Unknown};
use crate::proposals::{Promise, Proposals};
use crate::read::ReadError;
use crate::state_machine::StateMachine;
use crate::status::{DriverStatus, RoleStatus};
use crate::stop::{StopReason, Stopped};

/// A handle to one member of one group.
///
/// When the last handle is dropped, and no future of one is left, the driver shuts down as with
/// [`shutdown`](Self::shutdown).
pub struct DriverHandle<SM: StateMachine, G: AppendGate> {
    shared: Arc<Shared<SM::Output, G::Event>>,
    lifeline: Arc<Lifeline<SM::Output, G::Event>>,
}

impl<SM: StateMachine, G: AppendGate> DriverHandle<SM, G> {
    pub(crate) fn new(shared: Arc<Shared<SM::Output, G::Event>>) -> Self {
        let lifeline = Arc::new(Lifeline { shared: Arc::clone(&shared) });
        Self { shared, lifeline }
    }

    /// This member.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// Its group.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.shared.group
    }

    /// Proposes `body` as one entry, and resolves when it is committed and applied here.
    ///
    /// Waits while the queue is full ([`DriverConfig`](crate::DriverConfig) says how much it holds). Proposals of one
    /// task that are awaited one after the other stand in the log in that order; concurrent ones in any.
    ///
    /// Dropping the future withdraws a proposal that still waits for room; afterwards the entry may be committed all
    /// the same, and nobody hears of it.
    ///
    /// # Errors
    ///
    /// See [`ProposeError`]: only `NotProposed` and `Stopped` say that the entry will never be committed.
    pub fn propose(
        &self,
        body: Bytes,
    ) -> impl Future<Output = Result<Committed<SM::Output>, ProposeError>> + Send + use<SM, G> {
        self.clone().propose_when_there_is_room(None, body)
    }

    /// Like [`propose`](Self::propose), but the entry enters the log in `term` or never, however long it waits: for a
    /// command that was meant for the leader of that term, and that somebody may have repeated at another one since.
    ///
    /// # Errors
    ///
    /// [`NotProposed::OtherTerm`] in any other term; otherwise as `propose`.
    pub fn propose_in(
        &self,
        term: Term,
        body: Bytes,
    ) -> impl Future<Output = Result<Committed<SM::Output>, ProposeError>> + Send + use<SM, G> {
        self.clone().propose_when_there_is_room(Some(term), body)
    }

    async fn propose_when_there_is_room(
        self,
        term: Option<Term>,
        body: Bytes,
    ) -> Result<Committed<SM::Output>, ProposeError> {
        let shared = &self.shared;
        shared.check_size(&body)?;
        let permits = shared.wait_for_room(body.len()).await?;
        let answer = shared.enqueue(term, body, permits)?;
        outcome(answer).await
    }

    /// Like [`propose`](Self::propose), but a full queue is an error at once instead of a wait.
    ///
    /// # Errors
    ///
    /// [`NotProposed::Full`] when there is no room; otherwise, and later, as `propose`.
    pub fn try_propose(
        &self,
        body: Bytes,
    ) -> Result<impl Future<Output = Result<Committed<SM::Output>, ProposeError>> + Send + use<SM, G>, ProposeError>
    {
        self.shared.check_size(&body)?;
        let permits = self.shared.try_room(body.len())?;
        let answer = self.shared.enqueue(None, body, permits)?;
        let handle = self.clone();
        Ok(async move {
            let outcome = outcome(answer).await;
            drop(handle);
            outcome
        })
    }

    /// Asks for another configuration and resolves when the change was begun, refused, or is so already. What was begun
    /// is finished by this leader or a later one, or given up: watch [`memberships`](Self::memberships).
    ///
    /// Only a leader can. Safe to repeat; dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`].
    pub fn change_membership(
        &self,
        change: MembershipChange,
    ) -> impl Future<Output = Result<ChangeOutcome, ChangeError>> + Send + use<SM, G> {
        let handle = self.clone();
        async move {
            let (promise, answer) = oneshot::channel();
            handle.shared.inbox.push(Item::Change { change, promise }).map_err(|_| ChangeError::Stopped)?;
            answer.await.unwrap_or(Err(ChangeError::Stopped))
        }
    }

    /// The configuration in force on this member, to be watched. Only the newest value is kept.
    #[must_use]
    pub fn memberships(&self) -> watch::Receiver<InForce> {
        self.shared.membership.subscribe()
    }

    /// Gives an index such that a read which finds it applied sees everything that was committed before this call
    /// (thesis 6.4). Calls that wait together share one round of confirmation, which begins after each of them.
    ///
    /// Only a leader can: others answer at once with the leader that they know. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub fn read_index(&self) -> impl Future<Output = Result<LogIndex, ReadError>> + Send + use<SM, G> {
        let handle = self.clone();
        async move {
            let (sender, answer) = oneshot::channel();
            handle.shared.inbox.push(Item::Read(sender)).map_err(|_| ReadError::Stopped)?;
            answer.await.unwrap_or(Err(ReadError::Stopped))
        }
    }

    /// Resolves with the applied index once the state machine has applied the entry at `index`.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the driver stops before.
    pub fn wait_applied(&self, index: LogIndex) -> impl Future<Output = Result<LogIndex, Stopped>> + Send + use<SM, G> {
        let handle = self.clone();
        async move {
            let mut applied = handle.shared.applied.subscribe();
            let reached = |state: &Applying| index <= state.index() || matches!(state, Applying::Ended(_));
            let state = applied.wait_for(reached).await.map_err(|_| Stopped)?;
            if state.index() < index { Err(Stopped) } else { Ok(state.index()) }
        }
    }

    /// The last entry that the state machine has applied. Newer than the one in [`status`](Self::status).
    #[must_use]
    pub fn applied_index(&self) -> LogIndex {
        self.shared.applied.borrow().index()
    }

    /// Tells the gate something. The queue to it has no bound of its own: whoever sends events bounds them.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub fn gate(&self, event: G::Event) -> Result<(), Stopped> {
        self.shared.inbox.push(Item::Gate(event)).map_err(|_| Stopped)
    }

    /// Hands in a message of a member. The caller vouches that `from` is who sent it, as the transport proved it.
    ///
    /// Never waits: a message is dropped when too much waits already, as a network would.
    pub fn receive(&self, from: NodeId, message: Message, bodies: Vec<Bytes>) -> Dispatch {
        if self.shared.inbox.push_message(from, message, bodies) { Dispatch::Queued } else { Dispatch::Dropped }
    }

    /// Says that the transport has a connection to `peer`.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub fn peer_connected(&self, peer: NodeId) -> Result<(), Stopped> {
        self.shared.inbox.push(Item::PeerConnected(peer)).map_err(|_| Stopped)
    }

    /// Says that the transport lost its connection to `peer`.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub fn peer_disconnected(&self, peer: NodeId) -> Result<(), Stopped> {
        self.shared.inbox.push(Item::PeerDisconnected(peer)).map_err(|_| Stopped)
    }

    /// Asks this member, if it leads, to hand leadership to the voter `to`. Watch [`roles`](Self::roles) to see
    /// whether it happens; the core gives up after an election timeout.
    ///
    /// # Errors
    ///
    /// [`Stopped`].
    pub fn transfer_leadership(&self, to: NodeId) -> Result<(), Stopped> {
        self.shared.inbox.push(Item::Transfer { to }).map_err(|_| Stopped)
    }

    /// The member's state, at most a tick old.
    #[must_use]
    pub fn status(&self) -> DriverStatus {
        self.shared.status.borrow().clone()
    }

    /// The member's state, to be watched: a new value each tick in which something changed.
    #[must_use]
    pub fn watch_status(&self) -> watch::Receiver<DriverStatus> {
        self.shared.status.subscribe()
    }

    /// Role, term and leader, to be watched. Only the newest value is kept.
    #[must_use]
    pub fn roles(&self) -> watch::Receiver<RoleStatus> {
        self.shared.role.subscribe()
    }

    /// Stops the driver: a leader hands over first, for a bounded time, and takes no proposals meanwhile; the state
    /// machine is flushed. Resolves when the driver's threads have ended. Dropping the future doesn't call it back.
    pub fn shutdown(&self) -> impl Future<Output = StopReason> + Send + use<SM, G> {
        // A driver that has ended already needs no asking.
        let _ = self.shared.inbox.push(Item::Shutdown);
        self.stopped()
    }

    /// Stops the driver at once with [`StopReason::GateFailed`], for a gate whose storage has failed: a member that can't
    /// keep what entries need must not go on leading.
    pub fn fail_gate(&self, source: Arc<dyn core::error::Error + Send + Sync>) {
        // A driver that has ended already can't fail any more.
        let _ = self.shared.inbox.push(Item::Failed(StopReason::GateFailed { source }));
    }

    /// Stops the driver at once with [`StopReason::MemberUnfit`], for a member that can't be trusted with a vote: it doesn't
    /// hand over what it leads either.
    pub fn fail_member(&self, source: Arc<dyn core::error::Error + Send + Sync>) {
        // A driver that has ended already can't fail any more.
        let _ = self.shared.inbox.push(Item::Failed(StopReason::MemberUnfit { source }));
    }

    /// Resolves when the driver has stopped, with the reason. Anything but [`StopReason::Shutdown`] should end the
    /// process.
    pub fn stopped(&self) -> impl Future<Output = StopReason> + Send + use<SM, G> {
        let shared = Arc::clone(&self.shared);
        async move {
            let mut stop = shared.stop.subscribe();
            let reason = stop.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
            reason.unwrap_or(StopReason::Shutdown)
        }
    }
}

impl<SM: StateMachine, G: AppendGate> Clone for DriverHandle<SM, G> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), lifeline: Arc::clone(&self.lifeline) }
    }
}

impl<SM: StateMachine, G: AppendGate> fmt::Debug for DriverHandle<SM, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverHandle").field("node", &self.node()).field("group", &self.group()).finish_non_exhaustive()
    }
}

/// What the handles, the loop and the apply thread share.
pub(crate) struct Shared<O, E> {
    pub(crate) node: NodeId,
    pub(crate) group: GroupId,
    pub(crate) inbox: Arc<Inbox<O, E>>,
    pub(crate) room: Room,
    pub(crate) proposals: Mutex<Proposals<Promise<O>>>,
    pub(crate) status: watch::Sender<DriverStatus>,
    pub(crate) role: watch::Sender<RoleStatus>,
    pub(crate) membership: watch::Sender<InForce>,
    pub(crate) applied: watch::Sender<Applying>,
    pub(crate) stop: watch::Sender<Option<StopReason>>,
}

/// How much may be proposed and not yet applied.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) proposals: Arc<Semaphore>,
    pub(crate) bytes: Arc<Semaphore>,
    pub(crate) bytes_max: u32,
}

/// How far the state machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applying {
    /// It goes on.
    Running(LogIndex),
    /// It has stopped here.
    Ended(LogIndex),
}

impl Applying {
    pub(crate) const fn index(self) -> LogIndex {
        match self {
            Self::Running(index) | Self::Ended(index) => index,
        }
    }
}

impl<O, E> Shared<O, E> {
    pub(crate) fn proposals(&self) -> MutexGuard<'_, Proposals<Promise<O>>> {
        // A table is whole between any two statements that change it.
        self.proposals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_size(&self, body: &Bytes) -> Result<(), ProposeError> {
        let (bytes, bytes_max) = (body.len() as u64, u64::from(self.room.bytes_max));
        if bytes_max < bytes {
            return Err(self.not_proposed(NotProposed::TooLarge { bytes, bytes_max }));
        }
        Ok(())
    }

    async fn wait_for_room(&self, bytes: usize) -> Result<[OwnedSemaphorePermit; 2], ProposeError> {
        let closed = |_| ProposeError::Stopped;
        let proposal = Arc::clone(&self.room.proposals).acquire_owned().await.map_err(closed)?;
        let bytes = Arc::clone(&self.room.bytes).acquire_many_owned(bytes as u32).await.map_err(closed)?;
        Ok([proposal, bytes])
    }

    fn try_room(&self, bytes: usize) -> Result<[OwnedSemaphorePermit; 2], ProposeError> {
        let full = |error| match error {
            TryAcquireError::NoPermits => self.not_proposed(NotProposed::Full),
            TryAcquireError::Closed => ProposeError::Stopped,
        };
        let proposal = Arc::clone(&self.room.proposals).try_acquire_owned().map_err(full)?;
        let bytes = Arc::clone(&self.room.bytes).try_acquire_many_owned(bytes as u32).map_err(full)?;
        Ok([proposal, bytes])
    }

    fn enqueue(
        &self,
        term: Option<Term>,
        body: Bytes,
        permits: [OwnedSemaphorePermit; 2],
    ) -> Result<Answer<O>, ProposeError> {
        let (sender, answer) = oneshot::channel();
        let promise = Promise { answer: sender, permits };
        self.inbox.push(Item::Propose { term, body, promise }).map_err(|_| ProposeError::Stopped)?;
        Ok(answer)
    }

    fn not_proposed(&self, reason: NotProposed) -> ProposeError {
        ProposeError::NotProposed { reason, leader: self.role.borrow().leader }
    }
}

type Answer<O> = oneshot::Receiver<Result<Committed<O>, ProposeError>>;

async fn outcome<O>(answer: Answer<O>) -> Result<Committed<O>, ProposeError> {
    // A promise is dropped unkept only by a loop that panicked, at a moment that nobody knows.
    answer.await.unwrap_or(Err(ProposeError::Unknown { reason: Unknown::Stopped }))
}

/// Shuts the driver down when the last handle is gone.
struct Lifeline<O, E> {
    shared: Arc<Shared<O, E>>,
}

impl<O, E> Drop for Lifeline<O, E> {
    fn drop(&mut self) {
        let _ = self.shared.inbox.push(Item::Shutdown);
    }
}
