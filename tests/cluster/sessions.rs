//! Sessions: a command of a session is carried out once, through whichever nodes and in whichever lives it is asked for.

use blockraft_blocks::{Block, HashCode};
use blockraft_driver::config::CompactionPolicy;
use blockraft_node::{Consistency, Node, NodeConfig, Outcome, Session, WriteError, Written};
use blockraft_tests::tuning::{calm, impatient};
use blockraft_tests::{Cluster, PATIENCE, eventually};
use blockraft_types::{NodeId, Sequence, Turn, Turns};
use futures::future::{BoxFuture, Either, join, join_all, select};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

/// Rides in the log, or beside it.
const BYTES: [usize; 2] = [600, 50_000];

fn block(seed: u32, bytes: usize) -> Block {
    let pattern = seed.to_le_bytes();
    Block::hash(HashCode::Blake3, pattern.iter().copied().cycle().take(bytes).collect::<Vec<u8>>())
}

async fn open(node: &Node) -> Turns {
    Turns::new(node.open_session().await.expect("a healthy cluster opens sessions"))
}

fn begin(turns: &mut Turns) -> (Sequence, Turn) {
    let sequence = turns.begin(1).expect("few are unanswered");
    (sequence, turns.turn(sequence))
}

async fn is_absent_everywhere(cluster: &Cluster, block: &Block) {
    for node in cluster.running() {
        let read = node.get(*block.multihash(), Consistency::Linearizable).await.expect("get");
        assert_eq!(read.value, None);
    }
}

async fn lead(cluster: &Cluster, id: NodeId) {
    eventually("the chosen node leads", PATIENCE, || {
        let leader = cluster.running().find(|node| node.is_leader());
        if let Some(leader) = leader.filter(|_| !cluster.node(id).is_leader()) {
            leader.transfer_leadership(id);
        }
        cluster.node(id).is_leader().then_some(())
    })
    .await;
    cluster.leader().await;
}

/// Attempt 1 is stuck on its way, attempt 2 succeeds, a delete succeeds, attempt 1 lands: the block must not be back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_attempt_through_another_node_does_not_bring_back_what_was_deleted_since() {
    let cluster = Cluster::start(3).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let other = cluster.ids().find(|id| ![leader, follower].contains(id)).expect("there are three");
    let mut turns = open(cluster.node(follower)).await;
    for (seed, bytes) in (1..).zip(BYTES) {
        let block = block(seed, bytes);
        let (sequence, turn) = begin(&mut turns);
        let first = cluster.node(leader).put_in(turn, block.clone()).await.expect("attempt 2");
        assert_eq!(first.outcome, Outcome::Created);
        let deleted = cluster.node(other).delete(*block.multihash()).await.expect("delete");
        assert_eq!(deleted.outcome, Outcome::Deleted);
        for id in cluster.ids() {
            assert_eq!(cluster.node(id).put_in(turn, block.clone()).await, Ok(first), "attempt 1, through {id}");
            is_absent_everywhere(&cluster, &block).await;
        }
        // It lands even later: after its client has gone on.
        turns.end(sequence);
        let (sequence, next) = begin(&mut turns);
        let again = cluster.node(follower).delete_in(next, *block.multihash()).await.expect("delete");
        assert_eq!(again.outcome, Outcome::Absent);
        turns.end(sequence);
        let late = cluster.node(other).put_in(turn, block.clone()).await;
        assert!(matches!(late, Err(WriteError::Unknown { .. })), "{late:?}");
        is_absent_everywhere(&cluster, &block).await;
    }
    cluster.stop().await;
}

