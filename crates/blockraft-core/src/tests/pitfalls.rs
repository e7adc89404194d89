//! Mistakes that other Raft systems made, each as a test. Those that need a cluster stand among the scripts and in the
//! simulation.

use std::vec::Vec;

use blockraft_types::message::{
    AppendEntries, AppendEntriesReply, AppendVerdict, Ballot, CampaignId, ConflictHint, HeartbeatReply,
    InstallSnapshot, InstallSnapshotReply, RequestVoteReply, StreamEpoch, TimeoutNow, VoteVerdict,
};
use blockraft_types::{BodyDigest, ChainDigest, Incarnation, LogIndex, Message, NodeId, Position, Role, Term};

use super::cluster::{incarnation, voters};
use super::solo::{OTHER, PEER, SELF, Solo, append, heartbeat, heartbeat_reply, request_vote};
use crate::ready::ProposalRefusal;
use crate::status::ProgressState;
use crate::{Alarm, BodyHead, Config, Input, LogPoint, Options, ProposalTicket, Raft, Snapshot};

fn matched(index: u64) -> AppendVerdict {
    AppendVerdict::Matched { match_index: LogIndex(index) }
}

#[test]
fn a_short_stale_append_drops_nothing_and_is_acknowledged_as_far_as_it_went() {
    // CCF #5991, #6001, #6016.
    let mut member = Solo::new(1, &[1, 1, 1, 1]);
    member.append(PEER, 1, &[1], &[1], 4);
    assert_eq!(member.terms(), [1, 1, 1, 1]);
    assert_eq!(member.take_append_answers(), [matched(2)]);
    assert_eq!(member.raft.commit_index(), LogIndex(2), "the append proved two entries");
}

#[test]
fn the_commit_index_is_clamped_to_what_the_append_proved() {
    // etcd #10166, #16220: the follower's third entry is not the leader's.
    let mut member = Solo::new(3, &[1, 1, 2]);
    member.append(PEER, 3, &[1], &[1], 3);
    assert_eq!(member.raft.commit_index(), LogIndex(2));
}

#[test]
fn what_is_compacted_matches() {
    // openraft #511, databend #7112: a purged entry taken for a conflict deleted committed data.
    let mut member = Solo::new(1, &[]);
    member.append(PEER, 1, &[], &[1, 1, 1, 1], 4);
    let last = member.log.last();
    member.step(Input::Applied { index: LogIndex(4) });
    assert_eq!(member.raft.status().compactable_through, LogIndex(4));
    member.step(Input::Compacted(last));
    assert_eq!(member.raft.status().anchor, last.position);
    member.said.clear();
    let genesis = member.log.anchor;
    member.hear(PEER, Message::AppendEntries(append(genesis, 1, &[1, 1], &[1, 1, 1], 4)));
    assert_eq!(member.take_append_answers(), [matched(5)]);
    assert_eq!(member.raft.status().last, Position { term: Term(1), index: LogIndex(5) });
    assert!(member.alarms.is_empty());
}

#[test]
fn a_committed_entry_is_never_truncated_and_says_so() {
    let mut member = Solo::new(1, &[]);
    member.append(PEER, 1, &[], &[1, 1], 2);
    member.said.clear();
    member.append(OTHER, 2, &[1], &[2], 0);
    assert_eq!(member.terms(), [1, 1]);
    assert_eq!(member.take_append_answers(), []);
    let expected = Alarm::CommittedConflict { from: OTHER, index: LogIndex(2), ours: Term(1), theirs: Term(2) };
    assert_eq!(member.alarms, [expected]);
}

#[test]
fn entries_at_one_position_with_two_digests_are_an_alarm_and_no_acknowledgement() {
    let mut member = Solo::new(1, &[1, 1]);
    let foreign = LogPoint { chain: ChainDigest::from_bytes([9; 16]), ..member.log.anchor };
    member.hear(PEER, Message::AppendEntries(append(foreign, 1, &[1], &[1, 1], 0)));
    assert_eq!(member.take_append_answers(), []);
    assert!(matches!(member.alarms[..], [Alarm::ChainMismatch { from: PEER, .. }]));
    assert_eq!(member.terms(), [1, 1]);
}

