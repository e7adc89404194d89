//! Who waits for what: questions that left a task and whose answers come through another.

use core::hash::Hash;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blockraft_blocks::Multihash;
use blockraft_exchange::effect::PutFailure;
use blockraft_exchange::ticket::PutId;
use blockraft_types::NodeId;
use blockraft_wire::node::{ChangeMembersResult, ForwardResult, ReadIndexResult};
use tokio::sync::oneshot;

/// Every question that is open in this life of the node. Each entry belongs to a caller that waits, and goes with it.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Puts whose bytes are on their way to a quorum.
    pub(crate) puts: Desk<PutId, Result<(), PutFailure>>,
    /// Reads that wait for a good copy.
    pub(crate) repairs: Desk<Multihash, Repair>,
    /// Commands forwarded to a leader, by counter.
    pub(crate) forwards: Desk<(u64, NodeId), ForwardResult>,
    /// Questions for a read index, by counter.
    pub(crate) read_indexes: Desk<(u64, NodeId), ReadIndexResult>,
    /// Changes of members asked of a leader, by counter.
    pub(crate) changes: Desk<(u64, NodeId), ChangeMembersResult>,
}

/// How a repair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    Done,
    Failed,
}

/// Askers by what they asked for.
#[derive(Debug)]
pub(crate) struct Desk<K, V> {
    askers: Mutex<HashMap<K, Vec<oneshot::Sender<V>>>>,
}

impl<K: Eq + Hash + Clone, V: Clone> Desk<K, V> {
    /// Waits for an answer to `key`. Take the place before the question leaves.
    pub(crate) fn wait(&self, key: K) -> Place<'_, K, V> {
        let (sender, answer) = oneshot::channel();
        self.lock().entry(key.clone()).or_default().push(sender);
        Place { desk: self, key, answer }
    }

    /// Answers whoever asked for `key`, if anybody still waits.
    pub(crate) fn settle(&self, key: &K, value: V) {
        self.settle_all(key, value);
    }

    /// Answers everybody who asked for `key`.
    pub(crate) fn settle_all(&self, key: &K, value: V) {
        let askers = self.lock().remove(key).unwrap_or_default();
        for asker in askers {
            // An asker that went away needs no answer.
            drop(asker.send(value.clone()));
        }
    }

    /// Answers all questions whose key `concerns` picks.
    pub(crate) fn settle_where(&self, concerns: impl Fn(&K) -> bool, value: &V) {
        let keys: Vec<K> = self.lock().keys().filter(|key| concerns(key)).cloned().collect();
        for key in keys {
            self.settle_all(&key, value.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Vec<oneshot::Sender<V>>>> {
        // No statement under the lock can panic.
        self.askers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Default for Desk<K, V> {
    fn default() -> Self {
        Self { askers: Mutex::new(HashMap::new()) }
    }
}

/// A place at a desk. Leaving it, also by cancellation, withdraws the question.
#[derive(Debug)]
pub(crate) struct Place<'a, K: Eq + Hash + Clone, V: Clone> {
    desk: &'a Desk<K, V>,
    key: K,
    answer: oneshot::Receiver<V>,
}

impl<K: Eq + Hash + Clone, V: Clone> Place<'_, K, V> {
    /// The answer, or `None` when the desk was closed.
    pub(crate) async fn answer(&mut self) -> Option<V> {
        (&mut self.answer).await.ok()
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Drop for Place<'_, K, V> {
    fn drop(&mut self) {
        self.answer.close();
        let mut askers = self.desk.lock();
        if let Some(waiting) = askers.get_mut(&self.key) {
            waiting.retain(|asker| !asker.is_closed());
            if waiting.is_empty() {
                askers.remove(&self.key);
            }
        }
    }
}
