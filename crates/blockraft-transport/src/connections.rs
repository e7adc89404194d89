//! Who is connected and what is on its way: the bookkeeping that every transport over a network needs.
//!
//! For those who write one: it keeps the second, third and fourth duty of [`Transport`](crate::Transport). An adapter
//! authenticates, then [`open`](Connections::open)s a [`Connection`], carries frames between it and the wire until one
//! of the two ends, and drops it.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_types::NodeId;
use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{Mutex as AsyncMutex, Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};

use crate::address::PeerAddress;
use crate::bulk::{Bulk, BulkError};
use crate::inbox::{FRAME_OVERHEAD_BYTES, Inbox, Session, SessionEnded};
use crate::peer::Peer;
use crate::send::SendError;
use crate::status::PeerStatus;
use crate::transport::Incoming;

/// The connections of one node. `R` is what the adapter needs to start a transfer on a connection's bulk lane.
#[derive(Debug)]
pub struct Connections<R> {
    shared: Arc<Shared<R>>,
}

/// Bounds per peer, in bytes. Beyond a queue's bound frames are dropped; beyond the bulk bound transfers wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Frames handed to `send` and not yet on the wire.
    pub outgoing_bytes_max: u32,
    /// Frames received and not yet taken.
    pub incoming_bytes_max: u32,
    /// Transfers started and not yet received by the peer.
    pub bulk_bytes_in_flight_max: u32,
}

impl Default for ConnectionLimits {
    /// 8 MiB each: what is in flight to a follower, twice what a 10 Gbit/s link holds in 3 ms, and more than one of the
    /// largest frames.
    fn default() -> Self {
        Self { outgoing_bytes_max: 8 << 20, incoming_bytes_max: 8 << 20, bulk_bytes_in_flight_max: 8 << 20 }
    }
}

/// One connection, owned by the task that carries it. Dropping it is the disconnection.
#[derive(Debug)]
pub struct Connection<R> {
    shared: Arc<Shared<R>>,
    number: u64,
    session: Session,
    outgoing: AsyncMutex<mpsc::UnboundedReceiver<Outgoing>>,
    ended: Ended,
}

/// Why a connection isn't wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Both ends dialled at once. The connection that the lower id dialled stays; this is the other one.
    #[error("the connection that node {dialler} dialled stays")]
    Settled {
        /// The node that dialled the one that stays.
        dialler: NodeId,
    },
    /// The peer has our own id.
    #[error("node {node} is ourselves")]
    Ourselves {
        /// The id.
        node: NodeId,
    },
    /// The transport is closed.
    #[error("the transport is closed")]
    Closed,
}

impl<R: Clone> Connections<R> {
    /// The connections of node `ourselves`; none yet.
    #[must_use]
    pub fn new(ourselves: NodeId, limits: ConnectionLimits) -> Self {
        let inbox = Inbox::new(limits.incoming_bytes_max);
        let state = State { peers: BTreeMap::new(), opened: 0, closed: false };
        let shared = Shared { ourselves, limits, inbox, state: Mutex::new(state), changed: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Registers an authenticated connection that `dialler`, one of its two ends, has dialled. It replaces the peer's
    /// old connection at once.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: close it. Both ends of two simultaneous dials come to the same verdict.
    pub fn open(&self, peer: Peer, dialler: NodeId, route: R) -> Result<Connection<R>, OpenError> {
        let mut guard = self.shared.lock();
        let state = &mut *guard;
        if state.closed {
            return Err(OpenError::Closed);
        }
        if peer.node == self.shared.ourselves {
            return Err(OpenError::Ourselves { node: peer.node });
        }
        state.opened += 1;
        let number = state.opened;
        let entry = state.entry(peer.node);
        if let Some(live) = &entry.live
            && live.peer == peer
            && live.dialler < dialler
        {
            return Err(OpenError::Settled { dialler: live.dialler });
        }
        let (frames, outgoing) = mpsc::unbounded_channel();
        let ConnectionLimits { outgoing_bytes_max, bulk_bytes_in_flight_max, .. } = self.shared.limits;
        let live = Live {
            peer,
            number,
            dialler,
            route,
            frames,
            room: Arc::new(Semaphore::new(outgoing_bytes_max as usize)),
            credit: Arc::new(Semaphore::new(bulk_bytes_in_flight_max as usize)),
            ended: Ended::new(),
        };
        let ended = live.ended.clone();
        if let Some(old) = entry.live.replace(live) {
            old.ended.set();
        }
        entry.status.connected = Some(peer);
        let session = self.shared.inbox.open(peer);
        drop(guard);
        self.shared.changed.notify_waiters();
        Ok(Connection { shared: Arc::clone(&self.shared), number, session, outgoing: AsyncMutex::new(outgoing), ended })
    }

    /// Queues a frame, or drops it: [`Transport::send`](crate::Transport::send).
    ///
    /// # Errors
    ///
    /// [`SendError`] says why it was dropped.
    pub fn send(&self, to: NodeId, frame: Bytes) -> Result<(), SendError> {
        SendError::check_size(&frame)?;
        let mut state = self.shared.lock();
        if state.closed {
            return Err(SendError::Closed);
        }
        let Some(entry) = state.peers.get_mut(&to) else { return Err(SendError::NotConnected { peer: to }) };
        let queued = entry.queue(to, frame, self.shared.limits.outgoing_bytes_max);
        match queued {
            Ok(()) => entry.status.frames_sent += 1,
            Err(_) => entry.status.frames_dropped += 1,
        }
        queued
    }

    /// The next event or frame: [`Transport::receive`](crate::Transport::receive).
    pub async fn receive(&self) -> Option<Incoming> {
        self.shared.inbox.receive().await
    }

    /// Does [`Transport::bulk`](crate::Transport::bulk) around `give`, which gets the connection's route: checks sizes,
    /// waits for credit, keeps the books, and fails when the connection ends. `give` resolves when the peer has received
    /// the transfer whole; it is dropped when the call is.
    ///
    /// # Errors
    ///
    /// Those of [`BulkError`] that `give` answers, and the others.
    pub async fn carry_bulk<F: Future<Output = Result<(), BulkError>>>(
        &self,
        to: NodeId,
        transfer: Bulk,
        give: impl FnOnce(R, Bulk) -> F,
    ) -> Result<(), BulkError> {
        transfer.check_size()?;
        let flight = self.take_off(to, transfer.bytes())?;
        let giving = async {
            let _credit = flight.credit().await;
            give(flight.route.clone(), transfer).await
        };
        let (mut giving, mut ended) = (pin!(giving), pin!(flight.ended.wait()));
        let given = poll_fn(|context| {
            if ended.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(BulkError::Lost { peer: to }));
            }
            giving.as_mut().poll(context)
        })
        .await;
        flight.count(|status| match given {
            Ok(()) => status.bulks_sent += 1,
            Err(BulkError::Refused { .. }) => status.bulks_refused += 1,
            Err(_) => {}
        });
        given
    }

