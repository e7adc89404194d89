//! Whom a node has asked how far it had come, and what follows from the answers.
//!
//! A node that starts asks all other members first. It says and hears nothing else meanwhile, so it votes and acknowledges
//! nothing, and waits for the answers of all that it can reach within an election timeout; nobody waits for those that are
//! away. Those are asked when they are there: until a peer has answered, nothing of consensus is exchanged with it. So what
//! a peer remembers is from earlier lives alone, and is held against what the disks held at the start; and who got a promise
//! is never asked to believe another one.
//!
//! A node that lacks something of its past takes no part any more, and can't be mended: it is replaced.
//!
//! What this doesn't find: a past of which all who remember are away, or which they forgot, since they were shown it in the
//! second before their own end; that of a node whose disks end before it had company, so that it has nobody to wait for; and
//! of what was acknowledged in the last term only as much as tells by the length of the log.

use std::collections::BTreeSet;

use blockraft_types::NodeId;
use thiserror::Error;

use crate::mistake::Mistake;
use crate::witness::Past;

/// What a node, in this life, knows of those who may remember earlier ones.
#[derive(Debug)]
pub struct Recollection {
    node: NodeId,
    /// What its disks held when it started.
    own: Past,
    /// The members that it waits for before it takes part.
    awaited: BTreeSet<NodeId>,
    /// Who remembers nothing that it lacks. As many as there are nodes at most.
    answered: BTreeSet<NodeId>,
    stage: Stage,
}

/// Where a life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Starting,
    TakingPart,
}

/// Another member remembers that this one had come further. Its data directory is a copy from before that, or its disk has
/// lost what was durable: what it has promised since is forgotten here, so it must not vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "node {node} is behind its own past: node {by} has seen it in term {}{} and up to entry {}, and its data directory began \
     this life in term {} at entry {}. The directory was restored from a copy, or its disk lost what was synced: replace \
     the node by a new one", remembered.term, vote(*remembered), remembered.index, own.term, own.index
)]
pub struct BehindItsPast {
    /// The node.
    pub node: NodeId,
    /// Who remembers.
    pub by: NodeId,
    /// What it remembers.
    pub remembered: Past,
    /// What the disks of this node held when it started.
    pub own: Past,
}

impl Recollection {
    /// Of a node whose disks hold `own`, and which shall wait for `others`.
    #[must_use]
    pub const fn new(node: NodeId, own: Past, others: BTreeSet<NodeId>) -> Self {
        Self { node, own, awaited: others, answered: BTreeSet::new(), stage: Stage::Starting }
    }

    /// Those who are waited for still.
    pub fn awaited(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.awaited.iter().copied()
    }

    /// Whether everybody has answered who is waited for.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// The node takes part from now on, with those who have answered.
    pub fn take_part(&mut self) {
        self.awaited.clear();
        self.stage = Stage::TakingPart;
    }

    /// Whether messages of consensus may pass between this node and `peer`. Otherwise it is to be asked.
    #[must_use]
    pub fn has_answered(&self, peer: NodeId) -> bool {
        self.answered.contains(&peer) || Mistake::AskedOnlyAtStart.is_made() && self.stage == Stage::TakingPart
    }

    /// `by` remembers this, or nothing.
    ///
    /// # Errors
    /// The node lacks something of it, and must take no part any more.
    pub fn answer(&mut self, by: NodeId, remembered: Past) -> Result<(), BehindItsPast> {
        if self.own.lacks(remembered) && !self.has_answered(by) && !Mistake::RecallSkipped.is_made() {
            return Err(BehindItsPast { node: self.node, by, remembered, own: self.own });
        }
        self.awaited.remove(&by);
        self.answered.insert(by);
        Ok(())
    }
}

fn vote(past: Past) -> String {
    past.voted_for.map_or_else(String::new, |node| format!(", voting for node {node},"))
}

#[cfg(test)]
mod tests;
