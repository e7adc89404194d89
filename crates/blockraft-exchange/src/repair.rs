//! Damaged or missing copies of visible blocks that are being replaced, each with its deadline.

use std::collections::BTreeMap;

use blockraft_blocks::Multihash;

#[derive(Debug, Default)]
pub(crate) struct Repairs {
    deadlines: BTreeMap<Multihash, u64>,
}

impl Repairs {
    pub(crate) fn open(&mut self, name: Multihash, deadline: u64) {
        self.deadlines.entry(name).or_insert(deadline);
    }

    /// Whether it was under way.
    pub(crate) fn close(&mut self, name: Multihash) -> bool {
        self.deadlines.remove(&name).is_some()
    }

    pub(crate) fn is_open(&self, name: Multihash) -> bool {
        self.deadlines.contains_key(&name)
    }

    pub(crate) fn overdue(&self, now: u64) -> Vec<Multihash> {
        self.deadlines.iter().filter(|(_, deadline)| **deadline <= now).map(|(name, _)| *name).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.deadlines.len()
    }
}
