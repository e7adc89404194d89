//! The format is what it was, and total on any bytes.

use std::path::Path;

use blockraft_blocks::{Block, HashCode, Lookup, Multihash};
use proptest::prelude::*;

use super::open;
use crate::format::footer::{self, TRAILER_BYTES};
use crate::format::record::HEADER_BYTES_MAX;
use crate::format::segment::{HeaderFound, RECORDS_FROM};
use crate::format::{FooterEntry, Mark, RecordHeader, RecordKind, SegmentHeader, Trailer};
use crate::{MemoryDisk, MemoryTable, OpenError, Thoroughness, Write};

fn golden_blocks() -> Vec<Block> {
    let hashes = HashCode::ALL.into_iter();
    hashes.enumerate().map(|(n, hash)| Block::hash(hash, vec![n as u8; 100 * n])).collect()
}

/// What this code writes for five blocks and a deletion: a sealed segment, and the open one behind it.
fn written() -> [(&'static str, Vec<u8>); 2] {
    let (disk, table) = (MemoryDisk::new(42), MemoryTable::new());
    let mut segments = open(&disk, &table).unwrap();
    for block in golden_blocks() {
        segments.write(&[Write::Put(block)]).unwrap();
    }
    segments.write(&[Write::Delete(*golden_blocks()[1].multihash())]).unwrap();
    for n in 0..12 {
        segments.write(&[Write::Put(Block::hash(HashCode::Blake3, vec![n; 20]))]).unwrap();
    }
    let bytes = |name| disk.bytes_of(name).unwrap();
    [("sealed-v1.segment", bytes("0000000000000001.segment")), ("open-v1.segment", bytes("0000000000000002.segment"))]
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)).unwrap()
}

#[test]
fn version_1_is_written_as_it_always_was() {
    for (name, bytes) in written() {
        if std::env::var_os("BLOCKRAFT_BLESS").is_some() {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join(name), &bytes).unwrap();
        }
        assert_eq!(golden(name), bytes, "{name} differs: a change of format needs a new version");
    }
}

#[test]
fn segments_of_version_1_are_read_for_ever() {
    let disk = MemoryDisk::new(1);
    disk.place("0000000000000001.segment", golden("sealed-v1.segment"));
    disk.place("0000000000000002.segment", golden("open-v1.segment"));
    let segments = open(&disk, &MemoryTable::new()).unwrap();
    assert_eq!(segments.status().blocks, 16);
    for (n, block) in golden_blocks().into_iter().enumerate() {
        let expected = if n == 1 { Lookup::Absent } else { Lookup::Present(block.clone()) };
        assert_eq!(segments.reader().get(block.multihash()).unwrap(), expected);
    }
    let recovered = segments.recovered();
    assert_eq!((recovered.torn_bytes, recovered.gaps.len(), recovered.damaged.len()), (0, 0, 0));
}

#[test]
fn a_newer_version_is_refused_by_name_and_left_alone() {
    let disk = MemoryDisk::new(1);
    let mut bytes = golden("open-v1.segment");
    for copy in [0, 2_048] {
        bytes[copy + 8] = 2;
        let crc = crc32c::crc32c(&bytes[copy..copy + 32]);
        bytes[copy + 32..copy + 36].copy_from_slice(&crc.to_le_bytes());
    }
    disk.place("0000000000000002.segment", bytes.clone());
    let error = open(&disk, &MemoryTable::new()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { version: 2, .. }), "{error}");
    assert_eq!(error.to_string(), "0000000000000002.segment has format version 2, and this software reads version 1");
    assert_eq!(disk.bytes_of("0000000000000002.segment"), Some(bytes));
}

#[test]
fn a_tombstone_is_carried_along_until_no_older_segment_is_left() {
    let (disk, table) = (MemoryDisk::new(1), MemoryTable::new());
    let mut segments = open(&disk, &table).unwrap();
    let put = |n: u8| Write::Put(Block::hash(HashCode::Blake3, vec![n; 50]));
    let gone = Block::hash(HashCode::Blake3, "gone");
    segments.write(&[Write::Put(gone.clone())]).unwrap();
    for n in 0..20 {
        segments.write(&[put(n)]).unwrap();
    }
    segments.write(&[Write::Delete(*gone.multihash())]).unwrap();
    // The segment that the tombstone is in dies; the one that the block was in lives on, nearly full.
    for n in 15..20 {
        let dead = Block::hash(HashCode::Blake3, vec![n; 50]);
        segments.write(&[Write::Delete(*dead.multihash())]).unwrap();
    }
    for n in 30..60 {
        segments.write(&[put(n)]).unwrap();
    }
    while segments.has_compaction_due(Thoroughness::Thorough) {
        segments.compact(Thoroughness::Thorough).unwrap();
    }
    drop(segments);
    let segments = open(&disk, &MemoryTable::new()).unwrap();
    assert_eq!(segments.reader().get(gone.multihash()).unwrap(), Lookup::Absent, "a deleted block came back");
}

