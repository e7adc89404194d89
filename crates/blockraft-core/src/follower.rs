//! The role of those who take entries from a leader, learners included.

use blockraft_types::message::{
    AppendEntries, AppendEntriesReply, AppendVerdict, CampaignReason, ConflictHint, Heartbeat, HeartbeatReply,
    InstallSnapshot, InstallSnapshotReply, StreamEpoch, TimeoutNow,
};
use blockraft_types::{ChainDigest, EntryHead, EntryKind, LogIndex, Message, NodeId, Position};

use crate::alarm::Alarm;
use crate::election_clock::Patience;
use crate::log_point::LogPoint;
use crate::member::Member;
use crate::mistake::Mistake;
use crate::snapshot::SnapshotOffer;
use crate::transition::Transition;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Follower {
    leader: Option<NodeId>,
    /// The entry whose payload the gate waits for.
    waiting_for: Option<LogIndex>,
    /// The stream of the leader's last offer of a snapshot, which an installation answers.
    offered: Option<StreamEpoch>,
}

/// What is to be done with the heads of an append.
enum Merge {
    /// The log has them all.
    Known,
    /// The entries from `index` on are new; what stands there now is dropped. `before` is the digest before them.
    New { index: LogIndex, before: ChainDigest },
}

/// Why the heads of an append are not taken.
enum Refusal {
    /// The logs part before them: the leader is told where to try next.
    Conflict(AppendVerdict),
    /// The logs contradict each other where they must not: an alarm says so, and the leader gets no answer.
    Contradiction,
}

impl Follower {
    pub(crate) const fn of(leader: Option<NodeId>) -> Self {
        Self { leader, waiting_for: None, offered: None }
    }

    pub(crate) const fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    pub(crate) const fn payload_waiting(&mut self, index: Option<LogIndex>) {
        self.waiting_for = index;
    }

    /// Whether a leader was heard within the shortest election timeout: then candidates disturb.
    pub(crate) const fn hears_leader(&self, member: &Member) -> bool {
        self.leader.is_some() && member.clock.within_minimum()
    }

    pub(crate) fn tick(&mut self, member: &mut Member) -> Transition {
        if self.leader.is_none() && member.abstention.take_if(|pledge| pledge.tick()).is_some() {
            member.clock.redraw();
        }
        if member.clock.tick() == Patience::Lasts {
            return Transition::Stay;
        }
        if member.may_campaign() {
            return Transition::PreCampaign;
        }
        self.leader = None;
        member.clock.redraw();
        Transition::Stay
    }

    /// Takes `from` for the leader of the present term, unless another one is known.
    pub(crate) fn recognises(&mut self, member: &mut Member, from: NodeId) -> bool {
        let known = *self.leader.get_or_insert(from);
        if known != from {
            member.alarm(Alarm::TwoLeaders { term: member.term(), known, other: from });
            return false;
        }
        member.heard_leader();
        true
    }

    /// AppendEntries of the present leader (Raft paper, figure 2).
    pub(crate) fn append(&mut self, member: &mut Member, from: NodeId, append: AppendEntries) {
        if !is_well_formed(&append) {
            return member.alarm(Alarm::MalformedAppend { from });
        }
        let merge = match match_prev(member, from, &append).and_then(|()| merge(member, from, &append)) {
            Ok(merge) => merge,
            Err(Refusal::Conflict(verdict)) => {
                let reply = AppendEntriesReply { term: member.term(), stream: append.stream, verdict };
                return member.send(from, Message::AppendEntriesReply(reply));
            }
            Err(Refusal::Contradiction) => return,
        };
        let proven = append.prev.index.plus(append.heads.len() as u64);
        if let Merge::New { index, before } = merge {
            let new = proven.since(index.previous());
            if member.options().uncommitted_entries_max.max(new) < member.durability.waiting_entries() + new {
                // The disk is far behind: the leader will probe again. An append always fits when nothing waits.
                return;
            }
            if index <= member.log.last_index() {
                member.truncate_from(index, before);
            }
            append.heads.into_iter().filter(|head| index <= head.position.index).for_each(|head| member.append(head));
        }
        // Only what this message proved to agree with the leader's log.
        let commit = append.leader_commit.min(proven);
        member.commit_to(commit);
        let match_index = if member.config.errs(Mistake::AckOwnLast) { member.log.last_index() } else { proven };
        let verdict = AppendVerdict::Matched { match_index };
        let reply = AppendEntriesReply { term: member.term(), stream: append.stream, verdict };
        member.send_when_durable(match_index, from, Message::AppendEntriesReply(reply));
    }

    /// Heartbeat of the present leader.
    pub(crate) fn heartbeat(&mut self, member: &mut Member, from: NodeId, heartbeat: Heartbeat) {
        let last = member.log.last_index();
        if last < heartbeat.commit {
            member.alarm(Alarm::CommitBeyondLog { from, commit: heartbeat.commit, last });
        }
        member.commit_to(heartbeat.commit.min(last));
        member.held_by_all = member.held_by_all.max(heartbeat.held_by_all.min(member.commit_index()));
        let reply = HeartbeatReply {
            term: member.term(),
            round: heartbeat.round,
            waiting_for: self.waiting_for,
            last_durable: member.durability.kept_index(),
        };
        member.send(from, Message::HeartbeatReply(reply));
    }

