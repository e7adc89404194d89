//! Consensus, all-knowing: what matters here is which entries stand in whose log.

use blockraft_types::{LogIndex, Term};
use rand::Rng;

use super::World;
use super::event::{Event, What};
use super::log::{Command, Entry, position};
use crate::{EntryNames, Input};

impl World {
    pub(super) fn elect(&mut self) -> Result<(), String> {
        let up: Vec<usize> = self.up();
        if up.len() * 2 <= self.nodes.len() {
            return Ok(());
        }
        let last = |node: usize| self.nodes[node].life.as_ref().map(|life| life.log.last());
        let electable = |node: &usize| {
            let reachable: Vec<usize> = up.iter().copied().filter(|peer| self.linked(*node, *peer)).collect();
            let votes = reachable.iter().filter(|voter| last(**voter) <= last(*node)).count();
            votes * 2 > self.nodes.len()
        };
        let candidates: Vec<usize> = up.iter().copied().filter(electable).collect();
        let Some(leader) = self.choose(&candidates) else { return Ok(()) };
        self.term += 1;
        self.leader = Some(leader);
        for node in up {
            if node == leader {
                self.lead(node, self.term, leader)?;
            } else {
                let boot = self.nodes[node].boot;
                self.pending.push(Event { node, boot, what: What::Lead(self.term, leader) });
            }
        }
        self.append_at(leader, Entry { term: self.term, command: Command::Blank })
    }

    pub(super) fn lead(&mut self, node: usize, term: u64, leader: usize) -> Result<(), String> {
        if term < self.term {
            return Ok(());
        }
        let leader_id = self.nodes[leader].id;
        if let Some(life) = &mut self.nodes[node].life {
            life.believes_leader = node == leader;
        }
        self.drop_offered(node)?;
        self.step(node, Input::Leader { term: Term(term), leader: Some(leader_id) })
    }

