//! What every role has: the persistent state, the log, the configuration, and the way out for messages.
//!
//! Here stand the rules that no role may bend: a term never falls, a vote is forgotten only when the term grows, the
//! commit index never falls, and nothing that names a term leaves before that term is durable.

use blockraft_types::message::{Ballot, CampaignId, RequestVote, RequestVoteReply, VoteVerdict};
use blockraft_types::{
    BodyDigest, ChainDigest, EntryHead, EntryKind, HardState, LogIndex, LostTail, Membership, Message, NodeId,
    PersistReceipt, Position, Term,
};

use crate::abstention::Abstention;
use crate::alarm::Alarm;
use crate::config::{Config, Options};
use crate::durability::{Durability, NextBatch};
use crate::election_clock::ElectionClock;
use crate::log_point::LogPoint;
use crate::log_view::LogView;
use crate::membership_history::MembershipHistory;
use crate::mistake::Mistake;
use crate::outbox::Outbox;
use crate::quorum::Electorate;
use crate::ready::{CommittedRange, Persist};
use crate::recovery::Recovery;
use crate::snapshot::Snapshot;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) config: Config,
    pub(crate) log: LogView,
    pub(crate) memberships: MembershipHistory,
    pub(crate) durability: Durability,
    pub(crate) clock: ElectionClock,
    pub(crate) outbox: Outbox,
    /// Set while this member must not campaign, because as a leader it could not commit.
    pub(crate) abstention: Option<Abstention>,
    /// Set while the log lacks what it lost at its end: this member gives no vote and doesn't campaign.
    pub(crate) recovery: Option<Recovery>,
    /// Every member is known to hold the log durably up to here.
    pub(crate) held_by_all: LogIndex,
    hard_state: HardState,
    commit_index: LogIndex,
    /// At most `handed_out`.
    applied_index: LogIndex,
    /// The last entry given out to be applied; at most `commit_index`.
    handed_out: LogIndex,
    /// The last one begun.
    campaign: CampaignId,
    disk: Disk,
}

/// Whether batches get through. Whose disk stands still neither leads nor campaigns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Disk {
    Moving,
    Stalled,
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Installation {
    /// The log begins after it.
    Installed,
    /// The log covers it.
    Unneeded,
}

/// What a member was before it started; see [`Restored`](crate::Restored).
pub(crate) struct Memory {
    pub(crate) hard_state: HardState,
    pub(crate) applied_index: LogIndex,
    pub(crate) commit_index: LogIndex,
    pub(crate) recovery: Option<Recovery>,
}

impl Member {
    pub(crate) fn new(
        id: NodeId,
        config: Config,
        log: LogView,
        memberships: MembershipHistory,
        durability: Durability,
        clock: ElectionClock,
        memory: Memory,
    ) -> Self {
        assert!(memory.commit_index <= log.last_index(), "what was applied is in the log");
        Self {
            id,
            config,
            log,
            memberships,
            durability,
            clock,
            outbox: Outbox::default(),
            abstention: None,
            recovery: memory.recovery,
            held_by_all: LogIndex::ZERO,
            hard_state: memory.hard_state,
            commit_index: memory.commit_index,
            applied_index: memory.applied_index,
            handed_out: memory.commit_index,
            campaign: CampaignId(0),
            disk: Disk::Moving,
        }
    }

    pub(crate) const fn options(&self) -> &Options {
        self.config.options()
    }

    pub(crate) const fn hard_state(&self) -> HardState {
        self.hard_state
    }

    pub(crate) const fn term(&self) -> Term {
        self.hard_state.term
    }

    pub(crate) const fn commit_index(&self) -> LogIndex {
        self.commit_index
    }

    pub(crate) const fn applied_index(&self) -> LogIndex {
        self.applied_index
    }

    /// The configuration in force: the newest one in the log, committed or not.
    pub(crate) fn membership(&self) -> &Membership {
        if self.config.errs(Mistake::ConfigurationsWaitForCommit) {
            return self.memberships.committed();
        }
        self.memberships.current()
    }

    /// The entry that brought the configuration in force.
    pub(crate) fn membership_index(&self) -> LogIndex {
        self.memberships.current_index()
    }

    /// Whether the configuration in force is committed, so that it can't be rolled back.
    pub(crate) fn membership_is_committed(&self) -> bool {
        self.membership_index() <= self.commit_index
    }

