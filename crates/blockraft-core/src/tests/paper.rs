//! A test for each claim of the Raft paper (extended version) and of the thesis, with the section that makes it.
//!
//! Figures 7 and 8 stand among the scripts. Safety under faults is the business of the simulation.

use std::collections::BTreeSet;
use std::vec::Vec;

use blockraft_types::message::{AppendEntries, AppendVerdict, Ballot, CampaignId, RequestVoteReply, VoteVerdict};
use blockraft_types::{EntryHead, EntryKind, LogIndex, Message, NodeId, Position, Role, Term};

use super::cluster::{incarnation, voters};
use super::solo::{OTHER, PEER, SELF, Solo, append, heartbeat, heartbeat_reply, request_vote};
use crate::{BodyHead, Config, Input, ProposalTicket, Raft};

const GRANTED: VoteVerdict = VoteVerdict::Granted;
const REFUSED: VoteVerdict = VoteVerdict::Refused;

/// A proposal of `count` small entries.
fn proposal(count: usize) -> Input {
    let body = BodyHead::of(b"a command").expect("small");
    Input::Propose { ticket: ProposalTicket(1), bodies: std::iter::repeat_n(body, count).collect() }
}

// Section 5.1: terms.

#[test]
fn s5_1_a_member_that_sees_a_higher_term_moves_to_it_and_follows() {
    for message in [heartbeat(7, 1, 0), request_vote(Ballot::Vote, 7, (0, 0))] {
        let mut leader = Solo::new(3, &[]);
        leader.lead();
        // A leader hears itself: only a campaign that it asked for, or a leader, makes it go at once.
        let is_vote = matches!(message, Message::RequestVote(_));
        leader.hear(PEER, message);
        if !is_vote {
            assert_eq!((leader.raft.role(), leader.raft.term()), (Role::Follower, Term(7)));
        }
    }
    let mut follower = Solo::new(3, &[]);
    follower.hear(PEER, request_vote(Ballot::Vote, 7, (0, 0)));
    assert_eq!((follower.raft.role(), follower.raft.term()), (Role::Follower, Term(7)));
}

#[test]
fn s5_1_requests_of_an_older_term_are_refused_with_the_present_one() {
    let mut member = Solo::new(5, &[]);
    member.append(PEER, 4, &[], &[4], 0);
    member.hear(PEER, request_vote(Ballot::Vote, 4, (9, 9)));
    assert!(member.said.iter().all(|(_, message)| message.term() == Term(5)));
    assert_eq!(member.terms(), [] as [u64; 0]);
    assert_eq!(member.take_vote_answers(), [(Term(5), REFUSED)]);
}

// Section 5.2: elections.

#[test]
fn s5_2_members_begin_as_followers_and_stay_so_while_they_hear_a_leader() {
    let mut member = Solo::new(0, &[]);
    for round in 1..50 {
        member.hear(PEER, heartbeat(1, round, 0));
        member.tick(14);
        assert_eq!((member.raft.role(), member.raft.leader()), (Role::Follower, Some(PEER)));
    }
}

#[test]
fn s5_2_a_follower_without_a_leader_campaigns_votes_for_itself_and_asks_the_others() {
    let mut member = Solo::new(4, &[1]);
    member.tick(30);
    let request = member.last_vote_request().expect("it asks");
    assert_eq!((request.ballot, request.term), (Ballot::PreVote, Term(5)));
    member.said.clear();
    member.hear(PEER, grant(request.term, Ballot::PreVote, request.campaign.0));
    let asked: Vec<NodeId> = member.said.iter().map(|(to, _)| *to).collect();
    assert_eq!(asked, [PEER, OTHER]);
    let request = member.last_vote_request().expect("it asks in earnest");
    assert_eq!((request.ballot, request.term), (Ballot::Vote, Term(5)));
    assert_eq!(request.last, Position { term: Term(1), index: LogIndex(1) });
    assert_eq!(member.log.hard_state.voted_for, Some(SELF));
}

fn grant(term: Term, ballot: Ballot, campaign: u64) -> Message {
    let campaign = CampaignId(campaign);
    let verdict = GRANTED;
    Message::RequestVoteReply(RequestVoteReply { term, ballot, campaign, verdict })
}

