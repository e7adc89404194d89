//! Deletes: what is deleted is gone everywhere, and may come back by another put alone.

use blockraft_blocks::{Block, BlockStore, HashCode, Multihash};
use blockraft_driver::config::CompactionPolicy;
use blockraft_exchange::Config;
use blockraft_node::{Consistency, NodeConfig, Outcome};
use blockraft_tests::{Cluster, PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_block_is_absent_everywhere_until_it_is_put_again() {
    let mut cluster = Cluster::start(3).await;
    for bytes in [100, 20_000] {
        let block = Block::hash(HashCode::Sha2_256, vec![7; bytes]);
        let name = *block.multihash();
        let follower = cluster.follower().await;
        cluster.node(follower).put(block.clone()).await.expect("put");
        assert_eq!(cluster.node(follower).delete(name).await.map(|written| written.outcome), Ok(Outcome::Deleted));
        assert_eq!(cluster.node(follower).delete(name).await.map(|written| written.outcome), Ok(Outcome::Absent));
        for node in cluster.running() {
            assert_eq!(node.get(name, Consistency::Linearizable).await.map(|read| read.value), Ok(None));
        }
        let leader = cluster.leader().await;
        cluster.crash(leader).await;
        let survivor = cluster.follower().await;
        assert_eq!(
            cluster.node(survivor).put(block.clone()).await.map(|written| written.outcome),
            Ok(Outcome::Created)
        );
        cluster.restart(leader).await;
        let read = cluster.node(leader).get(name, Consistency::default()).await;
        assert_eq!(read.map(|read| read.value), Ok(Some(block)));
    }
    cluster.stop().await;
}

fn eager(config: &mut NodeConfig) {
    config.driver.replica.compaction =
        CompactionPolicy { entries_max: 20, bytes_max: 100_000, ..CompactionPolicy::default() };
    let mut exchange = Config::for_ticks_of(10);
    exchange.put_ticks_max = 50;
    exchange.push_ticks_max = 20;
    exchange.grace_ticks = 100;
    exchange.evict_ticks_min = 10;
    config.exchange = Some(exchange);
}

/// Distinct blocks that only make the log grow.
async fn push_the_log(cluster: &Cluster, seed: u8) {
    let node = cluster.node(cluster.leader().await);
    for count in 0..40_u8 {
        node.put(Block::hash(HashCode::Sha2_512, vec![seed, count])).await.expect("put");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_deleted_blocks_are_given_back_on_every_node_once_the_log_is_compacted() {
    let cluster = Cluster::start_tuned(3, eager).await;
    let node = cluster.node(cluster.follower().await);
    let blocks: Vec<Block> = (0..20_u8).map(|seed| Block::hash(HashCode::Blake3, vec![seed; 30_000])).collect();
    for written in node.put_many(blocks.clone()).await {
        written.expect("put");
    }
    let (doomed, kept) = blocks.split_at(15);
    let names: Vec<Multihash> = doomed.iter().map(|block| *block.multihash()).collect();
    for written in node.delete_many(names.clone()).await {
        written.expect("delete");
    }
    // The entries of the puts must leave the log, which takes further entries.
    push_the_log(&cluster, 1).await;
    push_the_log(&cluster, 2).await;
    for id in cluster.ids() {
        let store = &cluster.member(id).blocks;
        eventually("the store has given the bytes back", PATIENCE, || {
            let found = futures::executor::block_on(store.has_many(&names)).ok()?;
            found.iter().all(|found| !found).then_some(())
        })
        .await;
        for block in kept {
            let read = cluster.node(id).get(*block.multihash(), Consistency::Linearizable).await.expect("get");
            assert_eq!(read.value.as_ref(), Some(block));
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_put_again_while_its_bytes_are_given_back_keeps_them() {
    let cluster = Cluster::start_tuned(3, eager).await;
    let ids: Vec<_> = cluster.ids().collect();
    let blocks: Vec<Block> = (0..6_u8).map(|seed| Block::hash(HashCode::Blake3, vec![seed; 30_000])).collect();
    for round in 0..6_u8 {
        let node = cluster.node(ids[usize::from(round) % ids.len()]);
        for block in &blocks {
            assert_eq!(node.put(block.clone()).await.map(|written| written.outcome), Ok(Outcome::Created));
        }
        push_the_log(&cluster, round).await;
        for id in &ids {
            for block in &blocks {
                let read = cluster.node(*id).get(*block.multihash(), Consistency::Linearizable).await.expect("get");
                assert_eq!(read.value.as_ref(), Some(block), "round {round}, node {id}");
            }
        }
        for block in &blocks {
            assert_eq!(node.delete(*block.multihash()).await.map(|written| written.outcome), Ok(Outcome::Deleted));
        }
    }
    cluster.stop().await;
}

/// A body that comes with the log again while the store has it is written no second time, and its room must come free all
/// the same: otherwise applying stops for good once the bound is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_block_can_be_deleted_and_put_again_for_ever() {
    let cluster = Cluster::start_tuned(1, |config| {
        config.exchange = Some(Config { inline_bytes_max: 4_000, ..Config::for_ticks_of(10) });
    })
    .await;
    let node = cluster.running().next().expect("it runs");
    let block = Block::hash(HashCode::Sha2_256, vec![7; 1_000]);
    for _ in 0..20 {
        assert_eq!(node.put(block.clone()).await.map(|written| written.outcome), Ok(Outcome::Created));
        assert_eq!(node.delete(*block.multihash()).await.map(|written| written.outcome), Ok(Outcome::Deleted));
    }
    cluster.stop().await;
}
