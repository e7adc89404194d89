//! Changing the members of a running group: claims of the Raft paper (section 6), of the thesis (chapter 4), and what
//! other Rafts got wrong.

use std::collections::BTreeSet;
use std::vec;
use std::vec::Vec;

use blockraft_types::message::{ReadRound, StreamEpoch};
use blockraft_types::{
    ChangeRefusal, EntryHead, EntryKind, Incarnation, LogIndex, Membership, MembershipChange, Message, NodeId,
    Position, Role, Term,
};

use super::cluster::{Cluster, incarnation, voters};
use super::solo::{OTHER, PEER, SELF, Solo, append, heartbeat, heartbeat_reply};
use crate::ready::{ChangeOutcome, ProposalRefusal, Standing};
use crate::{BodyHead, Config, Input, ProposalTicket};

const NEW: NodeId = NodeId(4);

fn add(node: NodeId) -> MembershipChange {
    MembershipChange::AddLearner { node, incarnation: incarnation(node), address: None }
}

fn reconfigure(promote: &[NodeId], remove: &[NodeId]) -> MembershipChange {
    let set = |nodes: &[NodeId]| nodes.iter().copied().collect::<BTreeSet<_>>();
    MembershipChange::Reconfigure { promote: set(promote), remove: set(remove) }
}

/// Node 1, which leads nodes 2 and 3 in term 1 and has committed its no-op.
fn leader() -> Solo {
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    leader.acknowledge(PEER, 1, 1);
    leader.acknowledge(OTHER, 1, 1);
    leader
}

/// The same with node 4 as a learner that holds everything.
fn leader_with_learner() -> Solo {
    let mut leader = leader();
    leader.change(add(NEW)).expect("nothing speaks against it");
    for peer in [PEER, OTHER, NEW] {
        leader.acknowledge(peer, 1, 2);
    }
    assert_eq!(leader.raft.commit_index(), LogIndex(2));
    leader
}

fn in_force(member: &Solo) -> Membership {
    member.raft.status().membership
}

fn ids(half: &std::collections::BTreeMap<NodeId, Incarnation>) -> Vec<u64> {
    half.keys().map(|node| node.0).collect()
}

#[test]
fn s6_voters_change_through_a_joint_configuration_which_is_left_by_itself() {
    let mut leader = leader_with_learner();
    let begun = leader.change(reconfigure(&[NEW], &[OTHER])).expect("node 4 has caught up");
    assert_eq!(begun, ChangeOutcome::Begun { position: Position { term: Term(1), index: LogIndex(3) } });
    let joint = in_force(&leader);
    assert_eq!((ids(&joint.outgoing), ids(&joint.voters)), (vec![1, 2, 3], vec![1, 2, 4]), "in force at once");
    leader.acknowledge(OTHER, 1, 3);
    assert_eq!(leader.raft.commit_index(), LogIndex(2), "the old majority alone commits nothing");
    leader.acknowledge(NEW, 1, 3);
    assert_eq!(leader.raft.commit_index(), LogIndex(3));
    let after = in_force(&leader);
    assert_eq!((ids(&after.outgoing), ids(&after.voters)), (vec![], vec![1, 2, 4]));
    assert_eq!(leader.raft.status().membership_index, LogIndex(4));
    leader.acknowledge(OTHER, 1, 4);
    assert_eq!(leader.raft.commit_index(), LogIndex(3), "who is removed is not counted");
    leader.acknowledge(PEER, 1, 4);
    assert_eq!(leader.raft.commit_index(), LogIndex(4));
    assert!(in_force(&leader).is_removed(OTHER));
}

#[test]
fn s6_a_later_leader_leaves_the_joint_configuration_that_it_finds() {
    let mut membership = voters([1, 2, 3]);
    membership.outgoing = voters([1, 2, 9]).voters;
    let mut leader = Solo::of(membership, Config::default(), 0, &[]);
    leader.lead();
    assert!(in_force(&leader).is_joint(), "not before an entry of its own term is committed");
    leader.acknowledge(PEER, 1, 1);
    assert_eq!((in_force(&leader).is_joint(), ids(&in_force(&leader).voters)), (false, vec![1, 2, 3]));
}