#[test]
fn s5_2_a_majority_of_votes_makes_a_leader_and_fewer_do_not() {
    for (size, needed) in [(1_u64, 0), (2, 1), (3, 1), (4, 2), (5, 2), (7, 3)] {
        let mut member = Solo::of(voters(1..=size), Config::default(), 0, &[]);
        member.tick(30);
        for ballot in [Ballot::PreVote, Ballot::Vote] {
            let Some(request) = member.last_vote_request() else { continue };
            assert_eq!(request.ballot, ballot);
            for peer in 2..2 + needed {
                assert_ne!(member.raft.role(), Role::Leader, "{size}: {peer}");
                member.hear(NodeId(peer), grant(request.term, ballot, request.campaign.0));
            }
        }
        assert_eq!(member.raft.role(), Role::Leader, "{needed} votes of others elect one of {size}");
    }
}

#[test]
fn s5_2_each_member_votes_for_at_most_one_candidate_in_a_term_first_come_first_served() {
    let mut member = Solo::new(0, &[]);
    member.hear(PEER, request_vote(Ballot::Vote, 1, (0, 0)));
    member.hear(OTHER, request_vote(Ballot::Vote, 1, (0, 0)));
    member.hear(PEER, request_vote(Ballot::Vote, 1, (0, 0)));
    assert_eq!(member.take_vote_answers(), [(Term(1), GRANTED), (Term(1), REFUSED), (Term(1), GRANTED)]);
}

#[test]
fn s5_2_a_candidate_that_hears_a_leader_of_its_term_follows_it() {
    let mut member = Solo::new(0, &[]);
    member.tick(30);
    let request = member.last_vote_request().expect("it asks");
    member.hear(PEER, grant(request.term, Ballot::PreVote, request.campaign.0));
    assert_eq!(member.raft.role(), Role::Candidate);
    member.hear(OTHER, heartbeat(1, 1, 0));
    assert_eq!((member.raft.role(), member.raft.leader(), member.raft.term()), (Role::Follower, Some(OTHER), Term(1)));
}

#[test]
fn s5_2_a_candidate_that_neither_wins_nor_loses_tries_again() {
    let mut member = Solo::new(0, &[]);
    member.tick(30);
    let first = member.last_vote_request().expect("it asks");
    member.said.clear();
    member.tick(30);
    let second = member.last_vote_request().expect("it asks again");
    assert!(first.campaign < second.campaign);
}

#[test]
fn s5_2_election_timeouts_are_random_within_their_range() {
    let mut timeouts = BTreeSet::new();
    for seed in 0..200 {
        let membership = voters([1, 2, 3]);
        let mut solo = Solo::of(membership.clone(), Config::default(), 0, &[]);
        solo.raft = Raft::new(Config::default(), seed, solo.log.restored(SELF, LogIndex::ZERO)).expect("sound");
        solo.hear(PEER, heartbeat(1, 1, 0));
        let ticks = (1..).find(|_| {
            solo.tick(1);
            solo.raft.role() == Role::PreCandidate
        });
        timeouts.extend(ticks);
    }
    assert_eq!(timeouts, (15..=30).collect());
}

#[test]
fn s5_2_a_leader_sends_heartbeats_to_keep_its_authority() {
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    leader.tick(5);
    let heartbeats = leader.said.iter().filter(|(_, message)| matches!(message, Message::Heartbeat(_)));
    assert_eq!(heartbeats.map(|(to, _)| *to).collect::<Vec<_>>(), [PEER, OTHER]);
}

// Section 5.3: log replication.

#[test]
fn s5_3_a_leader_appends_a_proposal_and_sends_it_to_everyone() {
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    leader.acknowledge(PEER, 1, 1);
    leader.acknowledge(OTHER, 1, 1);
    leader.said.clear();
    leader.step(proposal(1));
    assert_eq!(leader.terms(), [1, 1]);
    let appends = leader.said.iter().filter(|(_, message)| matches!(message, Message::AppendEntries(_)));
    assert_eq!(appends.map(|(to, _)| *to).collect::<Vec<_>>(), [PEER, OTHER]);
}

