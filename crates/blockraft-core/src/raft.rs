//! The member itself: inputs in, effects out.
//!
//! This room hands each input to the role that it concerns and performs the transition that the role asks for. The
//! rules about terms that all messages share stand here (Raft paper, section 5.1).

use alloc::collections::BTreeMap;

use blockraft_types::message::{
    AppendEntriesReply, AppendVerdict, Ballot, CampaignReason, ConflictHint, HeartbeatReply, InstallSnapshotReply,
    ReadRound, RequestVote, RequestVoteReply, StreamEpoch, VoteVerdict,
};
use blockraft_types::{ChangeRefusal, LogIndex, LostTail, Membership, Message, NodeId, Position, Role, Term};

use crate::alarm::Alarm;
use crate::candidate::Candidate;
use crate::config::Config;
use crate::durability::Durability;
use crate::election_clock::ElectionClock;
use crate::follower::Follower;
use crate::input::{ChangeTicket, Input, ProposalTicket, ReadTicket};
use crate::leader::Leader;
use crate::log_point::LogPoint;
use crate::log_view::LogView;
use crate::member::{Installation, Member, Memory};
use crate::mistake::Mistake;
use crate::ready::{
    ChangeAnswer, InForce, ProposalRefusal, ReadRefusal, Ready, RefusedProposal, RefusedRead, Standing, StateChange,
};
use crate::recovery::Recovery;
use crate::restored::{RestoreError, Restored};
use crate::snapshot::Snapshot;
use crate::status::Status;
use crate::transition::Transition;

/// One member of one group.
///
/// A plain value: it can be cloned, compared, hashed and printed, and the same inputs in the same order lead to the
/// same effects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Raft {
    member: Member,
    role: RoleState,
    /// What the last [`Ready`] told.
    told_state: StateChange,
    told_membership: InForce,
}

/// Each role has its own state and no other's. Learners are followers, pre-candidates candidates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum RoleState {
    Follower(Follower),
    Candidate(Candidate),
    Leader(Leader),
}

impl Raft {
    /// A member that goes on from what was durable. `seed` is all the chance that it has: draw it from the operating
    /// system, or fix it to repeat a run.
    ///
    /// # Errors
    ///
    /// When the parts of `restored` contradict each other: then the directory is damaged or not this member's. And when its
    /// log lost its end in a group that can't make that good.
    pub fn new(config: Config, seed: u64, restored: Restored) -> Result<Self, RestoreError> {
        let (memberships, commit_index) = restored.check()?;
        let Restored { id, group, hard_state, anchor, last, terms, applied, tail, lost_tail, .. } = restored;
        let log = LogView::new(anchor, last, terms, &tail, config.options().uncommitted_entries_max);
        let durability = Durability::new(config, group, last.position.index);
        let clock = ElectionClock::new(config.options(), seed);
        let recovery = Recovery::of(lost_tail, last.position.term);
        let memory = Memory { hard_state, applied_index: applied, commit_index, recovery };
        let mut member = Member::new(id, config, log, memberships, durability, clock, memory);
        member.begin_recovery().map_err(|lost| RestoreError::Irrecoverable { id, lost })?;
        let role = RoleState::Follower(Follower::of(None));
        let told_membership = in_force(&member);
        let told_state = StateChange { role: role.name(&member), term: hard_state.term, leader: None };
        Ok(Self { member, role, told_state, told_membership })
    }

