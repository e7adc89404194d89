//! One member alone, with the test speaking for all the others.

use std::vec::Vec;

use blockraft_types::message::{
    AppendEntries, AppendEntriesReply, AppendVerdict, Ballot, CampaignId, CampaignReason, Heartbeat, HeartbeatReply,
    ReadRound, RequestVote, RequestVoteReply, StreamEpoch, VoteVerdict,
};
use blockraft_types::{
    BodyDigest, ChangeRefusal, ClusterId, EntryHead, EntryKind, GroupId, HardState, LogIndex, Membership,
    MembershipChange, Message, NodeId, PersistTicket, Position, Role, Term,
};

use super::cluster::voters;
use super::image::Image;
use crate::ready::{ChangeOutcome, CommittedRange};
use crate::{Alarm, ChangeTicket, Config, Input, LogPoint, Raft, Sealed, Snapshot, SnapshotOffer};

pub(super) const SELF: NodeId = NodeId(1);
pub(super) const PEER: NodeId = NodeId(2);
pub(super) const OTHER: NodeId = NodeId(3);

/// A member, its log as the driver sees it, and all that it said and asked for since the test last looked.
#[derive(Debug)]
pub(super) struct Solo {
    pub(super) raft: Raft,
    pub(super) log: Image,
    pub(super) said: Vec<(NodeId, Message)>,
    pub(super) alarms: Vec<Alarm>,
    pub(super) committed: Vec<CommittedRange>,
    pub(super) config: Config,
    wanted: Option<SnapshotOffer>,
    /// What became of asked changes of members.
    pub(super) answers: Vec<Result<ChangeOutcome, ChangeRefusal>>,
    tickets: Vec<PersistTicket>,
    sealed: Vec<Sealed>,
}

impl Solo {
    /// Node 1 of three, whose log has entries of these terms.
    pub(super) fn new(term: u64, entries: &[u64]) -> Self {
        Self::of(voters([1, 2, 3]), Config::default(), term, entries)
    }

    pub(super) fn of(membership: Membership, config: Config, term: u64, entries: &[u64]) -> Self {
        let genesis = LogPoint::genesis(ClusterId::from_bytes([1; 16]), GroupId(0), &membership);
        let mut log = Image::empty(genesis, membership);
        log.hard_state = HardState { term: Term(term), voted_for: None };
        log.heads = entries_after(log.anchor, entries);
        let raft = Raft::new(config, 1, log.restored(SELF, LogIndex::ZERO)).expect("a sound log");
        Self {
            raft,
            log,
            said: Vec::new(),
            alarms: Vec::new(),
            committed: Vec::new(),
            config,
            wanted: None,
            answers: Vec::new(),
            tickets: Vec::new(),
            sealed: Vec::new(),
        }
    }

    /// The same member after a restart, with only what was handed out to be persisted.
    pub(super) fn restarted(self) -> Self {
        self.restarted_at(LogIndex::ZERO)
    }

    /// The same with a state machine that has applied up to `applied`.
    pub(super) fn restarted_at(self, applied: LogIndex) -> Self {
        let restored = self.log.restored(SELF, applied);
        let raft = Raft::new(self.config, 2, restored).expect("a sound log");
        Self { raft, said: Vec::new(), tickets: Vec::new(), sealed: Vec::new(), ..self }
    }

    /// Hands in an input; what it brings about waits for the disk.
    pub(super) fn step_unpersisted(&mut self, input: Input) {
        self.raft.step(input);
        loop {
            let ready = self.raft.take_ready();
            if ready.is_empty() {
                return;
            }
            if let Some(persist) = ready.persist {
                let reset = persist.reset.map(|point| {
                    let status = self.raft.status();
                    Snapshot { point, membership: status.membership, membership_index: status.membership_index }
                });
                self.log.write(reset.as_ref(), persist.hard_state, persist.truncate_from, &persist.heads);
                self.tickets.push(persist.ticket);
            }
            self.sealed.extend(ready.sealed);
            self.said.extend(ready.messages.into_iter().map(|out| (out.to, out.message)));
            self.wanted = ready.snapshot_wanted.or(self.wanted);
            self.alarms.extend(ready.alarms);
            self.answers.extend(ready.changes.into_iter().map(|answer| answer.outcome));
            self.committed.extend(ready.committed);
            for range in ready.appends {
                let heads = (range.prev.index.0 + 1..=range.last.0).filter_map(|index| self.log.head(LogIndex(index)));
                let prev = self.log.point(range.prev.index).expect("in the log");
                let (message, sent) = range.fill(prev.chain, heads.cloned().collect()).expect("its own log");
                self.said.push((range.to, Message::AppendEntries(message)));
                self.raft.step(Input::AppendSent(sent));
            }
        }
    }

    /// Everything under way becomes durable.
    pub(super) fn persist(&mut self) {
        while !self.tickets.is_empty() {
            let receipt = self.tickets.remove(0).redeem();
            for sealed in core::mem::take(&mut self.sealed) {
                match sealed.open(&receipt) {
                    Ok(opened) => self.said.push(opened),
                    Err(sealed) => self.sealed.push(sealed),
                }
            }
            self.step_unpersisted(Input::Persisted(receipt));
        }
    }

    pub(super) fn step(&mut self, input: Input) {
        self.step_unpersisted(input);
        self.persist();
    }

    pub(super) fn hear(&mut self, from: NodeId, message: Message) {
        self.step(Input::Message { from, message });
    }

    pub(super) fn tick(&mut self, times: u32) {
        (0..times).for_each(|_| self.step(Input::Tick));
    }

    /// The snapshot that was last asked for since the last look.
    pub(super) fn take_wanted(&mut self) -> Option<SnapshotOffer> {
        self.wanted.take()
    }