#[test]
fn s6_a_removed_leader_leads_until_the_change_is_committed_without_counting_itself_and_hands_over() {
    let mut leader = leader();
    leader.change(reconfigure(&[], &[SELF])).expect("it may go");
    leader.acknowledge(PEER, 1, 2);
    leader.acknowledge(OTHER, 1, 2);
    assert_eq!(leader.raft.status().membership_index, LogIndex(3), "the joint configuration is left");
    assert_eq!((leader.raft.role(), ids(&in_force(&leader).voters)), (Role::Leader, vec![2, 3]));
    leader.acknowledge(PEER, 1, 3);
    assert_eq!(leader.raft.commit_index(), LogIndex(2), "its own copy doesn't count any more");
    leader.said.clear();
    leader.acknowledge(OTHER, 1, 3);
    assert_eq!(leader.raft.commit_index(), LogIndex(3));
    assert_ne!(leader.raft.role(), Role::Leader);
    let asked = leader.said.iter().filter(|(_, message)| matches!(message, Message::TimeoutNow(_))).count();
    assert_eq!(asked, 1, "a successor is asked to campaign at once");
    leader.tick(500);
    assert_eq!(leader.raft.term(), Term(1), "who isn't a member never campaigns");
}

#[test]
fn t4_2_2_who_alone_has_the_configuration_that_removes_it_campaigns_to_commit_it() {
    let mut leader = leader();
    leader.change(reconfigure(&[], &[SELF])).expect("it may go");
    leader.acknowledge(PEER, 1, 2);
    leader.acknowledge(OTHER, 1, 2);
    assert!(!in_force(&leader).is_voter(SELF), "the leave is in its log alone, so nobody else can win");
    let mut member = leader.restarted();
    member.lead_with(&[PEER, OTHER]);
    assert_eq!(member.raft.role(), Role::Leader);
    for peer in [PEER, OTHER] {
        member.acknowledge(peer, 1, 4);
    }
    assert_eq!(member.raft.commit_index(), LogIndex(4));
    assert_ne!(member.raft.role(), Role::Leader, "it has done its duty");
}

#[test]
fn a_leader_that_is_being_removed_takes_no_proposal_that_its_successor_could_lack() {
    let mut leader = leader();
    leader.change(reconfigure(&[], &[SELF])).expect("it may go");
    leader.acknowledge(PEER, 1, 2);
    leader.acknowledge(OTHER, 1, 2);
    let bodies = vec![BodyHead::of(b"a command").expect("small")];
    leader.raft.step(Input::Propose { ticket: ProposalTicket(1), bodies });
    let refused = leader.raft.take_ready().refused;
    assert!(matches!(refused[..], [one] if matches!(one.reason, ProposalRefusal::Transferring { .. })), "{refused:?}");
}

#[test]
fn no_change_begins_before_the_leader_has_committed_an_entry_of_its_term() {
    // raft-dev, July 2015, "bug in single-server membership changes".
    let mut leader = Solo::new(1, &[1]);
    leader.lead();
    assert_eq!(leader.change(add(NEW)), Err(ChangeRefusal::TermNotSettled));
    leader.acknowledge(PEER, 1, 2);
    assert!(leader.change(add(NEW)).is_ok());
}

#[test]
fn there_is_one_change_at_a_time() {
    let mut leader = leader();
    leader.change(add(NEW)).expect("the first one");
    assert_eq!(leader.change(add(NodeId(5))), Err(ChangeRefusal::InProgress { index: LogIndex(2) }));
    leader.acknowledge(PEER, 1, 2);
    leader.change(reconfigure(&[], &[OTHER])).expect("the first one is over");
    assert_eq!(leader.change(add(NodeId(5))), Err(ChangeRefusal::InProgress { index: LogIndex(3) }));
    leader.acknowledge(PEER, 1, 3);
    let leaving = leader.change(add(NodeId(5)));
    assert_eq!(leaving, Err(ChangeRefusal::InProgress { index: LogIndex(4) }), "the joint one is left, uncommitted");
    leader.acknowledge(PEER, 1, 4);
    assert!(leader.change(add(NodeId(5))).is_ok());
}

#[test]
fn t4_2_1_a_learner_is_promoted_only_when_it_has_caught_up() {
    let mut leader = leader();
    leader.change(add(NEW)).expect("nothing speaks against it");
    leader.acknowledge(PEER, 1, 2);
    let (match_index, needed) = (LogIndex(0), LogIndex(1));
    let refusal = ChangeRefusal::NotCaughtUp { node: NEW, match_index, needed };
    assert_eq!(leader.change(reconfigure(&[NEW], &[])), Err(refusal));
    leader.acknowledge(NEW, 1, 2);
    assert!(leader.change(reconfigure(&[NEW], &[])).is_ok());
}

