//! How many bytes reach the device for each byte that is put, as the kernel counts them for this process.
#![expect(clippy::unwrap_used, reason = "clippy knows only the functions marked as tests, not what they call")]

use std::fs;
use std::sync::Arc;
use std::thread;

use blockraft_blocks::{Block, BlockStore, HashCode};
use blockraft_blocks_segment::{Options, SegmentStore};
use futures::executor::block_on;

/// Bytes that this process made the kernel write, RocksDB's included; journals of the file system not.
fn written_by_this_process() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}

/// Device bytes per byte, those of them in segments by our own count, and syncs.
#[derive(Debug)]
struct Seen {
    ratio: f64,
    segments: f64,
    syncs: u64,
}

/// Puts `rounds` blocks from each of 64 clients at once, and closes.
fn seen(block_bytes: usize, rounds: u64) -> Seen {
    // On the file system of the build, since /tmp may be memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Arc::new(SegmentStore::open(directory.path(), Options::default()).unwrap());
    let before = written_by_this_process();
    let clients: Vec<_> = (0..64u64)
        .map(|client| {
            let store = store.clone();
            thread::spawn(move || {
                for round in 0..rounds {
                    let name = (client << 32 | round).to_le_bytes();
                    block_on(store.put(Block::hash(HashCode::Blake3, name.repeat(block_bytes / 8)))).unwrap();
                }
            })
        })
        .collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    let status = store.status();
    block_on(store.close()).unwrap();
    let written = written_by_this_process() - before;
    let put = 64 * rounds * block_bytes as u64;
    let ratio = written as f64 / put as f64;
    Seen { ratio, segments: status.bytes_written as f64 / put as f64, syncs: status.syncs }
}

#[test]
fn large_blocks_are_written_once_and_small_ones_nearly() {
    let large = seen(256 << 10, 4);
    let small = seen(1 << 10, 64);
    println!("256 KiB: {large:?}, 1 KiB: {small:?}");
    assert!(large.syncs < 256 && small.syncs < 4_096, "syncs are not shared");
    assert!(large.ratio <= 1.05 && large.segments <= 1.01, "256 KiB: {large:?}");
    assert!(small.ratio <= 1.5 && small.segments <= 1.1, "1 KiB: {small:?}");
}