#[test]
fn an_append_that_no_leader_makes_is_dropped_with_an_alarm() {
    // LogCabin #160: non-contiguous packing.
    let genesis = Solo::new(3, &[]).log.anchor;
    let good = append(genesis, 3, &[], &[1, 2, 3], 0);
    let gap = |mut bad: AppendEntries| {
        bad.heads.remove(1);
        bad
    };
    let falling = append(genesis, 3, &[], &[2, 1], 0);
    let future = append(genesis, 3, &[], &[4], 0);
    let mut broken = good.clone();
    broken.heads[1].body_bytes += 1;
    for bad in [gap(good.clone()), falling, future, broken] {
        let mut member = Solo::new(3, &[]);
        member.hear(PEER, Message::AppendEntries(bad));
        assert_eq!(member.alarms, [Alarm::MalformedAppend { from: PEER }]);
        assert_eq!(member.take_append_answers(), []);
        assert!(member.terms().is_empty());
    }
}

#[test]
fn answers_to_another_stream_or_term_or_to_nothing_move_no_progress() {
    // openraft cecb5de8, fbbf37b1.
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    let progress = |leader: &Solo| leader.raft.status().progress[&PEER];
    let before = progress(&leader);
    leader.acknowledge(PEER, 2, 1);
    leader.acknowledge(PEER, 0, 1);
    leader.acknowledge(PEER, 1, 7);
    assert_eq!((progress(&leader).match_index, progress(&leader).next_index), (before.match_index, before.next_index));
    leader.acknowledge(PEER, 1, 1);
    assert_eq!(progress(&leader).match_index, LogIndex(1));
    assert_eq!(leader.raft.commit_index(), LogIndex(1));
}

#[test]
fn a_leader_does_not_count_its_own_copy_before_it_is_durable() {
    // etcd #14370.
    let mut leader = Solo::of(voters([1]), Config::default(), 0, &[]);
    leader.tick(30);
    assert_eq!((leader.raft.role(), leader.raft.commit_index()), (Role::Leader, LogIndex(1)));
    let body = BodyHead::of(b"a command").expect("small");
    leader.step_unpersisted(Input::Propose { ticket: ProposalTicket(1), bodies: [body].into() });
    assert_eq!(leader.raft.commit_index(), LogIndex(1));
    leader.persist();
    assert_eq!(leader.raft.commit_index(), LogIndex(2));
}

#[test]
fn a_single_member_is_no_leader_before_its_vote_is_durable() {
    let mut member = Solo::of(voters([1]), Config::default(), 0, &[]);
    for _ in 0..30 {
        member.step_unpersisted(Input::Tick);
    }
    assert_eq!(member.raft.role(), Role::Candidate);
    member.persist();
    assert_eq!(member.raft.role(), Role::Leader);
}

#[test]
fn what_is_committed_but_not_durable_here_is_not_applied_here() {
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    leader.acknowledge(PEER, 1, 1);
    leader.acknowledge(OTHER, 1, 1);
    leader.committed.clear();
    let body = BodyHead::of(b"a command").expect("small");
    leader.step_unpersisted(Input::Propose { ticket: ProposalTicket(1), bodies: [body].into() });
    for (peer, index) in [(PEER, 2), (OTHER, 2)] {
        let verdict = matched(index);
        let stream = StreamEpoch(1);
        let reply = AppendEntriesReply { term: leader.raft.term(), stream, verdict };
        leader.step_unpersisted(Input::Message { from: peer, message: Message::AppendEntriesReply(reply) });
    }
    assert_eq!(leader.raft.commit_index(), LogIndex(2), "two others hold it");
    assert!(leader.committed.is_empty(), "but this disk doesn't");
    leader.persist();
    assert_eq!(leader.committed.len(), 1);
}

#[test]
fn committing_begins_where_the_state_machine_stands() {
    // raft-rs: applied beyond commit after a restart.
    let solo = Solo::new(1, &[1, 1, 1]);
    let restored = solo.log.restored(SELF, LogIndex(2));
    let raft = Raft::new(Config::default(), 1, restored).expect("sound");
    assert_eq!(raft.commit_index(), LogIndex(2));
}

