//! The role of the one that orders entries in its term. Only it knows how far the others are.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use blockraft_types::message::{
    AppendEntriesReply, Heartbeat, HeartbeatReply, InstallSnapshot, InstallSnapshotReply, ReadRound, TimeoutNow,
};
use blockraft_types::{
    BodyDigest, ChangeRefusal, EntryKind, LogIndex, Membership, MembershipChange, Message, NodeId, Position,
};

use crate::abstention::Abstention;
use crate::alarm::Alarm;
use crate::append_range::AppendSent;
use crate::departures::Departures;
use crate::input::{BodyHead, ChangeTicket, ProposalTicket, ReadTicket};
use crate::log_point::LogPoint;
use crate::member::Member;
use crate::mistake::Mistake;
use crate::progress::{Finding, NeedsSnapshot, Progress};
use crate::quorum::Electorate;
use crate::reads::Reads;
use crate::ready::{
    Accepted, ChangeAnswer, ChangeOutcome, ProposalRefusal, ReadRefusal, RefusedProposal, RefusedRead, SafeRead,
};
use crate::reconfiguration::{self, Planned};
use crate::status::ProgressStatus;
use crate::transition::Transition;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Leader {
    /// The no-op with which the term began: once it is committed, so is everything before it.
    first_index: LogIndex,
    /// Every other member, and those who were removed and haven't heard of it yet.
    progress: BTreeMap<NodeId, Progress>,
    departures: Departures,
    reads: Reads,
    /// The last one begun: each is a heartbeat to everyone.
    round: ReadRound,
    heartbeat: Beat,
    /// To whom leadership is being handed over.
    transfer: Option<Transfer>,
    /// Ticks since the commit index last moved while something was uncommitted.
    commit_still_ticks: u32,
    /// The commit index at the last tick.
    commit_index_seen: LogIndex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Beat {
    /// In so many ticks.
    In(u32),
    /// With the next effects.
    Due,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Transfer {
    to: NodeId,
    ticks: u32,
}

impl Leader {
    /// Begins to lead: appends a no-op, through which everything before it can be committed (Raft paper, section 8),
    /// and lets everyone know at once.
    pub(crate) fn begin(member: &mut Member) -> Self {
        assert!(
            member.durability.hard_state_waits_for().is_none() || cfg!(seeded_bugs),
            "nobody leads on a vote that may be forgotten"
        );
        let last = member.log.last_index();
        let others = member.membership().members().map(|(node, _)| node).filter(|node| *node != member.id);
        let mut progress: BTreeMap<NodeId, Progress> = others.map(|node| (node, Progress::new(last))).collect();
        let mut departures = Departures::default();
        for (node, removal) in departed(member) {
            departures.begin(node, removal, member.options().commit_stall_ticks);
            progress.insert(node, Progress::new(last));
        }
        let first = member.append_own(EntryKind::Blank, 0, BodyDigest::of(&[]));
        Self {
            first_index: first.index,
            progress,
            departures,
            reads: Reads::default(),
            round: ReadRound(0),
            heartbeat: Beat::Due,
            transfer: None,
            commit_still_ticks: 0,
            commit_index_seen: member.commit_index(),
        }
    }

    /// Leadership is over: nobody will confirm the reads that wait.
    pub(crate) fn end(self, member: &mut Member) {
        let refused = |ticket| RefusedRead { ticket, reason: ReadRefusal::NotLeader { leader: None } };
        member.outbox.refused_reads.extend(self.reads.abandon().map(refused));
    }

    pub(crate) fn tick(&mut self, member: &mut Member) -> Transition {
        self.tick_others(member);
        // Thesis 6.2: a leader that a majority no longer answers makes room. It counts itself.
        if !self.is_heard_by_quorum(member, member.membership()) {
            match self.revertible(member).filter(|before| self.is_heard_by_quorum(member, before)) {
                Some(before) => self.append_membership(member, before),
                None => return Transition::Follow { leader: None },
            }
        }
        if self.commit_stalls(member) {
            if let Some(before) = self.revertible(member) {
                self.commit_still_ticks = 0;
                self.append_membership(member, before);
                return Transition::Stay;
            }
            let last = member.log.last().position;
            member.alarm(Alarm::CommitStalled { commit_index: member.commit_index(), last_index: last.index });
            member.abstention = Some(Abstention::new(last, member.options().commit_stall_ticks));
            return Transition::Follow { leader: None };
        }
        self.tick_transfer(member);
        self.heartbeat = match self.heartbeat {
            Beat::In(ticks) if 1 < ticks => Beat::In(ticks - 1),
            Beat::In(_) | Beat::Due => Beat::Due,
        };
        Transition::Stay
    }

    fn tick_others(&mut self, member: &mut Member) {
        for node in self.departures.tick() {
            self.progress.remove(&node);
        }
        for (&peer, progress) in &mut self.progress {
            let finding = progress.tick(member.log.last_index(), member.options().commit_stall_ticks);
            report(member, peer, finding, progress);
        }
    }

    /// Whether the commit index has stood still for too long although heartbeats are answered. A lone voter has nobody
    /// to make room for.
    fn commit_stalls(&mut self, member: &Member) -> bool {
        let commit_index = member.commit_index();
        let moved = self.commit_index_seen < commit_index || commit_index == member.log.last_index();
        self.commit_index_seen = commit_index;
        self.commit_still_ticks = if moved { 0 } else { self.commit_still_ticks.saturating_add(1) };
        let replaceable = self.members().any(|(peer, _)| member.membership().is_voter(*peer));
        replaceable && member.options().commit_stall_ticks <= self.commit_still_ticks
    }

    /// Whether a majority of each half of `membership` was heard within an election timeout.
    fn is_heard_by_quorum(&self, member: &Member, membership: &Membership) -> bool {
        let patience = member.options().election_ticks_max;
        let heard =
            |node| node == member.id || self.progress.get(&node).is_some_and(|peer| peer.is_heard_within(patience));
        Electorate::new(membership, &member.config).agrees(heard)
    }
}

/// Proposals, and how they reach the others (Raft paper, section 5.3).
impl Leader {
    /// Appends a proposal, whole or not at all.
    pub(crate) fn propose(&mut self, member: &mut Member, ticket: ProposalTicket, bodies: &[BodyHead]) {
        if let Err(reason) = self.admits(member, bodies) {
            return member.outbox.refused.push(RefusedProposal { ticket, reason });
        }
        let positions = bodies.iter().map(|body| member.append_own(EntryKind::Command, body.bytes, body.digest));
        let positions: Vec<Position> = positions.collect();
        if let (Some(&first), Some(last)) = (positions.first(), positions.last()) {
            member.outbox.accepted.push(Accepted { ticket, first, last: last.index });
        }
    }

    fn admits(&self, member: &Member, bodies: &[BodyHead]) -> Result<(), ProposalRefusal> {
        if bodies.is_empty() {
            return Err(ProposalRefusal::Empty);
        }
        if let Some(Transfer { to, .. }) = self.transfer
            && !member.config.errs(Mistake::ProposalsDuringTransfer)
        {
            return Err(ProposalRefusal::Transferring { to });
        }
        // What a leader appends after its own removal, its successor may lack.
        if !member.is_voter() {
            return Err(self
                .successor(member)
                .map_or(ProposalRefusal::NotLeader { leader: None }, |to| ProposalRefusal::Transferring { to }));
        }
        let options = member.options();
        let bytes = bodies.iter().fold(0_u64, |sum, body| sum.saturating_add(u64::from(body.bytes)));
        let (bytes_before, entries_before) = (member.log.uncommitted_bytes(), member.uncommitted_entries());
        // One proposal always fits when nothing is uncommitted, so that nothing is too large for ever.
        let too_many_bytes = 0 < bytes_before && options.uncommitted_bytes_max < bytes_before.saturating_add(bytes);
        let entries = entries_before.saturating_add(bodies.len() as u64);
        let too_many_entries = 0 < entries_before && options.uncommitted_entries_max < entries;
        if too_many_bytes || too_many_entries { Err(ProposalRefusal::Full) } else { Ok(()) }
    }

    /// Orders what is to be sent: heartbeats and read rounds that are due, then the next range for each follower.
    pub(crate) fn send_due(&mut self, member: &mut Member) {
        if self.heartbeat == Beat::Due || (self.reads.want_round() && self.may_read(member)) {
            self.begin_round(member);
        }
        let (term, commit_index, held_by_all) = (member.term(), member.commit_index(), member.held_by_all);
        let readable = member.durability.issued_last();
        for (&peer, progress) in &mut self.progress {
            match progress.next_range(peer, term, &member.log, readable, commit_index, &member.config) {
                Some(Ok(range)) => member.outbox.appends.push(range),
                Some(Err(NeedsSnapshot)) => offer_snapshot(member, peer, progress),
                None => {}
            }
            if progress.misses_commit(commit_index) {
                let commit = progress.repeated_commit(commit_index, &member.config);
                let heartbeat = Heartbeat { term, round: self.round, commit, held_by_all };
                member.send(peer, Message::Heartbeat(heartbeat));
            }
        }
    }

    /// Sends a heartbeat of a new round to everyone.
    fn begin_round(&mut self, member: &mut Member) {
        self.heartbeat = Beat::In(member.options().heartbeat_ticks);
        self.round = ReadRound(self.round.0.saturating_add(1));
        if self.may_read(member) {
            self.reads.begin(self.round, member.commit_index());
        }
        let (term, commit_index, held_by_all) = (member.term(), member.commit_index(), member.held_by_all);
        for (&peer, progress) in &mut self.progress {
            let commit = progress.heartbeat_commit(self.round, commit_index, &member.config);
            self.departures.told(peer, self.round, |index| progress.knows_commit(index));
            member.send(peer, Message::Heartbeat(Heartbeat { term, round: self.round, commit, held_by_all }));
            offer_snapshot(member, peer, progress);
        }
        self.finish_transfer(member);
        self.confirm_reads(member);
    }

    pub(crate) fn append_sent(&mut self, sent: AppendSent) {
        if let Some(progress) = self.progress.get_mut(&sent.to) {
            progress.sent(sent);
        }
    }

    pub(crate) fn append_answered(
        &mut self,
        member: &mut Member,
        from: NodeId,
        reply: &AppendEntriesReply,
    ) -> Transition {
        let Some(progress) = self.progress.get_mut(&from) else { return Transition::Stay };
        let before = progress.match_index();
        let finding = progress.answered(reply.stream, reply.verdict, &member.log, &member.config);
        report(member, from, finding, progress);
        if progress.match_index() <= before {
            return Transition::Stay;
        }
        let transition = self.advance_commit(member);
        self.finish_transfer(member);
        transition
    }

    pub(crate) fn heartbeat_answered(&mut self, member: &mut Member, from: NodeId, reply: HeartbeatReply) {
        // A round that this leader never began is nobody's answer.
        if self.round < reply.round {
            return;
        }
        let Some(progress) = self.progress.get_mut(&from) else { return };
        let finding = progress.heartbeat_answered(reply, &member.log);
        report(member, from, finding, progress);
        if self.departures.answered(from, reply.round) {
            self.progress.remove(&from);
        }
        self.confirm_reads(member);
    }

    pub(crate) fn snapshot_answered(
        &mut self,
        member: &mut Member,
        from: NodeId,
        reply: InstallSnapshotReply,
    ) -> Transition {
        let Some(progress) = self.progress.get_mut(&from) else { return Transition::Stay };
        progress.installed(reply.stream, reply.last, &member.log);
        let transition = self.advance_commit(member);
        self.finish_transfer(member);
        transition
    }

    pub(crate) fn unreachable(&mut self, peer: NodeId) {
        if let Some(progress) = self.progress.get_mut(&peer) {
            progress.unreachable();
        }
    }

    fn match_of(&self, node: NodeId) -> LogIndex {
        self.progress.get(&node).map_or(LogIndex::ZERO, Progress::match_index)
    }
}

/// What is committed (Raft paper, section 5.4).
impl Leader {
    /// Advances the commit index to what a majority of each half holds durably, but only through an entry of the own
    /// term (Raft paper, section 5.4.2; thesis 3.6.2). The own copy counts once it is durable, and only while this
    /// leader is a voter.
    pub(crate) fn advance_commit(&mut self, member: &mut Member) -> Transition {
        let own = if member.config.errs(Mistake::OwnCopyBeforePersist) {
            member.log.last_index()
        } else {
            member.durability.durable_index()
        };
        let held = |node| if node == member.id { own } else { self.match_of(node) };
        let Some(index) = member.electorate().reached(held) else { return Transition::Stay };
        let own_term = member.log.term_at(index) == Some(member.term());
        if member.commit_index() < index && (own_term || member.config.errs(Mistake::OldTermsCommittedByCounting)) {
            member.commit_to(index);
        }
        let everyone = self.members().map(|(_, progress)| progress.match_index());
        let held_by_all = everyone.fold(member.durability.durable_index(), LogIndex::min).min(member.commit_index());
        member.held_by_all = member.held_by_all.max(held_by_all);
        self.go_on_with_change(member)
    }
}

/// Reads (thesis 6.4).
impl Leader {
    /// Takes in a read; its index is captured when its round begins.
    pub(crate) fn read(&mut self, member: &mut Member, ticket: ReadTicket) {
        if member.options().reads_pending_max <= self.reads.len() {
            return member.outbox.refused_reads.push(RefusedRead { ticket, reason: ReadRefusal::Full });
        }
        let confirmed_once = ReadRound(0) < self.confirmed_round(member);
        if confirmed_once && member.config.errs(Mistake::ReadsRestOnAnOldRound) {
            let (index, term) = (member.commit_index(), member.term());
            return member.outbox.reads.push(SafeRead { ticket, index, term });
        }
        self.reads.push(ticket);
    }

    /// Before an entry of the own term is committed, nobody knows what is (Raft paper, section 8).
    fn may_read(&self, member: &Member) -> bool {
        self.first_index <= member.commit_index() || member.config.errs(Mistake::ReadsBeforeOwnTermCommits)
    }

    fn confirmed_round(&self, member: &Member) -> ReadRound {
        let answered = |node| match self.progress.get(&node) {
            _ if node == member.id => self.round,
            Some(progress) if !progress.is_fenced() => progress.answered_round(),
            _ => ReadRound(0),
        };
        member.electorate().reached(answered).unwrap_or_default()
    }

    fn confirm_reads(&mut self, member: &mut Member) {
        let confirmed =
            if member.config.errs(Mistake::EarlierAnswersConfirmReads) && ReadRound(1) < self.confirmed_round(member) {
                self.round
            } else {
                self.confirmed_round(member)
            };
        let term = member.term();
        for round in self.reads.confirm(confirmed) {
            let index = round.index;
            member.outbox.reads.extend(round.tickets.into_iter().map(|ticket| SafeRead { ticket, index, term }));
        }
    }
}

/// Changes of members (Raft paper, section 6; thesis, chapter 4).
impl Leader {
    /// Begins a change of members, if the moment is right (Raft paper, section 6; thesis, chapter 4).
    pub(crate) fn change_members(&mut self, member: &mut Member, ticket: ChangeTicket, change: &MembershipChange) {
        let outcome = self.plan_change(member, change).map(|planned| match planned {
            Planned::AlreadySo => ChangeOutcome::AlreadySo,
            Planned::Next(next) => {
                self.append_membership(member, next);
                ChangeOutcome::Begun { position: member.log.last().position }
            }
        });
        member.outbox.changes.push(ChangeAnswer { ticket, outcome });
    }

    fn plan_change(&self, member: &Member, change: &MembershipChange) -> Result<Planned, ChangeRefusal> {
        if let Some(Transfer { to, .. }) = self.transfer {
            return Err(ChangeRefusal::Transferring { to });
        }
        if *change == MembershipChange::Revert {
            return self.revertible(member).map(Planned::Next).ok_or(ChangeRefusal::NothingToRevert);
        }
        // The bug of 2015 (raft-dev, "bug in single-server membership changes"): before an entry of its term is
        // committed, a leader can't know that no other configuration than its own is in force somewhere.
        let hasty = member.config.errs(Mistake::ChangesBeforeOwnTermCommits);
        if member.commit_index() < self.first_index && !hasty {
            return Err(ChangeRefusal::TermNotSettled);
        }
        let overlaps = member.config.errs(Mistake::ChangesOverlap) && !member.membership().is_joint();
        let settled = member.membership_is_committed() && !member.membership().is_joint();
        if !(settled || overlaps || hasty && !member.membership().is_joint()) {
            return Err(ChangeRefusal::InProgress { index: member.membership_index() });
        }
        let planned = reconfiguration::plan(member.membership(), change, &member.config)?;
        if let Planned::Next(next) = &planned {
            self.check_promoted(member, next)?;
            if !self.is_heard_by_quorum(member, next) {
                return Err(ChangeRefusal::QuorumSilent);
            }
        }
        Ok(planned)
    }

    /// Who will be counted must hold what the others hold: a quorum that begins empty is one copy less of everything
    /// (thesis 4.2.1).
    fn check_promoted(&self, member: &Member, next: &Membership) -> Result<(), ChangeRefusal> {
        let known = member.membership();
        let slack = member.options().append_entries_max;
        let needed = LogIndex(member.commit_index().0.saturating_sub(slack)).max(self.first_index);
        let promoted = next.voters.keys().filter(|node| known.learners.contains_key(node));
        for node in promoted {
            let progress = self.progress.get(node).filter(|progress| progress.has_caught_up(needed));
            if progress.is_none() && !member.config.errs(Mistake::EmptyLearnersPromoted) {
                return Err(ChangeRefusal::NotCaughtUp { node: *node, match_index: self.match_of(*node), needed });
            }
        }
        Ok(())
    }

    /// Appends a configuration, which is in force from now on.
    fn append_membership(&mut self, member: &mut Member, membership: Membership) {
        member.append_own(EntryKind::Membership(Box::new(membership)), 0, BodyDigest::of(&[]));
        let (last, patience) = (member.log.last_index(), member.options().commit_stall_ticks);
        for (node, _) in member.membership().members().filter(|(node, _)| *node != member.id) {
            self.departures.cancel(node);
            self.progress.entry(node).or_insert_with(|| Progress::new(last));
        }
        for node in self.progress.keys().filter(|node| member.membership().incarnation(**node).is_none()) {
            self.departures.begin(*node, last, patience);
        }
    }

    /// What follows from the commit of a configuration: a joint one is left, by whichever leader commits it (an entry of
    /// its own term included, so that both majorities have spoken); and a leader that was removed hands over and goes.
    fn go_on_with_change(&mut self, member: &mut Member) -> Transition {
        if !member.membership_is_committed() || member.commit_index() < self.first_index {
            return Transition::Stay;
        }
        if member.membership().is_joint() {
            let next = reconfiguration::left(member.membership());
            self.append_membership(member, next);
            return Transition::Stay;
        }
        if member.is_voter() {
            return Transition::Stay;
        }
        let last = member.log.last().position;
        if let Some(to) = self.successor(member) {
            member.send(to, Message::TimeoutNow(TimeoutNow { term: member.term(), last }));
        }
        Transition::Follow { leader: None }
    }

    /// The configuration before a joint one that this leader itself began and that isn't committed: as long as it can't
    /// be, nobody can have left it towards the new voters.
    fn revertible(&self, member: &Member) -> Option<Membership> {
        let joint = member.membership();
        let own = member.log.term_at(member.membership_index()) == Some(member.term());
        let open = own && !member.membership_is_committed();
        (joint.is_joint() && (open || member.config.errs(Mistake::RevertsInAnyTerm)))
            .then(|| reconfiguration::reverted(joint))
    }
}

/// Handing over (thesis 3.10).
impl Leader {
    /// Begins to hand over to `to`: from now on no proposal is taken (thesis 3.10).
    pub(crate) fn transfer(&mut self, member: &mut Member, to: NodeId) {
        let able = self.progress.get(&to).is_some_and(|progress| !progress.is_fenced());
        if !able || !member.membership().is_voter(to) || self.transferring_to() == Some(to) {
            return;
        }
        self.transfer = Some(Transfer { to, ticks: 0 });
        self.finish_transfer(member);
    }

    /// A target that doesn't campaign within an election timeout never will (thesis 3.10).
    fn tick_transfer(&mut self, member: &mut Member) {
        let Some(transfer) = &mut self.transfer else { return };
        transfer.ticks += 1;
        if member.options().election_ticks_max <= transfer.ticks {
            member.outbox.transfer_aborted = Some(transfer.to);
            self.transfer = None;
        }
    }

    /// Tells the target to campaign, once it holds the whole log.
    fn finish_transfer(&self, member: &mut Member) {
        let Some(Transfer { to, .. }) = self.transfer else { return };
        let last = member.log.last().position;
        if self.progress.get(&to).is_some_and(|progress| progress.match_index() == last.index) {
            member.send(to, Message::TimeoutNow(TimeoutNow { term: member.term(), last }));
        }
    }

    /// The voter that could take over soonest.
    fn successor(&self, member: &Member) -> Option<NodeId> {
        let able =
            self.members().filter(|(node, progress)| member.membership().is_voter(**node) && !progress.is_fenced());
        able.max_by_key(|(_, progress)| progress.match_index()).map(|(node, _)| *node)
    }
}

/// The leader seen from outside.
impl Leader {
    pub(crate) fn transferring_to(&self) -> Option<NodeId> {
        self.transfer.map(|transfer| transfer.to)
    }

    pub(crate) fn progress(&self) -> BTreeMap<NodeId, ProgressStatus> {
        self.members().map(|(node, progress)| (*node, progress.status())).collect()
    }

    /// The others that are members still.
    fn members(&self) -> impl Iterator<Item = (&NodeId, &Progress)> {
        self.progress.iter().filter(|(node, _)| !self.departures.contains(**node))
    }
}

/// Who is to be told of its removal by a new leader: the one that appended it may be gone.
fn departed(member: &Member) -> BTreeMap<NodeId, LogIndex> {
    if member.config.errs(Mistake::SuccessorTellsNobody) {
        return BTreeMap::new();
    }
    let mut departed = member.memberships.departed();
    departed.remove(&member.id);
    departed
}

/// Offers a snapshot to a follower that needs one.
fn offer_snapshot(member: &mut Member, peer: NodeId, progress: &Progress) {
    let Some(stream) = progress.snapshot_stream() else { return };
    let LogPoint { position: least, chain: least_chain } = member.log.anchor();
    let offer = InstallSnapshot { term: member.term(), stream, least, least_chain };
    member.send(peer, Message::InstallSnapshot(offer));
}

fn report(member: &mut Member, peer: NodeId, finding: Finding, progress: &Progress) {
    let alarm = match finding {
        Finding::Nothing => return,
        Finding::Regressed { matched, reported } => Alarm::FollowerRegressed { peer, matched, reported },
        Finding::Frozen => Alarm::FollowerFrozen { peer, match_index: progress.match_index() },
    };
    member.alarm(alarm);
}
