//! The one cluster harness: members, their disks, the network between them, and the invariants, checked after every
//! step.
//!
//! Nothing happens by itself: the caller ticks, delivers, completes writes and crashes. Whatever a member asks for is
//! performed as a driver would, and judged against what the disks really hold.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::format;
use std::string::String;
use std::vec::Vec;

use blockraft_types::message::{AppendVerdict, Ballot, VoteVerdict};
use blockraft_types::{
    BodyDigest, ChainDigest, ChangeRefusal, ClusterId, EntryHead, EntryKind, GroupId, HardState, Incarnation, LogIndex,
    Membership, MembershipChange, Message, NodeId, Position, Role, Term,
};

use super::configurations::{Configurations, is_quorum};
use super::image::Image;
use super::node::{Node, Write};
use super::story;
use crate::ready::{ChangeOutcome, CommittedRange, Outgoing, Persist, ProposalRefusal, ReadRefusal, Ready};
use crate::{
    Alarm, AppendRange, BodyHead, ChangeTicket, Config, Input, LogPoint, ProposalTicket, Raft, ReadTicket, Snapshot,
    SnapshotOffer,
};

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) message: Message,
}

/// What every run must keep true, kept outside of the members.
#[derive(Debug)]
pub(super) struct Oracle {
    pub(super) leaders: BTreeMap<Term, NodeId>,
    /// The digest of every entry that ever stood in a log.
    pub(super) entries: BTreeMap<(Term, LogIndex), ChainDigest>,
    /// Committed entries, from index 1 on, each with the term of the leader that committed it.
    pub(super) committed: Vec<(ChainDigest, Term)>,
    /// Who voted for whom, durably.
    pub(super) votes: BTreeMap<(NodeId, Term), NodeId>,
    /// How much was committed when a read came.
    pub(super) reads: BTreeMap<ReadTicket, LogIndex>,
    pub(super) configurations: Configurations,
}

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) membership: Membership,
    /// Messages that left and were not yet taken by the caller.
    pub(super) sent: Vec<Envelope>,
    pub(super) confirmed_reads: BTreeSet<ReadTicket>,
    pub(super) refused_reads: Vec<(ReadTicket, ReadRefusal)>,
    pub(super) accepted: BTreeMap<ProposalTicket, LogIndex>,
    pub(super) refused: Vec<(ProposalTicket, ProposalRefusal)>,
    changes: BTreeMap<ChangeTicket, Result<ChangeOutcome, ChangeRefusal>>,
    pub(super) alarms: Vec<(NodeId, Alarm)>,
    pub(super) snapshots_installed: u64,
    pub(super) snapshots_unneeded: u64,
    /// What happened since it was last taken; told only to those who listen.
    pub(super) story: Option<Vec<String>>,
    pub(super) oracle: Oracle,
    tickets: u64,
    seed: u64,
}

/// Incarnations don't matter here.
pub(super) fn incarnation(node: NodeId) -> Incarnation {
    Incarnation::from_bytes([node.0 as u8; 16])
}

pub(super) fn voters(ids: impl IntoIterator<Item = u64>) -> Membership {
    Membership::of_voters(ids.into_iter().map(|id| (NodeId(id), incarnation(NodeId(id)))))
}

impl Cluster {
    pub(super) fn new(membership: Membership, config: Config, seed: u64) -> Self {
        Self::with_logs(membership, config, seed, &BTreeMap::new())
    }