    /// Takes in what happened. It cannot fail: what doesn't fit is dropped, refused, or told as an
    /// [`Alarm`]. Nothing is done until [`take_ready`](Self::take_ready).
    pub fn step(&mut self, input: Input) {
        match input {
            Input::Tick => self.tick(),
            Input::Message { from, message } if from != self.member.id => self.receive(from, message),
            Input::Message { .. } => {}
            Input::Propose { ticket, bodies } => match &mut self.role {
                RoleState::Leader(leader) => leader.propose(&mut self.member, ticket, &bodies),
                RoleState::Follower(_) | RoleState::Candidate(_) => self.refuse_proposal(ticket),
            },
            Input::ChangeMembership { ticket, change } => match &mut self.role {
                RoleState::Leader(leader) => leader.change_members(&mut self.member, ticket, &change),
                RoleState::Follower(_) | RoleState::Candidate(_) => self.refuse_change(ticket),
            },
            Input::Read { ticket } => match &mut self.role {
                RoleState::Leader(leader) => leader.read(&mut self.member, ticket),
                RoleState::Follower(_) | RoleState::Candidate(_) => self.refuse_read(ticket),
            },
            Input::TransferLeadership { to } => {
                if let RoleState::Leader(leader) = &mut self.role {
                    leader.transfer(&mut self.member, to);
                }
            }
            Input::Persisted(receipt) => {
                self.member.persisted(receipt);
                self.persisted();
            }
            Input::Applied { index } => self.member.applied(index),
            Input::Compacted(point) => self.member.compacted(point),
            Input::InstallSnapshot(snapshot) => self.install(snapshot),
            Input::AppendSent(sent) => match &mut self.role {
                RoleState::Leader(leader) if sent.term == self.member.term() => leader.append_sent(sent),
                RoleState::Leader(_) | RoleState::Follower(_) | RoleState::Candidate(_) => {}
            },
            Input::Unreachable { peer } => {
                if let RoleState::Leader(leader) = &mut self.role {
                    leader.unreachable(peer);
                }
            }
            Input::StorageStalled => {
                if self.member.disk_stalled() && !matches!(self.role, RoleState::Follower(_)) {
                    self.perform(Transition::Follow { leader: None });
                }
            }
            Input::PayloadWaiting { index } => {
                if let RoleState::Follower(follower) = &mut self.role {
                    follower.payload_waiting(index);
                }
            }
        }
    }

    /// Takes everything that is to be done, in one batch. What many steps asked for is gathered: a hundred proposals
    /// become one persist batch and one append per follower.
    pub fn take_ready(&mut self) -> Ready {
        // First, since a leader has only those entries sent that the caller was given.
        let persist = self.member.take_persist();
        if let RoleState::Leader(leader) = &mut self.role {
            leader.send_due(&mut self.member);
        }
        let committed = self.member.take_committed();
        let state = self.state();
        let membership = self.take_membership();
        let outbox = &mut self.member.outbox;
        let sealed = outbox.take_sealed(self.member.durability.issued());
        let outbox = outbox.take();
        Ready {
            messages: outbox.messages,
            sealed,
            appends: outbox.appends,
            persist,
            accepted: outbox.accepted,
            refused: outbox.refused,
            committed,
            reads: outbox.reads,
            refused_reads: outbox.refused_reads,
            state: (core::mem::replace(&mut self.told_state, state) != state).then_some(state),
            changes: outbox.changes,
            membership,
            transfer_aborted: outbox.transfer_aborted,
            snapshot_wanted: outbox.snapshot_wanted,
            snapshot_unneeded: outbox.snapshot_unneeded,
            recovered: outbox.recovered,
            alarms: outbox.alarms,
        }
    }

    /// The configuration in force, if it is another one than was told of, or stands otherwise.
    fn take_membership(&mut self) -> Option<InForce> {
        let present = in_force(&self.member);
        if present == self.told_membership {
            return None;
        }
        self.told_membership.clone_from(&present);
        Some(present)
    }

    fn state(&self) -> StateChange {
        StateChange { role: self.role(), term: self.term(), leader: self.leader() }
    }

    fn tick(&mut self) {
        let transition = match &mut self.role {
            RoleState::Follower(follower) => follower.tick(&mut self.member),
            RoleState::Candidate(candidate) => candidate.tick(&mut self.member),
            RoleState::Leader(leader) => leader.tick(&mut self.member),
        };
        self.perform(transition);
    }

