//! A transport that misbehaves on purpose, the same way for the same seed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use blockraft_types::NodeId;
use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::address::PeerAddress;
use crate::bulk::{Bulk, BulkError};
use crate::peer::Peer;
use crate::send::SendError;
use crate::status::PeerStatus;
use crate::transport::{Incoming, Transport};

/// How often a [`Faulty`] transport does which wrong, each in 1,000 calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Frames that vanish although `send` answers `Ok`.
    pub frames_dropped_per_mille: u16,
    /// Frames that are sent twice.
    pub frames_duplicated_per_mille: u16,
    /// Frames that are held back until one to eight later frames to the same peer have overtaken them.
    pub frames_delayed_per_mille: u16,
    /// Transfers answered with [`BulkError::Refused`] and not sent.
    pub bulks_refused_per_mille: u16,
    /// Transfers answered with [`BulkError::Lost`]; every second one of them is sent all the same.
    pub bulks_lost_per_mille: u16,
}

/// Wraps a transport and disturbs what is sent through it; what it receives passes as it is.
///
/// It breaks the promise of order on purpose: consensus must be safe without it.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Transport>,
    state: Mutex<State>,
}

impl Faulty {
    /// Wraps `inner`. The same seed and the same calls give the same faults.
    #[must_use]
    pub fn new(inner: Arc<dyn Transport>, faults: Faults, seed: u64) -> Self {
        let state = State { faults, chance: ChaCha8Rng::seed_from_u64(seed), held: BTreeMap::new() };
        Self { inner, state: Mutex::new(state) }
    }

    /// Changes the faults from the next call on. Frames that are held back still wait for others to overtake them.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// Sends everything that is held back.
    pub fn release(&self) {
        let held = core::mem::take(&mut self.lock().held);
        for (to, frames) in held {
            for held in frames {
                let _dropped = self.inner.send(to, held.frame);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Faulty {
    fn send(&self, to: NodeId, frame: Bytes) -> Result<(), SendError> {
        SendError::check_size(&frame)?;
        let mut state = self.lock();
        let overtaken = state.overtaken(to);
        let fate = state.fate_of_frame();
        if let FrameFate::Held(overtakers) = fate {
            let held = state.held.entry(to).or_default();
            if held.len() < HELD_FRAMES_MAX {
                held.push_back(Held { frame: frame.clone(), overtakers });
            }
        }
        drop(state);
        let sent = match fate {
            FrameFate::Dropped | FrameFate::Held(_) => Ok(()),
            FrameFate::Sent => self.inner.send(to, frame),
            FrameFate::Duplicated => self.inner.send(to, frame.clone()).and_then(|()| self.inner.send(to, frame)),
        };
        for frame in overtaken {
            let _dropped = self.inner.send(to, frame);
        }
        sent
    }

    async fn bulk(&self, to: NodeId, transfer: Bulk) -> Result<(), BulkError> {
        transfer.check_size()?;
        let fate = self.lock().fate_of_bulk();
        match fate {
            BulkFate::Sent => self.inner.bulk(to, transfer).await,
            BulkFate::Refused => Err(BulkError::Refused { peer: to }),
            BulkFate::Lost => Err(BulkError::Lost { peer: to }),
            BulkFate::SentAndLost => self.inner.bulk(to, transfer).await.and(Err(BulkError::Lost { peer: to })),
        }
    }

    async fn receive(&self) -> Option<Incoming> {
        self.inner.receive().await
    }

    async fn receive_bulk(&self) -> Option<(Peer, Bulk)> {
        self.inner.receive_bulk().await
    }

    fn set_peer(&self, node: NodeId, address: Option<PeerAddress>) {
        self.inner.set_peer(node, address);
    }

    fn peers(&self) -> Vec<PeerStatus> {
        self.inner.peers()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[derive(Debug)]
struct State {
    faults: Faults,
    chance: ChaCha8Rng,
    held: BTreeMap<NodeId, VecDeque<Held>>,
}

#[derive(Debug)]
struct Held {
    frame: Bytes,
    overtakers: u32,
}

#[derive(Clone, Copy, Debug)]
enum FrameFate {
    Sent,
    Dropped,
    Duplicated,
    Held(u32),
}

#[derive(Clone, Copy, Debug)]
enum BulkFate {
    Sent,
    Refused,
    Lost,
    SentAndLost,
}

impl State {
    fn fate_of_frame(&mut self) -> FrameFate {
        let Faults { frames_dropped_per_mille, frames_duplicated_per_mille, frames_delayed_per_mille, .. } =
            self.faults;
        if self.strikes(frames_dropped_per_mille) {
            return FrameFate::Dropped;
        }
        if self.strikes(frames_duplicated_per_mille) {
            return FrameFate::Duplicated;
        }
        if self.strikes(frames_delayed_per_mille) {
            return FrameFate::Held(1 + self.chance.next_u32() % 8);
        }
        FrameFate::Sent
    }

    fn fate_of_bulk(&mut self) -> BulkFate {
        if self.strikes(self.faults.bulks_refused_per_mille) {
            return BulkFate::Refused;
        }
        if self.strikes(self.faults.bulks_lost_per_mille) {
            return if self.chance.next_u32().is_multiple_of(2) { BulkFate::Lost } else { BulkFate::SentAndLost };
        }
        BulkFate::Sent
    }

    fn strikes(&mut self, per_mille: u16) -> bool {
        self.chance.next_u32() % 1_000 < u32::from(per_mille)
    }

    /// Counts one more overtaker for each frame held back from `to`, and takes out those that have waited enough.
    fn overtaken(&mut self, to: NodeId) -> Vec<Bytes> {
        let Some(held) = self.held.get_mut(&to) else { return Vec::new() };
        let mut free = Vec::new();
        held.retain_mut(|held| {
            held.overtakers -= 1;
            if held.overtakers == 0 {
                free.push(held.frame.clone());
            }
            held.overtakers > 0
        });
        free
    }
}

/// Frames held back per peer; beyond it a frame that should wait is dropped.
const HELD_FRAMES_MAX: usize = 64;

#[cfg(test)]
mod tests;