#[test]
fn what_is_so_already_is_answered_so_and_changes_nothing() {
    let mut leader = leader_with_learner();
    for change in [add(NEW), reconfigure(&[PEER], &[]), reconfigure(&[], &[])] {
        assert_eq!(leader.change(change), Ok(ChangeOutcome::AlreadySo));
    }
    leader.change(reconfigure(&[], &[NEW])).expect("a learner goes without a joint configuration");
    leader.acknowledge(PEER, 1, 3);
    assert_eq!(leader.raft.commit_index(), LogIndex(3));
    assert_eq!(leader.change(reconfigure(&[], &[NEW])), Ok(ChangeOutcome::AlreadySo));
    assert_eq!(leader.raft.last().index, LogIndex(3));
}

#[test]
fn ids_are_never_given_again() {
    let mut leader = leader_with_learner();
    let other =
        MembershipChange::AddLearner { node: NEW, incarnation: Incarnation::from_bytes([9; 16]), address: None };
    assert_eq!(leader.change(other), Err(ChangeRefusal::OtherIncarnation { node: NEW }));
    leader.change(reconfigure(&[], &[NEW])).expect("it may go");
    leader.acknowledge(PEER, 1, 3);
    let next = NodeId(5);
    assert_eq!(leader.change(add(NEW)), Err(ChangeRefusal::IdUsed { node: NEW, next }));
    assert!(leader.change(add(NodeId(7))).is_ok(), "a gap is allowed");
    leader.acknowledge(PEER, 1, 4);
    assert_eq!(leader.change(add(NodeId(6))), Err(ChangeRefusal::IdUsed { node: NodeId(6), next: NodeId(8) }));
}

#[test]
fn changes_that_make_no_sense_are_refused_by_name() {
    let mut leader = leader_with_learner();
    let refusals = [
        (reconfigure(&[], &[SELF, PEER, OTHER]), ChangeRefusal::NoVoters),
        (reconfigure(&[NodeId(9)], &[]), ChangeRefusal::NotAMember { node: NodeId(9) }),
        (reconfigure(&[], &[NodeId(9)]), ChangeRefusal::NotAMember { node: NodeId(9) }),
        (reconfigure(&[NEW], &[NEW]), ChangeRefusal::Contradiction { node: NEW }),
        (MembershipChange::Revert, ChangeRefusal::NothingToRevert),
    ];
    for (change, refusal) in refusals {
        assert_eq!(leader.change(change), Err(refusal));
    }
    let node = NodeId(5);
    let address = Some("a".repeat(262));
    let change = MembershipChange::AddLearner { node, incarnation: incarnation(node), address };
    assert_eq!(leader.change(change), Err(ChangeRefusal::AddressTooLong { node }));
    let mut follower = Solo::new(0, &[]);
    follower.hear(PEER, heartbeat(1, 1, 0));
    assert_eq!(follower.change(add(NEW)), Err(ChangeRefusal::NotLeader { leader: Some(PEER) }));
}

#[test]
fn a_change_that_its_new_voters_could_not_finish_is_not_begun() {
    let mut leader = leader_with_learner();
    // Nodes 2 and 3 go on answering, node 4 falls silent.
    for round in 1..8 {
        leader.tick(5);
        leader.hear(PEER, heartbeat_reply(1, round, 2));
        leader.hear(OTHER, heartbeat_reply(1, round, 2));
    }
    assert_eq!(leader.change(reconfigure(&[NEW], &[PEER, OTHER])), Err(ChangeRefusal::QuorumSilent));
}

/// A leader whose joint configuration can't be committed, since nodes 4 and 5 fell silent after it began.
fn stuck() -> Solo {
    let mut leader = leader_with_learner();
    leader.change(add(NodeId(5))).expect("one by one");
    for peer in [PEER, OTHER, NEW, NodeId(5)] {
        leader.acknowledge(peer, 1, 3);
    }
    leader.change(reconfigure(&[NEW, NodeId(5)], &[PEER, OTHER])).expect("all of them answer");
    for peer in [PEER, OTHER] {
        leader.acknowledge(peer, 1, 4);
    }
    leader
}

