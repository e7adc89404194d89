//! Puts: acknowledged means readable everywhere, through any node, across a change of leaders.

use blockraft_blocks::{Block, HashCode};
use blockraft_node::{Consistency, Outcome, WriteError};
use blockraft_tests::Cluster;

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