    /// A cluster whose members begin with a log: the term of each entry, and the member's own term.
    pub(super) fn with_logs(
        membership: Membership,
        config: Config,
        seed: u64,
        logs: &BTreeMap<NodeId, (Term, Vec<u64>)>,
    ) -> Self {
        let genesis = LogPoint::genesis(ClusterId::from_bytes([1; 16]), GroupId(0), &membership);
        let mut cluster = Self {
            nodes: BTreeMap::new(),
            sent: Vec::new(),
            confirmed_reads: BTreeSet::new(),
            refused_reads: Vec::new(),
            accepted: BTreeMap::new(),
            refused: Vec::new(),
            changes: BTreeMap::new(),
            alarms: Vec::new(),
            snapshots_installed: 0,
            snapshots_unneeded: 0,
            story: None,
            oracle: Oracle {
                leaders: BTreeMap::new(),
                entries: BTreeMap::new(),
                committed: Vec::new(),
                votes: BTreeMap::new(),
                reads: BTreeMap::new(),
                configurations: Configurations::born(membership.clone()),
            },
            membership,
            tickets: 0,
            seed,
        };
        let ids: Vec<NodeId> = cluster.membership.members().map(|(node, _)| node).collect();
        for id in ids {
            let mut image = Image::empty(genesis, cluster.membership.clone());
            if let Some((term, entries)) = logs.get(&id) {
                image.hard_state = HardState { term: *term, voted_for: None };
                for (index, term) in (1..).zip(entries) {
                    let position = Position { term: Term(*term), index: LogIndex(index) };
                    let digest = BodyDigest::of(&index.to_le_bytes());
                    image.heads.push(EntryHead::chained(image.last().chain, position, EntryKind::Command, 10, digest));
                }
            }
            cluster.add(id, config, image);
        }
        cluster
    }

    /// A node that nobody counts yet, with an empty log.
    pub(super) fn join(&mut self, id: NodeId, config: Config) {
        let genesis = LogPoint::genesis(ClusterId::from_bytes([1; 16]), GroupId(0), &self.membership);
        self.add(id, config, Image::empty(genesis, self.membership.clone()));
    }

    fn add(&mut self, id: NodeId, config: Config, image: Image) {
        let node = Node {
            raft: None,
            config,
            disk: image.clone(),
            view: image,
            forgotten: None,
            writes: VecDeque::new(),
            sealed: Vec::new(),
            applied: LogIndex::ZERO,
            applied_durable: LogIndex::ZERO,
            installed: None,
            handed_in: Vec::new(),
            wanted: None,
            boots: 0,
            commit_seen: LogIndex::ZERO,
            in_force_seen: self.membership.clone(),
            led: None,
        };
        self.nodes.insert(id, node);
        self.restart(id);
    }