#[test]
fn a_stuck_change_is_given_up_by_the_leader_that_began_it() {
    let mut leader = stuck();
    for round in 1..8 {
        if !in_force(&leader).is_joint() {
            break;
        }
        leader.tick(5);
        leader.hear(PEER, heartbeat_reply(1, round, 4));
        leader.hear(OTHER, heartbeat_reply(1, round, 4));
    }
    let reverted = in_force(&leader);
    assert_eq!((leader.raft.role(), ids(&reverted.voters)), (Role::Leader, vec![1, 2, 3]));
    assert_eq!((ids(&reverted.outgoing), ids(&reverted.learners)), (vec![], vec![4, 5]));
    assert_eq!(leader.raft.status().membership_index, LogIndex(5));
    leader.acknowledge(PEER, 1, 5);
    assert_eq!(leader.raft.commit_index(), LogIndex(5), "the old majority commits both entries");
    assert_eq!(in_force(&leader), reverted, "and nothing leaves towards the new voters any more");
}

#[test]
fn an_operator_may_give_up_a_change_that_is_not_committed() {
    let mut leader = stuck();
    assert!(leader.change(MembershipChange::Revert).is_ok());
    assert_eq!(ids(&in_force(&leader).voters), [1, 2, 3]);
    assert_eq!(leader.change(MembershipChange::Revert), Err(ChangeRefusal::NothingToRevert));
}

#[test]
fn a_change_is_never_given_up_by_another_leader_nor_in_another_term() {
    // The joint entry may be committed, and the new voters on their own, for all that a later leader knows.
    let mut member = stuck().restarted();
    assert!(in_force(&member).is_joint());
    member.lead_with(&[PEER, NEW]);
    assert_eq!((member.raft.role(), member.raft.term()), (Role::Leader, Term(2)));
    assert_eq!(member.change(MembershipChange::Revert), Err(ChangeRefusal::NothingToRevert));
    for round in 1..8 {
        member.tick(5);
        member.hear(PEER, heartbeat_reply(2, round, 4));
        member.hear(OTHER, heartbeat_reply(2, round, 4));
    }
    assert_ne!(member.raft.role(), Role::Leader, "it makes room");
    assert!(in_force(&member).is_joint());
}

#[test]
fn a_configuration_is_told_when_it_is_appended_and_again_when_it_is_committed() {
    let mut leader = leader();
    leader.raft.step(Input::ChangeMembership { ticket: crate::ChangeTicket(1), change: add(NEW) });
    let told = leader.raft.take_ready().membership.expect("it is in force at once");
    assert_eq!((told.index, told.standing), (LogIndex(2), Standing::Appended));
    let mut member = Solo::new(1, &[1]);
    let mut message = append(member.log.anchor, 1, &[1], &[1], 2);
    let head = &message.heads[0];
    let kind = EntryKind::Membership(voters([2, 3, 4]).into());
    message.heads[0] = EntryHead::chained(message.prev_chain, head.position, kind, 0, head.body_digest);
    member.raft.step(Input::Message { from: PEER, message: Message::AppendEntries(message) });
    let told = member.raft.take_ready().membership.expect("it is in force at once");
    assert_eq!((told.index, told.standing), (LogIndex(2), Standing::Committed));
}

