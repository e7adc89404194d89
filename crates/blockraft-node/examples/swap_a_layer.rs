//! A node over a block store of your own: here one that keeps count of what it does.
//!
//! Run it with `cargo run -p blockraft-node --example swap_a_layer`. The store is 40 lines around the one in memory;
//! the public suite says whether it keeps the promises of the seam, and a node runs on it. Log, transport and catalog
//! table are swapped in the same way, each with a suite of its own.
#![expect(clippy::print_stdout, reason = "an example speaks to its reader")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use blockraft_blocks::suite::{self, OpenFailure, Persistence, StoreFactory};
use blockraft_blocks::{
    Block, BlockStore, DeleteOutcome, HashCode, Lookup, MemoryStore, Multihash, Page, PutOutcome, ReadError, WriteError,
};
use blockraft_catalog::MemoryTable;
use blockraft_log::MemoryDisk;
use blockraft_node::{Consistency, Identity, NodeConfig, Parts};
use blockraft_transport::{Network, Peer};
use blockraft_types::{BootNonce, ClusterId, Incarnation, Membership, NodeId};

/// Counts the bytes that go in and out.
#[derive(Debug, Default)]
struct Counting {
    inner: MemoryStore,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

#[async_trait]
impl BlockStore for Counting {
    async fn put_many(&self, blocks: &[Block]) -> Result<Vec<PutOutcome>, WriteError> {
        let outcomes = self.inner.put_many(blocks).await?;
        let created = blocks.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == PutOutcome::Created);
        self.bytes_in.fetch_add(created.map(|(block, _)| block.bytes().len() as u64).sum(), Ordering::Relaxed);
        Ok(outcomes)
    }
    async fn get_many(&self, multihashes: &[Multihash]) -> Result<Vec<Lookup>, ReadError> {
        let lookups = self.inner.get_many(multihashes).await?;
        for lookup in &lookups {
            if let Lookup::Present(block) = lookup {
                self.bytes_out.fetch_add(block.bytes().len() as u64, Ordering::Relaxed);
            }
        }
        Ok(lookups)
    }
    async fn stat_many(&self, multihashes: &[Multihash]) -> Result<Vec<Option<u32>>, ReadError> {
        self.inner.stat_many(multihashes).await
    }
    async fn delete_many(&self, multihashes: &[Multihash]) -> Result<Vec<DeleteOutcome>, WriteError> {
        self.inner.delete_many(multihashes).await
    }
    async fn list(&self, after: Option<Multihash>, limit: usize) -> Result<Page, ReadError> {
        self.inner.list(after, limit).await
    }
    async fn count(&self) -> Result<u64, ReadError> {
        self.inner.count().await
    }
    async fn flush(&self) -> Result<(), WriteError> {
        self.inner.flush().await
    }
    async fn close(&self) -> Result<(), WriteError> {
        self.inner.close().await
    }
}

/// Tells the suite how to make one.
struct Fresh;

#[async_trait]
impl StoreFactory for Fresh {
    type Place = ();
    fn place(&self) -> Self::Place {}
    fn persistence(&self) -> Persistence {
        Persistence::Volatile
    }
    async fn open(&self, (): &()) -> Result<Arc<dyn BlockStore>, OpenFailure> {
        Ok(Arc::new(Counting::default()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    suite::run(&Fresh).await?;
    println!("the store passes the suite that every block store passes");

    let (node, incarnation, boot) = (NodeId(1), Incarnation::from_bytes([1; 16]), BootNonce(1));
    let identity = Identity { cluster: ClusterId::from_bytes([1; 16]), node, incarnation, boot };
    let store = Arc::new(Counting::default());
    let parts = Parts {
        log: Box::new(MemoryDisk::new().open()),
        transport: Arc::new(Network::new().endpoint(Peer { node, incarnation, boot })),
        blocks: Arc::clone(&store) as _,
        table: Arc::new(MemoryTable::new()),
    };
    let genesis = Membership::of_voters([(node, incarnation)]);
    let node = blockraft_node::start(NodeConfig::new(identity, genesis), parts).await?;

    let block = Block::hash(HashCode::Blake3, vec![42; 100_000]);
    for _ in 0..3 {
        println!("put 100,000 bytes: {:?}", node.put(block.clone()).await?.outcome);
    }
    node.get(*block.multihash(), Consistency::default()).await?.value.ok_or("it was just put")?;
    let (bytes_in, bytes_out) = (store.bytes_in.load(Ordering::Relaxed), store.bytes_out.load(Ordering::Relaxed));
    println!("the store took in {bytes_in} bytes and gave out {bytes_out}");
    node.shutdown().await;
    Ok(())
}