    /// The leader can't send what this log lacks. Unless it lacks nothing any more, a snapshot is wanted.
    pub(crate) fn snapshot_offered(&mut self, member: &mut Member, from: NodeId, offer: InstallSnapshot) {
        self.offered = Some(offer.stream);
        let least = LogPoint { position: offer.least, chain: offer.least_chain };
        if member.covers(from, least) {
            return self.answer_offer(member);
        }
        member.outbox.snapshot_wanted = Some(SnapshotOffer { from, least });
    }

    /// Tells the leader how far snapshot and log reach, once that is durable.
    pub(crate) fn answer_offer(&self, member: &mut Member) {
        let (Some(leader), Some(stream)) = (self.leader, self.offered) else { return };
        let index = member.commit_index();
        let Some(term) = member.log.term_at(index) else { return };
        let reply = InstallSnapshotReply { term: member.term(), stream, last: Position { term, index } };
        member.send_when_durable(index, leader, Message::InstallSnapshotReply(reply));
    }

    /// The leader hands over (thesis 3.10). Who isn't caught up and flushed declines in silence: the leader gives up
    /// after an election timeout.
    pub(crate) fn timeout_now(&self, member: &Member, from: NodeId, timeout_now: TimeoutNow) -> Transition {
        let last = member.log.last().position;
        let flushed = member.durability.durable_index() == last.index;
        if self.leader == Some(from) && flushed && timeout_now.last <= last && member.may_campaign() {
            return Transition::Campaign { reason: CampaignReason::Transfer };
        }
        Transition::Stay
    }
}

/// Whether an honest leader could have made this append: contiguous, terms that never fall nor exceed its own, digests
/// that follow from each other, and bodies for commands alone.
fn is_well_formed(append: &AppendEntries) -> bool {
    let (mut previous, mut chain) = (append.prev, append.prev_chain);
    for head in &append.heads {
        let next = previous.index.0.checked_add(1).map(LogIndex);
        let in_order = Some(head.position.index) == next && previous.term <= head.position.term;
        let bodiless = head.kind == EntryKind::Command || head.body_bytes == 0;
        if !in_order || !bodiless || !head.follows(chain) {
            return false;
        }
        (previous, chain) = (head.position, head.chain);
    }
    previous.term <= append.term
}

/// Whether this log has the entry before the first one sent (Raft paper, section 5.3).
fn match_prev(member: &mut Member, from: NodeId, append: &AppendEntries) -> Result<(), Refusal> {
    let (prev, last) = (append.prev, member.log.last().position);
    let conflict = |term, first_index| {
        let hint = ConflictHint { term, first_index, last };
        Err(Refusal::Conflict(AppendVerdict::Conflict { prev_index: prev.index, hint }))
    };
    if last.index < prev.index {
        return conflict(None, last.index.next());
    }
    let Some(ours) = member.log.term_at(prev.index) else {
        // It is compacted here, hence committed, hence the leader's.
        return Ok(());
    };
    if ours != prev.term {
        if prev.index <= member.commit_index() {
            member.alarm(Alarm::CommittedConflict { from, index: prev.index, ours, theirs: prev.term });
            return Err(Refusal::Contradiction);
        }
        return conflict(Some(ours), member.log.first_of_run(prev.index).unwrap_or(prev.index));
    }
    same_chain(member, from, prev, append.prev_chain)
}

/// Finds the first entry that this log lacks or has otherwise. An append that merely ends earlier drops nothing: it may
/// be an old one.
fn merge(member: &mut Member, from: NodeId, append: &AppendEntries) -> Result<Merge, Refusal> {
    let mut before = append.prev_chain;
    for EntryHead { position, chain, .. } in &append.heads {
        if member.log.last_index() < position.index {
            return Ok(Merge::New { index: position.index, before });
        }
        if let Some(ours) = member.log.term_at(position.index) {
            if ours != position.term {
                if position.index <= member.commit_index() && !member.config.errs(Mistake::TruncateOnStaleAppend) {
                    let theirs = position.term;
                    member.alarm(Alarm::CommittedConflict { from, index: position.index, ours, theirs });
                    return Err(Refusal::Contradiction);
                }
                return Ok(Merge::New { index: position.index, before });
            }
            same_chain(member, from, *position, *chain)?;
        }
        before = *chain;
    }
    let proven = append.prev.index.plus(append.heads.len() as u64);
    if proven < member.log.last_index() && member.config.errs(Mistake::TruncateOnStaleAppend) {
        return Ok(Merge::New { index: proven.next(), before });
    }
    Ok(Merge::Known)
}

/// Whether the digest at `position`, where it is held, is the one that the leader has (Log Matching with teeth).
fn same_chain(member: &mut Member, from: NodeId, position: Position, theirs: ChainDigest) -> Result<(), Refusal> {
    match member.log.chain_at(position.index) {
        Some(ours) if ours != theirs => {
            member.alarm(Alarm::ChainMismatch { from, position, ours, theirs });
            Err(Refusal::Contradiction)
        }
        _ => Ok(()),
    }
}