#[test]
fn a_follower_that_denies_what_it_acknowledged_is_fenced_and_the_leader_stays() {
    // openraft #898, dragonboat #354.
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    leader.acknowledge(PEER, 1, 1);
    leader.acknowledge(OTHER, 1, 1);
    leader.tick(5);
    leader.hear(PEER, heartbeat_reply(1, 1, 0));
    assert!(leader.alarms.is_empty(), "an answer from before the acknowledgement may come late");
    leader.hear(PEER, heartbeat_reply(1, 2, 0));
    let expected = Alarm::FollowerRegressed { peer: PEER, matched: LogIndex(1), reported: LogIndex(0) };
    assert_eq!(leader.alarms, [expected]);
    assert_eq!(leader.raft.status().progress[&PEER].state, ProgressState::Fenced);
    leader.acknowledge(PEER, 1, 1);
    assert_eq!(leader.raft.status().progress[&PEER].match_index, LogIndex(0), "it isn't counted");
    assert_eq!(leader.raft.role(), Role::Leader);
}

#[test]
fn a_vote_is_kept_when_a_candidate_follows_within_its_term() {
    // hazelcast #16643, eliben/raft #27.
    let mut member = Solo::new(0, &[]);
    member.hear(PEER, request_vote(Ballot::Vote, 1, (0, 0)));
    member.hear(OTHER, heartbeat(1, 1, 0));
    member.tick(15);
    member.said.clear();
    member.hear(NodeId(4), request_vote(Ballot::Vote, 1, (9, 9)));
    assert_eq!(member.take_vote_answers(), [(Term(1), VoteVerdict::Refused)]);
}

#[test]
fn a_refused_pre_vote_spreads_the_higher_term() {
    // hashicorp #605, openraft #1796.
    let mut member = Solo::new(7, &[]);
    member.hear(PEER, request_vote(Ballot::PreVote, 3, (9, 9)));
    assert_eq!(member.take_vote_answers(), [(Term(7), VoteVerdict::Refused)]);
    let mut candidate = Solo::new(2, &[]);
    candidate.tick(30);
    let campaign = candidate.last_vote_request().expect("it asks").campaign;
    let (term, ballot, verdict) = (Term(7), Ballot::PreVote, VoteVerdict::Refused);
    candidate.hear(PEER, Message::RequestVoteReply(RequestVoteReply { term, ballot, campaign, verdict }));
    assert_eq!((candidate.raft.role(), candidate.raft.term()), (Role::Follower, Term(7)));
}

#[test]
fn a_pre_vote_for_a_term_to_come_drops_no_vote_of_the_present_one() {
    let mut member = Solo::new(1, &[1]);
    // Both arrive before effects are taken. Nobody is in term 3 yet, so what waits in term 2 is of use still.
    member.raft.step(Input::Message { from: PEER, message: request_vote(Ballot::Vote, 2, (1, 1)) });
    member.hear(OTHER, request_vote(Ballot::PreVote, 3, (1, 1)));
    let granted = |term| (Term(term), VoteVerdict::Granted);
    assert_eq!(member.take_vote_answers(), [granted(2), granted(3)]);
}

#[test]
fn late_answers_to_a_campaign_that_is_over_do_not_count() {
    // openraft #1839.
    let mut member = Solo::new(0, &[]);
    member.tick(30);
    let old = member.last_vote_request().expect("it asks").campaign;
    member.tick(30);
    assert_eq!(member.raft.role(), Role::PreCandidate);
    let (term, verdict) = (Term(1), VoteVerdict::Granted);
    for campaign in [old, CampaignId(99)] {
        let reply = RequestVoteReply { term, ballot: Ballot::PreVote, campaign, verdict };
        member.hear(PEER, Message::RequestVoteReply(reply));
        assert_eq!(member.raft.role(), Role::PreCandidate);
    }
}

#[test]
fn a_member_of_no_configuration_never_campaigns() {
    // LogCabin #56, hashicorp #476.
    let mut stranger = Solo::of(voters([2, 3, 4]), Config::default(), 3, &[1]);
    stranger.tick(1000);
    assert_eq!((stranger.raft.term(), stranger.said.len()), (Term(3), 0));
}

