//! Deletes: what is deleted is gone everywhere, and may come back by another put alone.

use blockraft_blocks::{Block, HashCode};
use blockraft_node::{Consistency, Outcome};
use blockraft_tests::Cluster;

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
