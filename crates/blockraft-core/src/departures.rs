//! Members that were removed and are still sent to, so that they learn of it (thesis 4.2.3).
//!
//! Without that a removed member would wait for a leader that never calls again. It is sent to until it has answered a
//! heartbeat that told it of the commit of its removal, or until time is up. A new leader doesn't know who was told, so it
//! begins anew with everyone whose removal its log shows.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use blockraft_types::message::ReadRound;
use blockraft_types::{LogIndex, NodeId};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Departures(BTreeMap<NodeId, Departure>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Departure {
    /// The configuration without it.
    removal: LogIndex,
    ticks_left: u32,
    /// The first heartbeat that told it of the commit.
    told_in: Option<ReadRound>,
}

impl Departures {
    pub(crate) fn contains(&self, node: NodeId) -> bool {
        self.0.contains_key(&node)
    }

    /// `node` is no member from entry `removal` on.
    pub(crate) fn begin(&mut self, node: NodeId, removal: LogIndex, ticks: u32) {
        self.0.entry(node).or_insert(Departure { removal, ticks_left: ticks, told_in: None });
    }

    /// `node` is a member again: its removal was given up.
    pub(crate) fn cancel(&mut self, node: NodeId) {
        self.0.remove(&node);
    }

    /// Time passes. Gives those for whom it is up.
    pub(crate) fn tick(&mut self) -> Vec<NodeId> {
        for departure in self.0.values_mut() {
            departure.ticks_left = departure.ticks_left.saturating_sub(1);
        }
        let over: Vec<NodeId> = self.0.iter().filter(|(_, left)| left.ticks_left == 0).map(|(node, _)| *node).collect();
        for node in &over {
            self.0.remove(node);
        }
        over
    }

    /// A heartbeat of `round` leaves for `peer`, which `knows` then that an entry is committed.
    pub(crate) fn told(&mut self, peer: NodeId, round: ReadRound, knows: impl Fn(LogIndex) -> bool) {
        if let Some(departure) = self.0.get_mut(&peer).filter(|departure| knows(departure.removal)) {
            departure.told_in.get_or_insert(round);
        }
    }

    /// `peer` answered a heartbeat of `round`. Says whether it knows of its removal now.
    pub(crate) fn answered(&mut self, peer: NodeId, round: ReadRound) -> bool {
        let knows = self.0.get(&peer).and_then(|departure| departure.told_in).is_some_and(|told| told <= round);
        if knows {
            self.0.remove(&peer);
        }
        knows
    }
}
