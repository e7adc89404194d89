//! A write that fails for real poisons the store for good.

use std::fs;

use blockraft_log::{CompactError, CreateGroupError, LoadError, LogStore, PersistError, ReadError, ResetError};
use blockraft_types::{GroupId, LogIndex};

use super::scribe::{self, BIRTH, GROUP, Scribe};
#[cfg(seeded_bugs)]
use crate::Mistake;
use crate::store::RocksLog;

#[test]
fn a_failed_write_is_final_and_loses_nothing_acknowledged() {
    let (folder, mut log) = scribe::born();
    let reader = log.reader();
    let mut scribe = Scribe::new();
    log.persist(vec![scribe.vote(1, 1), scribe.entries(1, 5, 100)]).expect("persisted");
    // The database loses its directory: the next write-ahead log or table file can't be made.
    let (home, away) = (folder.path().join("db"), folder.path().join("away"));
    fs::rename(&home, &away).expect("renamable");
    let mut acknowledged = scribe.clone();
    let failure = (0..1_000).find_map(|_| match log.persist(vec![scribe.entries(1, 1, 1 << 20)]) {
        Ok(_) => {
            acknowledged = scribe.clone();
            None
        }
        Err(error) => Some(error),
    });
    assert!(matches!(failure, Some(PersistError::Failed { .. })), "{failure:?}");

    fs::rename(&away, &home).expect("renamable");
    let vote = scribe.vote(9, 1);
    assert!(matches!(log.persist(vec![vote]), Err(PersistError::Poisoned)), "even though it could work again");
    assert!(matches!(log.create_group(GroupId(8), BIRTH), Err(CreateGroupError::Poisoned)));
    assert!(matches!(log.compact(GROUP, LogIndex(1)), Err(CompactError::Poisoned)));
    assert!(matches!(log.reset(GROUP, BIRTH), Err(ResetError::Poisoned)));
    assert!(matches!(log.load(GROUP), Err(LoadError::Poisoned)));
    assert!(matches!(reader.entries(GROUP, LogIndex(1), LogIndex(1), 1), Err(ReadError::Poisoned)));

    drop((log, reader));
    let log = RocksLog::open(folder.path()).expect("everything acknowledged is there");
    let read = log.reader().entries(GROUP, LogIndex(1), LogIndex(9_999), u64::MAX).expect("whole");
    assert!(acknowledged.entries.len() <= read.len());
    assert_eq!(read[..acknowledged.entries.len()], acknowledged.entries);
}

/// A control: the test above must notice a store that goes on after a failure.
#[cfg(seeded_bugs)]
#[test]
fn a_failed_write_that_is_tried_again_is_noticed() {
    Mistake::choose(Some(Mistake::FailedWriteTriedAgain));
    let noticed = std::panic::catch_unwind(a_failed_write_is_final_and_loses_nothing_acknowledged);
    Mistake::choose(None);
    assert!(noticed.is_err());
}
