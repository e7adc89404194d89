//! What a node's shell does: it performs effects and hands in what became of them.

use blockraft_blocks::Multihash;
use blockraft_types::LogIndex;
use rand::Rng;

use super::World;
use super::event::{Event, What};
use super::node::{Catalog, index_of};
use crate::input::{PushOutcome, ServeOutcome, StoreFailure};
use crate::message::Message;
use crate::{BulkHeader, Effect, Input, Named, PutId};

impl World {
    pub(super) fn step(&mut self, node: usize, input: Input<Named>) -> Result<(), String> {
        self.life(node).exchange.step(input);
        self.perform(node)
    }

    pub(super) fn perform(&mut self, node: usize) -> Result<(), String> {
        let boot = self.nodes[node].boot;
        for effect in self.life(node).exchange.take_effects() {
            let what = match effect {
                Effect::Store { payload, .. } => What::Store(payload),
                Effect::Stat { name } => What::Stat(name),
                Effect::Delete { name } => What::Delete(name),
                Effect::ListStore { after, limit } => What::List(after, limit),
                Effect::CheckRows { ticket, names } => What::Rows(ticket, names),
                Effect::Serve { to, serve, ticket, name } => What::Serve { to: index_of(to), serve, ticket, name },
                Effect::Send { to, message } => {
                    self.check_message(node, &message)?;
                    if matches!(message, Message::Receipt(receipt) if receipt.verdict != crate::message::Verdict::Durable)
                    {
                        self.coverage.refused_pushes += 1;
                    }
                    self.send(node, index_of(to), |from, link| What::Message { from, link, message });
                    continue;
                }
                Effect::Push { to, ticket, payload } => {
                    let header = BulkHeader::Push { ticket, name: payload.name };
                    self.send(node, index_of(to), |from, link| What::Bulk { from, link, header, payload });
                    continue;
                }
                Effect::PutReady { op, holders } => {
                    if holders.len() * 2 <= self.nodes.len() {
                        return Err(format!("{op:?} is ready with the holders {holders:?}"));
                    }
                    self.put_ready(node, op)?;
                    continue;
                }
                Effect::PutFailed { op, .. } => {
                    self.coverage.puts_failed += 1;
                    self.life(node).puts.remove(&op);
                    continue;
                }
                Effect::ProposalReady { ticket } => {
                    if let Some(names) = self.life(node).proposals.remove(&ticket) {
                        self.enter_later(node, ticket, names);
                    }
                    continue;
                }
                Effect::ProposalRefused { ticket, .. } => {
                    self.life(node).proposals.remove(&ticket);
                    continue;
                }
                Effect::OpenExport { export } => What::OpenExport(export),
                Effect::SendChunk { to, export, remote, after, rows_max, .. } => {
                    What::SendChunk { to: index_of(to), export, remote, after, rows_max }
                }
                Effect::CloseExport { export } => {
                    self.life(node).exports.remove(&export);
                    continue;
                }
                Effect::ImportChunk { chunk } => What::Import(chunk),
                Effect::SealImport { manifest } => What::Seal(manifest),
                Effect::SnapshotComplete { manifest } => What::Complete(manifest),
                Effect::ClearImport => What::ClearImport,
                Effect::SnapshotStuck { name, position } => {
                    return Err(format!(
                        "nobody has {name} of the snapshot at {position}, although nothing is ever lost"
                    ));
                }
                Effect::GateMoved
                | Effect::InlineStored { .. }
                | Effect::Repaired { .. }
                | Effect::RepairFailed { .. } => continue,
            };
            self.pending.push(Event { node, boot, what });
        }
        Ok(())
    }

    fn put_ready(&mut self, node: usize, op: PutId) -> Result<(), String> {
        let Some((named, _)) = self.life(node).puts.get(&op).copied() else { return Ok(()) };
        if self.life(node).believes_leader {
            return self.forwarded(node, named, None);
        }
        if let Some(leader) = self.leader.filter(|leader| self.linked(node, *leader)) {
            let boot = self.nodes[leader].boot;
            self.pending.push(Event { node: leader, boot, what: What::Forward { from: node, named } });
        }
        Ok(())
    }

    pub(super) fn send(&mut self, from: usize, to: usize, what: impl FnOnce(usize, u64) -> What) {
        if let Some(link) = self.links.get(&(from.min(to), from.max(to))).copied() {
            let boot = self.nodes[to].boot;
            self.pending.push(Event { node: to, boot, what: what(from, link) });
        }
    }