#[test]
fn the_answer_of_a_stranger_does_not_end_a_term() {
    let vote_reply = Message::RequestVoteReply(RequestVoteReply {
        term: Term(50),
        ballot: Ballot::Vote,
        campaign: CampaignId(1),
        verdict: VoteVerdict::Refused,
    });
    for answer in [heartbeat_reply(50, 1, 0), vote_reply] {
        let mut leader = Solo::new(0, &[]);
        leader.lead();
        leader.hear(NodeId(9), answer.clone());
        assert_eq!((leader.raft.role(), leader.raft.term()), (Role::Leader, Term(1)));
        leader.hear(PEER, answer);
        assert_eq!((leader.raft.role(), leader.raft.term()), (Role::Follower, Term(50)));
    }
}

#[test]
fn leadership_is_declined_by_who_is_not_flushed_or_not_caught_up() {
    // openraft #1805.
    let timeout_now = |index| {
        let last = Position { term: Term(1), index: LogIndex(index) };
        Input::Message { from: PEER, message: Message::TimeoutNow(TimeoutNow { term: Term(1), last }) }
    };
    let appended = |member: &Solo| {
        let message = Message::AppendEntries(append(member.log.anchor, 1, &[], &[1, 1], 0));
        Input::Message { from: PEER, message }
    };
    let mut member = Solo::new(1, &[]);
    let input = appended(&member);
    member.step_unpersisted(input);
    member.step_unpersisted(timeout_now(2));
    assert_eq!(member.raft.role(), Role::Follower, "not flushed");
    member.persist();
    member.step(timeout_now(3));
    assert_eq!(member.raft.role(), Role::Follower, "not caught up");
    member.step(timeout_now(2));
    assert_eq!(member.raft.role(), Role::Candidate);
}

#[test]
fn a_leader_that_cannot_commit_makes_room_and_waits_for_its_tail_to_be_settled() {
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    let mut round = 1;
    while leader.raft.role() == Role::Leader {
        assert!(round < 1000, "it gives up some day");
        for peer in [PEER, OTHER] {
            leader.hear(peer, heartbeat_reply(1, round, 0));
        }
        leader.tick(5);
        round += 1;
    }
    assert!(leader.alarms.contains(&Alarm::CommitStalled { commit_index: LogIndex(0), last_index: LogIndex(1) }));
    leader.tick(200);
    assert_eq!(leader.raft.role(), Role::Follower, "it doesn't campaign");
    leader.append(PEER, 2, &[], &[2], 1);
    leader.tick(30);
    assert_eq!(leader.raft.role(), Role::PreCandidate, "its tail was replaced");
}

#[test]
fn when_nobody_leads_for_long_an_abstaining_member_campaigns_after_all() {
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    for round in 1..1000 {
        for peer in [PEER, OTHER] {
            leader.hear(peer, heartbeat_reply(1, round, 0));
        }
        leader.tick(5);
        if leader.raft.role() != Role::Leader {
            break;
        }
    }
    leader.tick(299);
    assert_eq!(leader.raft.role(), Role::Follower);
    leader.tick(31);
    assert_eq!(leader.raft.role(), Role::PreCandidate);
}

#[test]
fn proposals_beyond_the_uncommitted_bound_are_refused_and_one_always_fits() {
    let options = Options { uncommitted_bytes_max: 1000, uncommitted_entries_max: 10, ..Options::default() };
    let config = Config::new(options).expect("fits together");
    let refusals = |sizes: &[&[u32]]| {
        let mut leader = Solo::of(voters([1, 2, 3]), config, 0, &[]);
        leader.lead();
        leader.acknowledge(PEER, 1, 1);
        let mut refused = Vec::new();
        for (ticket, sizes) in (1..).zip(sizes) {
            let digest = BodyDigest::of(&[]);
            let bodies = sizes.iter().map(|&bytes| BodyHead { bytes, digest }).collect();
            leader.raft.step(Input::Propose { ticket: ProposalTicket(ticket), bodies });
            refused
                .extend(leader.raft.take_ready().refused.into_iter().map(|refused| (refused.ticket.0, refused.reason)));
        }
        refused
    };
    assert_eq!(refusals(&[&[1001]]), [], "one proposal always fits");
    assert_eq!(refusals(&[&[600], &[400], &[1], &[0]]), [(3, ProposalRefusal::Full)]);
    assert_eq!(refusals(&[&[0; 9], &[0], &[0]]), [(3, ProposalRefusal::Full)]);
    assert_eq!(refusals(&[&[]]), [(1, ProposalRefusal::Empty)]);
}