    /// Those who are counted: by the configuration in force, whatever role this member has.
    pub(crate) fn electorate(&self) -> Electorate<'_> {
        let electorate = Electorate::new(self.membership(), &self.config);
        if self.config.errs(Mistake::RemovedLeaderCountsItself) {
            electorate.with_intruder(self.id)
        } else {
            electorate
        }
    }

    pub(crate) fn is_voter(&self) -> bool {
        self.membership().is_voter(self.id)
    }

    /// Entries that are in the log and not known to be committed.
    pub(crate) const fn uncommitted_entries(&self) -> u64 {
        self.log.last_index().since(self.commit_index)
    }

    /// How far the log may be compacted.
    pub(crate) fn compactable_through(&self) -> LogIndex {
        if self.config.errs(Mistake::CompactedBeforeApplied) { self.commit_index } else { self.applied_index }
    }
}

/// What it says: nothing that names a term leaves before that term is durable.
impl Member {
    /// Sends `message` as soon as the present term and vote are durable, which is nearly always now.
    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        match self.durability.hard_state_waits_for() {
            Some(number) if !self.config.errs(Mistake::VoteBeforePersist) => {
                self.outbox.seal(self.durability.group(), number, self.durability.issued(), to, message);
            }
            _ => self.outbox.send(to, message),
        }
    }

    /// Sends `message`, which vouches for the log up to `index`, once that and the present term are durable.
    pub(crate) fn send_when_durable(&mut self, index: LogIndex, to: NodeId, message: Message) {
        assert!(index <= self.log.last_index(), "nobody vouches for what is not in the log");
        let entry = self.durability.entry_waits_for(index);
        match self.durability.hard_state_waits_for().max(entry) {
            Some(number) if !self.config.errs(Mistake::AckBeforePersist) => {
                self.outbox.seal(self.durability.group(), number, self.durability.issued(), to, message);
            }
            _ => self.outbox.send(to, message),
        }
    }

    pub(crate) fn alarm(&mut self, alarm: Alarm) {
        self.outbox.alarms.push(alarm);
    }
}

/// Terms and votes (Raft paper, sections 5.1, 5.2 and 5.4.1).
impl Member {
    /// Moves to a higher term, in which nobody has this member's vote yet (Raft paper, section 5.1).
    pub(crate) fn enter_term(&mut self, term: Term) {
        assert!(self.hard_state.term < term, "terms only grow");
        self.hard_state = HardState { term, voted_for: None };
        self.durability.change_hard_state();
    }

    /// A member whose log lost its end leaves the last term in which it may have spoken of what it lost. The error is what it
    /// can't get back, since nobody can lead without it.
    pub(crate) fn begin_recovery(&mut self) -> Result<(), LostTail> {
        let Some(recovery) = self.recovery.filter(|recovery| recovery.is_in_its_term(self.term())) else {
            return Ok(());
        };
        if !Recovery::is_possible(self.id, self.electorate()) {
            return Err(recovery.lost());
        }
        if !self.config.errs(Mistake::LostTailEndsInItsTerm) {
            self.next_term().into_iter().for_each(|term| self.enter_term(term));
        }
        Ok(())
    }

    /// The next term, unless terms are used up.
    pub(crate) fn next_term(&self) -> Option<Term> {
        let next = self.term().next();
        (self.term() < next).then_some(next)
    }

    /// Whether this member may try to become leader by itself. Who isn't a voter of the newest configuration may still be
    /// needed to commit it, since nobody else may have it yet (thesis 4.2.2); its own vote isn't counted.
    pub(crate) fn may_campaign(&self) -> bool {
        let may_be_needed = self.is_voter() || self.memberships.open().any(|earlier| earlier.is_voter(self.id));
        let held_back = self.abstention.is_some() || !self.may_vote();
        may_be_needed && self.disk == Disk::Moving && !held_back && self.next_term().is_some()
    }

    /// Whether this member's log may judge others: it holds all that was ever promised with it.
    fn may_vote(&self) -> bool {
        self.recovery.is_none() || self.config.errs(Mistake::LostTailVotes)
    }

    /// Begins another ballot; answers to earlier ones don't count for it.
    pub(crate) const fn next_campaign(&mut self) -> CampaignId {
        self.campaign = CampaignId(self.campaign.0.wrapping_add(1));
        self.campaign
    }

    /// Gives the vote of the present term to oneself.
    pub(crate) fn vote_for_self(&mut self) {
        assert!(self.hard_state.voted_for.is_none(), "a campaign begins with a new term");
        self.hard_state.voted_for = Some(self.id);
        self.durability.change_hard_state();
    }

