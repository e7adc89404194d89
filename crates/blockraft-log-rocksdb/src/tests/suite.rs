//! The seam's own suite.

use blockraft_log::LogStore;
use blockraft_log::suite::{self, Directory};

use crate::store::RocksLog;

struct Folder(tempfile::TempDir);

impl Directory for Folder {
    fn open(&self) -> Box<dyn LogStore> {
        Box::new(RocksLog::open(self.0.path()).expect("it was formatted and closed well"))
    }
}

#[test]
fn the_rocksdb_log_keeps_every_claim_of_the_seam() {
    let verdict = suite::run(&|| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        RocksLog::format(folder.path()).expect("it is empty");
        Box::new(Folder(folder))
    });
    assert_eq!(verdict, Ok(()));
}
