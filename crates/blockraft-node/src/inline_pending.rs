//! Blocks that rode inside the log, are applied, and aren't durable in the block store yet.
//!
//! A read in between is served from here. Bounded in bytes: beyond the bound the apply thread waits for the store before it
//! applies more. It never waits for a full store, which may need the deletes that are yet to be applied: then the gate lets
//! no more bodies into the log. At start-up nobody stores any yet, and the log's own bound is the bound.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use blockraft_blocks::{Block, Multihash};
use blockraft_types::LogIndex;

/// The blocks, shared by the apply thread, the readers and whoever stores them.
#[derive(Debug)]
pub struct InlinePending {
    state: Mutex<State>,
    room: Condvar,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    /// With the entries that each rode in: the same block may be put, deleted and put again.
    blocks: HashMap<Multihash, (Block, BTreeSet<LogIndex>)>,
    bytes: usize,
    /// Whether the store lately had no room.
    store_full: bool,
    /// Set when the node stops: nothing will be stored any more, nobody may wait.
    closed: bool,
}

impl InlinePending {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { state: Mutex::default(), room: Condvar::new(), bytes_max }
    }

    /// Waits while the bound is exceeded, unless the store is full. Call it from the apply thread alone, when the data plane
    /// was told of everything that was taken in before: what it doesn't know of it doesn't store, and room would never
    /// come.
    pub(crate) fn wait_for_room(&self) {
        let must_wait = |state: &mut State| !state.has_room(self.bytes_max);
        drop(self.room.wait_while(self.lock(), must_wait).unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether applying needn't wait for the store at the moment. Who can't wait asks before it applies more.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lock().has_room(self.bytes_max)
    }

    /// Takes in a block that rode in the entry at `index`.
    pub(crate) fn add(&self, index: LogIndex, block: &Block) {
        let mut state = self.lock();
        let (_, entries) = state.blocks.entry(*block.multihash()).or_insert_with(|| (block.clone(), BTreeSet::new()));
        if entries.insert(index) {
            state.bytes += block.bytes().len();
        }
    }

    /// The block, if it is here.
    #[must_use]
    pub fn get(&self, multihash: &Multihash) -> Option<Block> {
        self.lock().blocks.get(multihash).map(|(block, _)| block.clone())
    }

    /// Says that the block which rode in the entry at `index` is durable in the store.
    pub fn stored(&self, index: LogIndex, multihash: &Multihash) {
        let mut state = self.lock();
        let Some((block, entries)) = state.blocks.get_mut(multihash) else { return };
        let freed = if entries.remove(&index) { block.bytes().len() } else { 0 };
        if entries.is_empty() {
            state.blocks.remove(multihash);
        }
        state.bytes -= freed;
        drop(state);
        self.room.notify_all();
    }

    /// Says whether the store has no room.
    pub(crate) fn set_store_full(&self, full: bool) {
        self.lock().store_full = full;
        self.room.notify_all();
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

impl State {
    const fn has_room(&self, bytes_max: usize) -> bool {
        self.bytes <= bytes_max || self.store_full || self.closed
    }
}
