//! Which configuration is in force: the newest one in the log, committed or not (thesis 4.1).
//!
//! Uncommitted ones are kept by index, so that a truncation brings back the one before.

use alloc::vec::Vec;

use blockraft_types::{LogIndex, Membership};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MembershipHistory {
    /// The newest committed configuration.
    committed: Membership,
    committed_index: LogIndex,
    /// Later ones, ascending.
    later: Vec<(LogIndex, Membership)>,
}

impl MembershipHistory {
    pub(crate) const fn new(committed: Membership, committed_index: LogIndex) -> Self {
        Self { committed, committed_index, later: Vec::new() }
    }

    /// The configuration in force.
    pub(crate) fn current(&self) -> &Membership {
        self.later.last().map_or(&self.committed, |(_, membership)| membership)
    }

    /// The newest committed configuration.
    pub(crate) const fn committed(&self) -> &Membership {
        &self.committed
    }

    /// Every configuration that may be in force somewhere: the newest committed one and those after it.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Membership> {
        core::iter::once(&self.committed).chain(self.later.iter().map(|(_, membership)| membership))
    }

    /// The entry that brought the configuration in force; zero if the group was born with it.
    pub(crate) fn current_index(&self) -> LogIndex {
        self.later.last().map_or(self.committed_index, |(index, _)| *index)
    }

    pub(crate) fn append(&mut self, index: LogIndex, membership: Membership) {
        assert!(self.later.last().is_none_or(|(newest, _)| *newest < index), "configurations come in log order");
        assert!(self.committed_index < index, "a committed configuration is never replaced in its place");
        self.later.push((index, membership));
    }

    pub(crate) fn truncate_from(&mut self, index: LogIndex) {
        self.later.retain(|(at, _)| *at < index);
    }

    /// A snapshot takes the place of the log: all that is known is what it brings.
    pub(crate) fn reset(&mut self, committed: Membership, index: LogIndex) {
        *self = Self::new(committed, index);
    }

    pub(crate) fn commit(&mut self, index: LogIndex) {
        let committed = self.later.partition_point(|(at, _)| *at <= index);
        if let Some((at, membership)) = self.later.drain(..committed).next_back() {
            self.committed = membership;
            self.committed_index = at;
        }
    }
}

#[cfg(test)]
mod tests;
