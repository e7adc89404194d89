use std::sync::Arc;

use async_trait::async_trait;
use blockraft_blocks::BlockStore;
use blockraft_blocks::suite::{self, OpenFailure, Persistence, StoreFactory};
use futures::executor::block_on;
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
