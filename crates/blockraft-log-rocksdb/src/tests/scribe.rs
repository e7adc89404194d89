//! Writes chained entries into a log and remembers them, so that a test can say what must be there.

use std::fs;
use std::path::Path;

use blockraft_log::{Anchor, Batch, LogStore};
use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, HardState, LogIndex, LostTail, NodeId,
    PersistNumber, PersistTicket, Position, Term,
};

use crate::config::RocksLogConfig;
use crate::open::OpenError;
use crate::store::RocksLog;

pub(super) const GROUP: GroupId = GroupId(7);
pub(super) const BIRTH: Anchor = Anchor { position: Position::ZERO, chain: ChainDigest::from_bytes([3; 16]) };

/// The writer of one group's log and its memory of it.
#[derive(Clone, Debug)]
pub(super) struct Scribe {
    pub(super) hard_state: HardState,
    pub(super) entries: Vec<Entry>,
}

impl Scribe {
    pub(super) fn new() -> Self {
        Self { hard_state: HardState::default(), entries: Vec::new() }
    }

    pub(super) fn last(&self) -> Anchor {
        let of = |entry: &Entry| Anchor { position: entry.head.position, chain: entry.head.chain };
        self.entries.last().map_or(BIRTH, of)
    }

    /// A batch with `count` more entries of `term`, each with a body of `bytes`.
    pub(super) fn entries(&mut self, term: u64, count: u64, bytes: usize) -> Batch {
        let mut batch = batch();
        for _ in 0..count {
            let last = self.last();
            let position = Position { term: Term(term), index: last.position.index.next() };
            let body = vec![position.index.0 as u8; bytes];
            let digest = BodyDigest::of(&body);
            let head = EntryHead::chained(last.chain, position, EntryKind::Command, bytes as u32, digest);
            let entry = Entry { head, body: body.into() };
            batch.entries.push(entry.clone());
            self.entries.push(entry);
        }
        batch
    }

    pub(super) fn vote(&mut self, term: u64, node: u64) -> Batch {
        self.hard_state = HardState { term: Term(term), voted_for: Some(NodeId(node)) };
        Batch { hard_state: Some(self.hard_state), ..batch() }
    }

    pub(super) fn truncation(&mut self, from: u64) -> Batch {
        self.entries.retain(|entry| entry.head.position.index < LogIndex(from));
        Batch { truncate_from: Some(LogIndex(from)), ..batch() }
    }

    /// Whether `log` holds all that this scribe wrote.
    pub(super) fn is_kept_by(&self, log: &RocksLog) -> bool {
        let state = log.load(GROUP).expect("readable").expect("made");
        let read = log.reader().entries(GROUP, LogIndex(1), LogIndex(u64::MAX - 1), u64::MAX).expect("whole");
        state.hard_state == self.hard_state && read == self.entries && state.lost_tail.is_none()
    }

    /// Whether `log` holds only the beginning of what this scribe wrote, but the last vote, and says so.
    pub(super) fn is_cut_short_in(&self, log: &RocksLog) -> bool {
        let state = log.load(GROUP).expect("readable").expect("made");
        let read = log.reader().entries(GROUP, LogIndex(1), LogIndex(u64::MAX - 1), u64::MAX).expect("whole");
        let lost = LostTail { term: self.hard_state.term, index: self.last().position.index };
        state.hard_state == self.hard_state && self.entries.starts_with(&read) && state.lost_tail == Some(lost)
    }
}

pub(super) fn batch() -> Batch {
    Batch::new(PersistTicket::new(GROUP, PersistNumber(1)))
}

/// Opens a log whose end may be gone.
pub(super) fn open_although(folder: &Path) -> Result<RocksLog, OpenError> {
    RocksLog::open_although(folder, RocksLogConfig::default(), |_, _| Ok(()))
}

/// The smallest memtables: write-ahead logs are used again after a few batches.
pub(super) const SMALL: RocksLogConfig = RocksLogConfig { memtable_bytes: 64 << 10 };

/// A formatted directory with an empty group in it.
pub(super) fn born() -> (tempfile::TempDir, RocksLog) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    RocksLog::format(folder.path()).expect("it is empty");
    let mut log = RocksLog::open(folder.path()).expect("just formatted");
    log.create_group(GROUP, BIRTH).expect("the first group");
    (folder, log)
}

/// A closed log whose older entries stand in a table file and whose newer ones in the write-ahead log.
pub(super) fn written() -> (tempfile::TempDir, Scribe) {
    let (folder, mut log) = born();
    let mut scribe = Scribe::new();
    log.persist(vec![scribe.vote(1, 1), scribe.entries(1, 20, 50)]).expect("persisted");
    drop(log);
    let mut log = RocksLog::open(folder.path()).expect("closed well");
    log.persist(vec![scribe.vote(2, 3)]).expect("persisted");
    for _ in 0..10 {
        log.persist(vec![scribe.entries(2, 3, 100)]).expect("persisted");
    }
    (folder, scribe)
}

/// Every file below `folder` but RocksDB's own traces and the lock, with its bytes.
pub(super) fn files(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a directory") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("an entry of a directory has a name").to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !name.starts_with("LOG") && name != "LOCK" {
            found.push((path.clone(), fs::read(&path).expect("readable")));
        }
    }
    found.sort();
    found
}

/// A copy of `folder` that a test may spoil.
pub(super) fn copy(folder: &Path) -> tempfile::TempDir {
    let target = tempfile::tempdir().expect("a temporary directory");
    for (path, bytes) in files(folder) {
        let path = target.path().join(path.strip_prefix(folder).expect("it was found in there"));
        fs::create_dir_all(path.parent().expect("it is below the target")).expect("creatable");
        fs::write(path, bytes).expect("writable");
    }
    target
}

/// Puts an older copy of the database under the watermarks of today.
pub(super) fn roll_back(folder: &Path, older: &Path) {
    fs::remove_dir_all(folder.join("db")).expect("removable");
    fs::rename(older.join("db"), folder.join("db")).expect("renamable");
}
