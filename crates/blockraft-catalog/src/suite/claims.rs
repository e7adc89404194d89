//! The claims of the table's seam, each with the check that it is kept.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;
use std::sync::mpsc;

use crate::suite::directory::Directory;
use crate::table::{Change, KeyRange, Pair, Table, View, WriteBatch};

type Check = fn(&dyn Directory) -> Result<(), String>;

pub(super) const CLAIMS: &[(&str, Check)] = &[
    ("a new table is empty", a_new_table_is_empty),
    ("a batch is visible once it was written", a_batch_is_visible_once_it_was_written),
    ("the last change of a key in a batch stays", the_last_change_of_a_key_in_a_batch_stays),
    ("a scan gives the pairs of its range in the order of bytes", a_scan_gives_its_range_in_order),
    ("keys and values are any bytes", keys_and_values_are_any_bytes),
    ("a range of keys goes with one change", a_range_of_keys_goes_with_one_change),
    ("a view shows one moment", a_view_shows_one_moment),
    ("a view shows all of a batch or nothing", a_view_shows_all_of_a_batch_or_nothing),
    ("what was flushed survives a power cut", what_was_flushed_survives_a_power_cut),
    ("after a power cut the table is as after one of its batches", a_power_cut_leaves_whole_batches_in_order),
    ("a table does what an ordered map does", a_table_does_what_an_ordered_map_does),
];

fn a_new_table_is_empty(directory: &dyn Directory) -> Result<(), String> {
    let table = directory.open();
    expect("the pairs of a new table", &all(table.as_ref())?, &vec![])?;
    expect("the value of a key in it", &get(table.view().as_ref(), b"k")?, &None)
}

fn a_batch_is_visible_once_it_was_written(directory: &dyn Directory) -> Result<(), String> {
    let table = directory.open();
    write(table.as_ref(), vec![set("a", "1"), set("b", "2")])?;
    write(table.as_ref(), vec![remove("a"), set("b", "3"), remove("never there")])?;
    expect("the pairs", &all(table.as_ref())?, &vec![pair("b", "3")])?;
    expect("the value of a removed key", &get(table.view().as_ref(), b"a")?, &None)
}

fn the_last_change_of_a_key_in_a_batch_stays(directory: &dyn Directory) -> Result<(), String> {
    let table = directory.open();
    write(table.as_ref(), vec![set("a", "1"), set("a", "2"), set("b", "1"), remove("b"), remove("c"), set("c", "1")])?;
    expect("the pairs", &all(table.as_ref())?, &vec![pair("a", "2"), pair("c", "1")])
}

fn a_range_of_keys_goes_with_one_change(directory: &dyn Directory) -> Result<(), String> {
    let table = directory.open();
    let letters = ["a", "b", "b\0", "c", "d"];
    write(table.as_ref(), letters.iter().map(|key| set(key, "1")).collect())?;
    flush(table.as_ref())?;
    write(table.as_ref(), vec![set("bb", "2"), remove_range("b", "d"), set("c", "3"), remove_range("d", "a")])?;
    let expected = vec![pair("a", "1"), pair("c", "3"), pair("d", "1")];
    expect("the pairs", &all(table.as_ref())?, &expected)?;
    expect("the value of a key in the range", &get(table.view().as_ref(), b"b")?, &None)?;
    flush(table.as_ref())?;
    let table = after_power_cut(directory, table);
    expect("the pairs after a power cut", &all(table.as_ref())?, &expected)
}

