//! Payloads that peers announced: while one is on its way, fetching it would move the bytes twice (RULES: a fetch starts
//! only if no push of that block is arriving). Losing an announcement costs only that.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_blocks::Multihash;
use blockraft_types::NodeId;

#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    deadlines: BTreeMap<(Multihash, NodeId), u64>,
    by_deadline: BTreeSet<(u64, Multihash, NodeId)>,
    per_peer: BTreeMap<NodeId, usize>,
}

impl Arrivals {
    /// Awaits `name` from `peer` until `deadline`, unless `announced_max` are awaited from it already.
    pub(crate) fn announce(&mut self, name: Multihash, peer: NodeId, deadline: u64, announced_max: usize) {
        self.end(name, peer);
        let count = self.per_peer.entry(peer).or_default();
        if *count < announced_max {
            *count += 1;
            self.deadlines.insert((name, peer), deadline);
            self.by_deadline.insert((deadline, name, peer));
        }
    }

    /// It came, or never will.
    pub(crate) fn end(&mut self, name: Multihash, peer: NodeId) {
        if let Some(deadline) = self.deadlines.remove(&(name, peer)) {
            self.by_deadline.remove(&(deadline, name, peer));
            if let Some(count) = self.per_peer.get_mut(&peer) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Forgets what `peer` announced.
    pub(crate) fn disconnect(&mut self, peer: NodeId) {
        let gone: Vec<Multihash> =
            self.deadlines.keys().filter(|(_, from)| *from == peer).map(|(name, _)| *name).collect();
        for name in gone {
            self.end(name, peer);
        }
        self.per_peer.remove(&peer);
    }

    /// Forgets what is overdue.
    pub(crate) fn tick(&mut self, now: u64) {
        while let Some((deadline, name, peer)) = self.by_deadline.first().copied() {
            if deadline > now {
                break;
            }
            self.end(name, peer);
        }
    }

    pub(crate) fn is_arriving(&self, name: Multihash) -> bool {
        self.deadlines.range((name, NodeId(0))..=(name, NodeId(u64::MAX))).next().is_some()
    }
}
