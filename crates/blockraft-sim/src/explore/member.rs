//! A member with its disk: performs what the core asks for, as a driver would.

use std::collections::{BTreeSet, VecDeque};

use blockraft_core::ready::{CommittedRange, Outgoing};
use blockraft_core::{AppendRange, Config, Input, LogPoint, Persist, Proof, Raft, Ready, Sealed};
use blockraft_types::message::{AppendVerdict, Ballot, VoteVerdict};
use blockraft_types::{GroupId, LogIndex, Membership, Message, NodeId, PersistNumber, PersistTicket, Role, Term};

use crate::explore::bounds::Disk;
use crate::explore::configuration::is_quorum;
use crate::explore::image::{Image, Write};
use crate::explore::law::{Broken, History};

/// A member, its disk, and what is on the way to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) raft: Raft,
    /// What a power cut leaves.
    pub(crate) disk: Image,
    /// What is readable here: every batch that was handed out.
    pub(crate) view: Image,
    pub(crate) writes: VecDeque<Write>,
    sealed: Vec<Sealed>,
    applied: LogIndex,
    commit_seen: LogIndex,
    /// The configuration in force before the last step: what a leader commits, it commits under this one.
    in_force_seen: Membership,
    /// While it leads: its term.
    led: Option<Term>,
}

/// A message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Envelope {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) message: Message,
}

/// What a member may look at while it is judged.
pub(crate) struct Surroundings<'a> {
    pub(crate) membership: &'a Membership,
    pub(crate) disk: Disk,
    pub(crate) history: &'a mut History,
    /// Leaves the member through here.
    pub(crate) sent: &'a mut Vec<Envelope>,
    /// The disks of the others.
    pub(crate) others: &'a [(NodeId, &'a Image)],
}

impl Member {
    pub(crate) fn born(id: NodeId, config: Config, membership: &Membership, genesis: LogPoint) -> Result<Self, Broken> {
        let disk = Image::empty(genesis);
        Ok(Self {
            id,
            raft: raft(id, config, &disk, LogIndex::ZERO, membership)?,
            view: disk.clone(),
            disk,
            writes: VecDeque::new(),
            sealed: Vec::new(),
            applied: LogIndex::ZERO,
            commit_seen: LogIndex::ZERO,
            in_force_seen: membership.clone(),
            led: None,
        })
    }