#[test]
fn the_window_of_a_follower_is_bounded_in_messages_and_in_bytes() {
    let options =
        Options { append_entries_max: 1, inflight_messages_max: 5, inflight_bytes_max: 1000, ..Options::default() };
    let config = Config::new(options).expect("fits together");
    for (size, expected) in [(10, 5), (300, 4), (5000, 1)] {
        let mut leader = Solo::of(voters([1, 2, 3]), config, 0, &[]);
        leader.lead();
        leader.acknowledge(PEER, 1, 1);
        let bodies = std::iter::repeat_n(BodyHead { bytes: size, digest: BodyDigest::of(&[]) }, 20);
        leader.step(Input::Propose { ticket: ProposalTicket(1), bodies: bodies.collect() });
        let progress = leader.raft.status().progress[&PEER];
        assert_eq!(progress.inflight_messages, expected, "entries of {size} bytes");
        leader.acknowledge(PEER, 1, 2);
        assert_eq!(
            leader.raft.status().progress[&PEER].inflight_messages,
            expected,
            "an acknowledgement frees its place"
        );
    }
}

#[test]
fn a_follower_that_needs_compacted_entries_is_offered_a_snapshot_with_every_heartbeat() {
    let mut solo = Solo::new(1, &[1, 1, 1]);
    let point = solo.log.last();
    solo.log.compact(point);
    solo.raft = Raft::new(Config::default(), 1, solo.log.restored(SELF, LogIndex(3))).expect("sound");
    solo.lead();
    let stream = StreamEpoch(1);
    let hint = ConflictHint { term: None, first_index: LogIndex(1), last: Position::ZERO };
    let verdict = AppendVerdict::Conflict { prev_index: LogIndex(3), hint };
    let reply = AppendEntriesReply { term: solo.raft.term(), stream, verdict };
    solo.hear(PEER, Message::AppendEntriesReply(reply));
    let offers = |solo: &Solo| {
        let offer = |(to, message): &(NodeId, Message)| match message {
            Message::InstallSnapshot(offer) if *to == PEER => Some(offer.least),
            _ => None,
        };
        solo.said.iter().filter_map(offer).collect::<Vec<_>>()
    };
    assert_eq!(offers(&solo), [point.position]);
    solo.said.clear();
    solo.tick(5);
    assert!(solo.said.iter().any(|(to, message)| *to == PEER && matches!(message, Message::Heartbeat(_))));
    assert_eq!(offers(&solo), [point.position]);
    assert!(solo.alarms.is_empty());
}

#[test]
fn a_follower_that_waits_for_the_payload_of_a_compacted_entry_gets_a_snapshot() {
    // What it waits for was deleted behind that entry, and nobody has it any more.
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    [PEER, OTHER].into_iter().for_each(|peer| leader.acknowledge(peer, 1, 1));
    leader.step(Input::Propose {
        ticket: ProposalTicket(1),
        bodies: Vec::from([BodyHead { bytes: 9, digest: BodyDigest::of(&[]) }]),
    });
    leader.acknowledge(OTHER, 1, 2);
    let waits = |round| {
        let Message::HeartbeatReply(reply) = heartbeat_reply(1, round, 1) else { unreachable!("it is one") };
        Message::HeartbeatReply(HeartbeatReply { waiting_for: Some(LogIndex(2)), ..reply })
    };
    let state = |leader: &Solo| leader.raft.status().progress[&PEER].state;
    leader.tick(5);
    leader.hear(PEER, waits(1));
    assert_eq!(state(&leader), ProgressState::Replicate, "it may get it yet");
    let last = leader.log.last();
    leader.step(Input::Applied { index: LogIndex(2) });
    leader.step(Input::Compacted(last));
    leader.tick(5);
    leader.hear(PEER, waits(2));
    assert_eq!(state(&leader), ProgressState::Snapshot);
}