fn any_kind() -> impl Strategy<Value = RecordKind> {
    (0..4u8, any::<u64>(), 0..HashCode::ALL.len()).prop_map(|(kind, seed, hash)| {
        let multihash = Multihash::of(HashCode::ALL[hash], &seed.to_le_bytes());
        match kind {
            0 => RecordKind::Void,
            1 => RecordKind::Tombstone(multihash),
            _ => RecordKind::Block(multihash),
        }
    })
}

proptest! {
    #[test]
    fn a_record_header_is_read_as_it_was_written_and_only_in_its_place(
        kind in any_kind(), length in any::<u32>(), body_crc in any::<u32>(), synced in any::<u64>(),
        mark in any::<[u8; 8]>(), offset in any::<u64>(), flip in 0..HEADER_BYTES_MAX * 8,
    ) {
        let header = RecordHeader { kind, length, body_crc, synced };
        let mut bytes = Vec::new();
        header.encode(Mark(mark), offset, &mut bytes);
        prop_assert_eq!(bytes.len() as u64, kind.header_bytes());
        prop_assert_eq!(RecordHeader::decode(&bytes, Mark(mark), offset), Some(header));
        prop_assert_eq!(RecordHeader::decode(&bytes, Mark(mark), offset ^ 8), None);
        if let Some(byte) = bytes.get_mut(flip / 8) {
            *byte ^= 1 << (flip % 8);
            prop_assert_eq!(RecordHeader::decode(&bytes, Mark(mark), offset), None);
        }
    }

    #[test]
    fn a_footer_is_read_as_it_was_written(
        records in prop::collection::vec((any_kind(), any::<u64>(), any::<u32>()), 0..20),
        from in 0..1u64 << 40, flip in any::<prop::sample::Index>(),
    ) {
        let entries: Vec<_> =
            records.into_iter().map(|(kind, offset, length)| FooterEntry { kind, offset, length }).collect();
        let mark = Mark([9; 8]);
        let mut bytes = footer::encode(&entries, from, mark);
        let read = |bytes: &[u8]| {
            let (table, trailer) = bytes.split_at(bytes.len() - TRAILER_BYTES);
            footer::decode(table, &Trailer::decode(trailer, mark, from + bytes.len() as u64)?)
        };
        prop_assert_eq!(read(&bytes), Some(entries));
        let place = flip.index(bytes.len());
        bytes[place] ^= 1;
        prop_assert_eq!(read(&bytes), None);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), offset in any::<u64>()) {
        let mark = Mark([0; 8]);
        let _ = RecordHeader::decode(&bytes, mark, offset);
        let _ = SegmentHeader::decode(&bytes);
        let _ = Trailer::decode(&bytes, mark, offset);
        let crc = crc32c::crc32c(&bytes);
        let trailer = Trailer { table_from: 0, table_bytes: bytes.len() as u64, table_crc: crc, mark };
        let _ = footer::decode(&bytes, &trailer);
    }

    #[test]
    fn a_segment_header_survives_the_loss_of_one_copy(number in any::<u64>(), mark in any::<[u8; 8]>(), at in 0..4096usize) {
        let header = SegmentHeader { number, mark: Mark(mark) };
        let mut bytes = header.encode();
        prop_assert_eq!(bytes.len() as u64, RECORDS_FROM);
        bytes[at] ^= 0x10;
        prop_assert_eq!(SegmentHeader::decode(&bytes), HeaderFound::Current(header));
    }

    #[test]
    fn a_store_opens_on_any_bytes_in_its_segment(noise in prop::collection::vec(any::<u8>(), 0..6_000), at in 0..5_000usize) {
        let disk = MemoryDisk::new(3);
        let mut bytes = golden("open-v1.segment");
        bytes.truncate(at.max(1));
        bytes.extend_from_slice(&noise);
        disk.place("0000000000000002.segment", bytes);
        match open(&disk, &MemoryTable::new()) {
            Ok(segments) => {
                for listed in segments.reader().list(None, 1_000).unwrap().entries {
                    segments.reader().get(&listed.multihash).unwrap();
                }
            }
            Err(OpenError::Newer { .. }) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