#[test]
fn s5_3_an_entry_is_committed_once_a_majority_holds_it_and_everything_before_it_too() {
    let mut leader = Solo::new(1, &[1, 1]);
    leader.lead();
    leader.step(proposal(1));
    assert_eq!(leader.raft.commit_index(), LogIndex(0));
    leader.acknowledge(PEER, 1, 3);
    assert_eq!(leader.raft.commit_index(), LogIndex(3));
    let ranges: Vec<_> = leader.committed.iter().map(|range| (range.first.0, range.last.index.0)).collect();
    assert_eq!(ranges, [(1, 3)]);
}

#[test]
fn s5_3_followers_learn_the_commit_index_from_appends() {
    let mut member = Solo::new(1, &[]);
    member.append(PEER, 1, &[], &[1, 1], 1);
    assert_eq!(member.raft.commit_index(), LogIndex(1));
    member.append(PEER, 1, &[1, 1], &[], 2);
    assert_eq!(member.raft.commit_index(), LogIndex(2));
}

#[test]
fn s5_3_an_append_is_refused_unless_the_entry_before_it_matches() {
    let mut member = Solo::new(3, &[1, 2, 2]);
    member.append(PEER, 3, &[1, 2, 2, 3], &[3], 0);
    member.append(PEER, 3, &[1, 3, 3], &[3], 0);
    let answers = member.take_append_answers();
    let AppendVerdict::Conflict { prev_index, hint } = answers[0] else { panic!("too short a log conflicts") };
    assert_eq!((prev_index, hint.term, hint.first_index), (LogIndex(4), None, LogIndex(4)));
    let AppendVerdict::Conflict { prev_index, hint } = answers[1] else { panic!("another term conflicts") };
    assert_eq!((prev_index, hint.term, hint.first_index), (LogIndex(3), Some(Term(2)), LogIndex(2)));
    assert_eq!(member.terms(), [1, 2, 2]);
}

#[test]
fn s5_3_conflicting_entries_and_all_after_them_are_replaced() {
    let mut member = Solo::new(3, &[1, 2, 2, 2]);
    member.append(PEER, 3, &[1], &[2, 3], 0);
    assert_eq!(member.terms(), [1, 2, 3]);
    assert_eq!(member.take_append_answers(), [AppendVerdict::Matched { match_index: LogIndex(3) }]);
}

#[test]
fn s5_3_a_leader_never_overwrites_its_own_log() {
    let mut leader = Solo::new(1, &[1, 1]);
    leader.lead();
    leader.hear(PEER, Message::AppendEntries(append(leader.log.anchor, 2, &[1], &[2, 2, 2], 0)));
    assert_eq!(leader.terms(), [1, 1, 2]);
    assert_eq!(leader.alarms.len(), 1, "two leaders of one term are an alarm");
}

#[test]
fn s5_3_a_refused_leader_skips_a_whole_term_with_each_probe() {
    let mut leader = Solo::new(9, &[1, 1, 1, 1, 5, 5, 5, 9, 9, 9]);
    leader.lead();
    let mut theirs = Solo::new(9, &[1, 1, 2, 2, 3, 3, 4, 4, 6, 6]);
    let mut probes = 0;
    leader.step(Input::Unreachable { peer: PEER });
    leader.hear(PEER, heartbeat_reply(10, 1, 10));
    let mut next = append_to(PEER, &leader.take_said());
    while let Some(message) = next.take() {
        probes += 1;
        theirs.hear(OTHER, Message::AppendEntries(message));
        for (_, reply) in theirs.take_said() {
            leader.hear(PEER, reply);
        }
        next = append_to(PEER, &leader.take_said());
    }
    assert_eq!(theirs.terms(), leader.terms());
    assert!(probes <= 6, "five terms differ, and it took {probes} appends");
}

fn append_to(to: NodeId, said: &[(NodeId, Message)]) -> Option<AppendEntries> {
    said.iter().rev().find_map(|(receiver, message)| match message {
        Message::AppendEntries(append) if *receiver == to => Some(append.clone()),
        _ => None,
    })
}

// Section 5.4: safety.

