//! The asynchronous shell: queue, threads, lock, reclaim.

use std::fs;
use std::sync::Arc;
use std::thread;

use blockraft_blocks::{Block, BlockStore, DeleteOutcome, HashCode, Lookup, PutOutcome, WriteError};
use futures::executor::block_on;
use futures::future::join_all;

use super::{block, small};
use crate::{MemoryDisk, MemoryTable, OpenError, Options, SegmentStore};

#[test]
fn a_directory_that_is_open_is_refused_until_it_is_closed_or_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let store = SegmentStore::open(directory.path(), small()).unwrap();
    let error = SegmentStore::open(directory.path(), small()).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    drop(store);
    let store = SegmentStore::open(directory.path(), small()).unwrap();
    block_on(store.close()).unwrap();
    SegmentStore::open(directory.path(), small()).unwrap();
}

#[test]
fn a_store_that_is_gone_is_not_made_anew_where_it_has_to_exist() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("blocks");
    for wiped in [false, true] {
        assert!(matches!(SegmentStore::open_existing(&path, small()), Err(OpenError::Missing { .. })));
        assert_eq!(path.exists(), wiped, "something was made");
        SegmentStore::open(&path, small()).unwrap();
        SegmentStore::open_existing(&path, small()).unwrap();
        fs::remove_dir_all(&path).unwrap();
        fs::create_dir(&path).unwrap();
    }
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}

#[test]
fn an_index_that_is_gone_or_garbage_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let store = SegmentStore::open(directory.path(), small()).unwrap();
        block_on(async {
            for n in 0..40 {
                let expected = if round == 0 { PutOutcome::Created } else { PutOutcome::AlreadyPresent };
                assert_eq!(store.put(block(n)).await.unwrap(), expected);
            }
            assert_eq!(store.count().await.unwrap(), 40);
            store.close().await.unwrap();
        });
        let index = directory.path().join("index");
        if round == 0 {
            fs::remove_dir_all(&index).unwrap();
        } else {
            for entry in fs::read_dir(&index).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_string_lossy().starts_with("MANIFEST") {
                    fs::write(&path, b"garbage").unwrap();
                }
            }
        }
    }
}

#[test]
fn an_index_that_cannot_be_read_is_rebuilt_by_the_next_opening() {
    let directory = tempfile::tempdir().unwrap();
    let index = directory.path().join("index");
    let store = SegmentStore::open(directory.path(), small()).unwrap();
    block_on(async {
        for n in 0..400 {
            store.put(block(n)).await.unwrap();
        }
        store.close().await.unwrap();
    });
    let mut tables = 0;
    for entry in fs::read_dir(&index).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sst") {
            // The first block of a table holds rows; what is needed to open it stands at its end.
            let mut bytes = fs::read(&path).unwrap();
            bytes[100] ^= 1;
            fs::write(&path, bytes).unwrap();
            tables += 1;
        }
    }
    assert_ne!(tables, 0);
    let multihashes: Vec<_> = (0..400).map(|n| *block(n).multihash()).collect();
    let unreadable = SegmentStore::open(directory.path(), small()).map(|store| {
        block_on(store.stat_many(&multihashes)).unwrap_err();
    });
    // What is read first depends on how RocksDB has merged its tables.
    drop(unreadable);
    let store = SegmentStore::open(directory.path(), small()).unwrap();
    assert_eq!(store.status().blocks, 400);
    for n in 0..400 {
        assert_eq!(block_on(store.get(*block(n).multihash())).unwrap(), Lookup::Present(block(n)));
    }
    block_on(store.close()).unwrap();
    // A rebuilt one is kept.
    assert_eq!(SegmentStore::open(directory.path(), small()).unwrap().recovered().replayed_records, 0);
}

#[test]
fn everything_that_waits_goes_out_with_one_sync() {
    let (disk, table) = (MemoryDisk::new(1), MemoryTable::new());
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let store = SegmentStore::open_on(Arc::new(disk.clone()), Arc::new(table), options).unwrap();
    let before = disk.counters().syncs;
    block_on(async {
        let blocks: Vec<Block> = (0..1_000).map(block).collect();
        store.put_many(&blocks).await.unwrap();
    });
    assert!(disk.counters().syncs - before <= 2, "{} syncs for one call", disk.counters().syncs - before);
}

#[test]
fn a_call_larger_than_the_queue_waits_for_room_and_succeeds() {
    let (disk, table) = (MemoryDisk::new(1), MemoryTable::new());
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let store = SegmentStore::open_on(Arc::new(disk), Arc::new(table), options).unwrap();
    let blocks: Vec<Block> = (0..72u8).map(|n| Block::hash(HashCode::Blake3, vec![n; 1 << 20])).collect();
    let outcomes = block_on(store.put_many(&blocks)).unwrap();
    assert_eq!(outcomes, vec![PutOutcome::Created; 72]);
}

