//! Restarts: what was acknowledged outlives every disk that keeps what it synced.

use blockraft_blocks::{Block, HashCode};
use blockraft_log::memory::Syncs;
use blockraft_node::Consistency;
use blockraft_tests::{Cluster, PATIENCE, eventually};
use blockraft_types::NodeId;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_blocks_survive_a_power_cut_of_all_nodes() {
    assert_eq!(lost_after_power_cut(Syncs::Honoured).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_swallows_syncs_loses_blocks_so_the_check_has_teeth() {
    assert_ne!(lost_after_power_cut(Syncs::Swallowed).await, 0);
}

/// The log of a follower goes back although it was synced, entries with inlined blocks among what is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_log_lost_its_end_makes_it_good_and_votes_again() {
    let mut cluster = Cluster::start(3).await;
    let (unlucky, writer) = (cluster.follower().await, cluster.leader().await);
    cluster.member(unlucky).disk.remember();
    let blocks: Vec<Block> = (0..30_u8)
        .map(|seed| Block::hash(HashCode::Blake3, vec![seed; if seed % 3 == 0 { 700 } else { 9_000 }]))
        .collect();
    for written in cluster.node(writer).put_many(blocks.clone()).await {
        written.expect("put");
    }
    cluster.level().await;
    cluster.crash(unlucky).await;
    cluster.member(unlucky).disk.lose_tail();
    cluster.restart(unlucky).await;
    eventually("its log is made good", PATIENCE, || {
        cluster.node(unlucky).status().driver.core.lost_tail.is_none().then_some(())
    })
    .await;

    // With one of the others down, nobody leads without its vote.
    let other = cluster.ids().find(|id| *id != unlucky && *id != writer).expect("there are three");
    cluster.crash(other).await;
    for block in &blocks {
        let node = cluster.node(cluster.leader().await);
        let read = node.get(*block.multihash(), Consistency::Linearizable).await.expect("get");
        assert_eq!(read.value.as_ref(), Some(block));
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_nodes_whose_log_lost_its_end_refuses_to_start() {
    let mut cluster = Cluster::start(2).await;
    let unlucky = cluster.follower().await;
    cluster.member(unlucky).disk.remember();
    let block = Block::hash(HashCode::Blake3, vec![1; 9_000]);
    cluster.node(unlucky).put(block).await.expect("put");
    cluster.crash(unlucky).await;
    cluster.member(unlucky).disk.lose_tail();
    let refusal = cluster.try_restart(unlucky).await.expect_err("the other one can't lead alone");
    let reasons = core::iter::successors(Some(&refusal as &dyn core::error::Error), |error| error.source());
    let reasons: Vec<String> = reasons.map(ToString::to_string).collect();
    assert!(reasons.last().is_some_and(|last| last.contains("no quorum")), "{reasons:?}");
    cluster.stop().await;
}

async fn lost_after_power_cut(syncs: Syncs) -> usize {
    let mut cluster = Cluster::start(3).await;
    for id in cluster.ids() {
        cluster.member(id).disk.set_syncs(syncs);
    }
    let blocks: Vec<Block> = (0..30_u8).map(|seed| Block::hash(HashCode::Blake3, vec![seed; 9_000])).collect();
    let writer = cluster.follower().await;
    for written in cluster.node(writer).put_many(blocks.clone()).await {
        written.expect("put");
    }
    for id in cluster.ids() {
        cluster.crash(id).await;
    }
    for id in cluster.ids() {
        cluster.restart(id).await;
    }
    cluster.leader().await;
    let mut lost = 0;
    for block in &blocks {
        let read = cluster.node(NodeId(1)).get(*block.multihash(), Consistency::Linearizable).await.expect("get");
        lost += usize::from(read.value.as_ref() != Some(block));
    }
    cluster.stop().await;
    lost
}
