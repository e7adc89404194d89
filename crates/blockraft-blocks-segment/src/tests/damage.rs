//! Bit flips in any byte of any file: no read ever gives wrong bytes, and damage is told from absence.

use blockraft_blocks::Lookup;

use super::{Chance, block, open};
#[cfg(seeded_bugs)]
use crate::Mistake;
use crate::format::segment::RECORDS_FROM;
use crate::{DamagedBlock, MemoryDisk, MemoryTable, Segments, Thoroughness, Write, Written};

const BLOCKS: u64 = 40;

/// A store of 40 blocks in three segments, the last of which is open.
fn filled(seed: u64) -> (MemoryDisk, MemoryTable) {
    let (disk, table) = (MemoryDisk::new(seed), MemoryTable::new());
    let mut segments = open(&disk, &table).unwrap();
    for n in 0..BLOCKS {
        segments.write(&[Write::Put(block(n))]).unwrap();
    }
    segments.flush().unwrap();
    assert_eq!(segments.status().segments, 3);
    (disk, table)
}

fn flip(disk: &MemoryDisk, chance: &mut Chance) {
    let name = format!("{:016x}.segment", 1 + chance.below(3));
    let bytes = disk.bytes_of(&name).unwrap().len() as u64;
    assert!(disk.flip_bit(&name, chance.below(bytes), chance.below(8) as u8));
}

#[test]
fn with_its_index_a_store_calls_no_damaged_block_absent_and_a_put_repairs_it() {
    let mut found_damage = 0;
    for seed in 0..150 {
        let (disk, table) = filled(seed);
        let mut chance = Chance(seed);
        for _ in 0..1 + chance.below(6) {
            flip(&disk, &mut chance);
        }
        let mut segments = open(&disk, &table).unwrap();
        for n in 0..BLOCKS {
            match segments.reader().get(block(n).multihash()).unwrap() {
                Lookup::Present(found) => assert_eq!(found, block(n)),
                Lookup::Absent => panic!("seed {seed}: block {n} is called absent"),
                Lookup::Damaged => {
                    found_damage += 1;
                    assert_eq!(segments.write(&[Write::Put(block(n))]).unwrap(), [Written::Created]);
                    assert_eq!(segments.reader().get(block(n).multihash()).unwrap(), Lookup::Present(block(n)));
                }
            }
        }
        assert_eq!(segments.status().blocks, BLOCKS);
    }
    assert!(found_damage > 100, "only {found_damage} flips hit a block");
}

#[test]
fn without_its_index_a_store_misses_a_block_only_where_it_reports_damage() {
    for seed in 0..150 {
        let (disk, _) = filled(seed);
        flip(&disk, &mut Chance(seed));
        let segments = open(&disk, &MemoryTable::new()).unwrap();
        let recovered = segments.recovered();
        for n in 0..BLOCKS {
            match segments.reader().get(block(n).multihash()).unwrap() {
                Lookup::Present(found) => assert_eq!(found, block(n)),
                Lookup::Damaged => {}
                // The header of the very last record may be taken for torn: nothing behind it says it was synced.
                Lookup::Absent => {
                    assert!(!recovered.gaps.is_empty() || (recovered.torn_bytes > 0 && n == BLOCKS - 1), "seed {seed}");
                }
            }
        }
    }
}

#[test]
fn damage_before_the_synced_mark_is_reported_by_name_and_cuts_nothing_off() {
    let (disk, table) = (MemoryDisk::new(1), MemoryTable::new());
    let mut segments = open(&disk, &table).unwrap();
    for n in 1..10 {
        segments.write(&[Write::Put(block(n))]).unwrap();
    }
    drop(segments);
    // The index forgot everything: recovery has but the segment.
    table.power_cycle(0);
    let name = "0000000000000001.segment";
    let bytes = disk.bytes_of(name).unwrap();
    let damaged = block(3);
    let at = bytes.windows(16).position(|window| window == &damaged.bytes()[..16]).unwrap();
    disk.flip_bit(name, at as u64 + 5, 0);
    let mut segments = open(&disk, &table).unwrap();
    let reported = DamagedBlock { multihash: *damaged.multihash(), segment: 1 };
    assert_eq!(segments.recovered().damaged, [reported]);
    assert_eq!(segments.recovered().torn_bytes, 0);
    assert_eq!(segments.reader().stat(damaged.multihash()).unwrap(), None);
    assert_eq!(segments.status().damaged_blocks, 1);
    assert_eq!(segments.reader().get(damaged.multihash()).unwrap(), Lookup::Damaged);
    for n in (1..10).filter(|n| *n != 3) {
        assert_eq!(segments.reader().get(block(n).multihash()).unwrap(), Lookup::Present(block(n)));
    }
    assert_eq!(segments.write(&[Write::Put(damaged.clone())]).unwrap(), [Written::Created]);
    assert_eq!(segments.reader().get(damaged.multihash()).unwrap(), Lookup::Present(damaged));
}

