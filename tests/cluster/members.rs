//! Members come and go while clients write, and nothing that was acknowledged is lost.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;

use blockraft_blocks::{Block, HashCode};
use blockraft_core::{Config, Options};
use blockraft_driver::config::CompactionPolicy;
use blockraft_node::{Consistency, MembersError, MembersOutcome, Node, NodeConfig, Standing, StartError};
use blockraft_tests::tuning::calm;
use blockraft_tests::{Cluster, PATIENCE, eventually};
use blockraft_transport::{Incoming, Peer, Transport};
use blockraft_types::message::{Ballot, CampaignId, CampaignReason, RequestVote};
use blockraft_types::{
    BootNonce, ChangeRefusal, GroupId, Incarnation, LogIndex, Membership, MembershipChange, Message, NodeId, Position,
    Term,
};
use blockraft_wire::raft::{self, RaftMessage};
use futures::FutureExt;

fn block(seed: u32) -> Block {
    Block::hash(HashCode::Blake3, seed.to_le_bytes().repeat(2_000))
}

/// The committed configuration that a node knows of, once it isn't joint.
fn settled(node: &Node) -> Option<Membership> {
    let in_force = node.memberships().borrow().clone();
    (in_force.standing == Standing::Committed && !in_force.membership.is_joint()).then_some(in_force.membership)
}

fn voters(membership: &Membership) -> Vec<u64> {
    membership.voters.keys().map(|node| node.0).collect()
}

/// Waits until all of `nodes` know of these voters, for good.
async fn agree(cluster: &Cluster, nodes: &[u64], expected: &[u64]) {
    for id in nodes {
        let node = cluster.node(NodeId(*id));
        eventually("the members are as asked", PATIENCE, || {
            settled(node).filter(|membership| voters(membership) == expected).map(drop)
        })
        .await;
    }
}

