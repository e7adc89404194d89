//! Blocks that rode inside the log, are applied, and aren't durable in the block store yet.
//!
//! A read in between is served from here. Bounded in bytes: at the bound the apply thread waits for the store.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use blockraft_blocks::{Block, Multihash};

/// The blocks, shared by the apply thread, the readers and whoever stores them.
#[derive(Debug)]
pub(crate) struct InlinePending {
    state: Mutex<State>,
    room: Condvar,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    /// With how often each was applied and not stored: the same block may be put, deleted and put again.
    blocks: HashMap<Multihash, (Block, usize)>,
    bytes: usize,
    /// Set when the node stops: nothing will be stored any more, nobody may wait.
    closed: bool,
}

impl InlinePending {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), room: Condvar::new(), bytes_max }
    }

    /// Takes a block in; waits while the bound is exceeded. Call it from the apply thread alone.
    pub(crate) fn add(&self, block: &Block) {
        let full = |state: &mut State| self.bytes_max < state.bytes && !state.closed;
        let state = self.room.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        drop(state);
        self.add_unbounded(block);
    }

    /// Takes a block in at start-up, when nobody stores any yet: the log's own bound is the bound.
    pub(crate) fn add_unbounded(&self, block: &Block) {
        let mut state = self.lock();
        state.bytes += block.bytes().len();
        state.blocks.entry(*block.multihash()).or_insert_with(|| (block.clone(), 0)).1 += 1;
    }

    /// The block, if it is here.
    pub(crate) fn get(&self, multihash: &Multihash) -> Option<Block> {
        self.lock().blocks.get(multihash).map(|(block, _)| block.clone())
    }

    /// Says that the block is durable in the store: all that was added of it goes.
    pub(crate) fn stored(&self, multihash: &Multihash) {
        let mut state = self.lock();
        if let Some((block, times)) = state.blocks.remove(multihash) {
            state.bytes -= block.bytes().len() * times;
            drop(state);
            self.room.notify_all();
        }
    }

    /// Ends every wait.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The map and its sum change together, between two statements that can't panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