#[test]
fn compaction_gives_space_back_under_concurrent_puts_and_deletes() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SegmentStore::open(directory.path(), small()).unwrap());
    let clients: Vec<_> = (0..4u64)
        .map(|client| {
            let store = store.clone();
            thread::spawn(move || {
                block_on(async {
                    for round in 0..60 {
                        let keys = (0..6).map(|n| client * 1_000_000 + round * 6 + n);
                        let blocks: Vec<Block> = keys.map(block).collect();
                        store.put_many(&blocks).await.unwrap();
                        // All but one in six go again.
                        let names: Vec<_> = blocks.iter().skip(1).map(|block| *block.multihash()).collect();
                        let deleted = store.delete_many(&names).await.unwrap();
                        assert_eq!(deleted, vec![DeleteOutcome::Deleted; 5]);
                        let kept = &blocks[0];
                        assert_eq!(store.get(*kept.multihash()).await.unwrap(), Lookup::Present(kept.clone()));
                    }
                });
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    block_on(store.reclaim()).unwrap();
    let status = store.status();
    assert_eq!(status.blocks, 240);
    assert!(status.segments_removed > 20, "{status:?}");
    assert!(status.dead_bytes < status.live_bytes, "{status:?}");
    let kept = |store: &SegmentStore| {
        block_on(async {
            let keys = (0..4u64).flat_map(|client| (0..60).map(move |round| client * 1_000_000 + round * 6));
            for key in keys {
                assert_eq!(store.get(*block(key).multihash()).await.unwrap(), Lookup::Present(block(key)));
            }
            assert_eq!(store.count().await.unwrap(), 240);
        });
    };
    kept(&store);
    drop(store);
    fs::remove_dir_all(directory.path().join("index")).unwrap();
    kept(&SegmentStore::open(directory.path(), small()).unwrap());
}

/// The other half is for the log, its compaction, and that of the segments.
#[test]
fn a_reserved_put_gets_half_of_the_reserve_and_leaves_the_store_full_for_others() {
    let (disk, table) = (MemoryDisk::new(1), MemoryTable::new());
    disk.set_capacity_bytes(2 << 20);
    let options = Options { segment_bytes_max: 256 << 10, reserve_bytes: 600 << 10, ..Options::default() };
    let store = SegmentStore::open_on(Arc::new(disk), Arc::new(table), options).unwrap();
    let bulky = |n: u32| Block::hash(HashCode::Blake3, n.to_le_bytes().repeat(4_000));
    block_on(async {
        let mut next = 0;
        while store.put(bulky(next)).await.is_ok() {
            next += 1;
        }
        let mut reserved = 0;
        while store.put_reserved(bulky(next)).await.is_ok() {
            assert!(store.put(bulky(1_000)).await.is_err());
            (next, reserved) = (next + 1, reserved + 1);
        }
        // 16,000 bytes each, of 300 KiB.
        assert!((12..=19).contains(&reserved), "{reserved}");
    });
}

#[test]
fn a_full_disk_refuses_puts_takes_deletes_and_recovers() {
    let (disk, table) = (MemoryDisk::new(1), MemoryTable::new());
    disk.set_capacity_bytes(2 << 20);
    let options = Options { segment_bytes_max: 256 << 10, reserve_bytes: 600 << 10, ..Options::default() };
    let store = SegmentStore::open_on(Arc::new(disk.clone()), Arc::new(table), options).unwrap();
    block_on(async {
        let bulky = |n: u32| Block::hash(HashCode::Blake3, n.to_le_bytes().repeat(4_000));
        let mut stored = 0;
        let full = loop {
            match store.put(bulky(stored)).await {
                Ok(_) => stored += 1,
                Err(full) => break full,
            }
        };
        assert!(matches!(full, WriteError::Full { .. }), "{full}");
        assert!(stored > 40);
        // Deletes of every other block, and compaction of what they leave, live from the reserve.
        for n in (0..stored).step_by(2) {
            assert_eq!(store.delete(*bulky(n).multihash()).await.unwrap(), DeleteOutcome::Deleted);
        }
        store.reclaim().await.unwrap();
        assert_eq!(store.put(bulky(0)).await.unwrap(), PutOutcome::Created);
        for n in (1..stored).step_by(2) {
            assert_eq!(store.get(*bulky(n).multihash()).await.unwrap(), Lookup::Present(bulky(n)));
        }
        // Space that comes from elsewhere counts as well.
        disk.set_capacity_bytes(8 << 20);
        for put in join_all((0..stored).map(|n| store.put(bulky(n)))).await {
            put.unwrap();
        }
    });
}
