//! What a place may hold, what is said of one that holds something else, and the suite.

use std::fs;
use std::path::Path;

use blockraft_catalog::suite::{self, Directory};
use blockraft_catalog::{Change, Table, WriteBatch};

use rocksdb::{DB, Options};
use tempfile::TempDir;

use crate::{CreateError, OpenError, RocksTable, RocksTableOptions};

const OPTIONS: RocksTableOptions = RocksTableOptions { memtable_bytes: 1 << 20, cache_bytes: 1 << 20 };

fn set(key: &str) -> WriteBatch {
    WriteBatch { changes: vec![Change::Set { key: key.into(), value: key.into() }] }
}

struct Place(TempDir);

impl Directory for Place {
    fn open(&self) -> Box<dyn Table> {
        Box::new(RocksTable::open(&self.0.path().join("catalog"), &OPTIONS).unwrap())
    }
}

#[test]
fn the_table_keeps_every_claim_of_the_seam() {
    let fresh = || -> Box<dyn Directory> {
        let place = tempfile::tempdir().unwrap();
        drop(RocksTable::create(&place.path().join("catalog"), &OPTIONS).unwrap());
        Box::new(Place(place))
    };
    suite::run(&fresh).unwrap();
}

#[test]
fn a_place_that_was_never_formatted_is_missing_and_stays_untouched() {
    let place = tempfile::tempdir().unwrap();
    for path in [place.path().to_path_buf(), place.path().join("nothing")] {
        assert!(matches!(RocksTable::open(&path, &OPTIONS), Err(OpenError::Missing { .. })));
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_place_is_formatted_once_and_keeps_what_it_has() {
    let place = tempfile::tempdir().unwrap();
    let table = RocksTable::create(place.path(), &OPTIONS).unwrap();
    table.write(set("kept")).unwrap();
    table.flush().unwrap();
    drop(table);
    assert!(matches!(RocksTable::create(place.path(), &OPTIONS), Err(CreateError::Exists { .. })));
    let table = RocksTable::open(place.path(), &OPTIONS).unwrap();
    assert_eq!(table.view().get(b"kept").unwrap().as_deref(), Some(&b"kept"[..]));
}

#[test]
fn a_place_in_use_is_locked() {
    let place = tempfile::tempdir().unwrap();
    let _table = RocksTable::create(place.path(), &OPTIONS).unwrap();
    assert!(matches!(RocksTable::open(place.path(), &OPTIONS), Err(OpenError::Locked { .. })));
    assert!(matches!(RocksTable::create(place.path(), &OPTIONS), Err(CreateError::Locked { .. })));
}

#[test]
fn another_programs_database_is_foreign() {
    let place = tempfile::tempdir().unwrap();
    foreign(place.path(), b"some key", b"some value");
    assert!(matches!(RocksTable::open(place.path(), &OPTIONS), Err(OpenError::Foreign { .. })));
    assert!(matches!(RocksTable::create(place.path(), &OPTIONS), Err(CreateError::Foreign { .. })));
}

#[test]
fn a_format_that_a_crash_cut_short_can_be_finished() {
    let place = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    drop(DB::open(&options, place.path()).unwrap());
    assert!(matches!(RocksTable::open(place.path(), &OPTIONS), Err(OpenError::Foreign { .. })));
    drop(RocksTable::create(place.path(), &OPTIONS).unwrap());
    RocksTable::open(place.path(), &OPTIONS).unwrap();
}

#[test]
fn a_newer_release_is_named_by_its_version() {
    let place = tempfile::tempdir().unwrap();
    foreign(place.path(), b"\x00version", b"blockraft catalog table \x07\x00\x00\x00");
    assert!(matches!(RocksTable::open(place.path(), &OPTIONS), Err(OpenError::Version { found: 7, supported: 1, .. })));
}

#[test]
fn a_torn_version_record_is_foreign() {
    let place = tempfile::tempdir().unwrap();
    foreign(place.path(), b"\x00version", b"blockraft catalog table \x01\x00");
    assert!(matches!(RocksTable::open(place.path(), &OPTIONS), Err(OpenError::Foreign { .. })));
}

#[test]
fn a_damaged_directory_of_files_is_damage_and_not_an_empty_table() {
    let place = tempfile::tempdir().unwrap();
    drop(RocksTable::create(place.path(), &OPTIONS).unwrap());
    for file in fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "sst") {
            fs::remove_file(file).unwrap();
        }
    }
    let refusal = RocksTable::open(place.path(), &OPTIONS);
    assert!(matches!(refusal, Err(OpenError::Damaged { .. } | OpenError::Failed { .. })), "{refusal:?}");
}

#[test]
fn a_flipped_bit_in_a_row_is_an_error_and_never_another_value() {
    let place = tempfile::tempdir().unwrap();
    let table = RocksTable::create(place.path(), &OPTIONS).unwrap();
    table.write(set("a row that will be damaged")).unwrap();
    table.flush().unwrap();
    drop(table);
    let mut flipped = 0;
    for file in fs::read_dir(place.path()).unwrap().map(|file| file.unwrap().path()) {
        let mut bytes = fs::read(&file).unwrap();
        let needle = b"that will be damaged";
        let place = bytes.windows(needle.len()).position(|window| window == needle);
        if let Some(place) = place.filter(|_| file.extension().is_some_and(|extension| extension == "sst")) {
            bytes[place] ^= 1;
            fs::write(&file, bytes).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1);
    if let Ok(table) = RocksTable::open(place.path(), &OPTIONS) {
        table.view().get(b"a row that will be damaged").unwrap_err();
    }
}

fn foreign(path: &Path, key: &[u8], value: &[u8]) {
    let mut options = Options::default();
    options.create_if_missing(true);
    DB::open(&options, path).unwrap().put(key, value).unwrap();
}
