//! Damage and loss in a closed log are told by name, and never silent.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use blockraft_log::{LogReader, LogStore, ReadError};
use blockraft_types::{GroupId, HardState, LogIndex, LostTail, NodeId, Position, Term};

use super::scribe::{self, BIRTH, GROUP, SMALL, Scribe};
#[cfg(seeded_bugs)]
use crate::Mistake;
use crate::audit::audit;
use crate::open::OpenError;
use crate::record::{decode_entry, encode_entry};
use crate::store::RocksLog;
use crate::{engine, key, watermark};

/// Which of the three a spoiled log must be: whole, cut short and aware of it, or refused. The name of the outcome, for
/// counting.
fn verdict(folder: &Path, scribe: &Scribe) -> &'static str {
    match scribe::open_although(folder) {
        Ok(log) if scribe.is_kept_by(&log) => "whole",
        Ok(log) if scribe.is_cut_short_in(&log) => "cut short",
        Ok(log) => panic!("loss went unnoticed: {:?}", log.load(GROUP)),
        Err(OpenError::Damaged { .. }) => "damaged",
        Err(OpenError::Database { .. }) => "database refused",
        Err(_) => "refused",
    }
}

fn write_ahead_log(folder: &Path) -> PathBuf {
    let is_wal = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    let wals = scribe::files(folder).into_iter().filter(|(path, bytes)| is_wal(path) && !bytes.is_empty());
    wals.map(|(path, _)| path).next_back().expect("the newest batches stand in a write-ahead log")
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_harmless() {
    let (folder, scribe) = scribe::written();
    let mut outcomes = BTreeMap::<&str, u32>::new();
    for (path, bytes) in scribe::files(folder.path()) {
        let wal = path == write_ahead_log(folder.path());
        let flips = if wal { 40 } else { 8 };
        for nth in 0..flips {
            // Spread evenly, with another bit each time.
            let at = (bytes.len() * (2 * nth + 1)) / (2 * flips);
            let Some(byte) = bytes.get(at) else { continue };
            let spoiled = scribe::copy(folder.path());
            let target = spoiled.path().join(path.strip_prefix(folder.path()).expect("found in there"));
            let mut flipped = bytes.clone();
            flipped[at] = byte ^ (1 << (nth % 8));
            fs::write(&target, flipped).expect("writable");
            *outcomes.entry(verdict(spoiled.path(), &scribe)).or_default() += 1;
        }
    }
    assert!(outcomes.get("cut short") >= Some(&10), "RocksDB drops in silence what the watermark misses: {outcomes:?}");
    assert!(outcomes.contains_key("database refused"), "table files carry checksums: {outcomes:?}");
}

/// A control: the test above must notice a log for which damage is its end.
#[cfg(seeded_bugs)]
#[test]
fn a_log_that_damage_ends_is_noticed() {
    Mistake::choose(Some(Mistake::ReplayTrusted));
    let noticed = std::panic::catch_unwind(a_flipped_bit_anywhere_is_noticed_or_harmless);
    Mistake::choose(None);
    assert!(noticed.is_err());
}

#[test]
fn without_the_watermark_a_flipped_bit_would_lose_entries_in_silence() {
    let (folder, scribe) = scribe::written();
    let path = write_ahead_log(folder.path());
    let mut bytes = fs::read(&path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("writable");
    let db = engine::open_untouched(&folder.path().join("db")).expect("RocksDB sees nothing wrong");
    let states = audit(&db).expect("what is left is sound");
    assert!(states[&GROUP].last.position < scribe.last().position, "acknowledged entries are gone");
    drop(db);
    assert_eq!(verdict(folder.path(), &scribe), "cut short");
}

#[test]
fn a_missing_file_is_noticed_or_harmless() {
    let (folder, scribe) = scribe::written();
    for (path, _) in scribe::files(folder.path()) {
        let spoiled = scribe::copy(folder.path());
        let target = spoiled.path().join(path.strip_prefix(folder.path()).expect("found in there"));
        fs::remove_file(target).expect("removable");
        let outcome = verdict(spoiled.path(), &scribe);
        let needed = !path.ends_with("IDENTITY") && !path.to_string_lossy().contains("OPTIONS");
        assert!(!needed || outcome != "whole", "{path:?} wasn't missed");
    }
}

#[test]
fn a_shortened_write_ahead_log_is_noticed() {
    let (folder, scribe) = scribe::written();
    let path = write_ahead_log(folder.path());
    let bytes = fs::read(&path).expect("readable");
    for eighths in 0..8 {
        let spoiled = scribe::copy(folder.path());
        let target = spoiled.path().join(path.strip_prefix(folder.path()).expect("found in there"));
        fs::write(target, &bytes[..bytes.len() * eighths / 8]).expect("writable");
        assert_ne!(verdict(spoiled.path(), &scribe), "whole", "{eighths}/8 of it");
    }
}

#[test]
fn a_refused_log_keeps_its_evidence() {
    let (folder, _) = scribe::written();
    let path = write_ahead_log(folder.path());
    let mut bytes = fs::read(&path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("writable");
    let before = scribe::files(folder.path());
    for _ in 0..2 {
        assert!(matches!(RocksLog::open(folder.path()), Err(OpenError::LostTail { .. })));
        let refused = RocksLog::open_although(folder.path(), SMALL, |group, left| {
            assert_eq!((group, left.hard_state), (GROUP, HardState { term: Term(2), voted_for: Some(NodeId(3)) }));
            Err("the others are no quorum".into())
        });
        let Err(OpenError::LostTail { source, .. }) = refused else { panic!("opened: {refused:?}") };
        assert_eq!(source.to_string(), "the others are no quorum");
    }
    assert!(before == scribe::files(folder.path()), "a refused open changes no file");
}

#[test]
fn a_database_from_the_past_is_noticed_by_what_it_lacks() {
    let (folder, log) = scribe::born();
    drop(log);
    let newborn = scribe::copy(folder.path());
    let mut scribe = Scribe::new();
    let mut log = RocksLog::open(folder.path()).expect("closed well");
    log.persist(vec![scribe.vote(4, 2), scribe.entries(4, 3, 9)]).expect("persisted");
    drop(log);
    let voted = scribe::copy(folder.path());
    let mut log = RocksLog::open(folder.path()).expect("closed well");
    log.persist(vec![scribe.entries(4, 1, 9)]).expect("persisted");
    drop(log);

    for (older, left) in [(voted, 3), (newborn, 0)] {
        scribe::roll_back(folder.path(), older.path());
        for _ in 0..2 {
            let state =
                scribe::open_although(folder.path()).expect("only its end is gone").load(GROUP).expect("readable");
            let state = state.expect("made");
            assert_eq!(state.lost_tail, Some(LostTail { term: Term(4), index: LogIndex(4) }));
            assert_eq!((state.hard_state, state.last.position.index), (scribe.hard_state, LogIndex(left)));
        }
    }
    fs::remove_file(watermark::path(folder.path(), GROUP)).expect("removable");
    assert!(matches!(RocksLog::open(folder.path()), Err(OpenError::WatermarkMissing { group: GROUP })));
}

#[test]
fn a_log_from_before_a_truncation_is_cut_short_although_it_is_longer() {
    let (folder, mut log) = scribe::born();
    let mut scribe = Scribe::new();
    log.persist(vec![scribe.vote(1, 1), scribe.entries(1, 9, 9)]).expect("persisted");
    drop(log);
    let before = scribe::copy(folder.path());
    let mut log = RocksLog::open(folder.path()).expect("closed well");
    log.persist(vec![scribe.vote(2, 3), scribe.truncation(5), scribe.entries(2, 2, 9)]).expect("persisted");
    drop(log);
    scribe::roll_back(folder.path(), before.path());
    let state = scribe::open_although(folder.path()).expect("it is whole as of then").load(GROUP).expect("readable");
    let state = state.expect("made");
    assert_eq!(state.lost_tail, Some(LostTail { term: Term(2), index: LogIndex(6) }));
    assert_eq!(state.last.position, Position { term: Term(1), index: LogIndex(9) });
}

#[test]
fn a_lost_vote_alone_is_a_loss_too() {
    let (folder, mut log) = scribe::born();
    let mut scribe = Scribe::new();
    log.persist(vec![scribe.vote(1, 1), scribe.entries(1, 2, 9)]).expect("persisted");
    drop(log);
    let before = scribe::copy(folder.path());
    let mut log = RocksLog::open(folder.path()).expect("closed well");
    log.persist(vec![scribe.vote(2, 3)]).expect("persisted");
    drop(log);
    scribe::roll_back(folder.path(), before.path());
    let log = scribe::open_although(folder.path()).expect("the watermark has the vote");
    assert!(scribe.is_cut_short_in(&log), "what came after the vote may be gone too: {:?}", log.load(GROUP));
}

#[test]
fn a_group_that_vanished_is_noticed() {
    let (folder, mut log) = scribe::born();
    drop(log);
    let alone = scribe::copy(folder.path());
    log = RocksLog::open(folder.path()).expect("closed well");
    log.create_group(GroupId(8), BIRTH).expect("a second group");
    drop(log);
    scribe::roll_back(folder.path(), alone.path());
    assert!(matches!(RocksLog::open(folder.path()), Err(OpenError::LostGroup { group: GroupId(8), .. })));
}

#[test]
fn a_log_with_another_entry_where_it_acknowledged_one_is_refused() {
    let (folder, mut log) = scribe::born();
    let mut scribe = Scribe::new();
    let mut other = Scribe::new();
    log.persist(vec![scribe.entries(1, 5, 9)]).expect("persisted");
    drop(log);
    let (elsewhere, mut log) = scribe::born();
    log.persist(vec![other.entries(2, 5, 9)]).expect("persisted");
    drop(log);
    scribe::roll_back(folder.path(), elsewhere.path());
    let refusal = RocksLog::open(folder.path()).expect_err("entry 5 is of term 2");
    assert!(matches!(refusal, OpenError::ForeignAcknowledged { .. }), "{refusal}");
}

#[test]
fn a_rotten_watermark_slot_is_survived_and_two_are_not() {
    let (folder, scribe) = scribe::written();
    let path = watermark::path(folder.path(), GROUP);
    for slot in [0, 4_096] {
        let mut bytes = fs::read(&path).expect("readable");
        bytes[slot + 20] ^= 0x40;
        fs::write(&path, bytes).expect("writable");
        assert_eq!(verdict(folder.path(), &scribe), "whole");
    }
    let mut bytes = fs::read(&path).expect("readable");
    bytes[20] ^= 0x40;
    bytes[4_096 + 20] ^= 0x40;
    fs::write(&path, bytes).expect("writable");
    assert!(matches!(RocksLog::open(folder.path()), Err(OpenError::WatermarkDamaged { group: GROUP })));
}

/// What a reader says of entry 10 after `spoil` had its way with the open database.
fn read_after(spoil: impl Fn(&rocksdb::DB)) -> Result<usize, ReadError> {
    let (folder, _) = scribe::written();
    let opened = crate::open::open(folder.path(), SMALL, &mut |_, _| Ok(())).expect("closed well");
    spoil(&opened.shared.db);
    opened.shared.entries(GROUP, LogIndex(8), LogIndex(12), u64::MAX).map(|entries| entries.len())
}

#[test]
fn a_reader_tells_damage_inside_the_log_and_never_ends_before_it() {
    let tenth = key::entry(GROUP, LogIndex(10));
    let value = |db: &rocksdb::DB, index| db.get(key::entry(GROUP, LogIndex(index))).expect("readable").expect("there");
    let damaged_at = |result: Result<usize, ReadError>| match result {
        Err(ReadError::Damaged { index, .. }) => index.0,
        other => panic!("{other:?}"),
    };
    assert_eq!(read_after(|_| ()).expect("nothing is spoiled"), 5);
    assert_eq!(damaged_at(read_after(|db| db.delete(tenth).expect("deleted"))), 10);
    assert_eq!(damaged_at(read_after(|db| db.put(tenth, b"").expect("put"))), 10);
    let misdirected = read_after(|db| db.put(tenth, value(db, 11)).expect("put"));
    assert_eq!(damaged_at(misdirected), 10);
    let foreign = read_after(|db| {
        let mut entry = decode_entry(GROUP, LogIndex(10), &value(db, 10)).expect("whole");
        entry.head.position.term = Term(2);
        db.put(tenth, encode_entry(GROUP, &entry)).expect("put");
    });
    assert_eq!(damaged_at(foreign), 10);
    let last = read_after(|db| db.delete(key::entry(GROUP, LogIndex(12))).expect("deleted"));
    assert_eq!(damaged_at(last), 12);
    let predecessor = read_after(|db| db.delete(key::entry(GROUP, LogIndex(7))).expect("deleted"));
    assert_eq!(damaged_at(predecessor), 7);
}

#[test]
fn an_audit_finds_what_does_not_belong() {
    type Spoil = fn(&rocksdb::DB);
    let spoils: [(&str, Spoil); 5] = [
        ("a gap", |db| db.delete(key::entry(GROUP, LogIndex(10))).expect("deleted")),
        ("an entry behind the end", |db| {
            let scribe = &mut Scribe::new();
            let entry = scribe.entries(9, 60, 1).entries.pop().expect("sixty");
            db.put(key::entry(GROUP, entry.head.position.index), encode_entry(GROUP, &entry)).expect("put");
        }),
        ("a group without a record", |db| db.delete(key::group(GROUP)).expect("deleted")),
        ("a key that no log has", |db| db.put(b"k", b"v").expect("put")),
        ("a lost last entry", |db| db.delete(key::entry(GROUP, LogIndex(50))).expect("deleted")),
    ];
    for (what, spoil) in spoils {
        let (folder, _) = scribe::written();
        let db = engine::open(&folder.path().join("db"), SMALL).expect("closed well");
        assert!(audit(&db).is_ok(), "before {what}");
        spoil(&db);
        assert!(audit(&db).is_err(), "{what}");
        drop(db);
        assert!(RocksLog::open(folder.path()).is_err(), "{what}");
    }
}