#[test]
fn s5_4_1_a_vote_goes_only_to_a_log_that_is_at_least_as_up_to_date() {
    for (last, verdict) in
        [((2, 3), GRANTED), ((2, 4), GRANTED), ((3, 1), GRANTED), ((2, 2), REFUSED), ((1, 9), REFUSED)]
    {
        for ballot in [Ballot::PreVote, Ballot::Vote] {
            let mut member = Solo::new(3, &[1, 2, 2]);
            member.hear(PEER, request_vote(ballot, 4, last));
            let answers = member.take_vote_answers();
            assert_eq!(answers[0].1, verdict, "{ballot:?} for a log that ends at {last:?}");
        }
    }
}

#[test]
fn s5_4_2_a_leader_never_commits_an_older_terms_entry_by_counting() {
    let mut leader = Solo::new(3, &[1, 2]);
    leader.lead();
    leader.acknowledge(PEER, 1, 2);
    leader.acknowledge(OTHER, 1, 2);
    assert_eq!(leader.raft.commit_index(), LogIndex(0), "all hold entry 2, which is of term 2");
    leader.acknowledge(PEER, 1, 3);
    assert_eq!(leader.raft.commit_index(), LogIndex(3), "an entry of term 4 takes it along");
}

// Section 5.5: crashes.

#[test]
fn s5_5_requests_that_come_twice_do_no_harm() {
    let mut member = Solo::new(1, &[]);
    for _ in 0..3 {
        member.append(PEER, 1, &[], &[1, 1], 0);
    }
    assert_eq!(member.terms(), [1, 1]);
    assert_eq!(member.take_append_answers(), [AppendVerdict::Matched { match_index: LogIndex(2) }; 3]);
}

#[test]
fn s5_5_term_vote_and_log_survive_a_restart() {
    let mut member = Solo::new(0, &[]);
    member.append(PEER, 1, &[], &[1], 0);
    member.tick(20);
    member.hear(OTHER, request_vote(Ballot::Vote, 2, (1, 1)));
    let mut member = member.restarted();
    assert_eq!((member.raft.term(), member.raft.status().last.index), (Term(2), LogIndex(1)));
    member.hear(PEER, request_vote(Ballot::Vote, 2, (1, 1)));
    assert_eq!(member.take_vote_answers(), [(Term(2), REFUSED)], "the vote of term 2 is given");
}

// Section 6: membership.

#[test]
fn s6_a_member_that_hears_a_leader_disregards_candidates() {
    let mut member = Solo::new(1, &[]);
    member.hear(PEER, heartbeat(1, 1, 0));
    member.said.clear();
    for ballot in [Ballot::PreVote, Ballot::Vote] {
        member.hear(OTHER, request_vote(ballot, 9, (9, 9)));
        assert_eq!(member.take_vote_answers(), [(Term(1), REFUSED)]);
        assert_eq!(member.raft.term(), Term(1));
    }
    member.tick(15);
    member.said.clear();
    member.hear(OTHER, request_vote(Ballot::Vote, 9, (9, 9)));
    assert_eq!(member.take_vote_answers(), [(Term(9), GRANTED)]);
}

#[test]
fn s6_a_joint_configuration_needs_both_majorities() {
    let mut membership = voters([1, 2, 3]);
    membership.outgoing = voters([1, 4, 5]).voters;
    let mut leader = Solo::of(membership, Config::default(), 0, &[]);
    leader.tick(30);
    for ballot in [Ballot::PreVote, Ballot::Vote] {
        let request = leader.last_vote_request().expect("it asks");
        leader.hear(PEER, grant(request.term, ballot, request.campaign.0));
        assert_ne!(leader.raft.role(), Role::Leader);
        leader.hear(NodeId(5), grant(request.term, ballot, request.campaign.0));
    }
    assert_eq!(leader.raft.role(), Role::Leader);
    leader.acknowledge(PEER, 1, 1);
    leader.acknowledge(OTHER, 1, 1);
    assert_eq!(leader.raft.commit_index(), LogIndex(0), "one half alone commits nothing");
    leader.acknowledge(NodeId(4), 1, 1);
    assert_eq!(leader.raft.commit_index(), LogIndex(1));
}