/// A control: the test above must notice a store that cuts damage off.
#[cfg(seeded_bugs)]
#[test]
fn damage_that_is_cut_off_as_torn_is_noticed() {
    Mistake::choose(Some(Mistake::DamageCutAsTorn));
    let noticed = std::panic::catch_unwind(damage_before_the_synced_mark_is_reported_by_name_and_cuts_nothing_off);
    Mistake::choose(None);
    assert!(noticed.is_err());
}

#[test]
fn damage_of_a_record_that_means_nothing_any_more_is_not_reported() {
    let (disk, table) = (MemoryDisk::new(1), MemoryTable::new());
    let mut segments = open(&disk, &table).unwrap();
    for n in 1..10 {
        segments.write(&[Write::Put(block(n))]).unwrap();
    }
    for n in 3..5 {
        segments.write(&[Write::Delete(*block(n).multihash())]).unwrap();
    }
    // Put again, block 4 has two records, of which the first is damaged.
    for n in 3..5 {
        disk.flip_bit(FIRST, body_of(&disk, n), 0);
    }
    segments.write(&[Write::Put(block(4))]).unwrap();
    drop(segments);
    table.power_cycle(0);
    let segments = open(&disk, &table).unwrap();
    assert_eq!(segments.recovered().damaged, []);
    assert_eq!(segments.status().damaged_blocks, 0);
    assert_eq!(segments.reader().stat(block(3).multihash()).unwrap(), None);
    assert_eq!(segments.reader().get(block(4).multihash()).unwrap(), Lookup::Present(block(4)));
}

#[test]
fn blocks_of_a_lost_segment_are_not_called_present_and_a_put_repairs_them() {
    let (disk, table) = filled(5);
    let first = disk.bytes_of(FIRST).unwrap();
    disk.place(FIRST, vec![0; first.len()]);
    let mut segments = open(&disk, &table).unwrap();
    assert_eq!(segments.recovered().lost_segments, [1]);
    for n in 0..BLOCKS {
        let is_lost = n < 16;
        assert_eq!(segments.reader().stat(block(n).multihash()).unwrap().is_none(), is_lost);
        let written = if is_lost { Written::Created } else { Written::AlreadyPresent };
        assert_eq!(segments.write(&[Write::Put(block(n))]).unwrap(), [written]);
        assert_eq!(segments.reader().get(block(n).multihash()).unwrap(), Lookup::Present(block(n)));
    }
    assert_eq!(segments.status().blocks, BLOCKS);
}

const FIRST: &str = "0000000000000001.segment";

/// A byte of the block's body, far enough from its record's header, in the first segment.
fn body_of(disk: &MemoryDisk, n: u64) -> u64 {
    let bytes = disk.bytes_of(FIRST).unwrap();
    let body = block(n).bytes().to_vec();
    (bytes.windows(body.len()).position(|window| window == body).unwrap() + 250) as u64
}

/// Flips a bit in each copy of a segment's header.
fn damage_header(disk: &MemoryDisk, name: &str) {
    for copy in [0, RECORDS_FROM / 2] {
        assert!(disk.flip_bit(name, copy + 20, 1));
    }
}

#[test]
fn a_store_opens_though_the_header_of_its_only_segment_is_damaged() {
    let (disk, table) = (MemoryDisk::new(3), MemoryTable::new());
    open(&disk, &table).unwrap().write(&[Write::Put(block(7))]).unwrap();
    table.power_cycle(0);
    damage_header(&disk, FIRST);
    let mut segments = open(&disk, &table).unwrap();
    assert_eq!(segments.recovered().lost_segments, [1]);
    assert_eq!(segments.write(&[Write::Put(block(7))]).unwrap(), [Written::Created]);
    assert_eq!(segments.reader().get(block(7).multihash()).unwrap(), Lookup::Present(block(7)));
}

#[test]
fn no_segment_takes_the_number_of_one_that_cannot_be_read() {
    let (disk, _) = filled(4);
    damage_header(&disk, "0000000000000003.segment");
    let second = "0000000000000002.segment";
    let footer_ends = disk.bytes_of(second).unwrap().len() as u64;
    assert!(disk.flip_bit(second, footer_ends - 1, 1));
    let mut segments = open(&disk, &MemoryTable::new()).unwrap();
    for n in BLOCKS..3 * BLOCKS {
        assert_eq!(segments.write(&[Write::Put(block(n))]).unwrap(), [Written::Created]);
    }
    for n in BLOCKS..3 * BLOCKS {
        assert_eq!(segments.reader().get(block(n).multihash()).unwrap(), Lookup::Present(block(n)));
    }
}

/// A store in whose first segment only block 9 is left.
fn all_but_nine_deleted() -> (MemoryDisk, Segments) {
    let (disk, table) = filled(3);
    let mut segments = open(&disk, &table).unwrap();
    for n in (0..16).filter(|n| *n != 9) {
        segments.write(&[Write::Delete(*block(n).multihash())]).unwrap();
    }
    (disk, segments)
}

