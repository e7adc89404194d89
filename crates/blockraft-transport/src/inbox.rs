//! The receiving end of a control lane: a bounded queue per peer, with events and frames in one order.
//!
//! For those who write a transport: it keeps the second and third duty of [`Transport`](crate::Transport). Each
//! connection [`open`](Inbox::open)s a [`Session`] once its peer is authenticated; dropping the session is the
//! disconnection, and opening another of the same node ends the first.

use core::pin::pin;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_types::NodeId;
use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::peer::Peer;
use crate::transport::Incoming;

/// Events and frames of all peers, in order of arrival.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Shared>,
}

/// One connection's right to put frames into an [`Inbox`]. Dropping it is the disconnection.
#[derive(Debug)]
pub struct Session {
    inbox: Arc<Shared>,
    peer: Peer,
    number: u64,
    room: Arc<Semaphore>,
}

/// Why [`Session::offer`] dropped a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OfferError {
    /// The consumer has not taken the frames before this one.
    #[error("the inbox holds as much as it may of this peer")]
    Full,
    /// Another connection of the node has taken over, or the inbox is closed.
    #[error(transparent)]
    Ended(#[from] SessionEnded),
}

/// Another connection of the node has taken over, or the inbox is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the session has ended")]
pub struct SessionEnded;

impl Inbox {
    /// An empty inbox that holds up to `peer_bytes_max` bytes of each peer's frames. Each frame counts with
    /// [`FRAME_OVERHEAD_BYTES`] more than its length, so that empty ones are bounded too; one frame always fits.
    #[must_use]
    pub fn new(peer_bytes_max: u32) -> Self {
        let state = State { queue: VecDeque::new(), sessions: BTreeMap::new(), sessions_opened: 0, closed: false };
        let peer_bytes_max = peer_bytes_max.max(FRAME_OVERHEAD_BYTES);
        Self { shared: Arc::new(Shared { state: Mutex::new(state), arrived: Notify::new(), peer_bytes_max }) }
    }

    /// Announces `peer` as connected. A session of the same node that lives ends first.
    #[must_use]
    pub fn open(&self, peer: Peer) -> Session {
        let room = Arc::new(Semaphore::new(self.shared.peer_bytes_max as usize));
        let mut state = self.shared.lock();
        state.sessions_opened += 1;
        let number = state.sessions_opened;
        if state.closed {
            room.close();
        } else {
            state.end(peer.node);
            state.sessions.insert(peer.node, Live { number, room: Arc::clone(&room) });
            state.queue.push_back(Item { session: number, incoming: Incoming::Connected(peer), _room: None });
        }
        drop(state);
        self.shared.arrived.notify_one();
        Session { inbox: Arc::clone(&self.shared), peer, number, room }
    }

    /// The next event or frame; `None` once the inbox is closed. Cancel-safe.
    pub async fn receive(&self) -> Option<Incoming> {
        loop {
            let mut arrived = pin!(self.shared.arrived.notified());
            arrived.as_mut().enable();
            {
                let mut state = self.shared.lock();
                if state.closed {
                    return None;
                }
                if let Some(item) = state.queue.pop_front() {
                    if !state.queue.is_empty() {
                        self.shared.arrived.notify_one();
                    }
                    return Some(item.incoming);
                }
            }
            arrived.await;
        }
    }

    /// Ends every session and drops what wasn't taken.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        for live in core::mem::take(&mut state.sessions).into_values() {
            live.room.close();
        }
        drop(state);
        self.shared.arrived.notify_waiters();
    }
}

impl Session {
    /// Whose session it is.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// Queues a frame, waiting until the consumer has made room. Cancel-safe: a dropped call queues nothing.
    ///
    /// # Errors
    ///
    /// [`SessionEnded`]: this connection has no say any more and should close.
    pub async fn deliver(&self, frame: Bytes) -> Result<(), SessionEnded> {
        let room = Arc::clone(&self.room).acquire_many_owned(self.charge(&frame)).await.map_err(|_| SessionEnded)?;
        self.queue(frame, room)
    }

    /// Queues a frame, or drops it when there is no room.
    ///
    /// # Errors
    ///
    /// [`OfferError`] says why it was dropped.
    pub fn offer(&self, frame: Bytes) -> Result<(), OfferError> {
        let room = Arc::clone(&self.room).try_acquire_many_owned(self.charge(&frame)).map_err(|error| match error {
            TryAcquireError::NoPermits => OfferError::Full,
            TryAcquireError::Closed => OfferError::Ended(SessionEnded),
        })?;
        Ok(self.queue(frame, room)?)
    }

    fn queue(&self, frame: Bytes, room: OwnedSemaphorePermit) -> Result<(), SessionEnded> {
        let mut state = self.inbox.lock();
        if state.sessions.get(&self.peer.node).is_none_or(|live| live.number != self.number) {
            return Err(SessionEnded);
        }
        let incoming = Incoming::Message { from: self.peer, frame };
        state.queue.push_back(Item { session: self.number, incoming, _room: Some(room) });
        drop(state);
        self.inbox.arrived.notify_one();
        Ok(())
    }

    fn charge(&self, frame: &Bytes) -> u32 {
        u32::try_from(frame.len())
            .unwrap_or(u32::MAX)
            .saturating_add(FRAME_OVERHEAD_BYTES)
            .min(self.inbox.peer_bytes_max)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.inbox.lock();
        if state.sessions.get(&self.peer.node).is_some_and(|live| live.number == self.number) {
            state.end(self.peer.node);
            drop(state);
            self.inbox.arrived.notify_one();
        }
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    arrived: Notify,
    peer_bytes_max: u32,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Item>,
    sessions: BTreeMap<NodeId, Live>,
    sessions_opened: u64,
    closed: bool,
}

#[derive(Debug)]
struct Live {
    number: u64,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Item {
    session: u64,
    incoming: Incoming,
    _room: Option<OwnedSemaphorePermit>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the session of `node`, if one lives. A session whose `Connected` nobody has seen yet leaves no trace: so a
    /// flapping peer has at most one `Disconnected` and one `Connected` in the queue, however slow the consumer is.
    fn end(&mut self, node: NodeId) {
        let Some(live) = self.sessions.remove(&node) else { return };
        live.room.close();
        let unseen = self
            .queue
            .iter()
            .any(|item| item.session == live.number && matches!(item.incoming, Incoming::Connected(_)));
        if unseen {
            self.queue.retain(|item| item.session != live.number);
            return;
        }
        self.queue.push_back(Item { session: live.number, incoming: Incoming::Disconnected(node), _room: None });
    }
}

/// What a frame costs in an inbox beside its own bytes.
pub const FRAME_OVERHEAD_BYTES: u32 = 256;