    /// Answers a request for a vote in the present term, or a pre-vote in any (Raft paper, sections 5.2 and 5.4.1).
    pub(crate) fn answer_vote(&mut self, from: NodeId, request: RequestVote) -> VoteVerdict {
        let own_last = self.log.last().position;
        let up_to_date = if self.config.errs(Mistake::UpToDateByLengthOnly) {
            own_last.index <= request.last.index
        } else {
            own_last <= request.last
        };
        let kept = if self.config.errs(Mistake::VoteForgotten) { None } else { self.hard_state.voted_for };
        let free_now = request.term == self.term() && kept.is_none_or(|candidate| candidate == from);
        let free = match request.ballot {
            // Thesis 9.6: a pre-vote is granted as a vote in that term would be, and changes nothing.
            Ballot::PreVote => self.term() < request.term || free_now,
            Ballot::Vote => free_now,
        };
        let verdict = if up_to_date && free && self.may_vote() { VoteVerdict::Granted } else { VoteVerdict::Refused };
        let is_new = request.ballot == Ballot::Vote && self.hard_state.voted_for != Some(from);
        if verdict == VoteVerdict::Granted && is_new {
            self.hard_state.voted_for = Some(from);
            self.durability.change_hard_state();
        }
        self.reply_to_vote(from, request, verdict);
        verdict
    }

    pub(crate) fn reply_to_vote(&mut self, from: NodeId, request: RequestVote, verdict: VoteVerdict) {
        let term = match verdict {
            VoteVerdict::Granted => request.term,
            VoteVerdict::Refused => self.term(),
        };
        let reply = RequestVoteReply { term, ballot: request.ballot, campaign: request.campaign, verdict };
        self.send(from, Message::RequestVoteReply(reply));
    }

    /// A leader of the present term was heard.
    pub(crate) fn heard_leader(&mut self) {
        self.clock.rewind();
        self.abstention.take_if(|pledge| {
            pledge.leader_heard();
            pledge.is_settled(&self.log, self.commit_index)
        });
    }
}

/// The log (Raft paper, section 5.3).
impl Member {
    /// Appends an entry that this member makes as the leader of the present term.
    pub(crate) fn append_own(&mut self, kind: EntryKind, body_bytes: u32, body_digest: BodyDigest) -> Position {
        let LogPoint { position: last, chain } = self.log.last();
        let position = Position { term: self.term(), index: last.index.next() };
        self.append(EntryHead::chained(chain, position, kind, body_bytes, body_digest));
        position
    }

    /// Appends an entry whose chain was checked.
    pub(crate) fn append(&mut self, head: EntryHead) {
        self.log.append(&head);
        if let EntryKind::Membership(membership) = &head.kind {
            let known = self.memberships.current();
            if membership.members().any(|(node, _)| known.incarnation(node).is_none()) {
                // A newcomer holds nothing yet.
                self.held_by_all = LogIndex::ZERO;
            }
            self.memberships.append(head.position.index, membership.as_ref().clone());
        }
        self.durability.append(head);
    }

    /// Drops the entry at `index`, which conflicts with the leader's, and all after it.
    pub(crate) fn truncate_from(&mut self, index: LogIndex, before: ChainDigest) {
        assert!(self.commit_index < index || cfg!(seeded_bugs), "a committed entry is never dropped");
        self.log.truncate_from(index, before);
        if !self.config.errs(Mistake::ConfigurationsOutliveTruncation) {
            self.memberships.truncate_from(index);
        }
        self.durability.truncate_from(index);
    }
}

/// What is committed and applied, and what a snapshot or a compaction takes away (Raft paper, sections 5.4 and 7).
impl Member {
    /// Everything up to `index` is committed. Moves forward only.
    pub(crate) fn commit_to(&mut self, index: LogIndex) {
        assert!(index <= self.log.last_index(), "only what is in the log can be committed");
        if index <= self.commit_index {
            return;
        }
        self.commit_index = index;
        self.memberships.commit(index);
        self.log.forget_through(index);
        self.abstention.take_if(|pledge| pledge.is_settled(&self.log, index));
        if self.config.errs(Mistake::LostTailEndsInItsTerm) {
            self.end_recovery();
        }
    }

    /// The state machine has applied up to `index`.
    pub(crate) fn applied(&mut self, index: LogIndex) {
        if self.handed_out < index {
            return self.alarm(Alarm::DriverOverreached { claimed: index, allowed: self.handed_out });
        }
        self.applied_index = self.applied_index.max(index);
    }

