//! Snapshots: who needs one, what a shell does for those that are given and got, and what consensus makes of them.

use std::collections::BTreeSet;

use blockraft_blocks::Multihash;
use blockraft_types::{ChainDigest, LogIndex, Membership, RemoteTicket};
use bytes::Bytes;

use super::World;
use super::event::{Event, What};
use super::log::{Command, Log, position};
use super::node::{Catalog, Rows};
use crate::ticket::ExportTicket;
use crate::{Chunk, Input, Manifest, ManifestRow, Named, Rest, Sealed};

impl World {
    /// A leader that compacted what the follower lacks offers a snapshot.
    pub(super) fn offer_snapshot(&mut self, leader: usize, follower: usize) -> Result<(), String> {
        let Some(life) = &self.nodes[leader].life else { return Ok(()) };
        let (from, least) = (self.nodes[leader].id, LogIndex(life.log.base as u64));
        self.step(follower, Input::SnapshotOffered { from, least })
    }

    /// How far a log is what was committed.
    pub(super) fn committed_prefix(&self, log: &Log) -> usize {
        let matching =
            |index: &usize| log.entry(*index).is_some() && log.entry(*index) == self.committed.get(*index - 1);
        log.base + (log.base + 1..=log.end()).take_while(matching).count()
    }

    /// The rows after the first `applied` entries.
    fn model(&self, applied: usize) -> Rows {
        let mut rows = Rows::new();
        for entry in &self.committed[..applied] {
            rows.extend(entry.all_names().into_iter().map(|named| (named.name, named.length)));
            if let Command::Delete(name) = entry.command {
                rows.remove(&name);
            }
        }
        rows
    }

    pub(super) fn open_export(&mut self, node: usize, export: ExportTicket) -> Result<(), String> {
        let catalog = self.life(node).catalog.clone();
        let manifest = self.manifest(&catalog);
        self.life(node).exports.insert(export, catalog.rows);
        self.step(node, Input::ExportReady { export, manifest })
    }

    fn manifest(&self, catalog: &Catalog) -> Option<Manifest> {
        let last = self.committed.get(catalog.applied.checked_sub(1)?)?;
        Some(Manifest {
            position: position(last.term, catalog.applied),
            chain: ChainDigest::from_bytes([catalog.applied as u8; 16]),
            blocks: catalog.rows.len() as u64,
            bytes: catalog.rows.values().map(|length| u64::from(*length)).sum(),
            membership: Membership::default(),
            membership_index: LogIndex::ZERO,
        })
    }

    pub(super) fn send_chunk(
        &mut self,
        node: usize,
        to: usize,
        (export, remote): (ExportTicket, RemoteTicket),
        after: Option<Multihash>,
        rows_max: usize,
    ) -> Result<(), String> {
        if let Some(all) = self.life(node).exports.get(&export) {
            let behind = all.iter().filter(|(name, _)| after.is_none_or(|after| after < **name));
            let row = |(name, length): (&Multihash, &u32)| ManifestRow {
                named: Named { name: *name, length: *length },
                created: position(1, 1),
                bond: Bytes::new(),
            };
            let mut rows: Vec<ManifestRow> = behind.map(row).take(rows_max + 1).collect();
            let rest = if rows_max < rows.len() { Rest::More } else { Rest::Nothing };
            rows.truncate(rows_max);
            let chunk = Chunk { after, rows, rest, clients: Bytes::new() };
            self.send(node, to, |from, link| What::Chunk { from, link, export: remote, chunk });
        }
        self.step(node, Input::ChunkSent { export })
    }

    pub(super) fn import(&mut self, node: usize, chunk: &Chunk) -> Result<(), String> {
        let store: BTreeSet<Multihash> = self.nodes[node].store.keys().copied().collect();
        if let Some(row) = chunk.rows.iter().find(|row| !store.contains(&row.named.name)) {
            return Err(format!("{} imports a row for {} without its payload", self.nodes[node].id, row.named.name));
        }
        let last = chunk.rows.last().map(|row| row.named.name);
        let is_before = |name: &Multihash| chunk.after.is_some_and(|after| *name <= after);
        let is_behind = |name: &Multihash| chunk.rest == Rest::More && last.is_some_and(|last| last < *name);
        let beside = &mut self.life(node).catalog.beside;
        beside.retain(|name, _| is_before(name) || is_behind(name));
        beside.extend(chunk.rows.iter().map(|row| (row.named.name, row.named.length)));
        self.step(node, Input::ChunkImported)
    }

    pub(super) fn seal(&mut self, node: usize, manifest: &Manifest) -> Result<(), String> {
        let catalog = self.life(node).catalog.clone();
        let is_whole = catalog.beside.len() as u64 == manifest.blocks;
        let outcome = if is_whole { Sealed::Whole } else { Sealed::Broken };
        self.nodes[node].catalog = catalog;
        self.step(node, Input::ImportSealed { outcome })
    }

    /// Consensus takes the snapshot if the log lacks its last entry: the catalog switches durably, then the log is reset,
    /// at once or a little later.
    pub(super) fn complete(&mut self, node: usize, manifest: &Manifest) -> Result<(), String> {
        let (position, index) = (manifest.position, manifest.position.index.0 as usize);
        let life = self.life(node);
        let (leads, log) = (life.believes_leader, life.log.clone());
        if leads || index <= self.committed_prefix(&log) {
            self.coverage.snapshots_unneeded += 1;
            return self.step(node, Input::SnapshotUnneeded { position });
        }
        self.coverage.snapshots_installed += 1;
        self.drop_offered(node)?;
        self.step(node, Input::Truncated { from: position.index.next() })?;
        let expected = self.model(index);
        let life = self.life(node);
        let catalog = &mut life.catalog;
        core::mem::swap(&mut catalog.rows, &mut catalog.beside);
        catalog.applied = index;
        if catalog.rows != expected {
            return Err(format!("node {node} installed rows at {index} that aren't the state there"));
        }
        life.log = Log { base: index, base_term: position.term.0, entries: Vec::new() };
        self.nodes[node].catalog = self.life(node).catalog.clone();
        // What was on its way to the disk came before, or never will.
        self.pending.retain(|event| event.node != node || !matches!(event.what, What::Synced(_) | What::Compact(_)));
        let boot = self.nodes[node].boot;
        self.pending.push(Event { node, boot, what: What::Reset(index) });
        self.step(node, Input::SnapshotInstalled { position })
    }

    /// A start finishes what a power cut left half-way: the log is reset to a catalog that it doesn't reach.
    pub(super) fn reconcile(&mut self, node: usize) {
        let here = &self.nodes[node];
        let applied = here.catalog.applied;
        if here.log.base < applied && self.committed_prefix(&here.log) < applied {
            self.reset_log(node, applied);
        }
    }

    pub(super) fn reset_log(&mut self, node: usize, index: usize) {
        let base_term = self.committed[index - 1].term;
        self.nodes[node].log = Log { base: index, base_term, entries: Vec::new() };
    }
}
