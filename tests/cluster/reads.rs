//! Reads: what each consistency promises, and that wrong bytes are never served.

use core::time::Duration;

use blockraft_blocks::{Block, HashCode, Multihash};
use blockraft_node::{Consistency, ReadError};
use blockraft_tests::tuning::{STALL, calm, impatient};
use blockraft_tests::{Cluster, PATIENCE, Trouble};
use blockraft_types::NodeId;
use futures::poll;
use tokio::runtime::Builder;
use tokio::task::spawn_blocking;
use tokio::time::{advance, pause, resume, timeout};

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

/// A three-node cluster whose returned follower has applied the block's put and serves it without asking anybody.
async fn with_a_fresh_follower(block: &Block) -> (Cluster, NodeId) {
    let cluster = Cluster::start_tuned(3, calm).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    cluster.node(leader).put(block.clone()).await.expect("put");
    cluster.level().await;
    let read = cluster.node(follower).get(*block.multihash(), Consistency::default()).await.expect("get");
    assert_eq!(read.value.as_ref(), Some(block));
    (cluster, follower)
}

/// Lets time pass as for a process that is stopped: clocks go on, and no loop has ticked yet when it goes on.
async fn stand_still() {
    pause();
    advance(STALL).await;
    resume();
}

#[tokio::test]
async fn a_node_that_was_stopped_does_not_serve_what_was_deleted_meanwhile() {
    let block = Block::hash(HashCode::Blake3, vec![5; 50_000]);
    let (cluster, stopped) = with_a_fresh_follower(&block).await;
    let (leader, network) = (cluster.leader().await, cluster.network());
    let others: Vec<NodeId> = cluster.ids().filter(|id| *id != stopped).collect();
    for other in &others {
        network.cut(*other, stopped);
        network.cut(stopped, *other);
    }
    cluster.node(leader).delete(*block.multihash()).await.expect("two of three go on");
    stand_still().await;
    for other in &others {
        network.heal(*other, stopped);
        network.heal(stopped, *other);
    }
    let read = cluster.node(stopped).get(*block.multihash(), Consistency::default()).await.expect("get");
    assert_eq!(read.value, None);
    cluster.stop().await;
}

#[tokio::test]
async fn a_node_that_was_stopped_while_it_read_the_bytes_looks_again_whether_they_are_still_wanted() {
    let block = Block::hash(HashCode::Blake3, vec![6; 50_000]);
    let (cluster, stopped) = with_a_fresh_follower(&block).await;
    let (leader, node) = (cluster.leader().await, cluster.node(stopped));
    cluster.member(stopped).store.set(Trouble::Unresponsive);
    let mut read = Box::pin(node.get(*block.multihash(), Consistency::default()));
    assert!(poll!(&mut read).is_pending(), "the bytes are being read");
    cluster.node(leader).delete(*block.multihash()).await.expect("delete");
    stand_still().await;
    cluster.member(stopped).store.set(Trouble::None);
    assert_eq!(read.await.expect("get").value, None);
    cluster.stop().await;
}

#[tokio::test]
async fn a_read_that_took_long_is_not_excused_by_what_others_asked_meanwhile() {
    let block = Block::hash(HashCode::Blake3, vec![8; 50_000]);
    let (cluster, slow) = with_a_fresh_follower(&block).await;
    let (leader, node) = (cluster.leader().await, cluster.node(slow));
    cluster.member(slow).store.set(Trouble::Unresponsive);
    let mut read = Box::pin(node.get(*block.multihash(), Consistency::default()));
    assert!(poll!(&mut read).is_pending(), "the bytes are being read");
    cluster.node(leader).delete(*block.multihash()).await.expect("delete");
    stand_still().await;
    let other = Multihash::of(HashCode::Blake3, b"nobody put this");
    assert_eq!(node.stat(other, Consistency::Linearizable).await.expect("stat").value, None);
    cluster.member(slow).store.set(Trouble::None);
    assert_eq!(read.await.expect("get").value, None);
    cluster.stop().await;
}

#[tokio::test]
async fn a_batch_that_took_long_looks_again_which_of_its_blocks_are_still_wanted() {
    let block = Block::hash(HashCode::Blake3, vec![9; 50_000]);
    let (cluster, slow) = with_a_fresh_follower(&block).await;
    let (leader, node) = (cluster.leader().await, cluster.node(slow));
    cluster.member(slow).store.set(Trouble::Unresponsive);
    let mut read = Box::pin(node.get_many(vec![*block.multihash(); 2], Consistency::default()));
    assert!(poll!(&mut read).is_pending(), "the bytes are being read");
    let deleted = cluster.node(leader).delete(*block.multihash()).await.expect("delete");
    stand_still().await;
    cluster.member(slow).store.set(Trouble::None);
    let read = read.await.expect("get");
    assert_eq!(read.value, [Ok(None), Ok(None)]);
    assert!(deleted.position <= read.position, "it is absent where the answer says so");
    cluster.stop().await;
}

/// The one thread of the blocking pool is kept busy, so nothing that belongs there is done yet.
#[test]
fn long_reads_of_the_catalog_leave_the_runtimes_workers_alone() {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let cluster = Cluster::start(1).await;
        let node = cluster.node(cluster.leader().await);
        let (busy, until_dropped) = std::sync::mpsc::channel::<()>();
        spawn_blocking(move || until_dropped.recv());
        let names: Vec<_> = (0..1_000_u32).map(|n| Multihash::of(HashCode::Blake3, &n.to_be_bytes())).collect();
        let mut list = Box::pin(node.list(None, 1_000, Consistency::Local));
        let mut stat = Box::pin(node.stat_many(&names, Consistency::Local));
        assert!(poll!(&mut list).is_pending() && poll!(&mut stat).is_pending(), "a worker reads rows itself");
        drop(busy);
        assert_eq!(list.await.expect("list").value.entries.len(), 0);
        assert_eq!(stat.await.expect("stat").value.len(), names.len());
        cluster.stop().await;
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_never_comes_or_is_never_good_ends_a_read_in_time() {
    let cluster = Cluster::start_tuned(3, impatient).await;
    let block = Block::hash(HashCode::Blake3, vec![7; 50_000]);
    let (leader, troubled) = (cluster.leader().await, cluster.follower().await);
    cluster.node(leader).put(block.clone()).await.expect("put");
    cluster.level().await;
    for trouble in [Trouble::Unresponsive, Trouble::Rotten] {
        cluster.member(troubled).store.set(trouble);
        for consistency in [Consistency::Local, Consistency::default(), Consistency::Linearizable] {
            let read = cluster.node(troubled).get(*block.multihash(), consistency);
            let read = timeout(PATIENCE, read).await.expect("a read has a deadline");
            assert!(matches!(read, Err(ReadError::NoCopy { .. })), "{trouble:?}, {consistency:?}: {read:?}");
        }
    }
    cluster.stop().await;
}