    fn take_off(&self, to: NodeId, bytes: usize) -> Result<Flight<R>, BulkError> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(BulkError::Closed);
        }
        let entry = state.peers.get_mut(&to).ok_or(BulkError::NotConnected { peer: to })?;
        let live = entry.live.as_ref().ok_or(BulkError::NotConnected { peer: to })?;
        let charge = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.shared.limits.bulk_bytes_in_flight_max);
        entry.status.bulk_bytes_in_flight += bytes as u64;
        Ok(Flight {
            shared: Arc::clone(&self.shared),
            target: to,
            bytes: bytes as u64,
            route: live.route.clone(),
            ended: live.ended.clone(),
            credit: Arc::clone(&live.credit),
            charge,
        })
    }

    /// Notes where a peer is dialled. `None` also ends a connection to it that lives.
    pub fn set_address(&self, node: NodeId, address: Option<PeerAddress>) {
        let mut state = self.shared.lock();
        if state.closed {
            return;
        }
        let forgotten = address.is_none();
        let entry = state.entry(node);
        entry.status.address = address;
        if forgotten {
            entry.end();
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Where a peer is dialled, if it is. A dialling task stops when this isn't its address any more.
    #[must_use]
    pub fn address(&self, node: NodeId) -> Option<PeerAddress> {
        self.shared.lock().peers.get(&node)?.status.address.clone()
    }

    /// Who is connected under this id.
    #[must_use]
    pub fn connected(&self, node: NodeId) -> Option<Peer> {
        self.shared.lock().peers.get(&node)?.status.connected
    }

    /// Waits until no connection to `node` lives: the moment to dial it. Cancel-safe.
    pub async fn disconnected(&self, node: NodeId) {
        self.until(|state| state.peers.get(&node).is_none_or(|entry| entry.live.is_none())).await;
    }

    /// Waits until [`close`](Self::close) was called. Cancel-safe.
    pub async fn closed(&self) {
        self.until(|state| state.closed).await;
    }

    async fn until(&self, condition: impl Fn(&State<R>) -> bool) {
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if condition(&self.shared.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Every peer with an address or a connection, with its route, in the order of their ids.
    #[must_use]
    pub fn peers(&self) -> Vec<(PeerStatus, Option<R>)> {
        let state = self.shared.lock();
        let known = state.peers.values().filter(|entry| entry.status.address.is_some() || entry.live.is_some());
        known.map(|entry| (entry.status.clone(), entry.live.as_ref().map(|live| live.route.clone()))).collect()
    }

    /// Ends every connection and refuses new ones.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        for entry in state.peers.values_mut() {
            entry.end();
        }
        state.peers.clear();
        drop(state);
        self.shared.inbox.close();
        self.shared.changed.notify_waiters();
    }
}

impl<R> Connection<R> {
    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.session.peer()
    }

    /// The next frame for the wire; `None` once the connection was replaced, forgotten or closed. Cancel-safe.
    pub async fn next_frame(&self) -> Option<Bytes> {
        let mut outgoing = self.outgoing.lock().await;
        if self.ended.is_set() {
            return None;
        }
        outgoing.recv().await.map(|outgoing| outgoing.frame)
    }

    /// Hands a frame from the wire to the consumer, waiting for room. Cancel-safe: a dropped call hands up nothing.
    ///
    /// # Errors
    ///
    /// [`SessionEnded`]: the connection was replaced or closed.
    pub async fn deliver(&self, frame: Bytes) -> Result<(), SessionEnded> {
        self.session.deliver(frame).await
    }

    /// Waits until the connection was replaced, forgotten or closed. Cancel-safe.
    pub async fn ended(&self) {
        self.ended.wait().await;
    }
}