fn a_scan_gives_its_range_in_order(directory: &dyn Directory) -> Result<(), String> {
    let table = directory.open();
    let keys: [&[u8]; 7] = [b"\x01", b"\x01\x00", b"\x01\x00\x00", b"\x01\xff", b"\x02", b"\x7f", b"\xfe\xff"];
    let changes = keys.iter().rev().map(|key| Change::Set { key: key.to_vec(), value: vec![] }).collect();
    write(table.as_ref(), changes)?;
    let range = |first, end| KeyRange { first, end };
    let scans: [(KeyRange<'_>, usize, &[&[u8]]); 6] = [
        (range(b"\x01", b"\x02"), 9, &[b"\x01", b"\x01\x00", b"\x01\x00\x00", b"\x01\xff"]),
        (range(b"\x01\x00", b"\xff"), 2, &[b"\x01\x00", b"\x01\x00\x00"]),
        (range(b"\x01\x01", b"\x7f\x00"), 9, &[b"\x01\xff", b"\x02", b"\x7f"]),
        (range(b"\x03", b"\x7f"), 9, &[]),
        (range(b"\x02", b"\x01"), 9, &[]),
        (range(b"\x01", b"\xff"), 0, &[]),
    ];
    for (range, limit, expected) in scans {
        let found = scan(table.view().as_ref(), range, limit)?;
        let found: Vec<Vec<u8>> = found.into_iter().map(|(key, _)| key).collect();
        let expected: Vec<Vec<u8>> = expected.iter().map(|key| key.to_vec()).collect();
        expect(&format!("at most {limit} keys of {range:02x?}"), &found, &expected)?;
    }
    Ok(())
}

fn keys_and_values_are_any_bytes(directory: &dyn Directory) -> Result<(), String> {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    let pairs: [Pair; 3] =
        [(b"empty".to_vec(), vec![]), (every_byte.clone(), every_byte), (b"long".to_vec(), vec![0xa5; 1 << 20])];
    let table = directory.open();
    write(table.as_ref(), pairs.iter().cloned().map(|(key, value)| Change::Set { key, value }).collect())?;
    flush(table.as_ref())?;
    let table = after_power_cut(directory, table);
    for (key, value) in pairs {
        if get(table.view().as_ref(), &key)?.as_ref() != Some(&value) {
            return Err(format!("the value of {} bytes under {key:02x?} did not come back", value.len()));
        }
    }
    Ok(())
}

fn a_view_shows_one_moment(directory: &dyn Directory) -> Result<(), String> {
    let table = directory.open();
    write(table.as_ref(), vec![set("a", "1"), set("b", "1")])?;
    let before = table.view();
    write(table.as_ref(), vec![set("a", "2"), remove("b"), set("c", "2")])?;
    flush(table.as_ref())?;
    expect("the pairs before a write", &pairs_of(before.as_ref())?, &vec![pair("a", "1"), pair("b", "1")])?;
    expect("a value before a write", &get(before.as_ref(), b"a")?, &Some(b"1".to_vec()))?;
    drop(before);
    expect("the pairs after it", &all(table.as_ref())?, &vec![pair("a", "2"), pair("c", "2")])
}

fn a_view_shows_all_of_a_batch_or_nothing(directory: &dyn Directory) -> Result<(), String> {
    let table = directory.open();
    let table = table.as_ref();
    let (done, is_done) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            // Dropped at the end, however it comes: the reader's signal to stop.
            let _done = done;
            for number in 0..CONCURRENT_BATCHES {
                let value = number.to_string();
                let pad = |pad: u64| set(&format!("m{pad}"), &value);
                let changes = [set("a", &value)].into_iter().chain((0..8).map(pad)).chain([set("z", &value)]);
                write(table, changes.collect())?;
            }
            Ok::<(), String>(())
        });
        while is_done.try_recv() == Err(mpsc::TryRecvError::Empty) {
            let view = table.view();
            let first = get(view.as_ref(), b"a")?;
            expect("the last key of a batch, by get", &get(view.as_ref(), b"z")?, &first)?;
            let mut values: Vec<_> = pairs_of(view.as_ref())?.into_iter().map(|(_, value)| value).collect();
            values.dedup();
            expect("the different values of a batch, by scan", &values, &Vec::from_iter(first))?;
        }
        writer.join().expect("the writer only panics if the table does")
    })
}

fn what_was_flushed_survives_a_power_cut(directory: &dyn Directory) -> Result<(), String> {
    let table = directory.open();
    write(table.as_ref(), vec![set("a", "1"), set("b", "1")])?;
    flush(table.as_ref())?;
    write(table.as_ref(), vec![remove("a"), set("b", "2"), set("c", "2")])?;
    flush(table.as_ref())?;
    let table = after_power_cut(directory, table);
    let expected = vec![pair("b", "2"), pair("c", "2")];
    expect("the pairs after a power cut", &all(table.as_ref())?, &expected)?;
    let table = after_power_cut(directory, table);
    expect("the pairs after another one", &all(table.as_ref())?, &expected)
}

fn a_power_cut_leaves_whole_batches_in_order(directory: &dyn Directory) -> Result<(), String> {
    for flushed in [0, 1, 5] {
        let mut table = directory.open();
        let stale = pairs_of(table.view().as_ref())?.into_iter().map(|(key, _)| Change::Remove { key });
        write(table.as_ref(), stale.collect())?;
        flush(table.as_ref())?;
        for number in 1..=9u32 {
            let latest = number.to_string();
            write(
                table.as_ref(),
                vec![set("latest", &latest), set(&format!("own {latest}"), ""), set("twin", &latest)],
            )?;
            if number == flushed {
                flush(table.as_ref())?;
            }
        }
        table = after_power_cut(directory, table);
        let pairs = all(table.as_ref())?;
        let own = pairs.iter().filter(|(key, _)| key.starts_with(b"own")).count() as u32;
        if own < flushed {
            return Err(format!("{own} batches after a power cut, although {flushed} were flushed"));
        }
        let mut expected: Vec<Pair> = (1..=own).map(|number| pair(&format!("own {number}"), "")).collect();
        if 0 < own {
            expected.extend([pair("latest", &own.to_string()), pair("twin", &own.to_string())]);
        }
        expected.sort();
        expect(&format!("the pairs after a power cut with {flushed} batches flushed"), &pairs, &expected)?;
    }
    Ok(())
}