/// The same, without a session: that is what sessions are for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_session_a_late_attempt_brings_it_back() {
    let cluster = Cluster::start(1).await;
    let node = cluster.node(cluster.leader().await);
    let block = block(1, 600);
    node.put(block.clone()).await.expect("attempt 2");
    node.delete(*block.multihash()).await.expect("delete");
    assert_eq!(node.put(block).await.map(|written| written.outcome), Ok(Outcome::Created));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_carried_out_is_known_to_the_next_leader_and_after_a_restart_of_all() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let mut turns = open(cluster.node(leader)).await;
    let mut done: Vec<(Turn, Block, Written)> = Vec::new();
    for (seed, bytes) in (1..).zip(BYTES) {
        let (block, (_, turn)) = (block(seed, bytes), begin(&mut turns));
        let written = cluster.node(leader).put_in(turn, block.clone()).await.expect("put");
        cluster.node(leader).delete(*block.multihash()).await.expect("delete");
        done.push((turn, block, written));
    }
    cluster.crash(leader).await;
    for (turn, block, written) in &done {
        let survivor = cluster.node(cluster.follower().await);
        assert_eq!(survivor.put_in(*turn, block.clone()).await, Ok(*written));
    }
    cluster.restart(leader).await;
    for id in cluster.ids() {
        cluster.crash(id).await;
    }
    for id in cluster.ids() {
        cluster.restart(id).await;
    }
    cluster.leader().await;
    for (turn, block, written) in &done {
        for node in cluster.running() {
            assert_eq!(node.put_in(*turn, block.clone()).await, Ok(*written));
        }
        is_absent_everywhere(&cluster, block).await;
    }
    cluster.stop().await;
}

