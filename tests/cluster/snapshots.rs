//! Snapshots: a member that lacks more than the others' logs still hold gets their state instead, while life goes on.

use blockraft_blocks::{Block, BlockStore, HashCode};
use blockraft_driver::config::CompactionPolicy;
use blockraft_exchange::Config;
use blockraft_node::{Consistency, Node, NodeConfig};
use blockraft_tests::tuning::calm;
use blockraft_tests::{Cluster, PATIENCE, eventually};
use blockraft_types::NodeId;

/// Logs of a few entries, chunks of a few rows, and fetches that take their time.
fn forgetful(config: &mut NodeConfig) {
    calm(config);
    config.driver.replica.compaction =
        CompactionPolicy { entries_max: 20, entries_kept: 10, ..CompactionPolicy::default() };
    let mut exchange = Config::for_ticks_of(10);
    exchange.chunk_rows_max = 16;
    exchange.snapshot_names_max = 16;
    exchange.snapshot_fetches_max = 8;
    config.exchange = Some(exchange);
}

/// The same, with a pace at which a state of a hundred blocks takes seconds.
fn unhurried(config: &mut NodeConfig) {
    forgetful(config);
    if let Some(exchange) = &mut config.exchange {
        exchange.snapshot_tick_bytes_max = 10_000;
    }
}

/// A block of 20,000 bytes, so that it travels beside the log.
fn block(number: u32) -> Block {
    let mut bytes = vec![0; 20_000];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    Block::hash(HashCode::Blake3, bytes)
}

/// Puts blocks one by one, so that each is an entry.
async fn put_all(cluster: &Cluster, numbers: core::ops::Range<u32>) {
    let node = cluster.node(cluster.leader().await);
    for number in numbers {
        node.put(block(number)).await.expect("put");
    }
}

/// Waits until every member that runs has compacted half of what is applied.
async fn compacted(cluster: &Cluster) {
    let applied = cluster.node(cluster.leader().await).status().last_applied().index;
    eventually("the others compact what the member lacks", PATIENCE, || {
        let anchor = |node: &Node| node.status().driver.core.anchor.index;
        cluster.running().all(|node| applied.0 / 2 < anchor(node).0).then_some(())
    })
    .await;
}

/// The bytes of blocks that a member lacks, as the leader knows it.
fn debt_of(member: NodeId, leader: &Node) -> Option<u64> {
    leader.status().debts().iter().find(|debt| debt.node == member).map(|debt| debt.bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_far_behind_catches_up_by_a_snapshot_while_others_write() {
    let mut cluster = Cluster::start_tuned(3, forgetful).await;
    let late = cluster.follower().await;
    put_all(&cluster, 0..30).await;
    cluster.level().await;
    cluster.crash(late).await;
    put_all(&cluster, 30..120).await;
    let leader = cluster.node(cluster.leader().await);
    for number in (0..120).step_by(10) {
        leader.delete(*block(number).multihash()).await.expect("delete");
    }
    compacted(&cluster).await;
    eventually("the leader counts the whole state, since its log begins too late", PATIENCE, || {
        let status = leader.status();
        (debt_of(late, leader)? == status.catalog.bytes).then_some(())
    })
    .await;
    cluster.restart(late).await;
    put_all(&cluster, 120..180).await;
    cluster.level().await;
    let leader = cluster.node(cluster.leader().await);
    eventually("the debt is paid", PATIENCE, || (debt_of(late, leader)? == 0).then_some(())).await;
    for number in 0..180 {
        let name = *block(number).multihash();
        let deleted = number < 120 && number % 10 == 0;
        let read = cluster.node(late).get(name, Consistency::Local).await.expect("get").value;
        assert_eq!(read.is_none(), deleted, "block {number}");
        let held = cluster.member(late).blocks.stat(name).await.expect("stat");
        assert!(deleted || held.is_some(), "block {number} is held by the member itself");
    }
    // The picture of the data plane is some ticks old.
    let imported = || (0 < cluster.node(late).status().exchange.imported_names).then_some(());
    eventually("the member tells that names came by a snapshot", PATIENCE, imported).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_dies_during_a_transfer_goes_on_and_fetches_hardly_anything_twice() {
    let mut cluster = Cluster::start_tuned(3, unhurried).await;
    let late = cluster.follower().await;
    cluster.crash(late).await;
    put_all(&cluster, 0..150).await;
    compacted(&cluster).await;
    cluster.restart(late).await;
    let held = |cluster: &Cluster| cluster.member(late).store.written();
    eventually("most of it has come", PATIENCE, || (100 <= held(&cluster)).then_some(())).await;
    cluster.crash(late).await;
    let kept = held(&cluster);
    assert!(kept < 150, "the transfer was under way");
    cluster.restart(late).await;
    cluster.level().await;
    let twice = held(&cluster) - 150;
    assert!(twice * 50 <= 150, "{twice} of 150 blocks came twice; {kept} were there");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_survives_the_death_of_the_leader_that_gave_it() {
    let mut cluster = Cluster::start_tuned(5, unhurried).await;
    let late = cluster.follower().await;
    cluster.crash(late).await;
    put_all(&cluster, 0..120).await;
    compacted(&cluster).await;
    cluster.restart(late).await;
    let held = |cluster: &Cluster| cluster.member(late).store.written();
    eventually("a part of it has come", PATIENCE, || (40 <= held(&cluster)).then_some(())).await;
    let leader = cluster.leader().await;
    cluster.crash(leader).await;
    cluster.leader().await;
    put_all(&cluster, 120..130).await;
    cluster.level().await;
    for number in 0..130 {
        let read = cluster.node(late).get(*block(number).multihash(), Consistency::Local).await.expect("get");
        assert_eq!(read.value, Some(block(number)));
    }
    cluster.stop().await;
}
