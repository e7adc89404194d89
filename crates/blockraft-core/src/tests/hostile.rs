//! Whatever arrives, in whatever order: no panic, and terms, commit index and term boundaries stay in order.

use std::vec::Vec;

use blockraft_types::message::{
    AppendEntries, AppendEntriesReply, AppendVerdict, Ballot, CampaignId, CampaignReason, ConflictHint, Heartbeat,
    HeartbeatReply, InstallSnapshot, InstallSnapshotReply, ReadRound, RequestVote, RequestVoteReply, StreamEpoch,
    TimeoutNow, VoteVerdict,
};
use blockraft_types::{
    BodyDigest, ChainDigest, EntryHead, EntryKind, GroupId, LogIndex, Message, NodeId, PersistNumber, PersistTicket,
    Position, Term,
};

use super::chance::Chance;
use super::solo::Solo;
use crate::{BodyHead, Input, LogPoint, ProposalTicket, ReadTicket, Snapshot};

struct Stranger(Chance);

impl Stranger {
    fn number(&mut self) -> u64 {
        let small = self.0.below(12);
        self.0.pick(&[small, small, small, small, small, small, u64::MAX, u64::MAX - 1, 1 << 40])
    }

    fn index(&mut self) -> LogIndex {
        LogIndex(self.number())
    }

    fn term(&mut self) -> Term {
        // Terms near the end of all terms would wedge any Raft: authenticated members don't send them.
        Term(self.0.below(12))
    }

    fn position(&mut self) -> Position {
        Position { term: self.term(), index: self.index() }
    }

    fn chain(&mut self, solo: &Solo) -> ChainDigest {
        let index = LogIndex(self.0.below(12));
        let known = solo.log.point(index).map_or(solo.log.anchor.chain, |point| point.chain);
        self.0.pick(&[known, solo.log.anchor.chain, ChainDigest::from_bytes([3; 16])])
    }

    fn append(&mut self, solo: &Solo) -> AppendEntries {
        let sound = self.0.permille(700);
        let prev = match solo.log.point(LogIndex(self.0.below(12))) {
            Some(point) if sound => point,
            _ => LogPoint { position: self.position(), chain: self.chain(solo) },
        };
        let mut heads: Vec<EntryHead> = Vec::new();
        let (mut chain, mut position) = (prev.chain, prev.position);
        for _ in 0..self.0.below(4) {
            let term = if sound { Term(position.term.0 + self.0.below(2)) } else { self.term() };
            let index = if self.0.permille(950) { position.index.next() } else { self.index() };
            position = Position { term, index };
            let kind = if self.0.permille(50) {
                EntryKind::Membership(super::cluster::voters(1..=self.0.below(5)).into())
            } else {
                EntryKind::Command
            };
            let head = EntryHead::chained(chain, position, kind, self.0.below(99) as u32, BodyDigest::of(&[]));
            chain = if self.0.permille(950) { head.chain } else { self.chain(solo) };
            heads.push(EntryHead { chain, ..head });
        }
        AppendEntries {
            term: if sound { Term(solo.raft.term().0.max(position.term.0)) } else { self.term() },
            stream: StreamEpoch(self.0.below(4)),
            prev: prev.position,
            prev_chain: prev.chain,
            heads,
            leader_commit: self.index(),
        }
    }