/// Logs of a few entries.
fn forgetful(config: &mut NodeConfig) {
    calm(config);
    config.driver.replica.compaction =
        CompactionPolicy { entries_max: 20, entries_kept: 10, ..CompactionPolicy::default() };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_got_a_snapshot_knows_what_was_carried_out_before() {
    let mut cluster = Cluster::start_tuned(3, forgetful).await;
    let late = cluster.follower().await;
    cluster.crash(late).await;
    let leader = cluster.node(cluster.leader().await);
    let mut turns = open(leader).await;
    let (block, (_, turn)) = (block(1, 600), begin(&mut turns));
    let written = leader.put_in(turn, block.clone()).await.expect("put");
    leader.delete(*block.multihash()).await.expect("delete");
    // What comes after it, in no session, pushes it out of the logs.
    for seed in 100..200 {
        leader.put(self::block(seed, 600)).await.expect("put");
    }
    let applied = leader.status().last_applied().index;
    eventually("the others compact what the member lacks", PATIENCE, || {
        let anchor = |node: &Node| node.status().driver.core.anchor.index;
        cluster.running().all(|node| applied.0 / 2 < anchor(node).0).then_some(())
    })
    .await;
    cluster.restart(late).await;
    cluster.level().await;
    let imported = || (0 < cluster.node(late).status().exchange.imported_names).then_some(());
    eventually("the member tells that names came by a snapshot", PATIENCE, imported).await;
    // From now on its own table decides.
    lead(&cluster, late).await;
    assert_eq!(cluster.node(late).put_in(turn, block.clone()).await, Ok(written));
    is_absent_everywhere(&cluster, &block).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_session_is_refused_by_name_and_never_treated_as_new() {
    let cluster = Cluster::start(1).await;
    let node = cluster.node(cluster.leader().await);
    let mut turns = open(node).await;
    let (block, (_, turn)) = (block(1, 600), begin(&mut turns));
    node.put_in(turn, block.clone()).await.expect("put");
    node.delete(*block.multihash()).await.expect("delete");
    let opened = join_all((0..blockraft_catalog::sessions::SESSIONS_MAX).map(|_| node.open_session())).await;
    assert!(opened.iter().all(Result::is_ok));
    assert_eq!(node.put_in(turn, block.clone()).await, Err(WriteError::SessionExpired));
    is_absent_everywhere(&cluster, &block).await;
    let (_, next) = begin(&mut turns);
    assert_eq!(node.put_in(next, block.clone()).await, Err(WriteError::SessionExpired));
    is_absent_everywhere(&cluster, &block).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_of_a_block_that_is_there_carries_no_bytes() {
    let cluster = Cluster::start(3).await;
    let node = cluster.node(cluster.follower().await);
    let mut turns = open(node).await;
    for (seed, bytes) in [(1, 4_000), (2, 300_000)] {
        let block = block(seed, bytes);
        let (sequence, turn) = begin(&mut turns);
        let first = node.put_in(turn, block.clone()).await.expect("put");
        turns.end(sequence);
        let written = || cluster.ids().map(|id| cluster.member(id).store.written()).sum::<usize>();
        let all = seed as usize * 3;
        eventually("every member has stored it", PATIENCE, || (all <= written()).then_some(())).await;
        // The bytes of the log once it has reached this entry, which the status tells a little later.
        let logged = async |written: &Written| {
            let reached = || Some(node.status().driver).filter(|log| written.position.index <= log.last().index);
            eventually("the log has the entry", PATIENCE, reached).await.log_bytes
        };
        let before = (logged(&first).await, written());
        let (sequence, turn) = begin(&mut turns);
        let again = node.put_in(turn, block.clone()).await.expect("put");
        turns.end(sequence);
        assert_eq!(again.outcome, Outcome::AlreadyPresent);
        let grown = logged(&again).await - before.0;
        assert!(grown < 300, "{bytes} bytes made the log grow by {grown}");
        assert_eq!(written(), before.1, "nobody stored anything");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_of_a_session_ends_unknown_when_the_leader_dies_under_it() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let through = cluster.node(follower).clone();
    let mut turns = open(&through).await;
    let writes = FuturesUnordered::new();
    for seed in 0..120 {
        let (_, turn) = begin(&mut turns);
        let (node, block) = (through.clone(), block(seed, BYTES[seed as usize % 2]));
        writes.push(async move { (turn, block.clone(), node.put_in(turn, block).await) });
    }
    let mut writes = writes;
    let (_, some) = writes.next().await.map(|(turn, _, written)| (turn, written)).expect("there are 120");
    some.expect("the leader lives yet");
    let (ended, ()) = join(writes.collect::<Vec<_>>(), cluster.crash(leader)).await;
    for (turn, block, written) in ended {
        let written = written.expect("two of three know what became of it");
        assert_eq!(written.outcome, Outcome::Created, "it was carried out once");
        assert_eq!(through.put_in(turn, block).await, Ok(written));
    }
    cluster.stop().await;
}

type Writing<'a> = BoxFuture<'a, Result<Written, WriteError>>;

/// Goes on with a session's write at a leader that is cut off, until one that began no earlier is called unknown there.
async fn until_unknown<'a>(node: &Node, turn: Turn, writing: Writing<'a>) -> Writing<'a> {
    let first = select(writing, node.put_in(turn, block(9, 600)).boxed()).await;
    let Either::Right((surfaced, writing)) = first else { unreachable!("a session waits for what is unknown") };
    assert!(matches!(surfaced, Err(WriteError::Unknown { .. })), "{surfaced:?}");
    writing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_asks_until_it_is_known_what_became_of_a_write() {
    let cluster = Cluster::start_tuned(3, impatient).await;
    let leader = cluster.leader().await;
    let (node, block) = (cluster.node(leader), block(1, 600));
    let session = Session::open(node).await.expect("a healthy cluster opens sessions");
    let (_, turn) = begin(&mut open(node).await);
    cluster.isolate(leader);
    let putting = until_unknown(node, turn, session.put(block.clone()).boxed()).await;
    cluster.rejoin(leader);
    assert_eq!(putting.await.map(|written| written.outcome), Ok(Outcome::Created));
    assert_eq!(session.delete(*block.multihash()).await.map(|written| written.outcome), Ok(Outcome::Deleted));
    is_absent_everywhere(&cluster, &block).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_node_stops_calls_unknown_what_it_never_learnt() {
    let cluster = Cluster::start_tuned(3, impatient).await;
    let leader = cluster.leader().await;
    let node = cluster.node(leader);
    let session = Session::open(node).await.expect("a healthy cluster opens sessions");
    let (_, turn) = begin(&mut open(node).await);
    cluster.isolate(leader);
    let putting = until_unknown(node, turn, session.put(block(1, 600)).boxed()).await;
    let (ended, _) = join(putting, node.shutdown()).await;
    assert!(matches!(ended, Err(WriteError::Unknown { .. })), "{ended:?}");
    cluster.stop().await;
}