fn compact(segments: &mut Segments) {
    while segments.has_compaction_due(Thoroughness::Thorough) {
        segments.compact(Thoroughness::Thorough).unwrap();
    }
}

#[test]
fn compaction_keeps_the_segment_of_a_damaged_block_until_a_put_repaired_it() {
    let (disk, mut segments) = all_but_nine_deleted();
    let damaged = block(9);
    disk.flip_bit(FIRST, body_of(&disk, 9), 0);
    compact(&mut segments);
    assert!(disk.bytes_of(FIRST).is_some(), "the only copy is gone");
    assert_eq!((segments.status().damaged_blocks, segments.status().segments_held), (1, 1));
    assert_eq!(segments.reader().get(damaged.multihash()).unwrap(), Lookup::Damaged);
    assert_eq!(segments.write(&[Write::Put(damaged.clone())]).unwrap(), [Written::Created]);
    compact(&mut segments);
    assert!(disk.bytes_of(FIRST).is_none(), "the segment wasn't compacted");
    assert_eq!((segments.status().damaged_blocks, segments.status().segments_held), (0, 0));
    assert_eq!(segments.reader().get(damaged.multihash()).unwrap(), Lookup::Present(damaged));
}

#[test]
fn a_disk_that_fails_to_read_while_compaction_copies_costs_no_block() {
    for reads in [1, 2] {
        let (disk, mut segments) = all_but_nine_deleted();
        assert!(disk.fail_reads(FIRST, body_of(&disk, 9), reads));
        compact(&mut segments);
        assert_eq!(disk.bytes_of(FIRST).is_some(), reads == 2, "{reads} reads failed");
        assert_eq!(segments.reader().get(block(9).multihash()).unwrap(), Lookup::Present(block(9)), "{reads} reads");
        assert_eq!(segments.status().damaged_blocks, 0, "a block that was read is called damaged");
    }
}

#[test]
fn a_disk_that_fails_to_read_while_compaction_enumerates_brings_no_deleted_block_back() {
    let (disk, table) = (MemoryDisk::new(3), MemoryTable::new());
    let mut segments = open(&disk, &table).unwrap();
    for n in 0..16 {
        segments.write(&[Write::Put(block(n))]).unwrap();
    }
    // The second segment begins with this one's tombstone, and nothing else in it will mean anything.
    segments.write(&[Write::Delete(*block(0).multihash())]).unwrap();
    for n in 16..31 {
        segments.write(&[Write::Put(block(n))]).unwrap();
    }
    for n in 16..31 {
        segments.write(&[Write::Delete(*block(n).multihash())]).unwrap();
    }
    let second = "0000000000000002.segment";
    let footer_ends = disk.bytes_of(second).unwrap().len() as u64;
    for offset in [RECORDS_FROM, footer_ends - 1] {
        assert!(disk.fail_reads(second, offset, 1));
    }
    while segments.has_compaction_due(Thoroughness::Lazy) {
        segments.compact(Thoroughness::Lazy).unwrap();
    }
    drop(segments);
    let segments = open(&disk, &MemoryTable::new()).unwrap();
    assert_eq!(segments.reader().get(block(0).multihash()).unwrap(), Lookup::Absent);
    assert_eq!(segments.status().blocks, 15);
}

#[test]
fn a_record_forged_inside_a_block_is_not_taken_for_one() {
    // A client stores what another store's segment looks like, tombstones and all; then a header is damaged, and the
    // scan has to find its way through that block's bytes.
    let (foreign_disk, foreign_table) = (MemoryDisk::new(77), MemoryTable::new());
    let mut foreign = open(&foreign_disk, &foreign_table).unwrap();
    foreign.write(&[Write::Put(block(5)), Write::Delete(*block(5).multihash())]).unwrap();
    let forged = foreign_disk.bytes_of("0000000000000001.segment").unwrap();
    let forged = blockraft_blocks::Block::hash(blockraft_blocks::HashCode::Sha2_256, forged);

    let (disk, table) = (MemoryDisk::new(1), MemoryTable::new());
    let mut segments = open(&disk, &table).unwrap();
    for write in [block(5), forged.clone(), block(6), block(7)] {
        segments.write(&[Write::Put(write)]).unwrap();
    }
    drop(segments);
    table.power_cycle(0);
    let name = "0000000000000001.segment";
    let multihash = forged.multihash().as_bytes();
    let at = disk.bytes_of(name).unwrap().windows(multihash.len()).position(|window| window == multihash).unwrap();
    disk.flip_bit(name, at as u64 + 4, 0);
    let segments = open(&disk, &table).unwrap();
    assert_eq!(segments.recovered().gaps.len(), 1);
    for n in 5..8 {
        assert_eq!(segments.reader().get(block(n).multihash()).unwrap(), Lookup::Present(block(n)));
    }
}