#[test]
fn a_removed_member_is_sent_to_until_it_knows_of_the_commit() {
    let mut leader = leader();
    leader.change(reconfigure(&[], &[OTHER])).expect("it may go");
    leader.acknowledge(PEER, 1, 2);
    leader.acknowledge(PEER, 1, 3);
    assert_eq!(leader.raft.commit_index(), LogIndex(3));
    assert!(!leader.raft.status().progress.contains_key(&OTHER), "it is no member");
    let heartbeats = |leader: &mut Solo| {
        leader.said.clear();
        leader.tick(5);
        let to_other = leader.said.iter().filter(|(to, _)| *to == OTHER);
        to_other
            .filter_map(|(_, message)| match message {
                Message::Heartbeat(heartbeat) => Some((heartbeat.round, heartbeat.commit)),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let before = heartbeats(&mut leader);
    assert_eq!(before.last().map(|(_, commit)| *commit), Some(LogIndex(1)), "it isn't known to hold more");
    leader.acknowledge(OTHER, 1, 3);
    let told = heartbeats(&mut leader);
    let (round, commit) = *told.last().expect("it is told");
    assert_eq!(commit, LogIndex(3));
    leader.hear(OTHER, heartbeat_reply(1, round.0, 3));
    leader.hear(PEER, heartbeat_reply(1, round.0, 3));
    assert_eq!(heartbeats(&mut leader), [], "it knows");
}

#[test]
fn a_removed_member_that_never_answers_is_given_up_after_a_while() {
    let mut leader = leader();
    leader.change(reconfigure(&[], &[OTHER])).expect("it may go");
    leader.acknowledge(PEER, 1, 2);
    leader.acknowledge(PEER, 1, 3);
    for round in 1..70 {
        leader.tick(5);
        leader.hear(PEER, heartbeat_reply(1, round, 3));
    }
    leader.said.clear();
    leader.tick(10);
    assert!(leader.said.iter().all(|(to, _)| *to != OTHER));
    assert_eq!(leader.raft.role(), Role::Leader);
}

#[test]
fn a_removed_member_learns_of_it_from_a_later_leader() {
    (0..20).for_each(|seed| the_leader_of_a_removal_dies(seed, Config::default()));
}

/// Node 4 sleeps while it is removed, and the leader that removed it dies as soon as that is committed.
pub(super) fn the_leader_of_a_removal_dies(seed: u64, config: Config) {
    let mut cluster = Cluster::new(voters([1, 2, 3, 4]), config, seed);
    let rest: Vec<NodeId> = [1, 2, 3].map(NodeId).into();
    run(&mut cluster, 100, &rest);
    let leader = cluster.leader().expect("three of four elect one");
    cluster.change(leader, reconfigure(&[], &[NEW]));
    run(&mut cluster, 20, &rest);
    assert!(cluster.configuration().1.is_removed(NEW), "three of four remove the fourth");
    cluster.crash(leader, 0);
    let heirs: Vec<NodeId> = cluster.ids().into_iter().filter(|node| *node != leader).collect();
    run(&mut cluster, 200, &heirs);
    assert!(cluster.leader().is_some_and(|heir| heir != leader && heir != NEW), "two of three elect one of them");
    let learned = cluster.raft(NEW).status();
    assert!(learned.membership.is_removed(NEW), "nobody told node 4 of its removal");
    assert!(learned.membership_index <= learned.commit_index, "nobody told node 4 that its removal is committed");
}

#[test]
fn a_leader_that_starts_anew_tells_whom_its_log_shows_to_be_removed_until_they_know() {
    let mut leader = leader();
    leader.change(reconfigure(&[], &[OTHER])).expect("it may go");
    leader.acknowledge(PEER, 1, 2);
    leader.acknowledge(PEER, 1, 3);
    let applied = leader.raft.commit_index();
    assert_eq!(applied, LogIndex(3));
    let mut heir = leader.restarted_at(applied);
    heir.lead();
    heir.acknowledge(PEER, 1, 4);
    heir.tick(5);
    let addressed = |heir: &Solo| heir.said.iter().any(|(to, _)| *to == OTHER);
    assert!(addressed(&heir));
    assert!(!heir.raft.status().progress.contains_key(&OTHER), "it is no member");
    heir.acknowledge(OTHER, 1, 4);
    heir.said.clear();
    heir.tick(5);
    let told = heir.said.iter().rev().find_map(|(to, message)| match message {
        Message::Heartbeat(beat) if *to == OTHER => Some((beat.round, beat.commit)),
        _ => None,
    });
    let (round, commit) = told.expect("it is told");
    assert!(LogIndex(3) <= commit, "so far it holds the log");
    heir.hear(OTHER, heartbeat_reply(2, round.0, 4));
    heir.hear(PEER, heartbeat_reply(2, round.0, 4));
    heir.said.clear();
    heir.tick(5);
    assert!(!addressed(&heir), "it knows");
}

#[test]
fn a_removed_member_that_missed_its_removal_disturbs_nobody() {
    // LogCabin #56, hashicorp #476, etcd #9333.
    let mut cluster = Cluster::new(voters([1, 2, 3, 4]), Config::default(), 3);
    let rest: Vec<NodeId> = [1, 2, 3].map(NodeId).into();
    run(&mut cluster, 60, &rest);
    let leader = cluster.leader().expect("three of four elect one");
    cluster.change(leader, reconfigure(&[], &[NEW]));
    run(&mut cluster, 20, &rest);
    assert_eq!(ids(&cluster.configuration().1.voters), [1, 2, 3]);
    let (term, commit) = (cluster.raft(leader).term(), cluster.committed());
    for _ in 0..50 {
        let leader = cluster.leader().expect("somebody leads");
        cluster.propose(leader, &[10]);
        let all = cluster.ids();
        run(&mut cluster, 20, &all);
    }
    assert_eq!((cluster.leader(), cluster.raft(leader).term()), (Some(leader), term), "nobody listened to node 4");
    assert!(commit.plus(50) <= cluster.committed());
}

/// Time passes, disks write, and messages between `awake` nodes arrive; the others stand still.
fn run(cluster: &mut Cluster, ticks: u32, awake: &[NodeId]) {
    for _ in 0..ticks {
        for &id in awake {
            cluster.tick(id);
            cluster.persist(id, usize::MAX);
        }
        for envelope in core::mem::take(&mut cluster.sent) {
            if awake.contains(&envelope.to) {
                cluster.deliver(envelope);
            }
        }
    }
}

#[test]
fn a_newcomer_takes_part_in_elections_only_once_it_is_a_voter() {
    let mut cluster = Cluster::new(voters([1, 2, 3]), Config::default(), 5);
    cluster.join(NEW, Config::default());
    let all = cluster.ids();
    run(&mut cluster, 60, &all);
    let leader = cluster.leader().expect("somebody leads");
    assert_eq!(cluster.raft(NEW).role(), Role::Learner);
    assert!(cluster.change(leader, add(NEW)).is_some_and(|answer| answer.is_ok()));
    run(&mut cluster, 60, &all);
    assert_eq!(cluster.raft(NEW).commit_index(), cluster.committed(), "it has the whole log");
    let dead = [1, 2, 3].map(NodeId).into_iter().find(|node| *node != leader).expect("two follow");
    cluster.crash(dead, 0);
    assert!(cluster.change(leader, reconfigure(&[NEW], &[dead])).is_some_and(|answer| answer.is_ok()));
    let alive: Vec<NodeId> = all.into_iter().filter(|node| *node != dead).collect();
    run(&mut cluster, 60, &alive);
    let (_, membership) = cluster.configuration();
    assert!(membership.is_removed(dead) && membership.is_voter(NEW) && !membership.is_joint());
    cluster.crash(leader, 0);
    let two: Vec<NodeId> = alive.into_iter().filter(|node| *node != leader).collect();
    run(&mut cluster, 200, &two);
    assert!(cluster.leader().is_some_and(|leader| two.contains(&leader)), "two of three new voters go on");
}

#[test]
fn a_newcomer_holds_nothing_of_what_all_were_known_to_hold() {
    let mut leader = leader();
    assert_eq!(leader.raft.status().held_by_all, LogIndex(1));
    leader.change(add(NEW)).expect("nothing speaks against it");
    assert_eq!(leader.raft.status().held_by_all, LogIndex(0));
    for peer in [PEER, OTHER, NEW] {
        leader.acknowledge(peer, 1, 2);
    }
    assert_eq!(leader.raft.status().held_by_all, LogIndex(2));
}

#[test]
fn a_configuration_survives_a_restart_committed_or_not() {
    let mut leader = leader_with_learner();
    leader.change(reconfigure(&[NEW], &[])).expect("node 4 has caught up");
    let joint = in_force(&leader);
    let member = leader.restarted();
    assert_eq!((in_force(&member), member.raft.status().membership_index), (joint, LogIndex(3)));
}

#[test]
fn the_stream_to_a_newcomer_begins_like_any_other() {
    let mut leader = leader();
    leader.said.clear();
    leader.change(add(NEW)).expect("nothing speaks against it");
    let first = leader.said.iter().find_map(|(to, message)| match message {
        Message::AppendEntries(append) if *to == NEW => Some((append.stream, append.heads.len())),
        _ => None,
    });
    assert_eq!(first.map(|(stream, _)| stream), Some(StreamEpoch(1)));
    assert!(leader.raft.status().progress.contains_key(&NEW));
    leader.said.clear();
    leader.tick(5);
    assert!(leader.said.iter().any(|(to, message)| *to == NEW && matches!(message, Message::Heartbeat(beat) if ReadRound(0) < beat.round)));
}
