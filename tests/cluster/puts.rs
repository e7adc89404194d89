//! Puts: acknowledged means readable everywhere, through any node, across a change of leaders.

use core::time::Duration;

use blockraft_blocks::{Block, BlockLimits, HashCode};
use blockraft_exchange::Config;
use blockraft_node::{Consistency, Node, Outcome, WriteError};
use blockraft_tests::{Cluster, PATIENCE, Trouble, eventually};
use futures::future::{join, join_all};
use tokio::time::timeout;

fn block(seed: u32, bytes: usize) -> Block {
    let pattern = seed.to_le_bytes();
    Block::hash(HashCode::Blake3, pattern.iter().copied().cycle().take(bytes).collect::<Vec<u8>>())
}

async fn read_everywhere(cluster: &Cluster, block: &Block) {
    for node in cluster.running() {
        let read = node.get(*block.multihash(), Consistency::Linearizable).await.expect("a healthy cluster answers");
        assert_eq!(read.value.as_ref(), Some(block));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_through_any_node_is_readable_through_every_node() {
    let cluster = Cluster::start(3).await;
    for (seed, node) in cluster.running().enumerate() {
        for bytes in [0, 1, 4096, 4097, 300_000] {
            let block = block(seed as u32 + 1, bytes);
            let written = node.put(block.clone()).await.expect("a healthy cluster takes a put");
            let expected = if bytes == 0 && 0 < seed { Outcome::AlreadyPresent } else { Outcome::Created };
            assert_eq!(written.outcome, expected);
            read_everywhere(&cluster, &block).await;
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_node_keeps_blocks() {
    let cluster = Cluster::start(1).await;
    let block = block(1, 100_000);
    let node = cluster.running().next().expect("it runs");
    assert_eq!(node.put(block.clone()).await.map(|written| written.outcome), Ok(Outcome::Created));
    assert_eq!(node.put(block.clone()).await.map(|written| written.outcome), Ok(Outcome::AlreadyPresent));
    read_everywhere(&cluster, &block).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_over_the_limit_is_refused_by_name_and_at_the_limit_taken() {
    let cluster = Cluster::start(3).await;
    let node = cluster.node(cluster.follower().await);
    assert!(matches!(node.put(block(1, (2 << 20) + 1)).await, Err(WriteError::Refused(_))));
    node.put(block(2, 2 << 20)).await.expect("a block at the limit is taken");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_puts_survive_the_leaders_crash() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let blocks: Vec<Block> = (0..40).map(|seed| block(seed, if seed % 2 == 0 { 600 } else { 50_000 })).collect();
    let acknowledged = cluster.node(follower).put_many(blocks[..20].to_vec()).await;
    assert!(acknowledged.iter().all(Result::is_ok), "{acknowledged:?}");
    cluster.crash(leader).await;
    for written in cluster.node(follower).put_many(blocks[20..].to_vec()).await {
        written.expect("two of three take puts");
    }
    for block in &blocks {
        read_everywhere(&cluster, block).await;
    }
    cluster.restart(leader).await;
    for block in &blocks {
        read_everywhere(&cluster, block).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_puts_of_one_block_at_once_create_it_once() {
    let cluster = Cluster::start(3).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    for (seed, bytes) in [(1, 300), (2, 40_000), (3, 300), (4, 40_000)] {
        let block = block(seed, bytes);
        let (one, other) =
            join(cluster.node(leader).put(block.clone()), cluster.node(follower).put(block.clone())).await;
        let mut outcomes = [one, other].map(|written| written.expect("put").outcome);
        outcomes.sort_by_key(|outcome| *outcome != Outcome::Created);
        assert_eq!(outcomes, [Outcome::Created, Outcome::AlreadyPresent]);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_ride_in_the_log_up_to_the_limit_and_beside_it_above() {
    let cluster = Cluster::start(3).await;
    let node = cluster.node(cluster.follower().await);
    for (seed, bytes) in [(1, 4095), (2, 4096), (3, 4097)] {
        let logged = || node.status().driver.log_bytes;
        let before = logged();
        node.put(block(seed, bytes)).await.expect("put");
        let grown = eventually("the log grows", PATIENCE, || Some(logged() - before).filter(|grown| *grown != 0)).await;
        assert_eq!(grown < 200, 4096 < bytes, "{bytes} bytes made the log grow by {grown}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_one_byte_below_and_at_a_smaller_limit_is_taken_and_one_above_is_refused() {
    let cluster = Cluster::start_tuned(1, |config| {
        config.limits.blocks = BlockLimits::new(10_000).expect("a valid limit");
    })
    .await;
    let node = cluster.node(cluster.leader().await);
    node.put(block(1, 9_999)).await.expect("below the limit");
    node.put(block(2, 10_000)).await.expect("at the limit");
    assert!(matches!(node.put(block(3, 10_001)).await, Err(WriteError::Refused(_))));
    let absent = node.get(*block(3, 10_001).multihash(), Consistency::Linearizable).await.expect("get");
    assert_eq!(absent.value, None);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_given_up_midway_leave_nothing_leased_and_nothing_waiting() {
    let cluster = Cluster::start(3).await;
    let node = cluster.node(cluster.follower().await);
    // They all hang: no store of the cluster writes.
    cluster.ids().for_each(|id| cluster.member(id).store.set(Trouble::Stalled));
    let given_up = (0..20).map(|seed| timeout(Duration::from_millis(100), node.put(block(seed, 50_000))));
    assert!(join_all(given_up).await.iter().all(Result::is_err), "a put got through stores that don't write");
    cluster.ids().for_each(|id| cluster.member(id).store.set(Trouble::None));

    for written in node.put_many((0..20).map(|seed| block(seed, 50_000)).collect()).await {
        written.expect("the cluster goes on");
    }
    eventually("all leases are given back", PATIENCE, || {
        let idle = |node: &Node| {
            let exchange = node.status().exchange;
            exchange.leases.total() == 0 && exchange.puts == 0 && exchange.put_bytes == 0
        };
        cluster.running().all(idle).then_some(())
    })
    .await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_bytes_than_the_budget_wait_and_none_is_dropped() {
    let cluster = Cluster::start_tuned(3, |config| {
        config.limits.put_bytes_max = 300_000;
        config.limits.puts_max = 8;
    })
    .await;
    let node = cluster.node(cluster.follower().await);
    let blocks: Vec<Block> = (0..60).map(|seed| block(seed, 100_000)).collect();
    let watched = async {
        let mut most = 0;
        loop {
            most = most.max(node.status().exchange.put_bytes);
            if node.count(Consistency::Local).await.is_ok_and(|count| count.value.blocks == 60) {
                return most;
            }
            tokio::task::yield_now().await;
        }
    };
    let (written, most) = join(join_all(blocks.iter().map(|block| node.put(block.clone()))), watched).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    assert!(most <= 300_000, "{most} bytes were under way");
    for block in &blocks {
        read_everywhere(&cluster, block).await;
    }
    cluster.stop().await;
}

/// Small blocks ride in the log, many in one entry: the data plane stores them when it was told of the entry, and applying
/// must not wait for that in the middle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_with_more_small_blocks_than_may_wait_for_the_store_is_applied() {
    let cluster = Cluster::start_tuned(1, |config| {
        config.exchange = Some(Config { inline_bytes_max: 4_000, ..Config::for_ticks_of(10) });
    })
    .await;
    let node = cluster.running().next().expect("it runs");
    let blocks: Vec<Block> = (0..64).map(|seed| block(seed, 1_000)).collect();
    for written in node.put_many(blocks.clone()).await {
        assert_eq!(written.map(|written| written.outcome), Ok(Outcome::Created));
    }
    for block in &blocks {
        read_everywhere(&cluster, block).await;
    }
    cluster.stop().await;
}
