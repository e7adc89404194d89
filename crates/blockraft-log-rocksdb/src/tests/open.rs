//! What a directory must be to be opened, and who may open it.

use std::fs;

use blockraft_log::LogStore;
use blockraft_types::GroupId;

use super::scribe::{self, BIRTH, GROUP, SMALL, Scribe};
use crate::open::{FormatError, OpenError};
use crate::store::RocksLog;
use crate::watermark::Watermark;

#[test]
fn a_directory_that_was_never_formatted_is_not_opened() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    for path in [folder.path().to_path_buf(), folder.path().join("nowhere")] {
        assert!(matches!(RocksLog::open(&path), Err(OpenError::Missing { .. })), "{path:?}");
    }
    assert!(scribe::files(folder.path()).is_empty(), "a refused open makes nothing");
}

#[test]
fn a_log_is_never_formatted_again() {
    let (folder, scribe) = scribe::written();
    assert!(matches!(RocksLog::format(folder.path()), Err(FormatError::Formatted { .. })));
    fs::remove_file(folder.path().join("FORMAT")).expect("removable");
    assert!(matches!(RocksLog::open(folder.path()), Err(OpenError::Missing { .. })));
    assert!(
        matches!(RocksLog::format(folder.path()), Err(FormatError::Formatted { .. })),
        "its version record is gone"
    );
    drop(scribe);
}

#[test]
fn a_format_that_was_cut_short_is_finished_by_the_next() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    RocksLog::format(folder.path()).expect("it is empty");
    fs::rename(folder.path().join("FORMAT"), folder.path().join("FORMAT.new")).expect("renamable");
    RocksLog::format(folder.path()).expect("nothing was ever in it");
    RocksLog::open(folder.path()).expect("formatted");
}

#[test]
fn two_never_share_one_directory() {
    let (folder, log) = scribe::born();
    assert!(matches!(RocksLog::open(folder.path()), Err(OpenError::Locked { .. })));
    assert!(matches!(RocksLog::format(folder.path()), Err(FormatError::Locked { .. })));
    let reader = log.reader();
    drop(log);
    assert!(matches!(RocksLog::open(folder.path()), Err(OpenError::Locked { .. })), "its reader still reads");
    drop(reader);
    RocksLog::open(folder.path()).expect("nobody has it open");
}

#[test]
fn a_newer_or_foreign_version_record_is_refused_by_name() {
    let (folder, _) = scribe::written();
    let path = folder.path().join("FORMAT");
    let mut newer = b"brlogdir\x02\0\0\0".to_vec();
    newer.extend_from_slice(&crc32c::crc32c(&newer).to_le_bytes());
    fs::write(&path, newer).expect("writable");
    let refusal = RocksLog::open(folder.path()).expect_err("it is of version 2");
    assert!(matches!(refusal, OpenError::Newer { found: 2, known: 1, .. }), "{refusal}");
    for garbage in [&b""[..], b"brlogdir", b"brlogdir\x02\0\0\0\0\0\0\0", &[0xFF; 4_096]] {
        fs::write(&path, garbage).expect("writable");
        assert!(matches!(RocksLog::open(folder.path()), Err(OpenError::NotALog { .. })), "{garbage:?}");
    }
}

#[test]
fn a_group_whose_creation_was_cut_short_can_be_made_again() {
    let (folder, log) = scribe::born();
    drop(log);
    let cut_short = GroupId(9);
    Watermark::create(folder.path(), cut_short).expect("the first step of making it");
    let mut log = RocksLog::open(folder.path()).expect("nothing of it was acknowledged");
    assert_eq!(log.groups(), [GROUP]);
    log.create_group(cut_short, BIRTH).expect("it isn't there yet");
    drop(log);
    assert_eq!(RocksLog::open(folder.path()).expect("closed well").groups(), [GROUP, cut_short]);
}

#[test]
fn write_ahead_logs_are_recycled() {
    let (folder, log) = scribe::born();
    drop(log);
    let mut log = RocksLog::open_with(folder.path(), SMALL).expect("closed well");
    let mut scribe = Scribe::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut inodes = std::collections::BTreeSet::new();
    for _ in 0..60 {
        log.persist(vec![scribe.entries(1, 1, 10_000)]).expect("persisted");
        for entry in fs::read_dir(folder.path().join("db")).expect("a directory") {
            let path = entry.expect("readable").path();
            if path.extension().is_some_and(|extension| extension == "log") {
                // A file that RocksDB removes between the two calls was seen before.
                let Ok(metadata) = fs::metadata(&path) else { continue };
                inodes.insert(std::os::unix::fs::MetadataExt::ino(&metadata));
                seen.insert(path);
            }
        }
    }
    assert!(inodes.len() < seen.len(), "{} names on {} files", seen.len(), inodes.len());
    drop(log);
    assert!(scribe.is_kept_by(&RocksLog::open(folder.path()).expect("closed well")));
}