    /// The leader (or who still believes to be it) appends to its own log. Its term is that of its last belief, so that an
    /// old one's entries get truncated.
    pub(super) fn append_at(&mut self, node: usize, entry: Entry) -> Result<(), String> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        life.log.entries.push(entry.clone());
        let position = life.log.last_position();
        self.step(node, Input::Appended { position, names: entry.all_names() })
    }

    pub(super) fn replicate_one(&mut self) -> Result<(), String> {
        let Some(leader) = self.leader.filter(|leader| self.nodes[*leader].life.is_some()) else { return Ok(()) };
        let others: Vec<usize> = self.up().into_iter().filter(|n| *n != leader && self.linked(leader, *n)).collect();
        match self.choose(&others) {
            Some(follower) => self.replicate(leader, follower),
            None => Ok(()),
        }
    }

    pub(super) fn replicate(&mut self, leader: usize, follower: usize) -> Result<(), String> {
        if self.nodes[follower].life.as_ref().is_some_and(|life| life.believes_leader) {
            self.lead(follower, self.term, leader)?;
        }
        let (Some(from), Some(to)) = (&self.nodes[leader].life, &self.nodes[follower].life) else { return Ok(()) };
        if self.committed_prefix(&to.log) < from.log.base {
            return self.offer_snapshot(leader, follower);
        }
        let common = from.log.common(&to.log);
        let count = self.rng.random_range(1..=6);
        let entries: Vec<(usize, Entry)> = from.log.after(common).take(count).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let names: Vec<EntryNames> = entries
            .iter()
            .map(|(index, entry)| EntryNames { position: position(entry.term, *index), names: entry.payload_names() })
            .collect();
        let truncates = to.log.end() > common;
        let life = self.life(follower);
        life.offered.extend(names.iter().map(|entry| entry.position));
        let admitted = life.exchange.reserve_append(&names);
        self.perform(follower)?;
        if admitted < entries.len() {
            self.coverage.held_appends += 1;
        }
        if admitted == 0 {
            return Ok(());
        }
        if truncates {
            self.coverage.truncations += 1;
            self.life(follower).log.truncate(common);
            self.step(follower, Input::Truncated { from: LogIndex(common as u64 + 1) })?;
        }
        for (_, entry) in entries.into_iter().take(admitted) {
            self.append_at(follower, entry)?;
        }
        Ok(())
    }

    /// A core refused what the gate admitted.
    pub(super) fn drop_append(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        self.drop_offered(node)
    }

    pub(super) fn drop_offered(&mut self, node: usize) -> Result<(), String> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        let positions = core::mem::take(&mut life.offered);
        self.step(node, Input::AppendDropped { positions })
    }

    pub(super) fn sync_one(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        let boot = self.nodes[node].boot;
        let is_syncing =
            |event: &Event| event.node == node && event.boot == boot && matches!(event.what, What::Synced(_));
        if !self.pending.iter().any(is_syncing) {
            let log = self.life(node).log.clone();
            self.pending.push(Event { node, boot, what: What::Synced(log) });
        }
        Ok(())
    }

    pub(super) fn commit_and_apply(&mut self) -> Result<(), String> {
        let Some(leader) = self.leader else { return Ok(()) };
        let Some(life) = &self.nodes[leader].life else { return Ok(()) };
        let mut matches: Vec<usize> = self.nodes.iter().map(|node| life.log.common(&node.log)).collect();
        matches.sort_unstable();
        let quorum = matches[(matches.len() - 1) / 2];
        if life.log.term_at(quorum) == Some(self.term) {
            let log = life.log.clone();
            while self.committed.len() < quorum {
                let index = self.committed.len() + 1;
                let entry = log.entry(index).ok_or("the leader lacks what it commits")?;
                self.committed.push(entry.clone());
                self.coverage.committed += 1;
            }
        }
        for node in self.up() {
            self.apply(node)?;
        }
        Ok(())
    }

    fn apply(&mut self, node: usize) -> Result<(), String> {
        loop {
            let life = self.life(node);
            let index = life.catalog.applied + 1;
            let (Some(entry), Some(own)) = (self.committed.get(index - 1).cloned(), self.life(node).log.entry(index))
            else {
                return Ok(());
            };
            // Nothing is applied before it is durable here: a flushed catalog must never be ahead of its log.
            if *own != entry || self.nodes[node].log.entry(index) != Some(&entry) {
                return Ok(());
            }
            if !self.life(node).exchange.has_room_for_inline() {
                return Ok(());
            }
            let life = self.life(node);
            life.catalog.applied = index;
            let log_index = LogIndex(index as u64);
            let (mut created, mut deleted) = (Vec::new(), Vec::new());
            for named in entry.all_names() {
                life.catalog.rows.insert(named.name, named.length);
                created.push(named.name);
            }
            if let Command::Delete(name) = entry.command {
                life.catalog.rows.remove(&name);
                deleted.push(name);
            }
            self.step(node, Input::Applied { index: log_index, created, deleted })?;
            if let Command::PutInline(named) = entry.command {
                self.step(node, Input::InlineApplied { index: log_index, payload: named })?;
            }
        }
    }

    pub(super) fn flush_one(&mut self) -> Result<(), String> {
        if let Some(node) = self.any_up() {
            self.nodes[node].catalog = self.life(node).catalog.clone();
        }
        Ok(())
    }

    /// Compacts as far as the catalog is flushed and inlined bodies are stored; sometimes only what everybody holds durably.
    pub(super) fn compact_one(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        let Some(leader) = self.leader.filter(|leader| self.nodes[*leader].life.is_some()) else { return Ok(()) };
        let log = &self.life(leader).log.clone();
        let held_by_all = self.nodes.iter().map(|other| log.common(&other.log)).min().unwrap_or(0);
        let floor = self.life(node).exchange.compaction_floor().0;
        let kept = if self.rng.random_bool(0.5) { held_by_all } else { usize::MAX };
        let through = kept.min(self.nodes[node].catalog.applied).min(floor as usize);
        if through > self.life(node).log.base && through <= self.nodes[node].log.end() {
            let boot = self.nodes[node].boot;
            self.pending.push(Event { node, boot, what: What::Compact(through) });
        }
        Ok(())
    }
}