    /// What was said since the last look.
    pub(super) fn take_said(&mut self) -> Vec<(NodeId, Message)> {
        core::mem::take(&mut self.said)
    }

    /// Lets it win the next election with node 2's vote, and forgets what was said.
    pub(super) fn lead(&mut self) {
        self.lead_with(&[PEER]);
    }

    /// Lets it win the next election with the votes of `peers`, node 2 among them, and forgets what was said.
    pub(super) fn lead_with(&mut self, peers: &[NodeId]) {
        while self.raft.role() != Role::PreCandidate {
            self.tick(1);
        }
        self.grant_all(peers);
        assert_eq!(self.raft.role(), Role::Leader);
        self.said.clear();
    }

    /// Grants whatever node 2 is asked for, and the others of `peers` with it, until nothing is.
    fn grant_all(&mut self, peers: &[NodeId]) {
        while let Some(request) = self.last_vote_request() {
            let (term, verdict) = (request.term, VoteVerdict::Granted);
            let reply = RequestVoteReply { term, ballot: request.ballot, campaign: request.campaign, verdict };
            self.said.clear();
            for peer in peers {
                self.hear(*peer, Message::RequestVoteReply(reply));
            }
        }
    }

    pub(super) fn last_vote_request(&self) -> Option<RequestVote> {
        self.said.iter().rev().find_map(|(to, message)| match message {
            Message::RequestVote(request) if *to == PEER => Some(*request),
            _ => None,
        })
    }

    /// An append of `from` as the leader of `term`, with entries of these terms after index `prev` of a log that has
    /// entries of `before` up to there.
    pub(super) fn append(&mut self, from: NodeId, term: u64, before: &[u64], entries: &[u64], leader_commit: u64) {
        let message = append(self.log.anchor, term, before, entries, leader_commit);
        self.hear(from, Message::AppendEntries(message));
    }

    pub(super) fn terms(&self) -> Vec<u64> {
        self.log.heads.iter().map(|head| head.position.term.0).collect()
    }

    /// The answers to appends since the last look.
    pub(super) fn take_append_answers(&mut self) -> Vec<AppendVerdict> {
        let answers = self.take_said().into_iter().filter_map(|(_, message)| match message {
            Message::AppendEntriesReply(AppendEntriesReply { verdict, .. }) => Some(verdict),
            _ => None,
        });
        answers.collect()
    }

    /// The answers to votes since the last look.
    pub(super) fn take_vote_answers(&mut self) -> Vec<(Term, VoteVerdict)> {
        let answers = self.take_said().into_iter().filter_map(|(_, message)| match message {
            Message::RequestVoteReply(reply) => Some((reply.term, reply.verdict)),
            _ => None,
        });
        answers.collect()
    }

    /// Asks for another configuration and gives the answer.
    pub(super) fn change(&mut self, change: MembershipChange) -> Result<ChangeOutcome, ChangeRefusal> {
        self.step(Input::ChangeMembership { ticket: ChangeTicket(1), change });
        self.answers.pop().expect("every change is answered")
    }

    /// `peer` acknowledges everything that is in the leader's log, in the stream that was last used for it.
    pub(super) fn acknowledge(&mut self, peer: NodeId, stream: u64, match_index: u64) {
        let verdict = AppendVerdict::Matched { match_index: LogIndex(match_index) };
        let reply = AppendEntriesReply { term: self.raft.term(), stream: StreamEpoch(stream), verdict };
        self.hear(peer, Message::AppendEntriesReply(reply));
    }
}

/// Entries of these terms after `point`. Entries at equal positions after equal ones are equal.
pub(super) fn entries_after(point: LogPoint, terms: &[u64]) -> Vec<EntryHead> {
    let mut last = point;
    let mut heads = Vec::new();
    for term in terms {
        let position = Position { term: Term(*term), index: last.position.index.next() };
        let digest = BodyDigest::of(&position.index.0.to_le_bytes());
        let head = EntryHead::chained(last.chain, position, EntryKind::Command, 10, digest);
        last = LogPoint { position, chain: head.chain };
        heads.push(head);
    }
    heads
}

pub(super) fn append(
    genesis: LogPoint,
    term: u64,
    before: &[u64],
    entries: &[u64],
    leader_commit: u64,
) -> AppendEntries {
    let heads = entries_after(genesis, before);
    let prev = heads.last().map_or(genesis, |head| LogPoint { position: head.position, chain: head.chain });
    AppendEntries {
        term: Term(term),
        stream: StreamEpoch(1),
        prev: prev.position,
        prev_chain: prev.chain,
        heads: entries_after(prev, entries),
        leader_commit: LogIndex(leader_commit),
    }
}

pub(super) fn request_vote(ballot: Ballot, term: u64, last: (u64, u64)) -> Message {
    Message::RequestVote(RequestVote {
        term: Term(term),
        ballot,
        campaign: CampaignId(1),
        reason: CampaignReason::Timeout,
        last: Position { term: Term(last.0), index: LogIndex(last.1) },
    })
}

pub(super) fn heartbeat(term: u64, round: u64, commit: u64) -> Message {
    let (term, round, commit) = (Term(term), ReadRound(round), LogIndex(commit));
    Message::Heartbeat(Heartbeat { term, round, commit, held_by_all: LogIndex::ZERO })
}

pub(super) fn heartbeat_reply(term: u64, round: u64, last_durable: u64) -> Message {
    let (term, round, last_durable) = (Term(term), ReadRound(round), LogIndex(last_durable));
    Message::HeartbeatReply(HeartbeatReply { term, round, waiting_for: None, last_durable })
}