    pub(super) fn perform_one(&mut self) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let chosen = self.rng.random_range(0..self.pending.len());
        let Event { node, boot, what } = self.pending.swap_remove(chosen);
        if self.nodes[node].life.is_none() || self.nodes[node].boot != boot {
            return Ok(());
        }
        match what {
            What::Store(named) => {
                let result = if self.unlucky(0.02) { Err(StoreFailure::Full) } else { Ok(()) };
                if result.is_ok() {
                    self.nodes[node].store.insert(named.name, named.length);
                }
                self.step(node, Input::Stored { name: named.name, result })
            }
            What::Stat(name) => {
                let length = self.nodes[node].store.get(&name).copied();
                self.step(node, Input::Statted { name, length })
            }
            What::Delete(name) => {
                self.nodes[node].store.remove(&name);
                self.step(node, Input::Removed { name, result: Ok(()) })
            }
            What::List(after, limit) => {
                let listed = |(name, length): (&Multihash, &u32)| Named { name: *name, length: *length };
                let rest = self.nodes[node].store.iter().filter(|(name, _)| after.is_none_or(|after| **name > after));
                let entries: Vec<Named> = rest.map(listed).take(limit).collect();
                let next = (entries.len() == limit).then(|| entries.last().map(|named| named.name)).flatten();
                self.step(node, Input::StoreListed { entries, next })
            }
            What::Rows(ticket, names) => {
                let Catalog { rows, beside, .. } = &self.life(node).catalog;
                let is_named = |name: &Multihash| rows.contains_key(name) || beside.contains_key(name);
                let absent = names.into_iter().filter(|name| !is_named(name)).collect();
                self.step(node, Input::RowsChecked { ticket, absent })
            }
            What::Serve { to, serve, ticket, name } => {
                let held = self.nodes[node].store.get(&name).map(|length| Named { name, length: *length });
                let outcome = if held.is_some() { ServeOutcome::Sent } else { ServeOutcome::Absent };
                if let Some(payload) = held.filter(|_| !self.unlucky(0.1)) {
                    let header = BulkHeader::Fetched { ticket, name };
                    self.send(node, to, |from, link| What::Bulk { from, link, header, payload });
                }
                self.step(node, Input::Served { ticket: serve, outcome })
            }
            What::Synced(log) => {
                self.nodes[node].write_log(&log);
                let position = self.nodes[node].log.last_position();
                self.step(node, Input::Persisted { position })?;
                self.commit_and_apply()
            }
            What::Compact(through) => {
                self.nodes[node].log.compact(through);
                self.life(node).log.compact(through);
                self.step(node, Input::Compacted { through: LogIndex(through as u64) })
            }
            What::Message { from, link, message } => {
                if !self.is_link(from, node, link) || self.unlucky(0.04) {
                    return Ok(());
                }
                let from = self.nodes[from].id;
                self.step(node, Input::Message { from, message })
            }
            What::Bulk { from, link, header, payload } => self.deliver(node, (from, link), header, payload),
            What::OpenExport(export) => self.open_export(node, export),
            What::SendChunk { to, export, remote, after, rows_max } => {
                self.send_chunk(node, to, (export, remote), after, rows_max)
            }
            What::Chunk { from, link, export, chunk } => {
                if !self.is_link(from, node, link) || self.unlucky(0.1) {
                    return Ok(());
                }
                let from = self.nodes[from].id;
                self.step(node, Input::ChunkArrived { from, export, chunk })
            }
            What::Import(chunk) => self.import(node, &chunk),
            What::Seal(manifest) => self.seal(node, &manifest),
            What::Complete(manifest) => self.complete(node, &manifest),
            What::ClearImport => {
                let had = !core::mem::take(&mut self.life(node).catalog.beside).is_empty();
                if had { self.step(node, Input::ImportCleared) } else { Ok(()) }
            }
            What::Reset(index) => {
                self.reset_log(node, index);
                Ok(())
            }
            What::Forward { from, named } => self.forwarded(node, named, Some(from)),
            What::Lead(term, leader) => self.lead(node, term, leader),
            What::Enter(ticket, names) => self.enter(node, ticket, names),
        }
    }

    fn deliver(
        &mut self,
        node: usize,
        (from, link): (usize, u64),
        header: BulkHeader,
        payload: Named,
    ) -> Result<(), String> {
        if !self.is_link(from, node, link) {
            return Ok(());
        }
        let is_lost = self.unlucky(0.05);
        if let BulkHeader::Push { ticket, .. } = header {
            let outcome = if is_lost { PushOutcome::Failed } else { PushOutcome::Sent };
            let to = self.nodes[node].id;
            self.step(from, Input::PushEnded { to, ticket, outcome })?;
        }
        if is_lost {
            return Ok(());
        }
        self.coverage.fetched += u64::from(matches!(header, BulkHeader::Fetched { .. }));
        let from = self.nodes[from].id;
        self.step(node, Input::Arrived { from, header, payload })
    }
}