#[test]
fn incarnations_are_carried_unchanged() {
    let mut membership = voters([1, 2, 3]);
    membership.voters.insert(PEER, Incarnation::from_bytes([99; 16]));
    let member = Solo::of(membership.clone(), Config::default(), 0, &[]);
    assert_eq!(member.raft.status().membership, membership);
}

#[test]
fn the_rest_of_an_append_of_which_a_part_was_let_in_is_not_sent_again() {
    let mut leader = Solo::new(1, &[1, 1]);
    leader.lead();
    let stream = StreamEpoch(1);
    let hint = ConflictHint { term: None, first_index: LogIndex(1), last: Position::ZERO };
    let verdict = AppendVerdict::Conflict { prev_index: LogIndex(2), hint };
    let reply = AppendEntriesReply { term: leader.raft.term(), stream, verdict };
    leader.hear(PEER, Message::AppendEntriesReply(reply));
    let progress = |leader: &Solo| leader.raft.status().progress[&PEER];
    assert_eq!((progress(&leader).next_index, progress(&leader).inflight_messages), (LogIndex(1), 1));
    leader.said.clear();
    leader.acknowledge(PEER, 1, 1);
    assert_eq!((progress(&leader).next_index, progress(&leader).inflight_messages), (LogIndex(4), 1));
    assert!(leader.said.iter().all(|(_, message)| !matches!(message, Message::AppendEntries(_))));
    leader.acknowledge(PEER, 1, 3);
    assert_eq!((leader.raft.commit_index(), progress(&leader).inflight_messages), (LogIndex(3), 0));
}

#[test]
fn a_follower_that_answers_but_stands_still_is_an_alarm() {
    // openraft #1810, hashicorp #612: heartbeats fine, no data.
    let mut leader = Solo::new(0, &[]);
    leader.lead();
    leader.acknowledge(OTHER, 1, 1);
    for round in 1..70 {
        for peer in [PEER, OTHER] {
            leader.hear(peer, heartbeat_reply(1, round, 1));
        }
        leader.tick(5);
    }
    assert_eq!(leader.raft.role(), Role::Leader);
    assert_eq!(leader.alarms, [Alarm::FollowerFrozen { peer: PEER, match_index: LogIndex(0) }]);
}

#[test]
fn a_lone_voter_leads_on_however_slow_its_disk_is() {
    let mut leader = Solo::of(voters([1]), Config::default(), 0, &[]);
    leader.tick(30);
    let body = BodyHead::of(b"a command").expect("small");
    leader.step_unpersisted(Input::Propose { ticket: ProposalTicket(1), bodies: [body].into() });
    for _ in 0..2000 {
        leader.step_unpersisted(Input::Tick);
    }
    assert_eq!(leader.raft.role(), Role::Leader);
    leader.persist();
    assert_eq!(leader.raft.commit_index(), LogIndex(2));
}

#[test]
fn a_member_is_a_plain_value() {
    let mut one = Solo::new(0, &[]);
    one.lead();
    let mut raft = one.raft.clone();
    assert_eq!(raft, one.raft);
    for raft in [&mut raft, &mut one.raft] {
        (0..100).for_each(|_| raft.step(Input::Tick));
    }
    assert_eq!(raft, one.raft);
    let hash = |raft: &Raft| {
        let mut hasher = std::hash::DefaultHasher::new();
        std::hash::Hash::hash(raft, &mut hasher);
        std::hash::Hasher::finish(&hasher)
    };
    assert_eq!(hash(&raft), hash(&one.raft));
    raft.step(Input::Tick);
    assert_ne!(raft, one.raft, "a tick is part of the value");
}

/// Node 1 of three with these entries, which hears that node 2 leads term 3 and offers a snapshot of entry 9.
fn offered(entries: &[u64]) -> (Solo, Snapshot) {
    let mut member = Solo::new(3, entries);
    let mut log = member.log.clone();
    log.heads = super::solo::entries_after(log.anchor, &[1, 1, 2, 2, 2, 3, 3, 3, 3]);
    let mut membership = voters([1, 2, 3]);
    membership.learners.insert(NodeId(7), incarnation(NodeId(7)));
    let snapshot = Snapshot { point: log.last(), membership, membership_index: LogIndex(5) };
    let LogPoint { position: least, chain: least_chain } = snapshot.point;
    let offer = InstallSnapshot { term: Term(3), stream: StreamEpoch(4), least, least_chain };
    member.hear(PEER, Message::InstallSnapshot(offer));
    (member, snapshot)
}

