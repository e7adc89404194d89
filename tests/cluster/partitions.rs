//! Partitions: a minority promises nothing, and a link that is cut in one direction costs nobody an election.

use core::time::Duration;

use blockraft_blocks::{Block, HashCode};
use blockraft_node::{Consistency, ReadError, WriteError};
use blockraft_tests::tuning::{calm, impatient};
use blockraft_tests::{Cluster, PATIENCE, eventually};
use tokio::time::Instant;

fn block(seed: u8, bytes: usize) -> Block {
    Block::hash(HashCode::Blake3, vec![seed; bytes])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_cut_off_neither_writes_nor_confirms_reads() {
    let cluster = Cluster::start_tuned(3, impatient).await;
    let follower = cluster.follower().await;
    let node = cluster.node(follower);
    let known = block(1, 500);
    node.put(known.clone()).await.expect("put");
    cluster.level().await;
    cluster.isolate(follower);
    eventually("the follower misses its leader", PATIENCE, || node.current_leader().is_none().then_some(())).await;
    for bytes in [500, 50_000] {
        let refused = node.put(block(2, bytes)).await;
        assert!(matches!(refused, Err(WriteError::NotProposed { leader: None, .. })), "{refused:?}");
    }
    assert!(matches!(node.delete(*known.multihash()).await, Err(WriteError::NotProposed { .. })));
    for consistency in [Consistency::default(), Consistency::Linearizable] {
        let unconfirmed = node.get(*known.multihash(), consistency).await;
        assert!(matches!(unconfirmed, Err(ReadError::NotConfirmed { .. })), "{unconfirmed:?}");
    }
    let local = node.get(*known.multihash(), Consistency::Local).await.expect("asks nobody");
    assert_eq!(local.value, Some(known));
    cluster.rejoin(follower);
    node.put(block(2, 500)).await.expect("it is back");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_cut_off_acknowledges_nothing_and_the_others_go_on() {
    let cluster = Cluster::start_tuned(3, impatient).await;
    let leader = cluster.leader().await;
    cluster.isolate(leader);
    let deposed = cluster.node(leader);
    for bytes in [501, 50_001] {
        let unacknowledged = deposed.put(block(1, bytes)).await;
        assert!(unacknowledged.is_err(), "{unacknowledged:?}");
    }
    let unconfirmed = deposed.get(*block(1, 501).multihash(), Consistency::Linearizable).await;
    assert!(matches!(unconfirmed, Err(ReadError::NotConfirmed { .. })), "{unconfirmed:?}");

    let follower = cluster.ids().find(|id| *id != leader).expect("there are three");
    eventually("the others elect", PATIENCE, || {
        cluster.node(follower).current_leader().filter(|elected| *elected != leader)
    })
    .await;
    let written = cluster.node(follower).put(block(2, 50_000)).await.expect("two of three go on");
    cluster.rejoin(leader);
    let consistency = Consistency::Confirmed { at_least: written.position };
    let read = deposed.get(*block(2, 50_000).multihash(), consistency).await.expect("it caught up");
    assert_eq!(read.value, Some(block(2, 50_000)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_is_heard_but_hears_nothing_deposes_nobody() {
    let cluster = Cluster::start_tuned(3, calm).await;
    let (leader, deaf) = (cluster.leader().await, cluster.follower().await);
    let other = cluster.ids().find(|id| ![leader, deaf].contains(id)).expect("there are three");
    cluster.node(other).put(block(0, 50_000)).await.expect("put");
    cluster.level().await;
    let terms = cluster.terms();
    cluster.network().cut(leader, deaf);
    eventually("the deaf one misses its leader", PATIENCE, || {
        cluster.node(deaf).current_leader().is_none().then_some(())
    })
    .await;
    for seed in 1..=10 {
        let bytes = if seed % 2 == 0 { 500 } else { 50_000 };
        cluster.node(other).put(block(seed, bytes)).await.expect("the others go on");
    }
    assert_eq!(cluster.terms(), terms);
    assert!(cluster.node(leader).is_leader());
    cluster.network().heal(leader, deaf);
    let read = cluster.node(deaf).get(*block(10, 500).multihash(), Consistency::Linearizable).await.expect("get");
    assert_eq!(read.value, Some(block(10, 500)));
    assert_eq!(cluster.terms(), terms);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_hears_but_is_not_heard_stops_no_put() {
    let cluster = Cluster::start_tuned(3, calm).await;
    let (leader, mute) = (cluster.leader().await, cluster.follower().await);
    let other = cluster.ids().find(|id| ![leader, mute].contains(id)).expect("there are three");
    let terms = cluster.terms();
    cluster.network().cut(mute, leader);
    cluster.network().cut(mute, other);
    for seed in 1..=10 {
        let bytes = if seed % 2 == 0 { 500 } else { 50_000 };
        cluster.node(other).put(block(seed, bytes)).await.expect("the others go on");
    }
    assert_eq!(cluster.terms(), terms);
    cluster.network().heal(mute, leader);
    cluster.network().heal(mute, other);
    let read = cluster.node(mute).get(*block(9, 50_000).multihash(), Consistency::Linearizable).await.expect("get");
    assert_eq!(read.value, Some(block(9, 50_000)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_of_a_block_that_is_there_tries_no_longer_than_it_may_where_nobody_confirms_it() {
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
    let cluster = Cluster::start_tuned(3, |config| config.limits.request_timeout = REQUEST_TIMEOUT).await;
    let node = cluster.node(cluster.follower().await);
    let known = block(1, 50_000);
    node.put(known.clone()).await.expect("put");
    cluster.level().await;
    cluster.isolate(node.status().node());
    let begun = Instant::now();
    let refused = node.put(known).await;
    assert!(matches!(refused, Err(WriteError::NotProposed { .. })), "{refused:?}");
    let tries = begun.elapsed().as_secs_f64() / REQUEST_TIMEOUT.as_secs_f64();
    assert!(tries < 1.5, "it took {tries} times as long as a request may take");
    cluster.stop().await;
}
