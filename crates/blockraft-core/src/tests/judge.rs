//! The invariants of a run, checked after every step against what the disks really hold.

use blockraft_types::{LogIndex, Membership, NodeId, Position, Role, Term};

use super::cluster::Cluster;
use super::configurations::{Step, is_quorum};
use super::node::Node;
use crate::{LogPoint, Proof};

impl Cluster {
    /// What is acknowledged is durable, and is what the leader has there.
    pub(super) fn check_acknowledgement(&self, id: NodeId, to: NodeId, term: Term, match_index: LogIndex) {
        let disk = &self.node(id).disk;
        if disk.hard_state.term != term || match_index <= disk.anchor.position.index {
            return;
        }
        let own = disk.point(match_index);
        assert!(own.is_some(), "{id:?} acknowledged entry {match_index}, which isn't durable");
        let leads =
            self.nodes[&to].raft.as_ref().is_some_and(|raft| raft.role() == Role::Leader && raft.term() == term);
        let theirs = self.nodes[&to].view.point(match_index);
        if leads && self.nodes[&to].view.anchor.position.index < match_index {
            assert_eq!(own, theirs, "{id:?} acknowledged entry {match_index}, which isn't its leader's");
        }
    }

    /// The invariants of the paper's figure 3, as far as this member can have broken them.
    pub(super) fn check_member(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let raft = node.raft.as_ref().expect("the node is up");
        let (term, role, commit) = (raft.term(), raft.role(), raft.commit_index());
        assert!(node.commit_seen <= commit, "the commit index of {id:?} fell");
        // A snapshot that is installed comes into view with its batch.
        let in_view = raft.status().anchor.index <= node.view.anchor.position.index;
        let mut view_last = if in_view { node.view.last().position.index } else { node.commit_seen };
        for index in node.commit_seen.0 + 1..=commit.0.min(view_last.0) {
            let Some(point) = node.view.point(LogIndex(index)) else { continue };
            if raft.term_at(LogIndex(index)).is_some_and(|term| term != point.position.term) {
                // Dropped and replaced, and the batch that says so isn't handed out yet.
                view_last = LogIndex(index).previous();
                break;
            }
            match self.oracle.committed.get(index as usize - 1) {
                Some(&(committed, _)) => {
                    assert_eq!(point.chain, committed, "state machine safety: {id:?} committed another entry {index}");
                }
                None => {
                    assert!(
                        self.is_durable_on_quorum(&node.in_force_seen, point),
                        "{id:?} committed entry {} without a quorum of durable copies",
                        point.position
                    );
                    self.oracle.committed.push((point.chain, term));
                    let (at, membership) = node.view.membership_at(LogIndex(index));
                    self.oracle.configurations.commit(at, membership);
                }
            }
        }
        self.judge_what_is_in_force(id);
        let node = self.nodes.get_mut(&id).expect("the node exists");
        node.commit_seen = commit.min(view_last).max(node.commit_seen);
        let raft = node.raft.as_ref().expect("the node is up");
        node.in_force_seen = raft.status().membership;
        if role == Role::Leader {
            let known = *self.oracle.leaders.entry(term).or_insert(id);
            assert_eq!(known, id, "election safety: two leaders of {term:?}");
            let last = node.view.last().position.index;
            match node.led {
                Some((led, before, committed)) if led == term => {
                    assert!(before <= last, "a leader's log became shorter");
                    let own = committed == commit || raft.term_at(commit) == Some(term);
                    assert!(own, "commit rule: {id:?} committed up to entry {commit} of an older term");
                }
                _ => {
                    // Entries that wait for a batch aren't in view yet, and leaders of later terms don't matter.
                    let in_view = raft.status().last == node.view.last().position;
                    let earlier = self.oracle.committed.partition_point(|(_, by)| *by < term);
                    let newest = node.view.point(LogIndex(earlier as u64)).map(|point| point.chain);
                    let expected = self.oracle.committed[..earlier].last().map(|(chain, _)| *chain);
                    let compacted = earlier as u64 <= node.view.anchor.position.index.0;
                    let complete = compacted || newest == expected;
                    assert!(complete || !in_view, "leader completeness: {id:?} leads without entry {earlier}");
                    if self.oracle.leaders.keys().next_back() == Some(&term) {
                        self.oracle.configurations.judge_election(id, &raft.status().membership);
                    }
                }
            }
            node.led = Some((term, last, commit));
        } else {
            node.led = None;
        }
        for (node, alarm) in &self.alarms {
            assert_eq!(alarm.proves(), Proof::Nothing, "{node:?} raised {alarm:?} although every disk is sound");
        }
    }

    /// A leader appended a configuration: it follows from the one before by the rules.
    pub(super) fn judge_configuration(&self, id: NodeId, at: Position, next: &Membership) {
        let log = &self.node(id).view;
        let (before_index, before) = log.membership_at(at.index.previous());
        let point = log.point(before_index);
        let before_term = point.map(|point| point.position.term);
        let committed = before_index.0.checked_sub(1).and_then(|at| self.oracle.committed.get(at as usize));
        let own_term_committed = self.oracle.committed.iter().any(|(_, by)| *by == at.term);
        let step = Step {
            before,
            // What is compacted, or there from the beginning, is committed.
            before_is_committed: point.is_none()
                || before_index == LogIndex::ZERO
                || committed.map(|(chain, _)| *chain) == point.map(|point| point.chain),
            before_is_own: before_term == Some(at.term),
            own_term_committed,
        };
        self.oracle.configurations.judge_step(id, &step, next);
        for node in next.voters.keys().filter(|node| before.learners.contains_key(node)) {
            let Node { disk, forgotten, .. } = self.node(*node);
            let caught_up = forgotten.iter().chain([disk]).any(|image| at.term <= image.last().position.term);
            assert!(caught_up, "{id:?} promoted {node:?}, which hasn't caught up");
        }
    }

    /// The configuration in force is the newest one in the log, committed or not.
    pub(super) fn judge_what_is_in_force(&self, id: NodeId) {
        let (view, status) = (&self.node(id).view, self.raft(id).status());
        if status.last != view.last().position {
            return;
        }
        let (index, membership) = view.membership_at(status.last.index);
        assert_eq!(
            (status.membership_index, &status.membership),
            (index, membership),
            "{id:?} has another configuration in force than the newest one in its log"
        );
    }

    /// The naive rule: more than half of each half of the configuration holds it on disk.
    pub(super) fn is_durable_on_quorum(&self, membership: &Membership, point: LogPoint) -> bool {
        let holds = |node: NodeId| {
            // What a disk forgot counts as long as its member gives nobody a vote.
            let images = self.nodes[&node].forgotten.iter().chain([&self.nodes[&node].disk]);
            images.into_iter().any(|image| {
                point.position.index <= image.anchor.position.index || image.point(point.position.index) == Some(point)
            })
        };
        is_quorum(membership, holds)
    }
}