    fn message(&mut self, solo: &Solo) -> Message {
        let term = if self.0.permille(600) { solo.raft.term() } else { self.term() };
        let ballot = self.0.pick(&[Ballot::PreVote, Ballot::Vote]);
        let campaign = CampaignId(self.0.below(6));
        match self.0.below(9) {
            0 => {
                let reason = self.0.pick(&[CampaignReason::Timeout, CampaignReason::Transfer]);
                Message::RequestVote(RequestVote { term, ballot, campaign, reason, last: self.position() })
            }
            1 => {
                let verdict = self.0.pick(&[VoteVerdict::Granted, VoteVerdict::Granted, VoteVerdict::Refused]);
                let asked = solo.last_vote_request();
                let (ballot, campaign, term) =
                    asked.map_or((ballot, campaign, term), |asked| (asked.ballot, asked.campaign, asked.term));
                Message::RequestVoteReply(RequestVoteReply { term, ballot, campaign, verdict })
            }
            2 => Message::AppendEntries(self.append(solo)),
            3 => {
                let match_index = self.index();
                let hint_term = self.term();
                let hint = ConflictHint {
                    term: self.0.pick(&[None, Some(hint_term)]),
                    first_index: self.index(),
                    last: self.position(),
                };
                let conflict = AppendVerdict::Conflict { prev_index: self.index(), hint };
                let verdict = self.0.pick(&[AppendVerdict::Matched { match_index }, conflict]);
                let stream = StreamEpoch(self.0.below(4));
                Message::AppendEntriesReply(AppendEntriesReply { term, stream, verdict })
            }
            4 => {
                let (commit, held_by_all) = (self.index(), self.index());
                Message::Heartbeat(Heartbeat { term, round: ReadRound(self.number()), commit, held_by_all })
            }
            5 => {
                let waiting = self.index();
                let waiting_for = self.0.pick(&[None, None, Some(waiting)]);
                let (round, last_durable) = (ReadRound(self.number()), self.index());
                Message::HeartbeatReply(HeartbeatReply { term, round, waiting_for, last_durable })
            }
            6 => {
                let (stream, least) = (StreamEpoch(self.0.below(4)), self.position());
                let least_chain = solo.log.last().chain;
                Message::InstallSnapshot(InstallSnapshot { term, stream, least, least_chain })
            }
            7 => {
                let (stream, last) = (StreamEpoch(self.0.below(4)), self.position());
                Message::InstallSnapshotReply(InstallSnapshotReply { term, stream, last })
            }
            _ => Message::TimeoutNow(TimeoutNow { term, last: self.position() }),
        }
    }

    fn input(&mut self, solo: &Solo) -> Input {
        let peer = NodeId(self.0.below(5));
        match self.0.below(25) {
            0..8 => Input::Tick,
            8..16 => Input::Message { from: peer, message: self.message(solo) },
            16 => {
                let digest = BodyDigest::of(&[]);
                let bytes = self.0.pick(&[0, 5, u32::MAX]);
                let bodies = (0..self.0.below(4)).map(|_| BodyHead { bytes, digest }).collect();
                Input::Propose { ticket: ProposalTicket(self.number()), bodies }
            }
            17 => Input::Read { ticket: ReadTicket(self.number()) },
            18 => Input::TransferLeadership { to: peer },
            19 => Input::Unreachable { peer },
            20 => Input::StorageStalled,
            21 => Input::PayloadWaiting { index: Some(self.index()) },
            22 => Input::Applied { index: self.index() },
            23 => {
                let position = Position { term: self.term(), index: LogIndex(self.0.below(20)) };
                let point = LogPoint { position, chain: self.chain(solo) };
                let membership = solo.raft.status().membership;
                Input::InstallSnapshot(Snapshot { point, membership, membership_index: LogIndex::ZERO })
            }
            _ => {
                let (group, number) = (GroupId(self.0.below(2) as u32), PersistNumber(u64::MAX));
                Input::Persisted(PersistTicket::new(group, number).redeem())
            }
        }
    }
}

#[test]
fn nothing_that_arrives_makes_a_member_panic_or_go_back() {
    for seed in 0..300 {
        let mut stranger = Stranger(Chance(seed));
        let mut solo = Solo::new(3, &[1, 1, 2, 3]);
        for _ in 0..600 {
            let before = (solo.raft.term(), solo.raft.commit_index());
            let input = stranger.input(&solo);
            if stranger.0.permille(500) {
                solo.step(input);
            } else {
                solo.step_unpersisted(input);
            }
            let status = solo.raft.status();
            assert!(before.0 <= status.hard_state.term && before.1 <= status.commit_index);
            assert!(status.applied_index <= status.commit_index && status.commit_index <= status.last.index);
            assert!(status.durable_index <= status.last.index);
            assert_eq!(solo.log.last().position, status.last, "the driver's log is the member's");
            solo.alarms.clear();
            if 50 < solo.said.len() {
                solo.said.drain(..25);
            }
        }
    }
}
