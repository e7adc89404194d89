//! The seam's own suite.

use std::cell::RefCell;

use blockraft_log::LogStore;
use blockraft_log::suite::{self, Directory, TailLoss};

use super::scribe;
use crate::store::RocksLog;

struct Folder {
    log: tempfile::TempDir,
    remembered: RefCell<Option<tempfile::TempDir>>,
}

impl Directory for Folder {
    fn open(&self) -> Box<dyn LogStore> {
        Box::new(scribe::open_although(self.log.path()).expect("it was formatted and closed well"))
    }

    fn remember(&self) {
        self.remembered.replace(Some(scribe::copy(self.log.path())));
    }

    fn lose_tail(&self) -> TailLoss {
        let remembered = self.remembered.take().expect("the suite remembers first");
        scribe::roll_back(self.log.path(), remembered.path());
        TailLoss::Done
    }
}

#[test]
fn the_rocksdb_log_keeps_every_claim_of_the_seam() {
    let verdict = suite::run(&|| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        RocksLog::format(folder.path()).expect("it is empty");
        Box::new(Folder { log: folder, remembered: RefCell::default() })
    });
    assert_eq!(verdict, Ok(()));
}
