use std::sync::Arc;

use futures::executor::block_on;

use crate::fault::{Faults, Syncs};
use crate::{Block, BlockStore, FaultyStore, HashCode, Lookup, MemoryStore, PutOutcome, WriteError};

fn block(n: u32) -> Block {
    Block::hash(HashCode::Blake3, n.to_le_bytes().to_vec())
}

/// Puts 200 blocks and writes down what became of each.
fn history(faults: Faults) -> Vec<String> {
    block_on(async {
        let store = FaultyStore::new(Arc::new(MemoryStore::new()), faults);
        let mut history = Vec::new();
        for n in 0..200 {
            history.push(format!("{:?}", store.put(block(n)).await));
            history.push(format!("{:?}", store.get(*block(n).multihash()).await));
        }
        history
    })
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let faults = |seed| Faults { seed, full_puts: 100, damaged_reads: 100, failed_writes: 5, ..Faults::default() };
    assert_eq!(history(faults(3)), history(faults(3)));
    assert_ne!(history(faults(3)), history(faults(4)));
}

#[test]
fn the_write_after_a_failed_one_finds_the_store_poisoned() {
    block_on(async {
        let faults = Faults { seed: 1, failed_writes: 1_000, ..Faults::default() };
        let store = FaultyStore::new(Arc::new(MemoryStore::new()), faults);
        assert!(matches!(store.put(block(1)).await, Err(WriteError::Failed { .. })));
        assert!(matches!(store.put(block(1)).await, Err(WriteError::Poisoned { .. })));
        assert!(matches!(store.delete(*block(1).multihash()).await, Err(WriteError::Poisoned { .. })));
    });
}

#[test]
fn swallowed_syncs_are_lost_with_the_wrapper_unless_it_was_flushed() {
    block_on(async {
        let disk = Arc::new(MemoryStore::new());
        let faults = Faults { syncs: Syncs::Swallowed, ..Faults::default() };
        let store = FaultyStore::new(disk.clone(), faults);
        store.put(block(1)).await.unwrap();
        store.flush().await.unwrap();
        assert_eq!(store.put(block(2)).await.unwrap(), PutOutcome::Created);
        assert_eq!(store.get(*block(2).multihash()).await.unwrap(), Lookup::Present(block(2)));
        assert_eq!(store.count().await.unwrap(), 2);
        drop(store);
        let store = FaultyStore::new(disk, Faults::default());
        assert_eq!(store.get(*block(1).multihash()).await.unwrap(), Lookup::Present(block(1)));
        assert_eq!(store.get(*block(2).multihash()).await.unwrap(), Lookup::Absent);
    });
}
