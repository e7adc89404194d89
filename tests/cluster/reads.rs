//! Reads: what each consistency promises, and that wrong bytes are never served.

use blockraft_blocks::{Block, HashCode, Multihash};
use blockraft_node::{Consistency, ReadError};
use blockraft_tests::Cluster;
use core::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absent_is_never_said_without_a_quorum() {
    let cluster = Cluster::start_tuned(3, |config| config.limits.request_timeout = Duration::from_millis(700)).await;
    let follower = cluster.follower().await;
    let unknown = Multihash::of(HashCode::Blake3, b"nobody put this");
    assert_eq!(cluster.node(follower).get(unknown, Consistency::default()).await.map(|read| read.value), Ok(None));
    cluster.isolate(follower);
    let alone = cluster.node(follower);
    let answer = alone.get(unknown, Consistency::default()).await;
    assert!(matches!(answer, Err(ReadError::NotConfirmed { .. })), "{answer:?}");
    assert_eq!(alone.get(unknown, Consistency::Local).await.map(|read| read.value), Ok(None));
    cluster.rejoin(follower);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_copy_is_repaired_from_a_peer_and_never_served() {
    let cluster = Cluster::start(3).await;
    let block = Block::hash(HashCode::Sha2_256, vec![3; 50_000]);
    let name = *block.multihash();
    let follower = cluster.follower().await;
    cluster.node(follower).put(block.clone()).await.expect("put");
    assert!(cluster.member(follower).blocks.damage(&name), "the follower that took the put has a copy");
    let read = cluster.node(follower).get(name, Consistency::default()).await;
    assert_eq!(read.map(|read| read.value), Ok(Some(block)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hops_with_its_position_never_goes_back_in_time() {
    let cluster = Cluster::start(3).await;
    for seed in 0..20_u8 {
        let block = Block::hash(HashCode::Blake3, vec![seed; 700]);
        let ids: Vec<_> = cluster.ids().collect();
        let writer = ids[usize::from(seed) % ids.len()];
        let reader = ids[(usize::from(seed) + 1) % ids.len()];
        let written = cluster.node(writer).put(block.clone()).await.expect("put");
        let consistency = Consistency::Confirmed { at_least: written.position };
        let read = cluster.node(reader).get(*block.multihash(), consistency).await.expect("get");
        assert_eq!(read.value, Some(block.clone()));
        let deleted = cluster.node(reader).delete(*block.multihash()).await.expect("delete");
        let consistency = Consistency::Confirmed { at_least: deleted.position };
        let read = cluster.node(writer).get(*block.multihash(), consistency).await.expect("get");
        assert_eq!(read.value, None);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_in_pages_names_every_block_once() {
    let cluster = Cluster::start(3).await;
    let blocks: Vec<Block> = (0..50_u8).map(|seed| Block::hash(HashCode::Blake3, vec![seed; 10])).collect();
    let node = cluster.node(cluster.follower().await);
    for written in node.put_many(blocks.clone()).await {
        written.expect("put");
    }
    let mut names: Vec<Multihash> = blocks.iter().map(|block| *block.multihash()).collect();
    names.sort();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = node.list(after, 7, Consistency::default()).await.expect("list");
        listed.extend(page.value.entries.iter().map(|(name, _)| *name));
        after = page.value.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, names);
    assert_eq!(node.count(Consistency::Linearizable).await.map(|count| count.value.blocks), Ok(50));
    cluster.stop().await;
}
