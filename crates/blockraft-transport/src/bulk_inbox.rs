//! The receiving end of a bulk lane: transfers wait for their consumer, with a budget in bytes per peer.
//!
//! For those who write a transport: it keeps the fifth duty of [`Transport`](crate::Transport). Bytes are admitted
//! *before* they are read, so that what waits is what was paid for.

use core::pin::pin;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blockraft_types::NodeId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::bulk::Bulk;
use crate::peer::Peer;

/// Received transfers of all peers.
#[derive(Debug)]
pub struct BulkInbox {
    shared: Arc<Shared>,
}

/// How much of one peer's bulk may be buffered. All connections that a node ever makes share one budget, so that a
/// flapping peer gets no more than a steady one.
#[derive(Clone, Debug)]
pub struct BulkBudget {
    inbox: Arc<Shared>,
    peer: Peer,
    room: Arc<Semaphore>,
}

/// Room for one transfer, held until the consumer has taken it.
#[derive(Debug)]
pub struct BulkSlot {
    inbox: Arc<Shared>,
    peer: Peer,
    room: OwnedSemaphorePermit,
}

impl BulkInbox {
    /// An empty inbox that holds up to `peer_bytes_max` bytes of each peer's transfers; one transfer always fits.
    #[must_use]
    pub fn new(peer_bytes_max: u32) -> Self {
        let state = State { queue: VecDeque::new(), rooms: BTreeMap::new(), closed: false };
        let peer_bytes_max = peer_bytes_max.max(1);
        Self { shared: Arc::new(Shared { state: Mutex::new(state), arrived: Notify::new(), peer_bytes_max }) }
    }

    /// The budget for a connection of `peer`.
    #[must_use]
    pub fn budget(&self, peer: Peer) -> BulkBudget {
        let bytes_max = self.shared.peer_bytes_max as usize;
        let room = Arc::clone(
            self.shared.lock().rooms.entry(peer.node).or_insert_with(|| Arc::new(Semaphore::new(bytes_max))),
        );
        BulkBudget { inbox: Arc::clone(&self.shared), peer, room }
    }

    /// The next transfer; `None` once the inbox is closed. Cancel-safe.
    pub async fn receive(&self) -> Option<(Peer, Bulk)> {
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
                    return Some((item.peer, item.bulk));
                }
            }
            arrived.await;
        }
    }

    /// Drops what wasn't taken; later transfers are dropped too.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.shared.arrived.notify_waiters();
    }
}

impl BulkBudget {
    /// Waits until `bytes` fit into the budget, in the order of the calls. A transfer larger than the whole budget
    /// waits until it is alone. Cancel-safe; whoever waits here stops when the connection ends.
    pub async fn admit(&self, bytes: usize) -> BulkSlot {
        let charge = u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.inbox.peer_bytes_max);
        let room = Arc::clone(&self.room).acquire_many_owned(charge).await.expect("nobody closes a budget's semaphore");
        BulkSlot { inbox: Arc::clone(&self.inbox), peer: self.peer, room }
    }
}

impl BulkSlot {
    /// Hands the transfer to the consumer.
    pub fn deliver(self, bulk: Bulk) {
        let mut state = self.inbox.lock();
        if state.closed {
            return;
        }
        state.queue.push_back(Item { peer: self.peer, bulk, _room: self.room });
        drop(state);
        self.inbox.arrived.notify_one();
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
    rooms: BTreeMap<NodeId, Arc<Semaphore>>,
    closed: bool,
}

#[derive(Debug)]
struct Item {
    peer: Peer,
    bulk: Bulk,
    _room: OwnedSemaphorePermit,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