/// Puts blocks through `nodes` in turn until told to stop, and gives how many were acknowledged. A put that fails is tried
/// again through the next one.
async fn write(nodes: Vec<Node>, stop: Arc<AtomicBool>) -> u32 {
    let mut through = nodes.iter().cycle();
    let mut seed = 0;
    while !stop.load(Ordering::Relaxed) {
        let node = through.next().expect("there is a node");
        if node.put(block(seed)).await.is_ok() {
            seed += 1;
        }
    }
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_two_nodes_come_the_leader_goes_and_a_dead_node_is_replaced_by_one_request() {
    let mut cluster = Cluster::start(3).await;
    let keeps: Vec<Node> = [2, 3].map(|id| cluster.node(NodeId(id)).clone()).into();
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write(keeps, Arc::clone(&stop)));

    for _ in 0..2 {
        let id = cluster.join().await;
        let newcomer = cluster.newcomer(id);
        let asked = cluster.node(NodeId(2));
        assert_eq!(asked.add_member(newcomer.clone()).await, Ok(MembersOutcome::Changed));
        assert_eq!(asked.promote_member(id).await, Ok(MembersOutcome::Changed));
        assert_eq!(asked.add_member(newcomer).await, Ok(MembersOutcome::AlreadySo));
        assert_eq!(cluster.node(NodeId(3)).promote_member(id).await, Ok(MembersOutcome::AlreadySo));
    }
    agree(&cluster, &[1, 2, 3, 4, 5], &[1, 2, 3, 4, 5]).await;

    // Node 1 leads when it is removed.
    eventually("node 1 leads", PATIENCE, || {
        let leader = cluster.node(NodeId(2)).current_leader()?;
        cluster.node(leader).transfer_leadership(NodeId(1));
        cluster.node(NodeId(1)).is_leader().then_some(())
    })
    .await;
    assert_eq!(cluster.node(NodeId(4)).remove_member(NodeId(1)).await, Ok(MembersOutcome::Changed));
    agree(&cluster, &[1, 2, 3, 4, 5], &[2, 3, 4, 5]).await;
    assert!(!cluster.node(NodeId(1)).is_leader(), "who was removed leads nobody");

    // Node 5 dies, node 6 takes its place.
    cluster.crash(NodeId(5)).await;
    let id = cluster.join().await;
    let asked = cluster.node(NodeId(3));
    asked.add_member(cluster.newcomer(id)).await.expect("a majority lives");
    assert_eq!(asked.replace_member(NodeId(5), id).await, Ok(MembersOutcome::Changed));
    agree(&cluster, &[2, 3, 4, 6], &[2, 3, 4, 6]).await;

    stop.store(true, Ordering::Relaxed);
    let acknowledged = writing.await.expect("the writer ends");
    assert!(0 < acknowledged, "there was load");
    // What was acknowledged is on the newcomers, which are enough to serve it: nodes 2 and 3 were there from the start.
    for seed in 0..acknowledged {
        for id in [4, 6] {
            let read = cluster.node(NodeId(id)).get(*block(seed).multihash(), Consistency::Linearizable).await;
            assert_eq!(read.expect("get").value, Some(block(seed)), "block {seed} through node {id}");
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_outlive_power_cuts_and_the_compaction_of_their_entries() {
    fn compacting(config: &mut NodeConfig) {
        calm(config);
        config.driver.replica.compaction = CompactionPolicy {
            entries_max: 4,
            bytes_max: 1_000,
            entries_kept: 2,
            bytes_kept: 500,
            ..CompactionPolicy::default()
        };
    }
    let mut cluster = Cluster::start_tuned(3, compacting).await;
    let id = cluster.join().await;
    let asked = cluster.node(NodeId(1));
    asked.add_member(cluster.newcomer(id)).await.expect("all are there");
    asked.replace_member(NodeId(3), id).await.expect("all are there");
    agree(&cluster, &[1, 2, 4], &[1, 2, 4]).await;
    let changed = cluster.node(NodeId(1)).memberships().borrow().index;
    cluster.crash(NodeId(3)).await;
    for seed in 0..30 {
        cluster.node(NodeId(1)).put(block(seed)).await.expect("put");
    }
    for id in [1, 2, 4] {
        let node = cluster.node(NodeId(id));
        eventually("the change is compacted", PATIENCE, || {
            (changed < node.status().driver.core.anchor.index).then_some(())
        })
        .await;
    }
    for id in [1, 2, 4] {
        cluster.crash(NodeId(id)).await;
    }
    for id in [1, 2, 4] {
        cluster.restart(NodeId(id)).await;
    }
    agree(&cluster, &[1, 2, 4], &[1, 2, 4]).await;
    cluster.node(NodeId(4)).put(block(99)).await.expect("two of three new members are a quorum");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_node_learns_of_it_and_never_starts_again_under_its_id() {
    let mut cluster = Cluster::start(3).await;
    let gone = cluster.follower().await;
    let asked = cluster.leader().await;
    cluster.node(asked).remove_member(gone).await.expect("all are there");
    let node = cluster.node(gone);
    eventually("it knows", PATIENCE, || settled(node).filter(|membership| membership.is_removed(gone)).map(drop)).await;
    node.shutdown().await;
    cluster.crash(gone).await;
    let refused = cluster.try_restart(gone).await;
    assert!(matches!(refused, Err(StartError::Removed { node, .. }) if node == gone), "{refused:?}");
    let again = cluster.newcomer(gone);
    let refusal = ChangeRefusal::IdUsed { node: gone, next: NodeId(4) };
    assert_eq!(cluster.node(asked).add_member(again).await, Err(MembersError::Refused(refusal)));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_node_is_refused_under_its_old_id_and_has_no_vote() {
    let mut cluster = Cluster::start(3).await;
    let wiped = cluster.follower().await;
    cluster.crash(wiped).await;
    cluster.wipe(wiped);
    let refused = cluster.try_restart(wiped).await;
    assert!(matches!(refused, Err(StartError::OtherIncarnation { node }) if node == wiped), "{refused:?}");

    // A process that doesn't look at itself: the others hear from which directory it speaks.
    cluster.rejoin(wiped);
    let peer = Peer { node: wiped, incarnation: Incarnation::from_bytes([0xff; 16]), boot: BootNonce(7) };
    let endpoint = cluster.network().endpoint(peer);
    let asked = cluster.leader().await;
    endpoint.set_peer(asked, Some(cluster.network().address()));
    let term = cluster.node(asked).current_term();
    let request = RequestVote {
        term: Term(term.0 + 5),
        ballot: Ballot::Vote,
        campaign: CampaignId(1),
        reason: CampaignReason::Transfer,
        last: Position { term: Term(term.0 + 4), index: LogIndex(1_000) },
    };
    let message = RaftMessage { group: GroupId(0), message: Message::RequestVote(request), bodies: Vec::new() };
    let frame = raft::encode(&[message]).expect("a small frame");
    eventually("they are connected", PATIENCE, || endpoint.send(asked, frame.clone()).ok()).await;
    // Frames are taken in order: when these blocks are there, the request was looked at.
    for seed in 0..20 {
        cluster.node(asked).put(block(seed)).await.expect("put");
    }
    while let Some(Some(incoming)) = endpoint.receive().now_or_never() {
        let Incoming::Message { frame, .. } = incoming else { continue };
        let Ok(messages) = raft::decode(frame) else { continue };
        let votes = messages.iter().any(|message| matches!(message.message, Message::RequestVoteReply(_)));
        assert!(!votes, "somebody answered a stranger's campaign");
    }
    assert_eq!(cluster.node(asked).current_term(), term, "nobody listened");
    endpoint.close().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_without_a_quorum_are_not_yet_and_change_nothing() {
    let mut cluster = Cluster::start_tuned(3, |config| {
        calm(config);
        config.limits.request_timeout = Duration::from_millis(800);
    })
    .await;
    let id = cluster.join().await;
    let newcomer = cluster.newcomer(id);
    for dead in [2, 3] {
        cluster.crash(NodeId(dead)).await;
    }
    let asked = cluster.node(NodeId(1)).add_member(newcomer).await;
    assert!(matches!(asked, Err(MembersError::NotYet { .. })), "{asked:?}");
    let refused = cluster.node(NodeId(1)).promote_member(NodeId(77)).await;
    assert!(matches!(refused, Err(MembersError::NotYet { .. } | MembersError::Refused(_))), "{refused:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_cannot_be_committed_is_given_up_when_asked_and_asking_again_is_safe() {
    // Nobody gives up by itself while this test looks.
    fn patient(config: &mut NodeConfig) {
        let options = Options {
            election_ticks_min: 300,
            election_ticks_max: 400,
            commit_stall_ticks: 1_000,
            ..Options::default()
        };
        config.driver.replica.core = Config::new(options).expect("heartbeats are more frequent than elections");
    }
    let mut cluster = Cluster::start_tuned(1, patient).await;
    let id = cluster.join().await;
    let node = cluster.node(NodeId(1));
    node.add_member(cluster.newcomer(id)).await.expect("a majority of one lives");
    eventually("the learner is level", PATIENCE, || {
        let core = node.status().driver.core;
        (core.progress.get(&id)?.match_index == core.last.index).then_some(())
    })
    .await;
    cluster.network().cut(id, NodeId(1));
    let is_joint = || node.memberships().borrow().membership.is_joint().then_some(());
    tokio::select! {
        promoted = node.promote_member(id) => panic!("who isn't heard is counted: {promoted:?}"),
        () = eventually("the change is under way", PATIENCE, is_joint) => {}
    }

    let given_up = node.change_members(MembershipChange::Revert).await;
    assert_eq!(given_up, Ok(MembersOutcome::Changed));
    let membership = settled(node).expect("no change is under way");
    assert_eq!((voters(&membership), membership.learners.len()), (vec![1], 1), "it stays a learner");
    assert_eq!(node.change_members(MembershipChange::Revert).await, Ok(MembersOutcome::AlreadySo));
    cluster.network().heal(id, NodeId(1));
    assert_eq!(node.promote_member(id).await, Ok(MembersOutcome::Changed), "it can be begun again");
    cluster.stop().await;
}