    pub(super) fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[&id]
    }

    pub(super) fn raft(&self, id: NodeId) -> &Raft {
        self.nodes[&id].raft.as_ref().expect("the node is up")
    }

    pub(super) fn is_up(&self, id: NodeId) -> bool {
        self.nodes[&id].raft.is_some()
    }

    pub(super) fn has_writes(&self, id: NodeId) -> bool {
        !self.nodes[&id].writes.is_empty()
    }

    /// The leader of the highest term, among those that are up.
    pub(super) fn leader(&self) -> Option<NodeId> {
        let up = self.nodes.iter().filter_map(|(id, node)| Some((*id, node.raft.as_ref()?)));
        up.filter(|(_, raft)| raft.role() == Role::Leader).max_by_key(|(_, raft)| raft.term()).map(|(id, _)| id)
    }

    /// How many entries are known to be committed.
    pub(super) fn committed(&self) -> LogIndex {
        LogIndex(self.oracle.committed.len() as u64)
    }

    /// Hands an input to a member that is up, and performs what it asks for.
    pub(super) fn step(&mut self, id: NodeId, input: Input) {
        if let Some(raft) = self.node_mut(id).raft.as_mut() {
            raft.step(input);
            self.settle(id);
        }
    }

    pub(super) fn tick(&mut self, id: NodeId) {
        self.step(id, Input::Tick);
    }

    pub(super) fn deliver(&mut self, Envelope { from, to, message }: Envelope) {
        if self.nodes.contains_key(&to) {
            self.step(to, Input::Message { from, message });
        }
    }

    pub(super) fn propose(&mut self, id: NodeId, sizes: &[u32]) -> ProposalTicket {
        let ticket = ProposalTicket(self.ticket());
        let digest = BodyDigest::of(&ticket.0.to_le_bytes());
        let bodies = sizes.iter().map(|&bytes| BodyHead { bytes, digest }).collect();
        let transferring = self.nodes[&id].raft.as_ref().and_then(|raft| raft.status().transferring_to);
        self.step(id, Input::Propose { ticket, bodies });
        let taken = self.accepted.contains_key(&ticket);
        assert!(!(taken && transferring.is_some()), "a leader took a proposal while handing over");
        ticket
    }

    /// Asks for another configuration and gives the answer, if the node is up.
    pub(super) fn change(
        &mut self,
        id: NodeId,
        change: MembershipChange,
    ) -> Option<Result<ChangeOutcome, ChangeRefusal>> {
        let ticket = ChangeTicket(self.ticket());
        self.step(id, Input::ChangeMembership { ticket, change });
        self.changes.remove(&ticket)
    }

    /// The newest configuration that is known to be committed, and the entry that brought it.
    pub(super) const fn configuration(&self) -> (LogIndex, &Membership) {
        self.oracle.configurations.committed()
    }

    pub(super) fn read(&mut self, id: NodeId) -> ReadTicket {
        let ticket = ReadTicket(self.ticket());
        let committed = self.committed();
        self.oracle.reads.insert(ticket, committed);
        self.step(id, Input::Read { ticket });
        ticket
    }

    /// The oldest `count` batches of the node become durable, and it hears of the last one.
    pub(super) fn persist(&mut self, id: NodeId, count: usize) {
        let node = self.node_mut(id);
        let mut receipt = None;
        for write in node.writes.drain(..count.min(node.writes.len())).collect::<Vec<_>>() {
            self.write_to_disk(id, &write);
            receipt = Some(write.ticket.redeem());
        }
        let Some(receipt) = receipt else { return };
        if self.node(id).raft.is_none() {
            return;
        }
        let mut still_sealed = Vec::new();
        for sealed in core::mem::take(&mut self.node_mut(id).sealed) {
            match sealed.open(&receipt) {
                Ok((to, message)) => self.send(id, to, message),
                Err(sealed) => still_sealed.push(sealed),
            }
        }
        self.node_mut(id).sealed = still_sealed;
        self.step(id, Input::Persisted(receipt));
    }

    /// The power fails: of the batches under way, the oldest `survivors` reach the disk, unreported.
    pub(super) fn crash(&mut self, id: NodeId, survivors: usize) {
        let writes: Vec<Write> = self.node_mut(id).writes.drain(..).collect();
        for write in writes.iter().take(survivors) {
            self.write_to_disk(id, write);
        }
        let node = self.node_mut(id);
        node.raft = None;
        node.sealed.clear();
        node.led = None;
        node.wanted = None;
        node.applied = node.applied_durable;
    }

    /// The disk of a node that is down forgets what it holds after `index`, but for what the state machine has durably, and
    /// only if the others are a quorum as far as it knows then: otherwise it would refuse to start.
    pub(super) fn lose_tail(&mut self, id: NodeId, index: LogIndex) {
        let node = self.node_mut(id);
        assert!(node.raft.is_none(), "only the disk of a node that is down forgets");
        let before = node.disk.clone();
        node.disk.lose_after(index.max(node.applied_durable).max(before.anchor.position.index));
        if !is_quorum(node.disk.membership_at(LogIndex(u64::MAX)).1, |other| other != id) {
            node.disk = before;
        } else if node.disk.last() != before.last() {
            node.forgotten = Some(before);
        }
    }

    /// Whether a node lost entries at the end of its log and doesn't hold them again.
    pub(super) fn is_recovering(&self, id: NodeId) -> bool {
        self.nodes[&id].forgotten.is_some()
    }

    pub(super) fn restart(&mut self, id: NodeId) {
        let seed = self.seed;
        let node = self.node_mut(id);
        assert!(node.raft.is_none(), "only a node that is down is started");
        // The state machine took a snapshot, and the power failed before the log was reset to it.
        let anchor = node.disk.anchor.position.index;
        let behind = node.installed.clone().filter(|snapshot| anchor < snapshot.point.position.index);
        let lacks = |snapshot: &Snapshot| node.disk.point(snapshot.point.position.index) != Some(snapshot.point);
        if let Some(snapshot) = behind.filter(lacks) {
            node.disk.reset(&snapshot);
        }
        node.handed_in.clear();
        node.view = node.disk.clone();
        node.boots += 1;
        node.applied = node.applied_durable;
        let restored = node.disk.restored(id, node.applied);
        let seed = seed ^ (id.0 << 32) ^ (node.boots << 48);
        let raft = Raft::new(node.config, seed, restored).expect("a disk holds what a member wrote");
        assert!(node.applied <= raft.commit_index(), "what was applied is committed");
        node.commit_seen = raft.commit_index();
        node.in_force_seen = raft.status().membership;
        if raft.lost_tail().is_none() {
            // Made good before the power went.
            node.forgotten = None;
        }
        node.raft = Some(raft);
        self.settle(id);
    }

    /// The state machine makes what it applied durable.
    pub(super) fn flush_applied(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        node.applied_durable = node.applied;
    }

    /// The snapshot that a member is offered, as the one who offers it has it now.
    pub(super) fn take_offered(&mut self, id: NodeId) -> Option<Snapshot> {
        let SnapshotOffer { from, least } = self.node_mut(id).wanted.take()?;
        let source = self.nodes.get(&from).filter(|source| source.raft.is_some())?;
        let point =
            source.view.point(source.applied).expect("what is applied and newer than the compacted end is here");
        assert!(least.position.index <= point.position.index, "a snapshot covers what was compacted");
        let (membership_index, membership) = source.view.membership_at(source.applied);
        Some(Snapshot { point, membership: membership.clone(), membership_index })
    }

    /// A snapshot is complete at a member that is up.
    pub(super) fn install(&mut self, id: NodeId, snapshot: Snapshot) {
        let position = snapshot.point.position;
        self.note(|| format!("{id:?} has the snapshot at {position}"));
        self.node_mut(id).handed_in.push(snapshot.clone());
        self.step(id, Input::InstallSnapshot(snapshot.clone()));
        let status = self.raft(id).status();
        if status.anchor == position && status.last == position {
            assert_eq!(status.membership, snapshot.membership, "a snapshot brings the configuration");
        }
    }

    /// The log is compacted as far as it may be.
    pub(super) fn compact(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        let Some(raft) = node.raft.as_ref() else { return };
        let through = raft.status().compactable_through;
        if through <= raft.anchor().position.index {
            return;
        }
        assert!(through <= node.applied_durable, "{id:?} may compact its log before what it drops is applied durably");
        // Batches under way still name what they wrote before.
        if through <= node.disk.anchor.position.index || !node.writes.is_empty() {
            return;
        }
        let point = node.disk.point(through).expect("what is compacted is in the log");
        node.disk.compact(point);
        node.view.compact(point);
        self.step(id, Input::Compacted(point));
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("the node exists")
    }

    const fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Performs what a member asks for until it asks for nothing more.
    fn settle(&mut self, id: NodeId) {
        loop {
            let raft = self.node_mut(id).raft.as_mut().expect("the node is up");
            let ready = raft.take_ready();
            if ready.is_empty() {
                return self.check_member(id);
            }
            self.perform(id, ready);
        }
    }

    fn perform(&mut self, id: NodeId, ready: Ready) {
        if ready.persist.as_ref().is_some_and(|persist| persist.truncate_from.is_none())
            && self.raft(id).role() == Role::Leader
        {
            // What a leader appends may rest on what it committed a moment ago.
            self.check_member(id);
        }
        if let Some(state) = ready.state {
            self.note(|| story::state(id, &state));
        }
        if let Some(Persist { ticket, reset, hard_state, truncate_from, heads }) = ready.persist {
            let leads = self.raft(id).role() == Role::Leader;
            let led_before = self.node(id).led.is_some_and(|(term, ..)| term == self.raft(id).term());
            assert!(!(leads && led_before && truncate_from.is_some()), "a leader dropped an entry of its own log");
            self.snapshots_installed += u64::from(reset.is_some());
            self.note(|| story::batch(id, reset, hard_state, truncate_from, &heads));
            let node = self.node_mut(id);
            let reset = reset.map(|point| {
                // The state machine takes the snapshot before the log is reset.
                node.applied = point.position.index;
                node.applied_durable = point.position.index;
                let mut handed_in = node.handed_in.drain(..);
                let snapshot = handed_in.find(|snapshot| snapshot.point == point).expect("it was handed in");
                drop(handed_in);
                node.installed = Some(snapshot.clone());
                snapshot
            });
            node.view.write(reset.as_ref(), hard_state, truncate_from, &heads);
            for head in &heads {
                let key = (head.position.term, head.position.index);
                if let Some(known) = self.oracle.entries.insert(key, head.chain) {
                    assert_eq!(known, head.chain, "log matching: two entries stand at {}", head.position);
                } else if let EntryKind::Membership(next) = &head.kind {
                    self.judge_configuration(id, head.position, next);
                }
            }
            let node = self.node_mut(id);
            node.writes.push_back(Write { ticket, reset, hard_state, truncate_from, heads });
        }
        self.node_mut(id).sealed.extend(ready.sealed);
        for Outgoing { to, message } in ready.messages {
            self.send(id, to, message);
        }
        for accepted in &ready.accepted {
            self.note(|| format!("{id:?} takes the proposal as {}..{}", accepted.first, accepted.last));
            self.accepted.insert(accepted.ticket, accepted.last);
        }
        for refused in &ready.refused {
            self.note(|| format!("{id:?} refuses the proposal: {:?}", refused.reason));
        }
        for answer in &ready.changes {
            self.note(|| story::change(id, &answer.outcome));
            self.changes.insert(answer.ticket, answer.outcome);
        }
        if let Some(in_force) = &ready.membership {
            self.note(|| story::in_force(id, in_force));
        }
        for refused in &ready.refused_reads {
            self.note(|| format!("{id:?} refuses the read: {:?}", refused.reason));
        }
        if let Some(to) = ready.transfer_aborted {
            self.note(|| format!("{id:?} gives up handing over to {to:?}"));
        }
        self.refused.extend(ready.refused.iter().map(|refused| (refused.ticket, refused.reason)));
        self.refused_reads.extend(ready.refused_reads.iter().map(|refused| (refused.ticket, refused.reason)));
        for read in &ready.reads {
            let committed = self.oracle.reads[&read.ticket];
            assert!(committed <= read.index, "a read was confirmed at {} after {committed} was committed", read.index);
            self.confirmed_reads.insert(read.ticket);
            self.note(|| format!("{id:?} confirms the read at {}", read.index));
        }
        if let Some(lost) = ready.recovered {
            self.note(|| format!("{id:?} holds again what it lost up to {}", lost.index));
            self.node_mut(id).forgotten = None;
        }
        if let Some(offer) = ready.snapshot_wanted {
            self.node_mut(id).wanted = Some(offer);
        }
        if let Some(position) = ready.snapshot_unneeded {
            self.snapshots_unneeded += 1;
            self.note(|| format!("{id:?} doesn't need the snapshot at {position}"));
        }
        for alarm in ready.alarms {
            self.note(|| format!("{id:?} raises {alarm:?}"));
            self.alarms.push((id, alarm));
        }
        self.check_member(id);
        if let Some(committed) = ready.committed {
            self.apply(id, committed);
        }
        for range in ready.appends {
            self.fill(id, &range);
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    /// Reads the entries of a range as far as they fit, and sends them.
    fn fill(&mut self, id: NodeId, range: &AppendRange) {
        let view = &self.node(id).view;
        let (mut heads, mut bytes) = (Vec::new(), 0);
        for index in range.prev.index.0 + 1..=range.last.0 {
            let head = view.head(LogIndex(index)).expect("a range names entries that were handed out");
            bytes += u64::from(head.body_bytes);
            if range.bytes_max < bytes && !heads.is_empty() {
                break;
            }
            heads.push(head.clone());
        }
        let prev = view.point(range.prev.index).expect("the entry before a range is in the log");
        let (message, sent) = range.fill(prev.chain, heads).expect("the log holds what the range names");
        self.send(id, range.to, Message::AppendEntries(message));
        let raft = self.node_mut(id).raft.as_mut().expect("the node is up");
        raft.step(Input::AppendSent(sent));
    }

    fn apply(&mut self, id: NodeId, CommittedRange { first, last }: CommittedRange) {
        let node = &self.nodes[&id];
        assert_eq!(first, node.applied.max(node.disk.anchor.position.index).next(), "entries are applied in order");
        for index in first.0..=last.index.0 {
            let index = LogIndex(index);
            let durable = node.disk.point(index).expect("an entry is applied only when it is durable");
            let committed = self.oracle.committed.get(index.0 as usize - 1);
            assert_eq!(
                Some(durable.chain),
                committed.map(|(chain, _)| *chain),
                "state machine safety: {id:?} applied another entry {index}"
            );
        }
        self.note(|| format!("{id:?} applies {first}..{}", last.index));
        self.node_mut(id).applied = last.index;
        let raft = self.node_mut(id).raft.as_mut().expect("the node is up");
        raft.step(Input::Applied { index: last.index });
    }

    fn write_to_disk(&mut self, id: NodeId, write: &Write) {
        let node = self.node_mut(id);
        node.disk.write(write.reset.as_ref(), write.hard_state, write.truncate_from, &write.heads);
        if let Some(HardState { term, voted_for: Some(candidate) }) = write.hard_state {
            let known = *self.oracle.votes.entry((id, term)).or_insert(candidate);
            assert_eq!(known, candidate, "{id:?} voted twice in {term:?}");
        }
    }

    /// Judges a message as it leaves: it may say only what the sender's disk can back.
    fn send(&mut self, id: NodeId, to: NodeId, message: Message) {
        let durable = self.node(id).disk.hard_state.term;
        let term_is_durable = |term: Term| term <= durable;
        // A later term on disk is as good as the vote: no other one can be given in that term any more.
        let voted_for = |term, candidate| term < durable || self.oracle.votes.get(&(id, term)) == Some(&candidate);
        match &message {
            Message::RequestVote(request) => match request.ballot {
                Ballot::PreVote => assert!(term_is_durable(Term(request.term.0 - 1)), "{id:?} named a term too early"),
                Ballot::Vote => assert!(voted_for(request.term, id), "{id:?} campaigned before its vote was durable"),
            },
            Message::RequestVoteReply(reply) => match (reply.ballot, reply.verdict) {
                (Ballot::Vote, VoteVerdict::Granted) => {
                    assert!(voted_for(reply.term, to), "{id:?} granted a vote that isn't durable");
                }
                (Ballot::PreVote, VoteVerdict::Granted) => {}
                (_, VoteVerdict::Refused) => assert!(term_is_durable(reply.term), "{id:?} named a term too early"),
            },
            Message::AppendEntriesReply(reply) => {
                assert!(term_is_durable(reply.term), "{id:?} named a term too early");
                if let AppendVerdict::Matched { match_index } = reply.verdict {
                    self.check_acknowledgement(id, to, reply.term, match_index);
                }
            }
            Message::InstallSnapshotReply(reply) => {
                assert!(term_is_durable(reply.term), "{id:?} named a term too early");
                let disk = &self.node(id).disk;
                let held = disk.point(reply.last.index).is_some_and(|point| point.position == reply.last);
                let covered = reply.last.index < disk.anchor.position.index || held;
                assert!(covered, "{id:?} acknowledged a snapshot at {}, which isn't durable", reply.last);
            }
            other => assert!(term_is_durable(other.term()), "{id:?} named a term too early"),
        }
        self.note(|| story::message(id, to, &message));
        self.sent.push(Envelope { from: id, to, message });
    }
}
