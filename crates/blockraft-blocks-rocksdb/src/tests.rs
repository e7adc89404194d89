use std::sync::Arc;

use async_trait::async_trait;
use blockraft_blocks::suite::{self, OpenFailure, Persistence, StoreFactory};
use blockraft_blocks::{Block, BlockStore, HashCode, Lookup, PutOutcome};
use futures::executor::block_on;
use rocksdb::{DB, Options};
use tempfile::TempDir;

use crate::RocksStore;
use crate::database::OpenError;

struct InDirectories;

#[async_trait]
impl StoreFactory for InDirectories {
    type Place = TempDir;

    fn place(&self) -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn persistence(&self) -> Persistence {
        Persistence::Persistent
    }

    async fn open(&self, place: &TempDir) -> Result<Arc<dyn BlockStore>, OpenFailure> {
        Ok(Arc::new(RocksStore::open(place.path())?))
    }
}

#[test]
fn the_store_passes_the_suite() {
    block_on(suite::run(&InDirectories)).unwrap();
}

#[test]
fn a_directory_that_is_open_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _store = RocksStore::open(directory.path()).unwrap();
    assert!(matches!(RocksStore::open(directory.path()), Err(OpenError::Database(_))));
}

#[test]
fn a_block_found_damaged_is_not_called_present_until_a_put_repaired_it() {
    let directory = tempfile::tempdir().unwrap();
    let block = Block::hash(HashCode::Blake3, "a block");
    let multihash = *block.multihash();
    let store = RocksStore::open(directory.path()).unwrap();
    block_on(store.put(block.clone())).unwrap();
    drop(store);
    let families = DB::list_cf(&Options::default(), directory.path()).unwrap();
    let database = DB::open_cf(&Options::default(), directory.path(), families).unwrap();
    database.put_cf(database.cf_handle("blocks").unwrap(), multihash.as_bytes(), "other bytes").unwrap();
    drop(database);

    let store = RocksStore::open(directory.path()).unwrap();
    assert_eq!(block_on(store.get(multihash)).unwrap(), Lookup::Damaged);
    assert_eq!(block_on(store.stat(multihash)).unwrap(), None);
    assert_eq!(block_on(store.put(block)).unwrap(), PutOutcome::Created);
    assert_eq!(block_on(store.stat(multihash)).unwrap(), Some(7));
}
