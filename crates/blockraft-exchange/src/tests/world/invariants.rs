//! What must always hold, and what must hold at rest.

use std::collections::BTreeSet;

use blockraft_blocks::Multihash;

use super::World;
use super::log::{Command, Entry, Log};
use super::node::{Catalog, Node};
use crate::message::Message;
use crate::status::{ImportStatus, SweepStatus};

impl World {
    pub(super) fn check(&self) -> Result<(), String> {
        (0..self.nodes.len()).try_for_each(|node| self.check_node(node))
    }

    fn check_node(&self, node: usize) -> Result<(), String> {
        self.check_images(node)?;
        let here = &self.nodes[node];
        let Some(life) = &here.life else { return Ok(()) };
        here.has_payloads_of(&life.log, "its log")?;
        here.has_rows_of(&life.catalog, &life.log, "its catalog")?;

        let status = life.exchange.status();
        let bounds = &status.bounds;
        let one = 160;
        let holds = [
            ("puts", status.puts as u64, bounds.puts_max as u64),
            ("put bytes", status.put_bytes, bounds.put_bytes_max + one),
            ("lanes", status.lanes.iter().map(|lane| lane.bytes).max().unwrap_or(0), bounds.lane_bytes_max),
            ("gate fetches", status.gate_fetches as u64, bounds.gate_fetches_max as u64),
            ("gate fetch bytes", status.gate_fetch_bytes, bounds.gate_fetch_bytes_max),
            ("other fetches", status.other_fetches as u64, bounds.other_fetches_max as u64),
            ("other fetch bytes", status.other_fetch_bytes, bounds.other_fetch_bytes_max),
            ("snapshot fetches", status.snapshot_fetches as u64, bounds.snapshot_fetches_max as u64),
            ("snapshot fetch bytes", status.snapshot_fetch_bytes, bounds.snapshot_fetch_bytes_max),
            ("exports", status.exports as u64, bounds.exports_max as u64),
            ("proposals", status.proposals_waiting as u64, bounds.proposals_max as u64),
            ("serves", status.serves as u64, bounds.serves_max as u64),
            ("inline bytes", status.inline_bytes, bounds.inline_bytes_max + one),
            (
                "staged bytes",
                status.staged_bytes,
                bounds.staged_bytes_max
                    + bounds.put_bytes_max
                    + one * (bounds.gate_names_max + 2 * bounds.chunk_rows_max) as u64,
            ),
            ("reclaims", status.reclaims as u64, (bounds.reclaims_max + bounds.sweep_page) as u64),
        ];
        match holds.into_iter().find(|(_, value, bound)| value > bound) {
            Some((what, value, bound)) => Err(format!("{}: {value} {what}, more than {bound}", here.id)),
            None => Ok(()),
        }
    }

    /// What a power cut at this moment would leave.
    pub(super) fn check_images(&self, node: usize) -> Result<(), String> {
        let here = &self.nodes[node];
        here.has_payloads_of(&here.log, "its durable log")?;
        here.has_rows_of(&here.catalog, &here.log, "its durable catalog")
    }

    pub(super) fn check_message(&self, node: usize, message: &Message) -> Result<(), String> {
        match message {
            Message::Receipt(receipt) if receipt.verdict == crate::message::Verdict::Durable => {
                let held = self.nodes[node].store.contains_key(&receipt.name);
                let id = self.nodes[node].id;
                if held { Ok(()) } else { Err(format!("{id} gave a receipt for {} that it hasn't", receipt.name)) }
            }
            _ => Ok(()),
        }
    }

    /// When nothing happens any more, everything has come to its end.
    pub(super) fn check_rest(&mut self) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            let id = self.nodes[node].id;
            let status = self.life(node).exchange.status();
            self.coverage.reclaimed += status.reclaimed;
            let open = [
                ("leases", status.leases.total()),
                ("puts", status.puts as u64),
                ("wanted blocks", status.wanted as u64),
                ("waiting proposals", status.proposals_waiting as u64),
                ("serves", status.serves as u64),
                ("inline bytes", status.inline_bytes),
                ("exports", status.exports as u64),
                ("imports", u64::from(status.import != ImportStatus::Idle)),
                ("rows beside the state", self.life(node).catalog.beside.len() as u64),
                ("staged blocks", status.staged_blocks as u64),
                ("reclaims", status.reclaims as u64),
                ("bytes in lanes", status.lanes.iter().map(|lane| lane.bytes).sum()),
                ("sweeps", u64::from(status.sweep != SweepStatus::Done)),
            ];
            if let Some((what, count)) = open.into_iter().find(|(_, count)| *count > 0) {
                return Err(format!("{id} at rest still has {count} {what}: {status:?}"));
            }
            if self.life(node).catalog.applied != self.committed.len() {
                return Err(format!("{id} never got past {:?}", status.gate_waiting_for));
            }
            let life = self.nodes[node].life.as_ref().ok_or("everything was started")?;
            let named: BTreeSet<Multihash> =
                life.log.entries.iter().flat_map(Entry::all_names).map(|named| named.name).collect();
            for name in self.nodes[node].store.keys() {
                if !life.catalog.rows.contains_key(name) && !named.contains(name) && !life.log.deletes(*name) {
                    return Err(format!("{id} keeps the orphan {name}"));
                }
            }
        }
        Ok(())
    }
}

impl Node {
    fn has_payloads_of(&self, log: &Log, whose: &str) -> Result<(), String> {
        for (index, entry) in log.after(log.base) {
            if let Some(named) = entry.payload_names().iter().find(|named| !self.store.contains_key(&named.name)) {
                return Err(format!("{}: {whose} names {} at {index} without its payload", self.id, named.name));
            }
        }
        Ok(())
    }

    /// A row's bytes are in the store, or still in the log.
    fn has_rows_of(&self, catalog: &Catalog, log: &Log, whose: &str) -> Result<(), String> {
        let inlined = |name: &Multihash| {
            log.entries.iter().any(|entry| matches!(&entry.command, Command::PutInline(named) if named.name == *name))
        };
        match catalog.rows.keys().find(|name| !self.store.contains_key(name) && !inlined(name)) {
            Some(name) => Err(format!("{}: {whose} has a row for {name}, which is gone", self.id)),
            None => Ok(()),
        }
    }
}
