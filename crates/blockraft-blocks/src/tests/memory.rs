use futures::executor::block_on;

use crate::{Block, BlockStore, HashCode, Lookup, MemoryStore, PutOutcome, WriteError};

#[test]
fn a_bounded_store_is_full_at_its_bound_and_takes_blocks_again_after_a_delete() {
    block_on(async {
        let store = MemoryStore::with_bytes_max(10);
        let (six, five) = (Block::hash(HashCode::Blake3, "123456"), Block::hash(HashCode::Blake3, "12345"));
        store.put(six.clone()).await.unwrap();
        assert!(matches!(store.put(five.clone()).await, Err(WriteError::Full { free_bytes: 4, .. })));
        assert_eq!(store.put(six.clone()).await.unwrap(), PutOutcome::AlreadyPresent);
        store.delete(*six.multihash()).await.unwrap();
        assert_eq!(store.put(five).await.unwrap(), PutOutcome::Created);
    });
}

#[test]
fn damage_is_told_and_a_put_repairs_it() {
    block_on(async {
        let store = MemoryStore::new();
        for bytes in ["", "some"] {
            let block = Block::hash(HashCode::Blake3, bytes);
            assert!(!store.damage(block.multihash()));
            store.put(block.clone()).await.unwrap();
            assert!(store.damage(block.multihash()));
            assert_eq!(store.get(*block.multihash()).await.unwrap(), Lookup::Damaged);
            assert_eq!(store.put(block.clone()).await.unwrap(), PutOutcome::Created);
            assert_eq!(store.get(*block.multihash()).await.unwrap(), Lookup::Present(block));
        }
    });
}
