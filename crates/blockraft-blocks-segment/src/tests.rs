mod damage;
mod format;
mod poison;
mod power;
mod store;
mod suite;

use std::sync::Arc;

use blockraft_blocks::{Block, HashCode};

use crate::{MemoryDisk, MemoryTable, OpenError, Options, Segments};

/// Segments so small that a few dozen blocks fill several.
fn small() -> Options {
    Options { segment_records_max: 16, extent_bytes: 4 << 10, reserve_bytes: 0, ..Options::default() }
}

fn open(disk: &MemoryDisk, table: &MemoryTable) -> Result<Segments, OpenError> {
    Segments::open(Arc::new(disk.clone()), Arc::new(table.clone()), small())
}

/// Block `n`: from 0 to some 3,000 bytes that no other block has.
fn block(n: u64) -> Block {
    Block::hash(HashCode::Blake3, n.to_le_bytes().repeat(1 + (n as usize * 47) % 380))
}

/// A seeded sequence of numbers (SplitMix64).
#[derive(Clone, Debug)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
