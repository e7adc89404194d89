use blockraft_blocks::{HashCode, MemoryStore};
use blockraft_catalog::{Catalog, MemoryTable};
use blockraft_types::ChainDigest;
use futures::FutureExt;

use super::*;

/// Otherwise whatever the store didn't tell of would pass for mended.
#[test]
fn of_a_store_that_cannot_tell_nothing_is_taken_for_there() {
    let table: Arc<dyn Table> = Arc::new(MemoryTable::new());
    let rows = Catalog::open(table, GroupId(0), ChainDigest::from_bytes([7; 16])).expect("a new one").reader();
    let name = *Block::hash(HashCode::Blake3, "a block").multihash();
    let spoken = vec![Spoken { named: Named { name, length: 7 }, index: LogIndex(1) }];
    let blocks = MemoryStore::new();
    let lost = |applied| lost(&blocks, &rows, LogIndex(applied), spoken.clone()).now_or_never().expect("in memory");
    assert_eq!(lost(0).expect("readable"), spoken);
    assert_eq!(lost(1).expect("readable"), [], "it was deleted since");
    blocks.close().now_or_never().expect("in memory").expect("closed");
    assert!(lost(0).is_err());
}
