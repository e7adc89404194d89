//! Every disk format ever released, byte for byte.
//!
//! The files in `golden/` are never edited: a new version of a format gets new ones beside them. A test that misses its
//! file writes it when `BLOCKRAFT_BLESS` is set; an existing one is never replaced.

use std::fs;
use std::path::{Path, PathBuf};

use blockraft_log::{Anchor, LogStore};
use blockraft_types::{
    BodyDigest, ChainDigest, Entry, EntryHead, EntryKind, GroupId, HardState, Incarnation, LogIndex, LostTail,
    Membership, NodeId, Position, Term,
};

use super::scribe::{self, GROUP, Scribe};
use crate::directory::{Format, read_format};
use crate::record::{GroupRecord, decode_entry, encode_entry};
use crate::store::RocksLog;
use crate::watermark::{self, Mark, Stage, Testimony, Watermark};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

fn blessing(path: &Path) -> bool {
    !path.exists() && std::env::var_os("BLOCKRAFT_BLESS").is_some()
}

/// The bytes of a golden file, and that they are the ones written today.
fn agreed(name: &str, written: &[u8]) -> Vec<u8> {
    let path = golden(name);
    if blessing(&path) {
        fs::create_dir_all(path.parent().expect("it stands in golden/")).expect("creatable");
        fs::write(&path, written).expect("writable");
    }
    let bytes = fs::read(&path).expect("a golden file is committed");
    assert_eq!(bytes, written, "{name} is no longer what this program writes");
    bytes
}

fn entry(kind: EntryKind, body: &'static [u8]) -> Entry {
    let position = Position { term: Term(0x0102_0304_0506_0708), index: LogIndex(0x1112_1314_1516_1718) };
    let chain = ChainDigest::from_bytes([9; 16]);
    let head = EntryHead::chained(chain, position, kind, body.len() as u32, BodyDigest::of(body));
    Entry { head, body: body.into() }
}

#[test]
fn entries_of_version_1_read_and_write_as_ever() {
    let member = |id| (NodeId(id), Incarnation::from_bytes([id as u8; 16]));
    let membership = Membership {
        voters: [member(1), member(2), member(3)].into(),
        outgoing: [member(1)].into(),
        learners: [member(9)].into(),
        ..Membership::default()
    };
    let with_more = Membership {
        removed_through: Some(NodeId(7)),
        addresses: [(NodeId(9), "10.0.0.9:4001".to_owned())].into(),
        ..membership.clone()
    };
    for (name, entry) in [
        ("entry-blank.v1", entry(EntryKind::Blank, b"")),
        ("entry-command.v1", entry(EntryKind::Command, b"a body that means nothing")),
        ("entry-membership.v1", entry(EntryKind::Membership(Box::new(membership)), b"")),
        ("entry-membership-with-more.v1", entry(EntryKind::Membership(Box::new(with_more)), b"")),
    ] {
        let bytes = agreed(name, &encode_entry(GROUP, &entry));
        let index = entry.head.position.index;
        assert_eq!(decode_entry(GROUP, index, &bytes), Ok(entry), "{name}");
        assert!(decode_entry(GROUP, index.next(), &bytes).is_err(), "{name} under another index is damage");
        assert!(decode_entry(GroupId(8), index, &bytes).is_err(), "{name} in another group is damage");
    }
}

#[test]
fn group_records_of_version_1_read_and_write_as_ever() {
    let anchor = |term, index, chain| Anchor {
        position: Position { term: Term(term), index: LogIndex(index) },
        chain: ChainDigest::from_bytes([chain; 16]),
    };
    for (name, voted_for) in [("group-voted.v1", Some(NodeId(3))), ("group-unvoted.v1", None)] {
        let hard_state = HardState { term: Term(12), voted_for };
        let record = GroupRecord { hard_state, anchor: anchor(1, 2, 3), last: anchor(4, 5, 6) };
        let bytes = agreed(name, &record.encode(GROUP));
        assert_eq!(GroupRecord::decode(GROUP, &bytes), Ok(record), "{name}");
        assert!(GroupRecord::decode(GroupId(8), &bytes).is_err(), "{name} in another group is damage");
    }
}

#[test]
fn values_are_read_whole_or_not_at_all() {
    let entry = entry(EntryKind::Command, b"body");
    let index = entry.head.position.index;
    let bytes = encode_entry(GROUP, &entry);
    for length in 0..bytes.len() {
        assert!(decode_entry(GROUP, index, &bytes[..length]).is_err(), "cut to {length}");
    }
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(decode_entry(GROUP, index, &flipped).is_err(), "bit {bit} of byte {at}");
        }
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(decode_entry(GROUP, index, &longer).is_err());
}

#[test]
fn a_watermark_of_version_1_reads_and_writes_as_ever() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mark = Mark {
        stage: Stage::Live,
        hard_state: HardState { term: Term(5), voted_for: Some(NodeId(2)) },
        position: Position { term: Term(4), index: LogIndex(99) },
        lost_tail: None,
    };
    let mut watermark = Watermark::create(folder.path(), GROUP).expect("created");
    watermark.put_synced(GROUP, mark).expect("written");
    let path = watermark::path(folder.path(), GROUP);
    let bytes = agreed("watermark.v1", &fs::read(&path).expect("readable"));
    fs::write(path, bytes).expect("writable");
    assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Mark(mark));
}

#[test]
fn a_watermark_of_version_2_reads_and_writes_as_ever() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mark = Mark {
        stage: Stage::Live,
        hard_state: HardState { term: Term(5), voted_for: Some(NodeId(2)) },
        position: Position { term: Term(4), index: LogIndex(80) },
        lost_tail: Some(LostTail { term: Term(5), index: LogIndex(99) }),
    };
    let mut watermark = Watermark::create(folder.path(), GROUP).expect("created");
    watermark.put_synced(GROUP, mark).expect("written");
    let path = watermark::path(folder.path(), GROUP);
    let bytes = agreed("watermark.v2", &fs::read(&path).expect("readable"));
    fs::write(path, bytes).expect("writable");
    assert_eq!(watermark::read(folder.path(), GROUP).expect("readable"), Testimony::Mark(mark));
}

#[test]
fn a_directory_written_by_version_1_opens() {
    let mut scribe = Scribe::new();
    let writes = [scribe.vote(3, 1), scribe.entries(3, 9, 40), scribe.truncation(8), scribe.entries(4, 2, 10)];
    let path = golden("directory.v1");
    if blessing(&path) {
        let (folder, mut log) = scribe::born();
        for write in writes {
            log.persist(vec![write]).expect("persisted");
        }
        drop(log);
        for (file, bytes) in scribe::files(folder.path()) {
            let file = path.join(file.strip_prefix(folder.path()).expect("it was found in there"));
            fs::create_dir_all(file.parent().expect("it is below golden/")).expect("creatable");
            fs::write(file, bytes).expect("writable");
        }
    }
    let copy = scribe::copy(&path);
    let (today, log) = scribe::born();
    drop(log);
    let record = |folder: &Path| fs::read(folder.join("FORMAT")).expect("readable");
    assert_eq!(record(copy.path()), record(today.path()), "the version record is no longer what this program writes");
    assert_eq!(read_format(copy.path()).expect("readable"), Format::Ours);
    let log = RocksLog::open(copy.path()).expect("a log of version 1");
    assert!(scribe.is_kept_by(&log), "{:?}", log.load(GROUP));
}