fn a_table_does_what_an_ordered_map_does(directory: &dyn Directory) -> Result<(), String> {
    let mut table = directory.open();
    let mut map: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..400u32 {
        let mut changes = Vec::new();
        for _ in 0..dice.below(6) {
            let key = dice.key();
            changes.push(match dice.below(13) {
                0 => Change::RemoveRange { first: key, end: dice.key() },
                1..5 => Change::Remove { key },
                _ => Change::Set { key, value: round.to_be_bytes().repeat(dice.below(9)) },
            });
        }
        for change in changes.clone() {
            match change {
                Change::Set { key, value } => drop(map.insert(key, value)),
                Change::Remove { key } => drop(map.remove(&key)),
                Change::RemoveRange { first, end } => map.retain(|key, _| *key < first || end <= *key),
            }
        }
        write(table.as_ref(), changes)?;
        if dice.below(20) == 0 {
            flush(table.as_ref())?;
            if dice.below(3) == 0 {
                table = after_power_cut(directory, table);
            }
        }
        let view = table.view();
        let key = dice.key();
        expect(
            &format!("the value of {key:02x?} in round {round}"),
            &get(view.as_ref(), &key)?,
            &map.get(&key).cloned(),
        )?;
        let (first, end, limit) = (dice.key(), dice.key(), dice.below(9));
        let found = scan(view.as_ref(), KeyRange { first: &first, end: &end }, limit)?;
        let expected = map.iter().filter(|(key, _)| first <= **key && **key < end).take(limit);
        let expected: Vec<Pair> = expected.map(|(key, value)| (key.clone(), value.clone())).collect();
        expect(&format!("at most {limit} pairs from {first:02x?} to {end:02x?} in round {round}"), &found, &expected)?;
    }
    Ok(())
}

/// A small generator: the suite must not depend on chance.
struct Dice(u64);

impl Dice {
    /// A number below `bound`, which is small.
    fn below(&mut self, bound: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound) as usize
    }

    /// One of 84 keys, some of which are prefixes of others.
    fn key(&mut self) -> Vec<u8> {
        let length = 1 + self.below(3);
        (0..length).map(|_| [0x00, 0x61, 0xfe, 0xff].get(self.below(4)).copied().unwrap_or_default()).collect()
    }
}

fn after_power_cut(directory: &dyn Directory, table: Box<dyn Table>) -> Box<dyn Table> {
    drop(table);
    // Where the power can't be cut, reopening is all that can be asked.
    let _ = directory.cut_power();
    directory.open()
}

fn set(key: &str, value: &str) -> Change {
    Change::Set { key: key.into(), value: value.into() }
}

fn remove(key: &str) -> Change {
    Change::Remove { key: key.into() }
}

fn remove_range(first: &str, end: &str) -> Change {
    Change::RemoveRange { first: first.into(), end: end.into() }
}

fn pair(key: &str, value: &str) -> Pair {
    (key.into(), value.into())
}

fn write(table: &dyn Table, changes: Vec<Change>) -> Result<(), String> {
    table.write(WriteBatch { changes }).map_err(told("write"))
}

fn flush(table: &dyn Table) -> Result<(), String> {
    table.flush().map_err(told("flush"))
}

fn get(view: &dyn View, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
    view.get(key).map_err(told("get"))
}

fn scan(view: &dyn View, range: KeyRange<'_>, limit: usize) -> Result<Vec<Pair>, String> {
    view.scan(range, limit).map_err(told("scan"))
}

fn pairs_of(view: &dyn View) -> Result<Vec<Pair>, String> {
    scan(view, KeyRange { first: b"\x00", end: b"\xff\xff\xff\xff" }, usize::MAX)
}

fn all(table: &dyn Table) -> Result<Vec<Pair>, String> {
    pairs_of(table.view().as_ref())
}

fn told<E: Error>(operation: &'static str) -> impl FnOnce(E) -> String {
    move |error| {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{operation} failed: {error}: {cause}")
    }
}

fn expect<V: PartialEq + Debug>(what: &str, found: &V, expected: &V) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what} should be {expected:?} and is {found:?}"))
}

const CONCURRENT_BATCHES: u64 = 2_000;
