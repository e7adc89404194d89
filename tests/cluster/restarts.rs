//! Restarts: what was acknowledged outlives every disk that keeps what it synced.

use blockraft_blocks::{Block, HashCode};
use blockraft_log::memory::Syncs;
use blockraft_node::Consistency;
use blockraft_tests::Cluster;
use blockraft_types::NodeId;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_blocks_survive_a_power_cut_of_all_nodes() {
    assert_eq!(lost_after_power_cut(Syncs::Honoured).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_swallows_syncs_loses_blocks_so_the_check_has_teeth() {
    assert_ne!(lost_after_power_cut(Syncs::Swallowed).await, 0);
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