#[test]
fn an_installed_snapshot_brings_its_configuration_and_is_acknowledged_only_when_the_log_is_reset() {
    // canonical/raft #250, #329: a configuration that was lost with the log.
    let (mut member, snapshot) = offered(&[1, 1, 1, 1]);
    assert_eq!(member.take_wanted().map(|offer| offer.least), Some(snapshot.point));
    assert!(member.take_said().is_empty());
    member.step_unpersisted(Input::InstallSnapshot(snapshot.clone()));
    assert!(member.take_said().is_empty(), "the disk doesn't have it");
    member.persist();
    let reply = InstallSnapshotReply { term: Term(3), stream: StreamEpoch(4), last: snapshot.point.position };
    assert_eq!(member.take_said(), [(PEER, Message::InstallSnapshotReply(reply))]);
    let status = member.raft.status();
    assert_eq!((&status.membership, status.commit_index), (&snapshot.membership, LogIndex(9)));
    assert_eq!(
        (status.anchor, status.last, member.log.anchor),
        (snapshot.point.position, snapshot.point.position, snapshot.point)
    );
}

#[test]
fn a_snapshot_whose_last_entry_is_in_the_log_only_commits_it() {
    // Raft paper, section 7; thesis chapter 5: what follows the snapshot stays.
    let (mut member, snapshot) = offered(&[1, 1, 2, 2, 2, 3, 3, 3, 3, 3]);
    assert_eq!(member.take_wanted(), None, "nothing is lacking");
    member.step(Input::InstallSnapshot(snapshot));
    let status = member.raft.status();
    assert_eq!((status.last.index, status.commit_index, status.anchor.index), (LogIndex(10), LogIndex(9), LogIndex(0)));
    assert_eq!(status.membership, voters([1, 2, 3]), "the log's own configuration stays in force");
}

#[test]
fn a_snapshot_of_a_later_term_is_not_refused_but_proves_that_term() {
    // It may come before any message of that term: a member that threw it away would fetch it again and again.
    let (informed, snapshot) = offered(&[1, 1]);
    for leads in [false, true] {
        let mut member = Solo::new(1, &[1, 1]);
        if leads {
            member.lead();
        }
        assert!(member.raft.term() < informed.raft.term());
        member.step(Input::InstallSnapshot(snapshot.clone()));
        let status = member.raft.status();
        assert_eq!((status.role, member.raft.term(), status.leader), (Role::Follower, Term(3), None));
        assert_eq!((status.anchor, status.commit_index), (snapshot.point.position, LogIndex(9)));
        member.take_said();
        let LogPoint { position: least, chain: least_chain } = snapshot.point;
        let offer = InstallSnapshot { term: Term(3), stream: StreamEpoch(4), least, least_chain };
        member.hear(PEER, Message::InstallSnapshot(offer));
        let reply = InstallSnapshotReply { term: Term(3), stream: StreamEpoch(4), last: least };
        assert_eq!(member.take_said(), [(PEER, Message::InstallSnapshotReply(reply))]);
    }
}

#[test]
fn whatever_is_offered_twice_is_answered_twice() {
    // etcd #3292: an acknowledgement that is lost must not stop a follower for good.
    let (mut member, snapshot) = offered(&[]);
    member.step(Input::InstallSnapshot(snapshot.clone()));
    member.take_said();
    let LogPoint { position: least, chain: least_chain } = snapshot.point;
    let offer = InstallSnapshot { term: Term(3), stream: StreamEpoch(5), least, least_chain };
    member.hear(PEER, Message::InstallSnapshot(offer));
    let reply = InstallSnapshotReply { term: Term(3), stream: StreamEpoch(5), last: least };
    assert_eq!(member.take_said(), [(PEER, Message::InstallSnapshotReply(reply))]);
}