    /// The power fails and comes back: of the writes under way the oldest `survivors` are on the disk. The state machine
    /// remembers nothing, so that everything is committed anew.
    pub(crate) fn reboot(
        &mut self,
        survivors: usize,
        config: Config,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<(), Broken> {
        for write in core::mem::take(&mut self.writes).into_iter().take(survivors) {
            self.write(&write, surroundings)?;
        }
        self.sealed.clear();
        self.view = self.disk.clone();
        self.applied = LogIndex::ZERO;
        self.commit_seen = LogIndex::ZERO;
        self.led = None;
        self.raft = raft(self.id, config, &self.disk, LogIndex::ZERO, surroundings.membership)?;
        self.in_force_seen.clone_from(self.raft.membership());
        self.settle(surroundings)
    }

    pub(crate) fn step(&mut self, input: Input, surroundings: &mut Surroundings<'_>) -> Result<(), Broken> {
        self.raft.step(input);
        self.settle(surroundings)
    }

    /// The oldest write becomes durable, and the member hears of it.
    pub(crate) fn persist(&mut self, surroundings: &mut Surroundings<'_>) -> Result<(), Broken> {
        let Some(write) = self.writes.pop_front() else { return Ok(()) };
        if surroundings.disk != Disk::Lies {
            self.write(&write, surroundings)?;
        }
        let receipt = PersistTicket::new(GroupId(0), PersistNumber(write.number)).redeem();
        for sealed in core::mem::take(&mut self.sealed) {
            match sealed.open(&receipt) {
                Ok((to, message)) => self.send(to, message, surroundings)?,
                Err(sealed) => self.sealed.push(sealed),
            }
        }
        self.step(Input::Persisted(receipt), surroundings)
    }

    fn write(&mut self, write: &Write, surroundings: &mut Surroundings<'_>) -> Result<(), Broken> {
        self.disk.write(write)?;
        match write.hard_state.and_then(|hard_state| Some((hard_state.term, hard_state.voted_for?))) {
            Some((term, candidate)) => surroundings.history.voted(self.id, term, candidate),
            None => Ok(()),
        }
    }

    /// Performs what the core asks for until it asks for nothing more.
    fn settle(&mut self, surroundings: &mut Surroundings<'_>) -> Result<(), Broken> {
        loop {
            let ready = self.raft.take_ready();
            if ready.is_empty() {
                self.judge(surroundings)?;
                return match surroundings.disk {
                    Disk::AtOnce | Disk::Lies if !self.writes.is_empty() => self.persist(surroundings),
                    Disk::AtOnce | Disk::Lies | Disk::Late => Ok(()),
                };
            }
            self.perform(ready, surroundings)?;
        }
    }

    fn perform(&mut self, ready: Ready, surroundings: &mut Surroundings<'_>) -> Result<(), Broken> {
        if ready.persist.as_ref().is_some_and(|persist| persist.truncate_from.is_none())
            && self.raft.role() == Role::Leader
        {
            // What a leader appends may rest on what it committed a moment ago.
            self.judge(surroundings)?;
        }
        // Nothing is compacted within these bounds, so nobody needs a snapshot.
        if let Some(Persist { ticket, reset: _, hard_state, truncate_from, heads }) = ready.persist {
            if truncate_from.is_some() && self.led == Some(self.raft.term()) && self.raft.role() == Role::Leader {
                return Err(Broken::new(
                    "leader append-only",
                    format!("{:?} dropped an entry of its own log", self.id),
                ));
            }
            let write = Write { number: ticket.number().0, hard_state, truncate_from, heads };
            self.view.write(&write)?;
            self.writes.push_back(write);
        }
        if self.raft.lost_tail().is_none() {
            self.disk.make_good();
            self.view.make_good();
        }
        self.sealed.extend(ready.sealed);
        for Outgoing { to, message } in ready.messages {
            self.send(to, message, surroundings)?;
        }
        for read in &ready.reads {
            surroundings.history.confirmed(read.ticket, read.index)?;
        }
        if let Some(alarm) = ready.alarms.into_iter().find(|alarm| alarm.proves() != Proof::Nothing) {
            return Err(Broken::new(
                "no alarm",
                format!("{:?} raised {alarm:?} although every disk is sound", self.id),
            ));
        }
        self.judge(surroundings)?;
        if let Some(committed) = ready.committed {
            self.apply(committed, surroundings)?;
        }
        for range in ready.appends {
            self.fill(&range, surroundings)?;
        }
        Ok(())
    }

    fn apply(&mut self, range: CommittedRange, surroundings: &Surroundings<'_>) -> Result<(), Broken> {
        if range.first != self.applied.next() {
            return Err(Broken::new("applied in order", format!("{:?} applies {} next", self.id, range.first)));
        }
        for index in (range.first.0..=range.last.index.0).map(LogIndex) {
            let durable = self.disk.point(index).map(|point| point.chain);
            if durable.is_none() || durable != surroundings.history.committed(index) {
                let what = format!("{:?} applies an entry {index} that isn't the committed one on its disk", self.id);
                return Err(Broken::new("state machine safety", what));
            }
        }
        self.applied = range.last.index;
        self.raft.step(Input::Applied { index: range.last.index });
        Ok(())
    }

    fn fill(&mut self, range: &AppendRange, surroundings: &mut Surroundings<'_>) -> Result<(), Broken> {
        let unreadable = || Broken::new("ranges are readable", format!("{range:?}"));
        let prev = self.view.point(range.prev.index).ok_or_else(unreadable)?;
        let wanted = (range.prev.index.0 + 1..=range.last.0).map(LogIndex);
        let heads: Option<Vec<_>> = wanted.map(|index| self.view.head(index).cloned()).collect();
        let (append, sent) = range.fill(prev.chain, heads.ok_or_else(unreadable)?).map_err(|_| unreadable())?;
        self.send(range.to, Message::AppendEntries(append), surroundings)?;
        self.raft.step(Input::AppendSent(sent));
        Ok(())
    }

    /// Judges a message as it leaves: it may say only what the sender's disk can back.
    fn send(&self, to: NodeId, message: Message, surroundings: &mut Surroundings<'_>) -> Result<(), Broken> {
        let durable = self.disk.hard_state.term;
        let voted = |term, candidate| term < durable || surroundings.history.has_voted(self.id, term, candidate);
        let backed = match &message {
            Message::RequestVote(request) => match request.ballot {
                Ballot::PreVote => request.term.0 <= durable.0 + 1,
                Ballot::Vote => voted(request.term, self.id),
            },
            Message::RequestVoteReply(reply) => match (reply.ballot, reply.verdict) {
                (Ballot::Vote, VoteVerdict::Granted) => voted(reply.term, to),
                (Ballot::PreVote, VoteVerdict::Granted) => true,
                (_, VoteVerdict::Refused) => reply.term <= durable,
            },
            Message::AppendEntriesReply(reply) => {
                let held = match reply.verdict {
                    AppendVerdict::Matched { match_index } if reply.term == durable => {
                        self.disk.point(match_index).is_some()
                    }
                    AppendVerdict::Matched { .. } | AppendVerdict::Conflict { .. } => true,
                };
                held && reply.term <= durable
            }
            other => other.term() <= durable,
        };
        if !backed {
            let what = format!("{:?} tells {to:?} what its disk can't back: {message:?}", self.id);
            return Err(Broken::new("persist before reply", what));
        }
        surroundings.sent.push(Envelope { from: self.id, to, message });
        Ok(())
    }

    /// What this member alone can have broken with its last step.
    fn judge(&mut self, surroundings: &mut Surroundings<'_>) -> Result<(), Broken> {
        let (term, commit) = (self.raft.term(), self.raft.commit_index());
        if commit < self.commit_seen {
            return Err(Broken::new("commits only grow", format!("the commit index of {:?} fell", self.id)));
        }
        for index in (self.commit_seen.0 + 1..=commit.0).map(LogIndex) {
            // Entries that wait for a batch aren't in view yet.
            let Some(point) = self.view.point(index) else { break };
            match surroundings.history.committed(index) {
                Some(committed) if committed == point.chain => {}
                Some(_) => {
                    let what = format!("{:?} committed another entry {index}", self.id);
                    return Err(Broken::new("state machine safety", what));
                }
                None => {
                    let disks = surroundings.others.iter().copied().chain([(self.id, &self.disk)]);
                    let holders: BTreeSet<NodeId> =
                        disks.filter(|(_, disk)| disk.held(point)).map(|(node, _)| node).collect();
                    if !is_quorum(&self.in_force_seen, |node| holders.contains(&node)) {
                        let what = format!("{:?} committed entry {} held by {holders:?}", self.id, point.position);
                        return Err(Broken::new("commit needs a quorum", what));
                    }
                    surroundings.history.commit(point.position, point.chain, term);
                    if let Some((at, membership)) = self.view.membership_at(index) {
                        surroundings.history.commit_configuration(at, membership);
                    }
                }
            }
            self.commit_seen = index;
        }
        self.judge_configuration(surroundings)?;
        self.judge_leadership(surroundings)
    }

    /// The configuration in force is the newest one in the log, committed or not.
    fn judge_configuration(&mut self, surroundings: &Surroundings<'_>) -> Result<(), Broken> {
        let in_force = self.raft.membership();
        let before = core::mem::replace(&mut self.in_force_seen, in_force.clone());
        let reverts = before.is_joint() && !in_force.is_joint() && in_force.voters == before.outgoing;
        if reverts && self.raft.role() == Role::Leader {
            // What isn't in view yet was appended just now.
            self.view
                .point_of(&before)
                .map_or(Ok(()), |joint| surroundings.history.gives_up(joint, self.raft.term()))?;
        }
        let last = self.view.last().position;
        let newest = self.view.membership_at(last.index).map_or(surroundings.membership, |(_, newest)| newest);
        if self.raft.last() == last && in_force != newest {
            let what = format!("{:?} has {in_force:?} in force, its log says {newest:?}", self.id);
            return Err(Broken::new("the newest configuration is in force", what));
        }
        Ok(())
    }

    fn judge_leadership(&mut self, surroundings: &mut Surroundings<'_>) -> Result<(), Broken> {
        let term = self.raft.term();
        if self.raft.role() != Role::Leader {
            self.led = None;
            return Ok(());
        }
        surroundings.history.leads(term, self.id)?;
        if self.led == Some(term) || self.raft.last() != self.view.last().position {
            return Ok(());
        }
        self.led = Some(term);
        surroundings.history.leads_under(term, self.id, self.raft.membership())?;
        match surroundings.history.committed_before(term) {
            Some((index, chain)) if self.view.point(index).map(|point| point.chain) != Some(chain) => {
                let what = format!("{:?} leads {term:?} without the committed entry {index}", self.id);
                Err(Broken::new("leader completeness", what))
            }
            _ => Ok(()),
        }
    }
}

/// Log Matching: logs that agree on an entry's position agree on everything before it.
pub(crate) fn logs_match(one: &Image, other: &Image) -> Result<(), Broken> {
    let same = one.heads().iter().zip(other.heads()).rev().find(|(one, other)| one.position == other.position);
    match same {
        Some((one, other)) if one.chain != other.chain => {
            Err(Broken::new("log matching", format!("two logs differ up to {}", one.position)))
        }
        _ => Ok(()),
    }
}

fn raft(id: NodeId, config: Config, disk: &Image, applied: LogIndex, membership: &Membership) -> Result<Raft, Broken> {
    let restored = disk.restored(id, applied, membership);
    Raft::new(config, 0, restored).map_err(|error| Broken::new("disks are sound", error.to_string()))
}
