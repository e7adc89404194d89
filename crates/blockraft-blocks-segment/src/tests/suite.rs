//! The conformance suite, on a real directory and on the disk in memory.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use blockraft_blocks::suite::{self, Damage, OpenFailure, Persistence, StoreFactory};
use blockraft_blocks::{BlockStore, Multihash};
use futures::executor::block_on;
use tempfile::TempDir;

use super::small;
use crate::{MemoryDisk, MemoryTable, Options, SegmentStore};

struct InDirectories;

#[async_trait]
impl StoreFactory for InDirectories {
    type Place = TempDir;

    fn place(&self) -> TempDir {
        tempfile::tempdir().unwrap()
    }

    fn persistence(&self) -> Persistence {
        Persistence::Persistent
    }

    async fn open(&self, place: &TempDir) -> Result<Arc<dyn BlockStore>, OpenFailure> {
        Ok(Arc::new(SegmentStore::open(place.path(), Options { reserve_bytes: 0, ..small() })?))
    }

    async fn damage(&self, place: &TempDir, multihash: &Multihash) -> Damage {
        let names = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path());
        for path in names.filter(|path: &PathBuf| path.extension().is_some_and(|extension| extension == "segment")) {
            let mut bytes = fs::read(&path).unwrap();
            if let Some(at) = first_body_byte(&bytes, multihash) {
                bytes[at] ^= 1;
                fs::write(&path, bytes).unwrap();
                return Damage::Done;
            }
        }
        panic!("no segment holds {multihash}");
    }
}

/// Where the body of a block's first record begins in a segment file.
fn first_body_byte(file: &[u8], multihash: &Multihash) -> Option<usize> {
    let name = multihash.as_bytes();
    file.windows(name.len()).position(|window| window == name).map(|at| (at + name.len()).next_multiple_of(8))
}

struct InMemory;

#[async_trait]
impl StoreFactory for InMemory {
    type Place = (MemoryDisk, MemoryTable, Options);

    fn place(&self) -> Self::Place {
        (MemoryDisk::new(7), MemoryTable::new(), small())
    }

    fn persistence(&self) -> Persistence {
        Persistence::Persistent
    }

    async fn open(&self, (disk, table, options): &Self::Place) -> Result<Arc<dyn BlockStore>, OpenFailure> {
        Ok(Arc::new(SegmentStore::open_on(Arc::new(disk.clone()), Arc::new(table.clone()), *options)?))
    }

    async fn damage(&self, (disk, _, _): &Self::Place, multihash: &Multihash) -> Damage {
        let name = "0000000000000001.segment";
        let at = first_body_byte(&disk.bytes_of(name).unwrap(), multihash).unwrap();
        assert!(disk.flip_bit(name, at as u64, 3));
        Damage::Done
    }

    fn cramped_place(&self) -> Option<Self::Place> {
        let disk = MemoryDisk::new(8);
        disk.set_capacity_bytes(2 << 20);
        let options = Options { segment_bytes_max: 256 << 10, reserve_bytes: 512 << 10, ..Options::default() };
        Some((disk, MemoryTable::new(), options))
    }
}

#[test]
fn a_store_in_a_directory_passes() {
    block_on(suite::run(&InDirectories)).unwrap();
}

#[test]
fn a_store_on_a_disk_in_memory_passes() {
    block_on(suite::run(&InMemory)).unwrap();
}