    fn receive(&mut self, from: NodeId, message: Message) {
        let (named, own) = (message.term(), self.member.term());
        match message {
            Message::RequestVote(request) => self.receive_vote_request(from, request),
            Message::RequestVoteReply(reply) => self.receive_vote_reply(from, reply),

            // A leader of the past must learn that time went on, or members stuck behind it never would. Stream zero and
            // round zero are nobody's: should it lead the present term when this comes, it answers nothing of that term.
            Message::AppendEntries(append) if named < own => {
                let last = self.member.log.last().position;
                let hint = ConflictHint { term: None, first_index: last.index.next(), last };
                let verdict = AppendVerdict::Conflict { prev_index: append.prev.index, hint };
                let reply = AppendEntriesReply { term: own, stream: StreamEpoch(0), verdict };
                self.member.send(from, Message::AppendEntriesReply(reply));
            }
            Message::Heartbeat(_) if named < own => {
                let last_durable = self.member.durability.kept_index();
                let reply = HeartbeatReply { term: own, round: ReadRound(0), waiting_for: None, last_durable };
                self.member.send(from, Message::HeartbeatReply(reply));
            }
            Message::InstallSnapshot(_) if named < own => {
                let reply = InstallSnapshotReply { term: own, stream: StreamEpoch(0), last: Position::ZERO };
                self.member.send(from, Message::InstallSnapshotReply(reply));
            }

            Message::AppendEntries(append) => {
                if let Some((follower, member)) = self.follow(from, named) {
                    follower.append(member, from, append);
                }
            }
            Message::Heartbeat(heartbeat) => {
                if let Some((follower, member)) = self.follow(from, named) {
                    follower.heartbeat(member, from, heartbeat);
                }
            }
            Message::InstallSnapshot(offer) => {
                if let Some((follower, member)) = self.follow(from, named) {
                    follower.snapshot_offered(member, from, offer);
                }
            }
            Message::TimeoutNow(timeout_now) => match &self.role {
                RoleState::Follower(follower) if named == own => {
                    let transition = follower.timeout_now(&self.member, from, timeout_now);
                    self.perform(transition);
                }
                RoleState::Follower(_) | RoleState::Candidate(_) | RoleState::Leader(_) => {}
            },

            Message::AppendEntriesReply(_) | Message::HeartbeatReply(_) | Message::InstallSnapshotReply(_)
                if own < named =>
            {
                self.hear_later_term(from, named);
            }
            Message::AppendEntriesReply(_) | Message::HeartbeatReply(_) | Message::InstallSnapshotReply(_)
                if named < own && !self.member.config.errs(Mistake::StaleRepliesCount) => {}
            Message::AppendEntriesReply(reply) => {
                if let RoleState::Leader(leader) = &mut self.role {
                    let transition = leader.append_answered(&mut self.member, from, &reply);
                    self.perform(transition);
                }
            }
            Message::HeartbeatReply(reply) => {
                if let RoleState::Leader(leader) = &mut self.role {
                    leader.heartbeat_answered(&mut self.member, from, reply);
                }
            }
            Message::InstallSnapshotReply(reply) => {
                if let RoleState::Leader(leader) = &mut self.role {
                    let transition = leader.snapshot_answered(&mut self.member, from, reply);
                    self.perform(transition);
                }
            }
        }
    }

    fn receive_vote_request(&mut self, from: NodeId, request: RequestVote) {
        let hears_leader = match &self.role {
            RoleState::Follower(follower) => follower.hears_leader(&self.member),
            RoleState::Candidate(_) => false,
            RoleState::Leader(_) => true,
        };
        // Raft paper, section 6; thesis 4.2.3: who hears a leader helps nobody to depose it, but for that leader's own wish.
        if hears_leader && request.reason == CampaignReason::Timeout {
            return self.member.reply_to_vote(from, request, VoteVerdict::Refused);
        }
        if request.ballot == Ballot::Vote && self.member.term() < request.term {
            self.enter_term(request.term, None);
        }
        let verdict = self.member.answer_vote(from, request);
        if request.ballot == Ballot::Vote && verdict == VoteVerdict::Granted {
            self.member.clock.rewind();
            if let RoleState::Candidate(_) = self.role {
                self.perform(Transition::Follow { leader: None });
            }
        }
    }