impl<R> Drop for Connection<R> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let entry = state.peers.get_mut(&self.session.peer().node);
        if let Some(entry) = entry.filter(|entry| entry.live.as_ref().is_some_and(|live| live.number == self.number)) {
            entry.end();
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

/// One transfer on its way to a peer. Dropping it takes its bytes off the books.
#[derive(Debug)]
struct Flight<R> {
    shared: Arc<Shared<R>>,
    target: NodeId,
    bytes: u64,
    route: R,
    ended: Ended,
    credit: Arc<Semaphore>,
    charge: u32,
}

impl<R> Flight<R> {
    /// Waits until the peer's transfers in flight leave room for this one.
    async fn credit(&self) -> SemaphorePermit<'_> {
        self.credit.acquire_many(self.charge).await.expect("nobody closes a connection's credit")
    }

    fn count(&self, count: impl FnOnce(&mut PeerStatus)) {
        if let Some(entry) = self.shared.lock().peers.get_mut(&self.target) {
            count(&mut entry.status);
        }
    }
}

impl<R> Drop for Flight<R> {
    fn drop(&mut self) {
        self.count(|status| status.bulk_bytes_in_flight = status.bulk_bytes_in_flight.saturating_sub(self.bytes));
    }
}

#[derive(Debug)]
struct Shared<R> {
    ourselves: NodeId,
    limits: ConnectionLimits,
    inbox: Inbox,
    state: Mutex<State<R>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<R> {
    peers: BTreeMap<NodeId, Entry<R>>,
    opened: u64,
    closed: bool,
}

#[derive(Debug)]
struct Entry<R> {
    status: PeerStatus,
    live: Option<Live<R>>,
}

#[derive(Debug)]
struct Live<R> {
    peer: Peer,
    number: u64,
    dialler: NodeId,
    route: R,
    frames: mpsc::UnboundedSender<Outgoing>,
    room: Arc<Semaphore>,
    credit: Arc<Semaphore>,
    ended: Ended,
}

#[derive(Debug)]
struct Outgoing {
    frame: Bytes,
    _room: OwnedSemaphorePermit,
}

/// A flag to wait for: a semaphore that never has a permit, and is closed when the flag is set.
#[derive(Clone, Debug)]
struct Ended(Arc<Semaphore>);

impl<R> Shared<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> State<R> {
    fn entry(&mut self, node: NodeId) -> &mut Entry<R> {
        self.peers.entry(node).or_insert_with(|| Entry {
            status: PeerStatus {
                node,
                address: None,
                connected: None,
                frames_sent: 0,
                frames_dropped: 0,
                bulk_bytes_in_flight: 0,
                bulks_sent: 0,
                bulks_refused: 0,
                path: None,
            },
            live: None,
        })
    }
}

impl<R> Entry<R> {
    fn queue(&self, to: NodeId, frame: Bytes, bytes_max: u32) -> Result<(), SendError> {
        let live = self.live.as_ref().ok_or(SendError::NotConnected { peer: to })?;
        let charge = u32::try_from(frame.len()).unwrap_or(u32::MAX).saturating_add(FRAME_OVERHEAD_BYTES).min(bytes_max);
        let room = Arc::clone(&live.room).try_acquire_many_owned(charge);
        let room = room.map_err(|_| SendError::QueueFull { peer: to })?;
        live.frames.send(Outgoing { frame, _room: room }).map_err(|_| SendError::NotConnected { peer: to })
    }

    fn end(&mut self) {
        if let Some(live) = self.live.take() {
            live.ended.set();
        }
        self.status.connected = None;
    }
}

impl Ended {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    fn set(&self) {
        self.0.close();
    }

    fn is_set(&self) -> bool {
        self.0.is_closed()
    }

    async fn wait(&self) {
        let closed = self.0.acquire().await;
        debug_assert!(closed.is_err(), "the semaphore never has a permit");
    }
}
