//! Which configuration is in force: the newest one in the log, committed or not (thesis 4.1).
//!
//! Uncommitted ones are kept by index, so that a truncation brings back the one before. Of those before the committed one
//! only who went with them is known, for as long as the log shows it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use blockraft_types::{LogIndex, Membership, NodeId};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MembershipHistory {
    /// The newest committed configuration.
    committed: Membership,
    committed_index: LogIndex,
    /// Later ones, ascending.
    later: Vec<(LogIndex, Membership)>,
    /// Who was a member before `committed` and isn't any more, and the entry that removed it: one of the log.
    gone: BTreeMap<NodeId, LogIndex>,
}

impl MembershipHistory {
    pub(crate) const fn new(committed: Membership, committed_index: LogIndex) -> Self {
        Self { committed, committed_index, later: Vec::new(), gone: BTreeMap::new() }
    }

    /// A history that goes on after `earlier` configurations of the log, in order.
    pub(crate) fn after(earlier: &[(LogIndex, Membership)], committed: Membership, committed_index: LogIndex) -> Self {
        let mut history = Self::new(committed, committed_index);
        let last = (history.committed_index, history.committed.clone());
        let nexts = earlier.iter().skip(1).chain(core::iter::once(&last));
        history.gone =
            earlier.iter().zip(nexts).flat_map(|((_, before), (at, after))| gone(before, *at, after)).collect();
        history
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

    /// Who was a member by a configuration that the log shows and is none by the one in force, and the entry that removed it.
    pub(crate) fn departed(&self) -> BTreeMap<NodeId, LogIndex> {
        let mut departed = self.gone.clone();
        let mut before = &self.committed;
        for (at, after) in &self.later {
            departed.extend(gone(before, *at, after));
            before = after;
        }
        departed
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
        for (at, membership) in self.later.drain(..committed) {
            self.gone.extend(gone(&self.committed, at, &membership));
            self.committed = membership;
            self.committed_index = at;
        }
    }

    /// The log doesn't show the entries up to `index` any more.
    pub(crate) fn forget_through(&mut self, index: LogIndex) {
        self.gone.retain(|_, removal| index < *removal);
    }
}

/// Who is a member `before` and none `after`, which entry `at` brought. Ids aren't given again, so this stays so.
///
/// Voters that vanish without a joint configuration went in a forced recovery: the one that goes on alone must not lead them,
/// since their logs may hold committed entries that its own lacks.
fn gone(before: &Membership, at: LogIndex, after: &Membership) -> impl Iterator<Item = (NodeId, LogIndex)> {
    let in_order = after.voters == before.voters || after.outgoing == before.voters;
    let gone = before.members().filter(move |(node, _)| in_order && after.incarnation(*node).is_none());
    gone.map(move |(node, _)| (node, at))
}

#[cfg(test)]
mod tests;