    fn receive_vote_reply(&mut self, from: NodeId, reply: RequestVoteReply) {
        // A granted pre-vote names a term in which nobody is yet; a refusal spreads the voter's own.
        let hypothetical = reply.ballot == Ballot::PreVote && reply.verdict == VoteVerdict::Granted;
        if self.member.term() < reply.term && !hypothetical {
            return self.hear_later_term(from, reply.term);
        }
        if let RoleState::Candidate(candidate) = &mut self.role {
            let transition = candidate.answered(&self.member, from, reply);
            self.perform(transition);
        }
    }

    /// Follows `from` in `term`, which is at least the present one, if it can be its leader.
    fn follow(&mut self, from: NodeId, term: Term) -> Option<(&mut Follower, &mut Member)> {
        if self.member.term() < term {
            self.enter_term(term, Some(from));
        }
        if let RoleState::Candidate(_) = self.role {
            self.perform(Transition::Follow { leader: Some(from) });
        }
        let member = &mut self.member;
        match &mut self.role {
            RoleState::Follower(follower) => follower.recognises(member, from).then_some((follower, member)),
            RoleState::Candidate(_) => None,
            RoleState::Leader(_) => {
                let known = member.id;
                member.alarm(Alarm::TwoLeaders { term, known, other: from });
                None
            }
        }
    }

    fn persisted(&mut self) {
        let transition = match &mut self.role {
            RoleState::Follower(_) => Transition::Stay,
            RoleState::Candidate(candidate) => candidate.count(&self.member),
            RoleState::Leader(leader) => leader.advance_commit(&mut self.member),
        };
        self.perform(transition);
    }

    /// A leader needs no snapshot: it holds whatever is committed. What is committed also proves that its term began, so
    /// who hasn't heard of that enters it.
    fn install(&mut self, snapshot: Snapshot) {
        let position = snapshot.point.position;
        if self.member.term() < position.term {
            self.enter_term(position.term, None);
        }
        let leads = matches!(self.role, RoleState::Leader(_));
        if leads || self.member.install(snapshot) == Installation::Unneeded {
            self.member.outbox.snapshot_unneeded = Some(position);
        }
        if let RoleState::Follower(follower) = &self.role {
            follower.answer_offer(&mut self.member);
        }
    }

    fn refuse_proposal(&mut self, ticket: ProposalTicket) {
        let reason = ProposalRefusal::NotLeader { leader: self.leader() };
        self.member.outbox.refused.push(RefusedProposal { ticket, reason });
    }

    fn refuse_change(&mut self, ticket: ChangeTicket) {
        let outcome = Err(ChangeRefusal::NotLeader { leader: self.leader() });
        self.member.outbox.changes.push(ChangeAnswer { ticket, outcome });
    }

    fn refuse_read(&mut self, ticket: ReadTicket) {
        let reason = ReadRefusal::NotLeader { leader: self.leader() };
        self.member.outbox.refused_reads.push(RefusedRead { ticket, reason });
    }

    /// An answer names a later term. That ends this one only if a member says so: those who were removed are sent to as
    /// well (`departures`), and nobody stops for them.
    fn hear_later_term(&mut self, from: NodeId, term: Term) {
        if self.member.membership().incarnation(from).is_some() {
            self.enter_term(term, None);
        }
    }

    /// A higher term was seen: follow in it, whoever leads.
    fn enter_term(&mut self, term: Term, leader: Option<NodeId>) {
        if matches!(self.role, RoleState::Leader(_)) && self.member.config.errs(Mistake::HigherTermIgnored) {
            return;
        }
        self.member.enter_term(term);
        self.perform(Transition::Follow { leader });
    }

    /// Performs what a role asked for. Winning a ballot may ask for the next step at once, never for more than three.
    fn perform(&mut self, transition: Transition) {
        let mut next = transition;
        loop {
            next = match next {
                Transition::Stay => return,
                Transition::Follow { leader } => {
                    self.member.clock.redraw();
                    self.become_role(RoleState::Follower(Follower::of(leader)));
                    return;
                }
                Transition::PreCampaign => {
                    let Some(term) = self.member.next_term() else { return };
                    let candidate = Candidate::begin_pre_vote(&mut self.member, term);
                    self.become_candidate(candidate)
                }
                Transition::Campaign { reason } => {
                    let Some(term) = self.member.next_term() else { return };
                    self.member.enter_term(term);
                    let candidate = Candidate::begin_vote(&mut self.member, reason);
                    self.become_candidate(candidate)
                }
                Transition::Lead => {
                    let leader = Leader::begin(&mut self.member);
                    self.become_role(RoleState::Leader(leader));
                    return;
                }
            };
        }
    }

