//! Block stores in trouble: full, stalled, damaged or simply late, on some nodes or on most.

use core::time::Duration;

use blockraft_blocks::{Block, BlockStore, HashCode, Lookup};
use blockraft_node::{Consistency, NodeConfig, Obstacle, StopReason, WriteError};
use blockraft_tests::tuning::{STALL, calm, impatient};
use blockraft_tests::{Cluster, PATIENCE, Trouble, eventually};
use blockraft_types::NodeId;
use futures::future::join_all;
use tokio::time::{Instant, timeout};

fn block(seed: u32, bytes: usize) -> Block {
    let pattern = seed.to_le_bytes();
    Block::hash(HashCode::Blake3, pattern.iter().copied().cycle().take(bytes).collect::<Vec<u8>>())
}

/// Inlined ones among them.
fn blocks(seeds: core::ops::Range<u32>) -> Vec<Block> {
    seeds.map(|seed| block(seed, if seed % 3 == 0 { 700 } else { 60_000 })).collect()
}

async fn put_all(cluster: &Cluster, through: NodeId, blocks: &[Block]) {
    for written in cluster.node(through).put_many(blocks.to_vec()).await {
        written.expect("a majority is well");
    }
}

/// Waits until a member's own store holds every block, whole.
async fn holds_all(cluster: &Cluster, id: NodeId, blocks: &[Block]) {
    let names: Vec<_> = blocks.iter().map(|block| *block.multihash()).collect();
    let store = &cluster.member(id).blocks;
    eventually("every payload is in the member's own store", PATIENCE, || {
        let found = futures::executor::block_on(store.get_many(&names)).ok()?;
        found.iter().all(|lookup| matches!(lookup, Lookup::Present(_))).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_down_fetches_every_payload_it_missed() {
    let mut cluster = Cluster::start(3).await;
    let down = cluster.follower().await;
    let early = blocks(0..20);
    put_all(&cluster, cluster.leader().await, &early).await;
    cluster.crash(down).await;
    let missed = blocks(20..60);
    let through = cluster.follower().await;
    put_all(&cluster, through, &missed).await;
    cluster.restart(down).await;
    holds_all(&cluster, down, &early).await;
    holds_all(&cluster, down, &missed).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_without_room_stops_no_put_and_catches_up_when_it_has_room() {
    let cluster = Cluster::start_tuned(3, calm).await;
    let (leader, full) = (cluster.leader().await, cluster.follower().await);
    let terms = cluster.terms();
    cluster.member(full).store.set(Trouble::Full);
    let blocks = blocks(0..40);
    put_all(&cluster, leader, &blocks).await;
    assert_eq!(cluster.terms(), terms);
    cluster.member(full).store.set(Trouble::None);
    holds_all(&cluster, full, &blocks).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_majority_without_room_refuses_puts_by_name_takes_deletes_and_recovers() {
    let cluster = Cluster::start_tuned(3, impatient).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let kept = blocks(0..6);
    put_all(&cluster, leader, &kept).await;
    for id in [leader, follower] {
        cluster.member(id).store.set(Trouble::Full);
    }
    for id in cluster.ids() {
        let refused = cluster.node(id).put(block(100, 60_000)).await;
        let Err(WriteError::NotProposed { reason, .. }) = refused else { panic!("at {id}: {refused:?}") };
        let expected = if [leader, follower].contains(&id) { Obstacle::DiskFull } else { Obstacle::NoQuorum };
        assert_eq!(reason, expected, "at {id}");
    }
    for (id, block) in cluster.ids().zip(&kept) {
        cluster.node(id).delete(*block.multihash()).await.expect("a full disk is no reason for a delete to fail");
        let read = cluster.node(id).get(*block.multihash(), Consistency::Linearizable).await.expect("get");
        assert_eq!(read.value, None);
    }
    for id in [leader, follower] {
        cluster.member(id).store.set(Trouble::None);
    }
    cluster.node(follower).put(block(100, 60_000)).await.expect("there is room again");
    cluster.stop().await;
}

/// Nothing is put, so no log grows; whoever deletes to make room gets it all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disks_that_are_full_everywhere_refuse_small_puts_too_and_deletes_give_the_space_back() {
    let cluster = Cluster::start_tuned(3, impatient).await;
    let leader = cluster.leader().await;
    let kept = blocks(0..12);
    put_all(&cluster, leader, &kept).await;
    for id in cluster.ids() {
        holds_all(&cluster, id, &kept).await;
        cluster.member(id).store.set(Trouble::Full);
    }
    // Nobody knows yet that the disks are full: the reserve is for what is committed, and its body stands in no one's way.
    let late = block(99, 700);
    cluster.node(leader).put(late.clone()).await.expect("a small put is stored only after it was acknowledged");
    for bytes in [60_000, 700] {
        let refused = cluster.node(leader).put(block(100, bytes)).await;
        let Err(WriteError::NotProposed { reason, .. }) = refused else { panic!("{bytes} bytes: {refused:?}") };
        assert_eq!(reason, Obstacle::DiskFull, "{bytes} bytes");
    }
    let names = kept.iter().map(|block| *block.multihash()).collect();
    for deleted in cluster.node(leader).delete_many(names).await {
        deleted.expect("a full disk is no reason for a delete to fail");
    }
    for id in cluster.ids() {
        let store = &cluster.member(id).blocks;
        eventually("the store holds the late block alone", PATIENCE, || {
            (futures::executor::block_on(store.count()).ok()? == 1).then_some(())
        })
        .await;
        holds_all(&cluster, id, core::slice::from_ref(&late)).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_store_on_one_node_causes_no_election_and_stops_no_put() {
    let cluster = Cluster::start_tuned(3, calm).await;
    let (leader, stalled) = (cluster.leader().await, cluster.follower().await);
    let other = cluster.ids().find(|id| ![leader, stalled].contains(id)).expect("there are three");
    let terms = cluster.terms();
    cluster.member(stalled).store.set(Trouble::Stalled);
    let stalled_until = Instant::now() + STALL;
    let mut put: Vec<Block> = Vec::new();
    while Instant::now() < stalled_until {
        let first = put.len() as u32;
        let round: Vec<Block> = (first..first + 8).map(|seed| block(seed, 250_000)).collect();
        let through = [leader, other].into_iter().cycle();
        let puts = round.iter().zip(through).map(|(block, id)| cluster.node(id).put(block.clone()));
        for written in join_all(puts).await {
            written.expect("two of three are well");
        }
        put.extend(round);
    }
    assert_eq!(cluster.terms(), terms);
    assert!(cluster.node(leader).is_leader());
    cluster.member(stalled).store.set(Trouble::None);
    holds_all(&cluster, stalled, &put).await;
    assert_eq!(cluster.terms(), terms);
    cluster.stop().await;
}

/// Small enough that a few seconds of load would go far beyond.
fn cramped(config: &mut NodeConfig) {
    calm(config);
    let mut exchange = blockraft_exchange::Config::for_ticks_of(10);
    exchange.lane_bytes_max = 1 << 20;
    exchange.arriving_bytes_max = 1 << 20;
    exchange.gate_fetch_bytes_max = 1 << 20;
    config.exchange = Some(exchange);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_store_holds_no_more_memory_anywhere_than_the_bounds_allow() {
    const BLOCK_BYTES: u64 = 250_000;
    let cluster = Cluster::start_tuned(3, cramped).await;
    let (leader, stalled) = (cluster.leader().await, cluster.follower().await);
    cluster.member(stalled).store.set(Trouble::Stalled);
    let blocks: Vec<Block> = (0..60).map(|seed| block(seed, BLOCK_BYTES as usize)).collect();
    let within_bounds = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        loop {
            looks.tick().await;
            for node in cluster.running() {
                let exchange = node.status().exchange;
                let bounds = &exchange.bounds;
                // What is refused is refused once the bound is reached: the last one in may stand over it.
                assert!(exchange.arriving_bytes <= bounds.arriving_bytes_max + BLOCK_BYTES, "{exchange:?}");
                assert!(exchange.gate_fetch_bytes <= bounds.gate_fetch_bytes_max, "{exchange:?}");
                let in_lanes = exchange.lanes.iter().map(|lane| lane.bytes).max();
                assert!(in_lanes <= Some(bounds.lane_bytes_max), "{exchange:?}");
            }
        }
    };
    tokio::select! {
        () = put_all(&cluster, leader, &blocks) => {}
        () = within_bounds => unreachable!("it looks for ever"),
    }
    cluster.member(stalled).store.set(Trouble::None);
    holds_all(&cluster, stalled, &blocks).await;
    cluster.stop().await;
}

/// Two of three can keep the blocks, and one of those has to lead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_store_stalls_or_is_full_hands_over_and_puts_go_on() {
    for trouble in [Trouble::Stalled, Trouble::Full] {
        let cluster = Cluster::start_tuned(3, calm).await;
        let (leader, follower) = (cluster.leader().await, cluster.follower().await);
        let early = block(1, 60_000);
        cluster.node(follower).put(early.clone()).await.expect("put");
        cluster.member(leader).store.set(trouble);
        let late: Vec<Block> = (2..6).map(|seed| block(seed, 60_000)).collect();
        let written = async { while !cluster.node(follower).put_many(late.clone()).await.iter().all(Result::is_ok) {} };
        timeout(PATIENCE, written).await.expect("puts go on under another leader");
        eventually("another one leads", PATIENCE, || (!cluster.node(leader).is_leader()).then_some(())).await;
        let read = cluster.node(follower).get(*early.multihash(), Consistency::Linearizable).await.expect("get");
        assert_eq!(read.value, Some(early), "{trouble:?}");
        cluster.member(leader).store.set(Trouble::None);
        holds_all(&cluster, leader, &late).await;
        cluster.stop().await;
    }
}

/// Nobody can lead better than anyone else: the role goes round once, and then rests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_that_stall_everywhere_cost_at_most_one_hand_over_for_each_node() {
    let cluster = Cluster::start_tuned(3, calm).await;
    let through = cluster.leader().await;
    let before = cluster.terms();
    for id in cluster.ids() {
        cluster.member(id).store.set(Trouble::Stalled);
    }
    let puts = (2..6).map(|seed| cluster.node(through).put(block(seed, 60_000)));
    let waiting = timeout(2 * STALL, join_all(puts)).await;
    assert!(waiting.is_err(), "nobody can keep them: {waiting:?}");
    for ((id, term), (_, before)) in cluster.terms().into_iter().zip(before) {
        assert!(term.0 <= before.0 + 3, "{id}: {term:?} after {before:?}");
    }
    for id in cluster.ids() {
        cluster.member(id).store.set(Trouble::None);
    }
    cluster.node(through).put(block(2, 60_000)).await.expect("the stores write again");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_on_every_node_but_one_is_repaired_by_a_read() {
    let cluster = Cluster::start(3).await;
    for (seed, bytes) in [(1, 60_000), (2, 700)] {
        let block = block(seed, bytes);
        put_all(&cluster, cluster.leader().await, core::slice::from_ref(&block)).await;
        for id in cluster.ids() {
            holds_all(&cluster, id, core::slice::from_ref(&block)).await;
        }
        let damaged: Vec<NodeId> = cluster.ids().skip(1).collect();
        for id in &damaged {
            assert!(cluster.member(*id).blocks.damage(block.multihash()), "the block is in the store of {id}");
        }
        for id in &damaged {
            let read = cluster.node(*id).get(*block.multihash(), Consistency::Linearizable).await.expect("get");
            assert_eq!(read.value.as_ref(), Some(&block));
            holds_all(&cluster, *id, core::slice::from_ref(&block)).await;
        }
    }
    cluster.stop().await;
}

/// Whoever still has the bytes can bring them back, although the catalog calls the block present all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_of_a_block_that_is_damaged_on_every_node_heals_it() {
    let cluster = Cluster::start(3).await;
    let through = cluster.follower().await;
    for (seed, bytes) in [(1, 60_000), (2, 700)] {
        let block = block(seed, bytes);
        put_all(&cluster, through, core::slice::from_ref(&block)).await;
        for id in cluster.ids() {
            holds_all(&cluster, id, core::slice::from_ref(&block)).await;
            assert!(cluster.member(id).blocks.damage(block.multihash()), "the block is in the store of {id}");
        }
        put_all(&cluster, through, core::slice::from_ref(&block)).await;
        for id in cluster.ids() {
            let read = cluster.node(id).get(*block.multihash(), Consistency::Linearizable).await.expect("get");
            assert_eq!(read.value.as_ref(), Some(&block), "at {id}");
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_on_every_node_is_told_as_no_copy_and_never_as_absent() {
    let cluster = Cluster::start_tuned(3, impatient).await;
    let block = block(1, 60_000);
    put_all(&cluster, cluster.leader().await, core::slice::from_ref(&block)).await;
    for id in cluster.ids() {
        holds_all(&cluster, id, core::slice::from_ref(&block)).await;
        cluster.member(id).blocks.damage(block.multihash());
    }
    let read = cluster.node(NodeId(1)).get(*block.multihash(), Consistency::Linearizable).await;
    assert!(matches!(read, Err(blockraft_node::ReadError::NoCopy { .. })), "{read:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_store_fails_stops_loudly_and_the_others_go_on() {
    let mut cluster = Cluster::start(3).await;
    for (round, bytes) in [(0, 60_000), (1, 700)] {
        let (leader, follower) = (cluster.leader().await, cluster.follower().await);
        cluster.member(leader).store.set(Trouble::Broken);
        // Whatever becomes of the puts under way: those that are repeated get through.
        let blocks: Vec<Block> = (0..10).map(|seed| block(round * 100 + seed, bytes)).collect();
        drop(cluster.node(follower).put_many(blocks.clone()).await);
        let reason = timeout(PATIENCE, cluster.node(leader).stopped()).await.expect("it stops by itself");
        assert!(matches!(reason, StopReason::GateFailed { .. }), "{reason:?}");
        put_all(&cluster, follower, &blocks).await;
        cluster.crash(leader).await;
        cluster.restart(leader).await;
        holds_all(&cluster, leader, &blocks).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_store_stalls_can_still_be_stopped() {
    let cluster = Cluster::start_tuned(3, |config| {
        let mut exchange = blockraft_exchange::Config::for_ticks_of(10);
        exchange.inline_bytes_max = 5_000;
        config.exchange = Some(exchange);
    })
    .await;
    let (leader, stalled) = (cluster.leader().await, cluster.follower().await);
    cluster.member(stalled).store.set(Trouble::Stalled);
    let blocks: Vec<Block> = (0..20).map(|seed| block(seed, 3_000)).collect();
    put_all(&cluster, leader, &blocks).await;
    let reason = timeout(PATIENCE, cluster.node(stalled).shutdown()).await.expect("the stop takes a bounded time");
    assert!(matches!(reason, StopReason::Shutdown), "{reason:?}");
    cluster.stop().await;
}

/// More than the data plane mends at once, and before a peer is there to mend them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_store_lost_hundreds_of_blocks_gets_them_all_back_without_being_read() {
    let mut cluster = Cluster::start(3).await;
    let (leader, unlucky) = (cluster.leader().await, cluster.follower().await);
    let blocks: Vec<Block> = (0..400).map(|seed| block(seed, 17_000)).collect();
    put_all(&cluster, leader, &blocks).await;
    cluster.level().await;
    cluster.crash(unlucky).await;
    let names: Vec<_> = blocks.iter().map(|block| *block.multihash()).collect();
    cluster.member(unlucky).blocks.reopen();
    cluster.member(unlucky).blocks.delete_many(&names).await.expect("deleted behind its back");
    cluster.restart(unlucky).await;
    holds_all(&cluster, unlucky, &blocks).await;
    cluster.stop().await;
}

/// Bodies that rode in the log alone when it lost its end, and a second power cut before they are there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_were_lost_with_the_end_of_a_log_come_back_without_being_read() {
    let mut cluster = Cluster::start(3).await;
    let (leader, unlucky) = (cluster.leader().await, cluster.follower().await);
    cluster.member(unlucky).disk.remember();
    let blocks: Vec<Block> = (0..40).map(|seed| block(seed, 300)).collect();
    put_all(&cluster, leader, &blocks).await;
    cluster.level().await;
    cluster.crash(unlucky).await;
    cluster.member(unlucky).disk.lose_tail();
    let names: Vec<_> = blocks.iter().map(|block| *block.multihash()).collect();
    cluster.member(unlucky).blocks.reopen();
    cluster.member(unlucky).blocks.delete_many(&names).await.expect("as if they had never got there");
    cluster.restart(unlucky).await;
    cluster.crash(unlucky).await;
    cluster.restart(unlucky).await;
    holds_all(&cluster, unlucky, &blocks).await;
    cluster.stop().await;
}