    /// The log was compacted up to `point`.
    pub(crate) fn compacted(&mut self, point: LogPoint) {
        let index = point.position.index;
        if index <= self.log.anchor().position.index {
            return;
        }
        let allowed = self.compactable_through();
        if allowed < index {
            self.alarm(Alarm::DriverOverreached { claimed: index, allowed });
        }
        if index <= self.applied_index && self.log.term_at(index) == Some(point.position.term) {
            self.log.compact(point);
            self.memberships.forget_through(index);
        }
    }

    /// Whether the log covers `point`, which is committed. If it holds the entry, it learns here that it is.
    pub(crate) fn covers(&mut self, from: NodeId, LogPoint { position, chain: theirs }: LogPoint) -> bool {
        if position.index <= self.commit_index {
            return true;
        }
        if self.log.term_at(position.index) != Some(position.term) {
            return false;
        }
        if let Some(ours) = self.log.chain_at(position.index).filter(|ours| *ours != theirs) {
            self.alarm(Alarm::ChainMismatch { from, position, ours, theirs });
            return false;
        }
        self.commit_to(position.index);
        true
    }

    /// A snapshot is complete here. It takes the place of a log that lacks its last entry; a log that has it keeps what
    /// comes after it (Raft paper, section 7).
    pub(crate) fn install(&mut self, snapshot: Snapshot) -> Installation {
        let Snapshot { mut point, membership, membership_index } = snapshot;
        let index = point.position.index;
        assert!(point.position.term <= self.term(), "its term was entered");
        let may_be_stale = self.config.errs(Mistake::StaleSnapshotInstalled);
        if !may_be_stale && self.covers(self.id, point) {
            return Installation::Unneeded;
        }
        if self.config.errs(Mistake::SnapshotWithoutTerm) {
            point.position.term = Term(0);
        }
        if self.config.errs(Mistake::ConflictingSuffixKept) && index <= self.log.last_index() {
            self.log.compact(point);
        } else {
            self.log.reset(point);
            self.durability.reset(point, self.commit_index);
        }
        if self.config.errs(Mistake::SnapshotWithoutMembership) {
            self.memberships.reset(Membership::default(), index);
        } else {
            self.memberships.reset(membership, membership_index);
        }
        self.commit_index = index;
        self.applied_index = index;
        self.handed_out = index;
        self.abstention.take_if(|pledge| pledge.is_settled(&self.log, index));
        Installation::Installed
    }
}

/// The disk, and what waits for it.
impl Member {
    /// A persist batch is durable.
    pub(crate) fn persisted(&mut self, receipt: PersistReceipt) {
        match self.durability.confirm(receipt) {
            Ok(()) => {
                self.disk = Disk::Moving;
                self.end_recovery();
            }
            Err(_) => self.alarm(Alarm::DriverOverreached {
                claimed: LogIndex(receipt.number().0),
                allowed: LogIndex(self.durability.issued().0),
            }),
        }
    }

    /// Ends the recovery of a log that durably holds again what it lost.
    fn end_recovery(&mut self) {
        let Some(recovery) = self.recovery else { return };
        let durable = self.log.term_at(self.durability.durable_index());
        let content = self.commit_index == self.durability.durable_index();
        if content && self.config.errs(Mistake::LostTailEndsInItsTerm)
            || durable.is_some_and(|term| recovery.is_over(term))
        {
            self.recovery = None;
            self.outbox.recovered = Some(recovery.lost());
        }
    }

    /// The disk makes no progress. Says whether there was anything that it should have done.
    pub(crate) fn disk_stalled(&mut self) -> bool {
        if self.durability.is_idle() {
            return false;
        }
        self.disk = Disk::Stalled;
        true
    }

    /// The next persist batch, if there is something to persist and room for it.
    pub(crate) fn take_persist(&mut self) -> Option<Persist> {
        let NextBatch { ticket, carries_hard_state, reset, truncate_from, heads } = self.durability.take_next()?;
        let hard_state = carries_hard_state.then_some(self.hard_state);
        Some(Persist { ticket, reset, hard_state, truncate_from, heads })
    }

    /// Entries that became committed and are durable here, so that no unpersisted entry is ever applied.
    pub(crate) fn take_committed(&mut self) -> Option<CommittedRange> {
        let last = self.commit_index.min(self.durability.durable_index());
        if last <= self.handed_out {
            return None;
        }
        let term = self.log.term_at(last)?;
        let first = self.handed_out.next();
        self.handed_out = last;
        Some(CommittedRange { first, last: Position { term, index: last } })
    }
}