    /// Takes the role and counts its own vote, which may be all that it takes.
    fn become_candidate(&mut self, mut candidate: Candidate) -> Transition {
        let transition = candidate.count(&self.member);
        self.become_role(RoleState::Candidate(candidate));
        transition
    }

    fn become_role(&mut self, role: RoleState) {
        if let RoleState::Leader(leader) = core::mem::replace(&mut self.role, role) {
            leader.end(&mut self.member);
        }
    }
}

/// The member seen from outside.
impl Raft {
    /// A member seen from outside.
    #[must_use]
    pub fn status(&self) -> Status {
        let member = &self.member;
        let (transferring_to, progress) = match &self.role {
            RoleState::Leader(leader) => (leader.transferring_to(), leader.progress()),
            RoleState::Follower(_) | RoleState::Candidate(_) => (None, BTreeMap::new()),
        };
        Status {
            id: member.id,
            role: self.role.name(member),
            hard_state: member.hard_state(),
            leader: self.leader(),
            anchor: member.log.anchor().position,
            last: member.log.last().position,
            durable_index: member.durability.durable_index(),
            commit_index: member.commit_index(),
            applied_index: member.applied_index(),
            compactable_through: member.compactable_through(),
            held_by_all: member.held_by_all,
            uncommitted_bytes: member.log.uncommitted_bytes(),
            membership: member.membership().clone(),
            membership_index: member.membership_index(),
            lost_tail: self.lost_tail(),
            transferring_to,
            progress,
        }
    }

    /// The member's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role.name(&self.member)
    }

    /// The leader of the present term, if this member knows it.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            RoleState::Follower(follower) => follower.leader(),
            RoleState::Candidate(_) => None,
            RoleState::Leader(_) => Some(self.member.id),
        }
    }

    /// The configuration in force: the newest one in the log, committed or not.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        self.member.membership()
    }

    /// The present term.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.member.term()
    }

    /// The last entry known to be committed.
    #[must_use]
    pub const fn commit_index(&self) -> LogIndex {
        self.member.commit_index()
    }

    /// The last entry of the log.
    #[must_use]
    pub const fn last(&self) -> Position {
        self.member.log.last().position
    }

    /// The last entry that is durable here.
    #[must_use]
    pub const fn durable_index(&self) -> LogIndex {
        self.member.durability.durable_index()
    }

    /// The log may be compacted up to here; see [`Status::compactable_through`].
    #[must_use]
    pub fn compactable_through(&self) -> LogIndex {
        self.member.compactable_through()
    }

    /// Every member is known to hold the log durably up to here.
    #[must_use]
    pub const fn held_by_all(&self) -> LogIndex {
        self.member.held_by_all
    }

    /// What this member's log lost at its end and doesn't hold again: it gives no vote.
    #[must_use]
    pub fn lost_tail(&self) -> Option<LostTail> {
        self.member.recovery.map(|recovery| recovery.lost())
    }

    /// The compacted end of the log.
    #[must_use]
    pub const fn anchor(&self) -> LogPoint {
        self.member.log.anchor()
    }

    /// The term of the entry at `index`; `None` if it is compacted or not there.
    #[must_use]
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        self.member.log.term_at(index)
    }
}

impl RoleState {
    fn name(&self, member: &Member) -> Role {
        match self {
            Self::Follower(_) if member.is_voter() => Role::Follower,
            Self::Follower(_) => Role::Learner,
            Self::Candidate(candidate) => candidate.role(),
            Self::Leader(_) => Role::Leader,
        }
    }
}

fn in_force(member: &Member) -> InForce {
    let standing = if member.membership_is_committed() { Standing::Committed } else { Standing::Appended };
    InForce { membership: member.membership().clone(), index: member.membership_index(), standing }
}
