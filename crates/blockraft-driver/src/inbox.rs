//! What waits for the loop: one ordered queue that is taken whole.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use blockraft_log::Anchor;
use blockraft_types::{LogIndex, MembershipChange, Message, NodeId, PersistReceipt, Term};
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::change::ChangePromise;
use crate::effect::{RangeRead, RangeResult};
use crate::proposals::Promise;
use crate::read::ReadError;
use crate::stop::StopReason;

/// The loop's queue. Anybody may push; the loop alone takes.
///
/// Bounds: messages of peers by number and bytes (beyond they are dropped), proposals by the permits that they carry.
/// Everything else answers something that the loop asked for, or is bounded by the number of its callers.
#[derive(Debug)]
pub(crate) struct Inbox<O, E> {
    waiting: Mutex<Waiting<O, E>>,
    arrived: Condvar,
    messages_max: usize,
    message_bytes_max: usize,
}

#[derive(Debug)]
struct Waiting<O, E> {
    items: VecDeque<Item<O, E>>,
    messages: usize,
    message_bytes: usize,
    messages_dropped: u64,
    /// Set once, by the loop when it ends: from then on everything is refused.
    ended: bool,
}

/// One thing that the loop has to look at.
#[derive(Debug)]
pub(crate) enum Item<O, E> {
    Message { from: NodeId, message: Message, bodies: Vec<Bytes> },
    Propose { term: Option<Term>, body: Bytes, promise: Promise<O> },
    Read(oneshot::Sender<Result<LogIndex, ReadError>>),
    Change { change: MembershipChange, promise: ChangePromise },
    Gate(E),
    Transfer { to: NodeId },
    PeerConnected(NodeId),
    PeerDisconnected(NodeId),
    Persisted(PersistReceipt),
    Compacted(Anchor),
    EntriesRead { request: RangeRead, result: RangeResult },
    Applied(LogIndex),
    Flushed(LogIndex),
    Installed(Anchor),
    Shutdown,
    Failed(StopReason),
}

impl<O, E> Inbox<O, E> {
    pub(crate) fn new(messages_max: usize, message_bytes_max: usize) -> Self {
        let waiting =
            Waiting { items: VecDeque::new(), messages: 0, message_bytes: 0, messages_dropped: 0, ended: false };
        Self { waiting: Mutex::new(waiting), arrived: Condvar::new(), messages_max, message_bytes_max }
    }

    /// Queues `item`, or gives it back if the loop has ended.
    pub(crate) fn push(&self, item: Item<O, E>) -> Result<(), Item<O, E>> {
        let mut waiting = self.lock();
        if waiting.ended {
            return Err(item);
        }
        let was_empty = waiting.items.is_empty();
        waiting.items.push_back(item);
        drop(waiting);
        if was_empty {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Queues a peer's message if there is room.
    pub(crate) fn push_message(&self, from: NodeId, message: Message, bodies: Vec<Bytes>) -> bool {
        let bytes: usize = bodies.iter().map(Bytes::len).sum();
        let mut waiting = self.lock();
        if waiting.ended {
            return false;
        }
        let fits = waiting.messages < self.messages_max
            && (waiting.messages == 0 || waiting.message_bytes.saturating_add(bytes) <= self.message_bytes_max);
        if !fits {
            waiting.messages_dropped += 1;
            return false;
        }
        waiting.messages += 1;
        waiting.message_bytes += bytes;
        let was_empty = waiting.items.is_empty();
        waiting.items.push_back(Item::Message { from, message, bodies });
        drop(waiting);
        if was_empty {
            self.arrived.notify_one();
        }
        true
    }

    /// Takes everything that waits into `items`, waiting for something until `deadline` at most.
    pub(crate) fn take(&self, items: &mut VecDeque<Item<O, E>>, deadline: Instant) {
        let mut waiting = self.lock();
        while waiting.items.is_empty() {
            let now = Instant::now();
            if deadline <= now {
                break;
            }
            waiting = match self.arrived.wait_timeout(waiting, deadline - now) {
                Ok((waiting, _)) => waiting,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        waiting.messages = 0;
        waiting.message_bytes = 0;
        core::mem::swap(items, &mut waiting.items);
    }

    /// Refuses everything from now on and gives what still waits.
    pub(crate) fn end(&self) -> VecDeque<Item<O, E>> {
        let mut waiting = self.lock();
        waiting.ended = true;
        core::mem::take(&mut waiting.items)
    }

    pub(crate) fn messages_dropped(&self) -> u64 {
        self.lock().messages_dropped
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<O, E>> {
        // A queue is whole between any two statements that change it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the log's threads report to, whatever the state machine and the gate are.
pub(crate) trait LogClient: Send + Sync {
    fn persisted(&self, receipt: PersistReceipt);
    fn compacted(&self, anchor: Anchor);
    fn entries_read(&self, request: RangeRead, result: RangeResult);
    fn failed(&self, reason: StopReason);
}

impl<O: Send, E: Send> LogClient for Inbox<O, E> {
    // A loop that has ended needs none of these: pushing to it is no error.
    fn persisted(&self, receipt: PersistReceipt) {
        let _ = self.push(Item::Persisted(receipt));
    }

    fn compacted(&self, anchor: Anchor) {
        let _ = self.push(Item::Compacted(anchor));
    }

    fn entries_read(&self, request: RangeRead, result: RangeResult) {
        let _ = self.push(Item::EntriesRead { request, result });
    }

    fn failed(&self, reason: StopReason) {
        let _ = self.push(Item::Failed(reason));
    }
}
