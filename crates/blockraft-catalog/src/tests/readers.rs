//! What readers see while entries are applied.

use std::collections::BTreeMap;
use std::sync::mpsc;

use blockraft_blocks::Multihash;
use blockraft_blocks::store::LIST_LIMIT_MAX;
use blockraft_types::Position;
use proptest::prelude::*;

use super::history::{GENESIS, GROUP, Log, apply_all, choices, delete, history, image, name, open, put};
use super::model::model;
use crate::catalog::Catalog;
use crate::memory::MemoryTable;
use crate::moment::RowError;
use crate::table::{Change, Table, WriteBatch};

#[test]
fn a_reader_never_sees_half_an_entry() {
    let mut catalog = open(&MemoryTable::new());
    let reader = catalog.reader();
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _done = done;
            let mut log = Log::new();
            for round in 0..500 {
                // Odd entries show blocks 0 to 9, even ones hide them.
                let command = if round % 2 == 0 { put } else { delete };
                catalog.apply(&log.commands((0..10).map(command))).unwrap();
            }
        });
        let names: Vec<Multihash> = (0..10).map(name).collect();
        let mut last = Position::ZERO;
        while is_done.try_recv() == Err(mpsc::TryRecvError::Empty) {
            let told = reader.state().position;
            let rows = reader.visible_many(&names).unwrap();
            assert!(told <= rows.position && last <= rows.position, "a reader went back in time");
            last = rows.position;
            let visible = rows.value.iter().flatten().count() as u64;
            assert_eq!(visible, 10 * (rows.position.index.0 % 2), "at {}", rows.position);
            let page = reader.list(None, 100).unwrap();
            assert_eq!(page.value.rows.len() as u64, 10 * (page.position.index.0 % 2), "at {}", page.position);
        }
    });
}

#[test]
fn a_page_holds_at_most_the_limit_and_at_least_one_row() {
    let mut catalog = open(&MemoryTable::new());
    let mut log = Log::new();
    let blocks = LIST_LIMIT_MAX as u64 + 5;
    catalog.apply(&log.commands((0..blocks).map(put))).unwrap();
    let reader = catalog.reader();
    for (limit, expected) in [(0, 1), (1, 1), (7, 7), (usize::MAX, LIST_LIMIT_MAX)] {
        let page = reader.list(None, limit).unwrap().value;
        assert_eq!((page.rows.len(), page.next), (expected, Some(page.rows[expected - 1].0)));
    }
    let first = reader.list(None, LIST_LIMIT_MAX).unwrap().value;
    let rest = reader.list(first.next, LIST_LIMIT_MAX).unwrap().value;
    assert_eq!((rest.rows.len(), rest.next), (5, None));
}

#[test]
fn a_page_that_ends_with_the_listing_says_so() {
    let mut catalog = open(&MemoryTable::new());
    catalog.apply(&Log::new().commands((0..4).map(put))).unwrap();
    let page = catalog.reader().list(None, 4).unwrap().value;
    assert_eq!((page.rows.len(), page.next), (4, None));
    assert_eq!(catalog.reader().list(Some(page.rows[3].0), 4).unwrap().value.rows.len(), 0);
}

#[test]
fn a_damaged_row_is_an_error_that_names_the_block_and_never_absence() {
    let table = MemoryTable::new();
    let mut catalog = open(&table);
    catalog.apply(&Log::new().commands([put(1)])).unwrap();
    let key = [b"\0\0\0\0r", name(1).as_bytes()].concat();
    table.write(WriteBatch { changes: vec![Change::Set { key, value: vec![1, 0xff] }] }).unwrap();
    let refusal = catalog.reader().visible(&name(1)).unwrap_err();
    assert!(matches!(refusal, RowError::Row { multihash, .. } if multihash == name(1)));
    assert!(matches!(catalog.reader().list(None, 9), Err(RowError::Row { .. })));
    let key = b"\0\0\0\0rubbish".to_vec();
    table.write(WriteBatch { changes: vec![Change::Set { key, value: vec![] }] }).unwrap();
    assert!(matches!(
        Catalog::open(table, GROUP, GENESIS).unwrap().reader().list(None, 9),
        Err(RowError::Key { .. } | RowError::Row { .. })
    ));
}

proptest! {
    #[test]
    fn a_listing_holds_each_visible_block_once_in_order(choices in choices(), limit in 1usize..7) {
        let entries = history(&choices);
        let mut catalog = open(&MemoryTable::new());
        apply_all(&mut catalog, &entries);
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = catalog.reader().list(after, limit).unwrap().value;
            listed.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        prop_assert!(listed.is_sorted());
        let by_name: BTreeMap<_, _> = listed.iter().copied().collect();
        prop_assert_eq!(listed.len(), by_name.len());
        prop_assert_eq!(by_name, model(&entries));
        prop_assert_eq!(image(&catalog).rows, model(&entries));
    }
}