#[test]
fn s6_a_configuration_is_in_force_once_it_is_appended_and_gone_once_it_is_truncated() {
    let mut member = Solo::new(1, &[1]);
    let mut message = append(member.log.anchor, 1, &[1], &[1], 0);
    let before = message.prev_chain;
    let head = &message.heads[0];
    let kind = EntryKind::Membership(voters([2, 3, 4]).into());
    message.heads[0] = EntryHead::chained(before, head.position, kind, 0, head.body_digest);
    member.hear(PEER, Message::AppendEntries(message));
    assert_eq!(member.raft.status().membership, voters([2, 3, 4]));
    assert_eq!(member.raft.role(), Role::Learner, "it is not counted any more");
    member.append(OTHER, 2, &[1], &[2], 0);
    assert_eq!(member.raft.status().membership, voters([1, 2, 3]));
    assert_eq!(member.raft.role(), Role::Follower);
}

// Section 8: clients.

#[test]
fn s8_a_leader_begins_its_term_with_a_no_op() {
    let mut leader = Solo::new(3, &[1]);
    leader.lead();
    let first = leader.log.heads.last().expect("an entry");
    assert_eq!((first.position.term, &first.kind), (Term(4), &EntryKind::Blank));
}

#[test]
fn s8_a_leader_that_lost_its_majority_confirms_no_read() {
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    leader.acknowledge(PEER, 1, 1);
    leader.step(Input::Read { ticket: crate::ReadTicket(1) });
    leader.tick(29);
    assert_eq!(leader.raft.role(), Role::Leader);
    leader.tick(30);
    assert_ne!(leader.raft.role(), Role::Leader, "and it makes room (thesis 6.2)");
}

// Thesis 4.2.1, 9.6.

#[test]
fn t4_2_1_a_learner_votes_yet_never_campaigns_and_is_never_counted() {
    let mut membership = voters([2, 3, 4]);
    membership.learners.insert(SELF, incarnation(SELF));
    let mut learner = Solo::of(membership, Config::default(), 0, &[]);
    learner.tick(500);
    assert_eq!((learner.raft.role(), learner.raft.term()), (Role::Learner, Term(0)));
    learner.hear(PEER, request_vote(Ballot::Vote, 1, (0, 0)));
    assert_eq!(learner.take_vote_answers(), [(Term(1), GRANTED)], "the candidate may know more than it does");
    let mut membership = voters([1, 2, 3]);
    membership.learners.insert(NodeId(4), incarnation(NodeId(4)));
    let mut leader = Solo::of(membership, Config::default(), 0, &[]);
    leader.lead();
    leader.acknowledge(NodeId(4), 1, 1);
    assert_eq!(leader.raft.commit_index(), LogIndex(0));
}

/// "Would you vote for me in that term?" A member that is in it already and gave its vote to nobody would.
#[test]
fn t9_6_a_pre_vote_for_the_present_term_is_granted_while_the_vote_is_free() {
    let mut free = Solo::new(3, &[1]);
    free.hear(PEER, request_vote(Ballot::PreVote, 3, (1, 1)));
    assert_eq!(free.take_vote_answers(), [(Term(3), VoteVerdict::Granted)]);
    free.hear(OTHER, request_vote(Ballot::Vote, 3, (1, 1)));
    free.hear(PEER, request_vote(Ballot::PreVote, 3, (1, 1)));
    free.hear(OTHER, request_vote(Ballot::PreVote, 3, (1, 1)));
    let granted = |verdict| (Term(3), verdict);
    assert_eq!(
        free.take_vote_answers(),
        [VoteVerdict::Granted, VoteVerdict::Refused, VoteVerdict::Granted].map(granted)
    );
}

#[test]
fn t9_6_a_pre_vote_changes_neither_term_nor_vote() {
    let mut member = Solo::new(3, &[]);
    member.hear(PEER, request_vote(Ballot::PreVote, 4, (0, 0)));
    assert_eq!(member.take_vote_answers(), [(Term(4), GRANTED)]);
    assert_eq!((member.raft.term(), member.log.hard_state.voted_for), (Term(3), None));
    let mut cut_off = Solo::new(3, &[]);
    cut_off.tick(1000);
    assert_eq!(cut_off.raft.term(), Term(3), "who can't win doesn't inflate terms");
}
