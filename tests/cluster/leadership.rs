//! Leadership moves: by request, by a stop, by a crash; what clients asked meanwhile happens once or not at all.

use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use blockraft_blocks::{Block, HashCode, Multihash};
use blockraft_node::{Consistency, Outcome, StopReason, WriteError};
use blockraft_tests::tuning::calm;
use blockraft_tests::{Cluster, PATIENCE, eventually};
use blockraft_types::NodeId;
use futures::FutureExt;
use futures::future::{join, join_all};
use tokio::time::timeout;

fn block(seed: u32, bytes: usize) -> Block {
    let pattern = seed.to_le_bytes();
    Block::hash(HashCode::Blake3, pattern.iter().copied().cycle().take(bytes).collect::<Vec<u8>>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_to_whom_it_is_asked_for() {
    let cluster = Cluster::start(3).await;
    for _ in 0..3 {
        let (leader, follower) = (cluster.leader().await, cluster.follower().await);
        cluster.node(leader).transfer_leadership(follower);
        eventually("the follower leads", PATIENCE, || cluster.node(follower).is_leader().then_some(())).await;
        assert_eq!(cluster.leader().await, follower);
    }
    cluster.node(NodeId(1)).put(block(1, 50_000)).await.expect("put");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_stopped_hands_over_in_one_term() {
    let mut cluster = Cluster::start_tuned(3, |config| config.driver.handover_ticks_max = 500).await;
    cluster.level().await;
    let leader = cluster.leader().await;
    let term = cluster.node(leader).current_term();
    let node = cluster.node(leader).clone();
    assert!(matches!(node.shutdown().await, StopReason::Shutdown));
    let successor = cluster.ids().find(|id| *id != leader).expect("there are three");
    // Somebody was elected before the leader was gone: nobody had to miss a heartbeat.
    let others = cluster.terms().into_iter().filter(|(id, _)| *id != leader);
    assert_eq!(others.map(|(_, term)| term.0).max(), Some(term.0 + 1));
    assert!(matches!(node.put(block(1, 10)).await, Err(WriteError::Stopping)));
    cluster.node(successor).put(block(1, 50_000)).await.expect("put");
    cluster.crash(leader).await;
    cluster.restart(leader).await;
    let read = cluster.node(leader).get(*block(1, 50_000).multihash(), Consistency::Linearizable).await;
    assert_eq!(read.expect("get").value, Some(block(1, 50_000)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_for_a_leader_surely_did_not_happen_once_their_node_finishes() {
    let mut cluster = Cluster::start(3).await;
    for other in [2, 3] {
        cluster.crash(NodeId(other)).await;
    }
    let node = cluster.node(NodeId(1)).clone();
    eventually("it leads nobody", PATIENCE, || (!node.is_leader()).then_some(())).await;
    let mut small = Box::pin(node.put(block(1, 10)));
    let mut large = Box::pin(node.put(block(2, 50_000)));
    let name = *block(3, 10).multihash();
    let mut delete = Box::pin(node.delete(name));
    for write in [&mut small as &mut (dyn Future<Output = _> + Unpin), &mut large, &mut delete] {
        assert!(write.now_or_never().is_none(), "it waits");
    }
    // Sooner than any of them would give up.
    let ended = async {
        node.finish(Duration::from_secs(1)).await;
        [small.await, large.await, delete.await]
    };
    for ended in timeout(Duration::from_secs(5), ended).await.expect("they end at once") {
        assert!(matches!(ended, Err(WriteError::Stopping)), "{ended:?}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_and_deletes_while_leadership_moves_happen_once_or_not_at_all() {
    const MOVES: u32 = 8;
    let cluster = Cluster::start(3).await;
    let moved = Arc::new(AtomicU32::new(0));
    let through = |id: NodeId| {
        let (node, moved) = (cluster.node(id).clone(), Arc::clone(&moved));
        async move {
            let (mut present, mut open) = (BTreeSet::<Multihash>::new(), BTreeSet::<Multihash>::new());
            for seed in 0.. {
                if 40 <= seed && MOVES <= moved.load(Ordering::Relaxed) {
                    break;
                }
                let block = block(seed * 4 + id.0 as u32, if seed % 2 == 0 { 600 } else { 20_000 });
                let name = *block.multihash();
                match node.put(block).await {
                    // Nobody else puts it: a repeat of our own would be told as already present.
                    Ok(written) => {
                        assert_eq!(written.outcome, Outcome::Created);
                        present.insert(name);
                    }
                    Err(WriteError::NotProposed { .. }) => {}
                    Err(WriteError::Unknown { .. }) => drop(open.insert(name)),
                    Err(other) => panic!("{other}"),
                }
                if seed % 5 == 4 && present.remove(&name) {
                    match node.delete(name).await {
                        Ok(written) => assert_eq!(written.outcome, Outcome::Deleted),
                        Err(WriteError::NotProposed { .. }) => drop(present.insert(name)),
                        Err(WriteError::Unknown { .. }) => drop(open.insert(name)),
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            (present, open)
        }
    };
    let moves = async {
        let mut rounds = tokio::time::interval(Duration::from_millis(40));
        loop {
            rounds.tick().await;
            let leader = cluster.leader().await;
            let next = NodeId(leader.0 % 3 + 1);
            cluster.node(leader).transfer_leadership(next);
            moved.fetch_add(1, Ordering::Relaxed);
        }
    };
    let clients = join(through(NodeId(1)), join(through(NodeId(2)), through(NodeId(3))));
    let told = tokio::select! {
        told = clients => told,
        () = moves => unreachable!("leadership moves for ever"),
    };
    let (one, (two, three)) = told;
    for (present, open) in [one, two, three] {
        for (id, name) in cluster.ids().flat_map(|id| present.iter().map(move |name| (id, *name))) {
            let read = cluster.node(id).get(name, Consistency::Linearizable).await.expect("get");
            assert!(read.value.is_some(), "{name} was acknowledged and is gone at {id}");
        }
        assert!(open.len() < present.len(), "{} outcomes are open: nothing was tested", open.len());
    }
    cluster.stop().await;
}

/// A killed leader says nothing, and its connections end only seconds later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_leader_that_fell_silent_was_asked_for_is_unknown_once_another_one_leads() {
    let cluster = Cluster::start_tuned(3, |config| config.limits.request_timeout = PATIENCE * 10).await;
    let (silent, through) = (cluster.leader().await, cluster.follower().await);
    for other in cluster.ids().filter(|id| *id != silent) {
        cluster.network().cut(silent, other);
        cluster.network().cut(other, silent);
    }
    let node = cluster.node(through);
    let lost = timeout(PATIENCE, node.put(block(1, 600))).await.expect("nobody waits for the dead");
    assert!(matches!(lost, Err(WriteError::Unknown { .. })), "{lost:?}");
    assert_ne!(node.current_leader(), Some(silent));
    node.put(block(2, 600)).await.expect("two of three go on");
    cluster.stop().await;
}

/// A deposed leader whose disk stands still knows what became of what it took as soon as the disk lets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_leader_that_lives_is_waited_for_and_stands_in_nobodys_way() {
    let cluster = Cluster::start_tuned(3, |config| {
        calm(config);
        config.driver.unknown_after_ticks = u32::MAX;
        config.limits.request_timeout = PATIENCE * 10;
    })
    .await;
    let (slow, through) = (cluster.leader().await, cluster.follower().await);
    let node = cluster.node(through);
    let stall = cluster.member(slow).log_faults.stall();
    // One by one, so that they are more entries than may be under way at once.
    let mut asked: Vec<_> = (0..20).map(|seed| Box::pin(node.put(block(seed, 600)))).collect();
    for put in &mut asked {
        let answered = timeout(Duration::from_millis(5), put).await;
        assert!(answered.is_err(), "it knows nothing before its disk has it: {answered:?}");
    }
    eventually("another one leads", PATIENCE, || node.current_leader().filter(|leader| *leader != slow)).await;
    for seed in 100..110 {
        let written = timeout(PATIENCE, node.put(block(seed, 600))).await.expect("nobody waits behind the old leader");
        assert_eq!(written.map(|written| written.outcome), Ok(Outcome::Created));
    }
    let mut asked = join_all(asked);
    let answered = timeout(Duration::from_millis(500), &mut asked).await;
    assert!(answered.is_err(), "given up although it lives: {answered:?}");
    drop(stall);
    for written in timeout(PATIENCE, asked).await.expect("the old leader has caught up") {
        assert_eq!(written.map(|written| written.outcome), Ok(Outcome::Created));
    }
    cluster.stop().await;
}
