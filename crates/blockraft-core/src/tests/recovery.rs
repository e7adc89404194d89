//! A member whose log lost its end: what it says, what it doesn't, and until when.

use blockraft_types::message::{Ballot, TimeoutNow, VoteVerdict};
use blockraft_types::{ChainDigest, LogIndex, LostTail, Membership, Message, NodeId, Position, Role, Term};

use super::cluster::{incarnation, voters};
use super::solo::{OTHER, PEER, SELF, Solo, append, request_vote};
use crate::{Config, Input, LogPoint, Raft, RestoreError, Snapshot};

/// Node 1 of three, which was in term 3 with five entries, after a start without the last three of them.
fn bereft() -> Solo {
    let mut member = Solo::new(3, &[1, 1, 2, 3, 3]);
    member.log.lose_after(LogIndex(2));
    let mut member = member.restarted();
    member.persist();
    member.step(Input::Tick);
    member
}

const LOST: LostTail = LostTail { term: Term(3), index: LogIndex(5) };

#[test]
fn it_leaves_the_term_of_the_loss_and_says_what_it_lost() {
    let member = bereft();
    assert_eq!(member.log.hard_state.term, Term(4), "durably");
    assert_eq!(member.raft.status().lost_tail, Some(LOST));
}

#[test]
fn it_gives_no_vote_and_no_pre_vote_however_good_the_candidate_is() {
    let mut member = bereft();
    for (ballot, term) in [(Ballot::PreVote, 5), (Ballot::Vote, 5), (Ballot::Vote, 9)] {
        member.hear(PEER, request_vote(ballot, term, (4, 99)));
        let answers = member.take_vote_answers();
        assert!(matches!(answers[..], [(_, VoteVerdict::Refused)]), "{answers:?}");
    }
    assert_eq!(member.log.hard_state.voted_for, None);
}

#[test]
fn it_campaigns_neither_by_itself_nor_when_it_is_told_to() {
    let mut member = bereft();
    member.tick(500);
    assert_eq!((member.raft.role(), member.last_vote_request()), (Role::Follower, None));
    member.append(PEER, 4, &[1, 1], &[2], 0);
    let last = member.log.last().position;
    member.hear(PEER, Message::TimeoutNow(TimeoutNow { term: Term(4), last }));
    assert_eq!((member.raft.role(), member.last_vote_request()), (Role::Follower, None));
}

#[test]
fn it_makes_its_leader_of_the_term_of_the_loss_go() {
    let mut member = bereft();
    member.append(PEER, 3, &[1, 1, 2, 3, 3], &[3], 5);
    assert!(member.take_said().iter().all(|(_, message)| message.term() == Term(4)));
    assert_eq!(member.terms(), [1, 1], "what that leader sends may rest on what was lost");
}

#[test]
fn its_vote_counts_again_with_a_durable_entry_of_a_later_term_and_not_before() {
    let mut member = bereft();
    member.append(PEER, 5, &[1, 1], &[2, 3, 3, 3], 6);
    assert_eq!(member.raft.commit_index(), LogIndex(6), "a commit index proves nothing");
    assert_eq!(member.raft.lost_tail(), Some(LOST));
    let append = append(member.log.anchor, 5, &[1, 1, 2, 3, 3, 3], &[5], 6);
    member.step_unpersisted(Input::Message { from: PEER, message: Message::AppendEntries(append) });
    assert_eq!(member.raft.lost_tail(), Some(LOST), "not durable yet");
    member.persist();
    assert_eq!(member.raft.lost_tail(), None);
    member.tick(500);
    assert!(member.last_vote_request().is_some());
}

#[test]
fn another_restart_changes_nothing() {
    let mut member = bereft();
    member.append(PEER, 6, &[1, 1], &[2, 3], 4);
    let mut member = member.restarted();
    assert_eq!(member.raft.lost_tail(), Some(LOST));
    assert_eq!(member.raft.term(), Term(6), "it has left the term of the loss already");
    member.hear(OTHER, request_vote(Ballot::Vote, 7, (6, 99)));
    assert!(matches!(member.take_vote_answers()[..], [(Term(7), VoteVerdict::Refused)]));
    member.append(PEER, 7, &[1, 1, 2, 3], &[7], 0);
    assert_eq!(member.raft.lost_tail(), None);
    assert_eq!(member.restarted().raft.lost_tail(), None);
}

#[test]
fn a_snapshot_of_a_later_term_makes_it_good_and_an_older_one_does_not() {
    let membership = voters([1, 2, 3]);
    let mut member = bereft();
    for (term, lost) in [(3, Some(LOST)), (5, None)] {
        let index = LogIndex(100 + term);
        let chain = ChainDigest::from_bytes([9; 16]);
        let point = LogPoint { position: Position { term: Term(term), index }, chain };
        let snapshot = Snapshot { point, membership: membership.clone(), membership_index: LogIndex::ZERO };
        member.step(Input::InstallSnapshot(snapshot));
        assert_eq!(member.raft.lost_tail(), lost);
    }
}

#[test]
fn where_the_others_are_no_quorum_it_refuses_to_start() {
    let starts = |membership: Membership| {
        let mut log = Solo::of(membership, Config::default(), 1, &[1, 1]).log;
        log.lose_after(LogIndex(1));
        Raft::new(Config::default(), 1, log.restored(SELF, LogIndex::ZERO)).map(drop)
    };
    let lost = LostTail { term: Term(1), index: LogIndex(2) };
    let refused = Err(RestoreError::Irrecoverable { id: SELF, lost });
    let joint =
        |outgoing: &[u64]| Membership { outgoing: voters(outgoing.iter().copied()).voters, ..voters([1, 2, 3]) };
    let learner = Membership { learners: [(SELF, incarnation(SELF))].into(), ..voters([2]) };
    assert_eq!(starts(voters([1])), refused);
    assert_eq!(starts(voters([1, 2])), refused);
    assert_eq!(starts(joint(&[1, 2])), refused, "one half of a joint configuration can't do without it");
    assert_eq!(starts(joint(&[1, 2, 4])), Ok(()));
    assert_eq!(starts(voters([1, 2, 3, 4])), Ok(()));
    assert_eq!(starts(learner), Ok(()));
}

/// A member that stays away from votes is no reason to refuse leadership to others.
#[test]
fn it_follows_as_anybody_does() {
    let mut member = bereft();
    member.append(PEER, 5, &[1, 1], &[2], 3);
    assert_eq!(member.raft.leader(), Some(NodeId(2)));
    assert_eq!(member.raft.commit_index(), LogIndex(3));
    assert!(member.alarms.is_empty());
}
