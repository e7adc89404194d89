//! What callers of a running driver are promised.

use core::time::Duration;
use std::sync::Arc;

use blockraft_core::{Config, Options};
use blockraft_log::{FailingWrite, LogStore, MemoryDisk, MemoryLog, Reached};
use blockraft_types::{GroupId, LogIndex, Message, NodeId, Role, Term};
use bytes::Bytes;
use tokio::time::timeout;

use crate::config::{DriverConfig, ReplicaOptions};
use crate::driver::{Driver, DriverParts, StartError};
use crate::gate::OpenGate;
use crate::log_thread::LogThread;
use crate::outbox::{Dispatch, Outbox};
use crate::proposal::{NotProposed, ProposeError, Unknown};
use crate::read::ReadError;
use crate::stop::{StopReason, Stopped};
use crate::tests::cluster::{GROUP, birth, membership};
use crate::tests::trio::{Echo, POISON, Trio, within};

fn body(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// Elections of 0.6 s and more: a busy machine isn't taken for a dead leader.
fn patient() -> DriverConfig {
    let timing = Options { election_ticks_min: 60, election_ticks_max: 120, ..Options::default() };
    let replica = ReplicaOptions { core: Config::new(timing).unwrap(), ..ReplicaOptions::default() };
    DriverConfig { replica, unknown_after_ticks: u32::MAX, handover_ticks_max: 300, ..DriverConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_resolves_with_its_place_and_output_and_is_applied_by_all() {
    let trio = Trio::start(patient());
    let leader = trio.handle(trio.leader().await);
    let first = within(leader.propose(body("one"))).await.unwrap();
    let second = within(leader.propose(body("two"))).await.unwrap();
    assert_eq!((first.output, second.output), (body("one"), body("two")));
    assert!(first.position < second.position);
    for member in trio.members.values() {
        let applied = within(member.handle.wait_applied(second.position.index)).await.unwrap();
        assert!(second.position.index <= applied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_proposals_at_once_all_resolve_each_with_its_own_output() {
    let trio = Trio::start(patient());
    let leader = trio.handle(trio.leader().await);
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..2_000_u32 {
        let body = Bytes::copy_from_slice(&number.to_le_bytes());
        let proposal = leader.propose(body.clone());
        waiting.spawn(async move { assert_eq!(proposal.await.unwrap().output, body) });
    }
    within(async {
        while let Some(done) = waiting.join_next().await {
            done.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_refuses_proposals_and_reads_and_names_the_leader() {
    let trio = Trio::start(patient());
    let leader = trio.leader().await;
    let follower = trio.handle(trio.others(leader)[0]);
    within(follower.roles().wait_for(|status| status.leader == Some(leader))).await.unwrap();
    let refused = ProposeError::NotProposed { reason: NotProposed::NotLeader, leader: Some(leader) };
    assert_eq!(within(follower.propose(body("no"))).await, Err(refused));
    assert_eq!(within(follower.read_index()).await, Err(ReadError::NotLeader { leader: Some(leader) }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_index_covers_what_was_committed_before() {
    let trio = Trio::start(patient());
    let leader = trio.handle(trio.leader().await);
    for _ in 0..20 {
        let committed = within(leader.propose(body("x"))).await.unwrap();
        let (one, other) = tokio::join!(within(leader.read_index()), within(leader.read_index()));
        assert!(committed.position.index <= one.unwrap());
        assert!(committed.position.index <= other.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_quorum_confirms_no_read() {
    let trio = Trio::start(patient());
    let leader = trio.leader().await;
    within(trio.handle(leader).propose(body("x"))).await.unwrap();
    trio.isolate(leader);
    let read = within(trio.handle(leader).read_index()).await;
    assert!(matches!(read, Err(ReadError::NotLeader { .. })), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_leader_overwrote_was_not_proposed() {
    let trio = Trio::start(patient());
    let old = trio.leader().await;
    within(trio.handle(old).propose(body("shared"))).await.unwrap();
    trio.isolate(old);
    let lost = trio.handle(old).propose(body("lost"));
    let lost = tokio::spawn(lost);
    let new = trio.leader_among(trio.others(old)).await;
    within(trio.handle(new).propose(body("kept"))).await.unwrap();
    trio.rejoin(old);
    let outcome = within(lost).await.unwrap();
    assert!(
        matches!(
            outcome,
            Err(ProposeError::NotProposed { reason: NotProposed::Overwritten | NotProposed::NotLeader, .. })
        ),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fate_that_stays_open_is_unknown_after_the_bound() {
    let trio = Trio::start(DriverConfig { unknown_after_ticks: 5, ..patient() });
    let old = trio.leader().await;
    within(trio.handle(old).propose(body("shared"))).await.unwrap();
    trio.isolate(old);
    let outcome = within(trio.handle(old).propose(body("open"))).await;
    assert_eq!(outcome, Err(ProposeError::Unknown { reason: Unknown::LeadershipLost }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_fails_stops_its_driver_for_good_and_the_others_go_on() {
    let trio = Trio::start(patient());
    let old = trio.leader().await;
    let handle = trio.handle(old);
    within(handle.propose(body("shared"))).await.unwrap();
    let faults = &trio.members[&old].faults;
    faults.fail(FailingWrite { nth: faults.writes() + 1, reached: Reached::Nothing });
    let outcome = within(handle.propose(body("doomed"))).await;
    assert_eq!(outcome, Err(ProposeError::Unknown { reason: Unknown::Stopped }));
    assert!(matches!(within(handle.stopped()).await, StopReason::LogFailed { .. }));
    assert_eq!(within(handle.propose(body("late"))).await, Err(ProposeError::Stopped));
    assert_eq!(within(handle.read_index()).await, Err(ReadError::Stopped));
    assert_eq!(within(handle.wait_applied(LogIndex(1 << 40))).await, Err(Stopped));
    let new = trio.leader_among(trio.others(old)).await;
    within(trio.handle(new).propose(body("goes on"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_stalls_loses_its_place_and_its_proposal_is_decided_later() {
    let trio = Trio::start(patient());
    let old = trio.leader().await;
    within(trio.handle(old).propose(body("shared"))).await.unwrap();
    let stall = trio.members[&old].faults.stall();
    let stuck = tokio::spawn(trio.handle(old).propose(body("stuck")));
    let new = trio.leader_among(trio.others(old)).await;
    within(trio.handle(new).propose(body("goes on"))).await.unwrap();
    assert_ne!(trio.handle(old).status().core.role, Role::Leader);
    drop(stall);
    let decided = within(stuck).await.unwrap();
    let overwritten = matches!(decided, Err(ProposeError::NotProposed { reason: NotProposed::Overwritten, .. }));
    assert!(decided.is_ok() || overwritten, "{decided:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_queue_callers_wait_or_are_refused_and_a_dropped_call_gives_its_room_back() {
    let trio = Trio::start(DriverConfig { proposals_max: 2, ..patient() });
    let leader = trio.leader().await;
    let handle = trio.handle(leader);
    within(handle.propose(body("shared"))).await.unwrap();
    // Nobody can commit while two of three disks stand still.
    let stalls: Vec<_> = trio.others(leader).iter().map(|node| trio.members[node].faults.stall()).collect();
    let kept = handle.try_propose(body("kept")).unwrap();
    let dropped = handle.try_propose(body("dropped")).unwrap();
    let full = handle.try_propose(body("full")).err();
    assert!(matches!(full, Some(ProposeError::NotProposed { reason: NotProposed::Full, .. })), "{full:?}");
    drop(dropped);
    let mut waits = Box::pin(handle.propose(body("waits")));
    let polled = core::future::poll_fn(|context| core::task::Poll::Ready(waits.as_mut().poll(context).is_pending()));
    assert!(polled.await, "a proposal without room waits");
    drop(stalls);
    let leader = trio.leader().await;
    if leader == handle.node() {
        within(kept).await.unwrap();
        within(waits).await.unwrap();
    }
    let large = Bytes::from(vec![0; (64 << 20) + 1]);
    let refused = within(handle.propose(large)).await;
    assert!(
        matches!(refused, Err(ProposeError::NotProposed { reason: NotProposed::TooLarge { .. }, .. })),
        "{refused:?}"
    );
}

/// Until `to` leads, whether or not it was ready at the first request.
async fn hand_over(trio: &Trio, from: NodeId, to: NodeId) -> Term {
    let mut roles = trio.handle(to).roles();
    within(async {
        while roles.borrow_and_update().role != Role::Leader {
            trio.handle(from).transfer_leadership(to).unwrap();
            drop(timeout(Duration::from_millis(100), roles.changed()).await);
        }
    })
    .await;
    roles.borrow().term
}

/// The leader of term 1 is asked for something and has no room; leadership moves away and back; now there is room. Whoever
/// asked has been told of the new terms, and may have repeated it and undone it since.
#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_room_in_one_term_never_enters_the_log_in_another() {
    let trio = Trio::start(DriverConfig { proposals_max: 1, ..patient() });
    let leader = trio.leader().await;
    let (handle, other) = (trio.handle(leader), trio.others(leader)[0]);
    within(handle.propose(body("shared"))).await.unwrap();
    let term = handle.roles().borrow().term;
    let applying = trio.members[&leader].applying.lock().await;
    let takes_the_room = handle.try_propose(body("takes the room")).unwrap();
    let mut late = Box::pin(handle.propose_in(term, body("late")));
    let polled = core::future::poll_fn(|context| core::task::Poll::Ready(late.as_mut().poll(context).is_pending()));
    assert!(polled.await, "it waits for room");
    hand_over(&trio, leader, other).await;
    let term = hand_over(&trio, other, leader).await;
    drop(applying);
    within(takes_the_room).await.unwrap();
    let refused = ProposeError::NotProposed { reason: NotProposed::OtherTerm { term }, leader: Some(leader) };
    assert_eq!(within(late).await, Err(refused));
    within(handle.propose_in(term, body("in time"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_shuts_down_hands_over_first() {
    let trio = Trio::start(patient());
    let old = trio.leader().await;
    let handle = trio.handle(old);
    within(handle.propose(body("shared"))).await.unwrap();
    let term = handle.status().core.hard_state.term;
    assert!(matches!(within(handle.shutdown()).await, StopReason::Shutdown));
    assert_ne!(handle.roles().borrow().role, Role::Leader, "it saw its successor");
    let new = trio.leader_among(trio.others(old)).await;
    assert!(term < trio.handle(new).roles().borrow().term);
    within(trio.handle(new).propose(body("goes on"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_comes_back_from_its_disk_and_catches_up() {
    let mut trio = Trio::start(patient());
    let leader = trio.leader().await;
    let follower = trio.others(leader)[0];
    within(trio.handle(leader).propose(body("before"))).await.unwrap();
    within(trio.handle(follower).shutdown()).await;
    trio.members.remove(&follower);
    let committed = within(trio.handle(leader).propose(body("meanwhile"))).await.unwrap();
    trio.boot(follower);
    within(trio.handle(follower).wait_applied(committed.position.index)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_applied_stops_the_member_and_is_named() {
    let trio = Trio::start(patient());
    let leader = trio.handle(trio.leader().await);
    let before = within(leader.propose(body("fine"))).await.unwrap();
    let outcome = within(leader.propose(Bytes::from_static(POISON))).await;
    assert_eq!(outcome, Err(ProposeError::Unknown { reason: Unknown::Stopped }));
    let StopReason::ApplyFailed { source } = within(leader.stopped()).await else { panic!("the state machine failed") };
    assert_eq!(source.index, before.position.index.next());
}

/// Sends nothing: for members that are alone.
#[derive(Debug)]
struct NoOutbox;

impl Outbox for NoOutbox {
    fn send(&self, _: NodeId, _: GroupId, _: Message, _: Vec<Bytes>) -> Dispatch {
        Dispatch::Dropped
    }
}

pub(super) fn alone(group: GroupId, log: &LogThread) -> DriverParts<Echo, OpenGate> {
    let membership = membership(1);
    let state_machine = Echo::at(birth(&membership));
    DriverParts {
        node: NodeId(1),
        group,
        membership,
        membership_index: LogIndex::ZERO,
        log_sizes: Vec::new(),
        seed: 1,
        log: log.clone(),
        outbox: Arc::new(NoOutbox),
        state_machine,
        gate: OpenGate,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_handle_takes_the_driver_with_it_and_the_log_is_closed() {
    let disk = MemoryDisk::new();
    let log = LogThread::start(Box::new(disk_with(&disk, &[GROUP]))).unwrap();
    let handle = Driver::start(patient(), alone(GROUP, &log)).unwrap();
    within(handle.roles().wait_for(|status| status.role == Role::Leader)).await.unwrap();
    within(handle.propose(body("x"))).await.unwrap();
    let stopped = handle.stopped();
    drop(handle);
    assert!(matches!(within(stopped).await, StopReason::Shutdown));
    within(tokio::task::spawn_blocking(move || log.join())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_share_a_log_and_a_group_has_one_driver() {
    let disk = MemoryDisk::new();
    let log = LogThread::start(Box::new(disk_with(&disk, &[GroupId(1), GroupId(2)]))).unwrap();
    let members = [1, 2].map(|group| Driver::start(patient(), alone(GroupId(group), &log)).unwrap());
    for member in &members {
        within(member.roles().wait_for(|status| status.role == Role::Leader)).await.unwrap();
        within(member.propose(body("x"))).await.unwrap();
    }
    for group in [GroupId(1), GroupId(7)] {
        let refused = Driver::start(patient(), alone(group, &log)).err();
        assert!(matches!(refused, Some(StartError::NoLog { .. })), "{refused:?}");
    }
}

pub(super) fn disk_with(disk: &MemoryDisk, groups: &[GroupId]) -> MemoryLog {
    let mut store = disk.open();
    for &group in groups {
        store.create_group(group, birth(&membership(1))).unwrap();
    }
    store
}
