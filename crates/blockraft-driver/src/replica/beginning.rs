//! Where the log begins: how far it is compacted, and the snapshots that take its place.

use blockraft_core::{Input, LogPoint, Snapshot};
use blockraft_log::Anchor;
use blockraft_types::LogIndex;

use crate::compaction::Reach;
use crate::effect::Effect;
use crate::gate::{AppendGate, LogEvent};
use crate::mistake::Mistake;
use crate::replica::{Body, Replica};

impl<G: AppendGate> Replica<G> {
    /// Says how large the log is that a restart found: bytes of bodies by the last entry of each piece, in order.
    pub fn found(&mut self, sizes: &[(LogIndex, u64)]) {
        self.compaction.found(sizes);
    }

    /// Lets the core judge a snapshot, and forgets what it takes the place of.
    pub(super) fn install(&mut self, snapshot: Snapshot) {
        let point = snapshot.point;
        let before = self.raft.anchor();
        self.raft.step(Input::InstallSnapshot(snapshot));
        // A log that was compacted up to there already has no use for it.
        if before == point || self.raft.anchor() != point {
            return;
        }
        let anchor = Anchor { position: point.position, chain: point.chain };
        self.drop_held();
        let unhanded = self.cache.reset(self.handed);
        if !unhanded.is_empty() {
            self.gate.observe(LogEvent::Dropped { entries: &unhanded });
        }
        for Body { ticket, .. } in core::mem::take(&mut self.accepted).into_values() {
            self.gate.observe(LogEvent::ProposalRefused { ticket });
        }
        // What the snapshot covers is in the disk's log until the state machine has the snapshot.
        self.gate.observe(LogEvent::Truncated { from: point.position.index.next() });
        self.handed = point.position.index;
        self.durable = self.raft.durable_index();
        self.ranges.clear();
        self.ranges.set_anchor(anchor);
        self.compaction.reset(point.position.index);
    }

    pub(super) fn installed(&mut self, anchor: Anchor) {
        self.backlog.take(anchor.position.index);
        self.writes.installed(anchor, &mut self.effects);
        self.gate.observe(LogEvent::SnapshotInstalled(anchor.position));
    }

    /// Begins a compaction if one is due: what the log drops has to be durable in the state machine before.
    pub(super) fn flush_if_due(&mut self, wanted: Option<LogIndex>) {
        let reach = self.reach();
        if !self.compaction.wants_flush(self.tick, reach, wanted) {
            return;
        }
        if Mistake::CompactedBeforeFlush.is_made() {
            return self.flushed(reach.limit);
        }
        self.effects.push(Effect::Flush);
    }

    pub(super) fn flushed(&mut self, index: LogIndex) {
        let reach = self.reach();
        let reach = Reach { limit: reach.limit.min(index), ..reach };
        if let Some(through) = self.compaction.flushed(reach) {
            self.effects.push(Effect::Compact { through });
        }
    }

    pub(super) fn compacted(&mut self, anchor: Anchor) {
        // A snapshot may have taken the log's place meanwhile.
        if anchor.position.index < self.raft.anchor().position.index {
            return;
        }
        self.ranges.set_anchor(anchor);
        self.compaction.compacted(anchor.position.index);
        self.raft.step(Input::Compacted(LogPoint { position: anchor.position, chain: anchor.chain }));
        self.gate.observe(LogEvent::Compacted { through: anchor.position.index });
    }

    /// How far the log may be compacted: it is applied, and the gate needs it no more.
    pub(super) fn reach(&self) -> Reach {
        let limit = self.raft.compactable_through().min(self.gate.compaction_floor()).min(self.backlog.applied());
        Reach { limit, held_by_all: self.raft.held_by_all() }
    }
}
