//! What both clusters have in common: steps of a schedule, links that hold messages, and what can be compared.

use std::collections::{BTreeMap, VecDeque};

/// A cluster that does nothing by itself.
pub(crate) trait Cluster {
    /// Lets a unit of time pass for one member.
    fn tick(&mut self, id: u64) -> Timer;
    /// Hands a command to a member, which drops it unless it leads.
    fn propose(&mut self, id: u64, payload: u64);
    /// Delivers everything that is on its way from one member to another, in order.
    fn deliver(&mut self, from: u64, to: u64);
    /// Loses it instead.
    fn lose(&mut self, from: u64, to: u64);
    /// Crashes a member and starts it from its disk; what was on its way to it or from it is lost.
    fn restart(&mut self, id: u64);
    /// The links with something on its way.
    fn busy(&self) -> Vec<(u64, u64)>;
    /// What there is to compare of a member.
    fn view(&self, id: u64) -> View;
}

/// What the clock of a member brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Quiet,
    /// It began a campaign.
    ElectionDue,
    /// It led and heard too few for too long.
    QuorumLost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) term: u64,
    pub(crate) leads: bool,
    /// The term and the command of each entry from index 1 on; a leader's first entry has no command.
    pub(crate) log: Vec<(u64, Option<u64>)>,
    /// How many of them are known to be committed.
    pub(crate) committed: usize,
}

/// Messages on their way, in order between any two members.
#[derive(Debug)]
pub(crate) struct Links<M>(BTreeMap<(u64, u64), VecDeque<M>>);

impl<M> Default for Links<M> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<M> Links<M> {
    pub(crate) fn push(&mut self, from: u64, to: u64, message: M) {
        self.0.entry((from, to)).or_default().push_back(message);
    }

    pub(crate) fn take(&mut self, from: u64, to: u64) -> VecDeque<M> {
        self.0.remove(&(from, to)).unwrap_or_default()
    }

    pub(crate) fn cut(&mut self, id: u64) {
        self.0.retain(|(from, to), _| *from != id && *to != id);
    }

    pub(crate) fn busy(&self) -> Vec<(u64, u64)> {
        self.0.keys().copied().collect()
    }

    /// How many messages of one member are on their way.
    pub(crate) fn waiting(&self, from: u64) -> usize {
        self.0.iter().filter(|((sender, _), _)| *sender == from).map(|(_, queue)| queue.len()).sum()
    }
}

pub(crate) const ELECTION_TICKS: u32 = 10;
pub(crate) const HEARTBEAT_TICKS: u32 = 3;
