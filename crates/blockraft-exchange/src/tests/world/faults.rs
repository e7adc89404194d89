//! Time, links and power, and the calm after them.

use std::collections::{BTreeMap, VecDeque};

use blockraft_types::{BootNonce, LogIndex, Membership};
use rand::Rng;

use super::World;
use super::event::{Event, What};
use super::log::{Command, position};
use super::node::{Life, incarnation};
use crate::{Config, Exchange, Identity, Input, PutId};

impl World {
    pub(super) fn tick_one(&mut self) -> Result<(), String> {
        match self.any_up() {
            Some(node) => self.tick(node),
            None => Ok(()),
        }
    }

    fn tick(&mut self, node: usize) -> Result<(), String> {
        self.life(node).ticks += 1;
        let now = self.life(node).ticks;
        self.step(node, Input::Tick)?;
        self.replay(node)?;
        let over: Vec<PutId> =
            self.life(node).puts.iter().filter(|(_, (_, closes))| *closes <= now).map(|(op, _)| *op).collect();
        for op in over {
            self.life(node).puts.remove(&op);
            self.step(node, Input::PutClosed { op })?;
        }
        Ok(())
    }

    /// Goes on with the replay as far as there is room.
    fn replay(&mut self, node: usize) -> Result<(), String> {
        while let Some(mut backlog) = self.life(node).backlog.take() {
            if backlog.is_empty() {
                let applied = LogIndex(self.life(node).catalog.applied as u64);
                return self.step(node, Input::ReplayFinished { applied });
            }
            let has_room = self.life(node).exchange.has_room_for_inline();
            let body = if has_room { backlog.pop_front() } else { None };
            self.life(node).backlog = Some(backlog);
            match body {
                Some((index, payload)) => self.step(node, Input::InlineApplied { index, payload })?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    pub(super) fn change_link(&mut self) {
        let (a, b) = (self.rng.random_range(0..self.nodes.len()), self.rng.random_range(0..self.nodes.len()));
        if a == b {
            return;
        }
        if self.linked(a, b) && self.rng.random_bool(0.4) {
            self.cut(a, b);
        } else {
            self.connect(a, b);
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        let number = self.number();
        if a != b
            && !self.linked(a, b)
            && let (Some(_), Some(_)) = (&self.nodes[a].life, &self.nodes[b].life)
        {
            self.links.insert((a.min(b), a.max(b)), number);
            for (node, peer) in [(a, b), (b, a)] {
                let peer = self.nodes[peer].id;
                self.life(node).exchange.step(Input::PeerConnected { peer });
            }
        }
    }

    fn cut(&mut self, a: usize, b: usize) {
        if self.links.remove(&(a.min(b), a.max(b))).is_some() {
            for (node, peer) in [(a, b), (b, a)] {
                let peer = self.nodes[peer].id;
                if let Some(life) = &mut self.nodes[node].life {
                    life.exchange.step(Input::PeerDisconnected { peer });
                }
            }
        }
    }

    pub(super) fn power_cut(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        self.coverage.power_cuts += 1;
        // What the disk was doing may have happened or not.
        let boot = self.nodes[node].boot;
        for event in self.pending.clone() {
            if event.node == node && event.boot == boot && self.rng.random_bool(0.5) {
                match event.what {
                    What::Store(named) => {
                        self.nodes[node].store.insert(named.name, named.length);
                    }
                    What::Delete(name) => {
                        self.nodes[node].store.remove(&name);
                    }
                    What::Synced(log) => self.nodes[node].write_log(&log),
                    What::Reset(index) => self.reset_log(node, index),
                    _ => {}
                }
            }
        }
        self.pending.retain(|event| event.node != node || event.boot != boot);
        for peer in 0..self.nodes.len() {
            self.cut(node, peer);
        }
        if let Some(life) = self.nodes[node].life.take() {
            self.coverage.reclaimed += life.exchange.status().reclaimed;
        }
        if self.leader == Some(node) {
            self.leader = None;
        }
        self.check_images(node)
    }

    pub(super) fn start(&mut self, node: usize) {
        let number = self.number();
        self.reconcile(node);
        let membership = Membership::of_voters(self.nodes.iter().map(|node| (node.id, incarnation(node.id))));
        let mistake = self.mistake;
        let config = Config {
            lane_bytes_max: 300,
            puts_max: 12,
            put_bytes_max: 1200,
            put_ticks_max: 30,
            push_ticks_max: 8,
            retry_ticks: 3,
            announced_max: 4,
            arriving_bytes_max: 400,
            staged_bytes_max: 450,
            staged_blocks_max: 5,
            evict_ticks_min: 4,
            grace_ticks: 45,
            reclaims_max: 4,
            deleted_blocks_max: 4,
            full_ticks: 10,
            stall_ticks: 10,
            gate_fetches_max: 2,
            gate_fetch_bytes_max: 250,
            other_fetches_max: 2,
            other_fetch_bytes_max: 250,
            snapshot_fetches_max: 2,
            snapshot_fetch_bytes_max: 250,
            snapshot_tick_bytes_max: 120,
            snapshot_names_max: 3,
            chunk_rows_max: 3,
            chunk_payload_bytes_max: 300,
            exports_max: 1,
            export_ticks_max: 20,
            pinned_entries_max: 25,
            pinned_payload_bytes_max: 2000,
            fetch_ticks_max: 6,
            gate_names_max: 4,
            proposals_max: 6,
            proposal_ticks_max: 20,
            repairs_max: 4,
            repair_ticks_max: 30,
            serves_max: 3,
            serve_bytes_max: 300,
            inline_bytes_max: 300,
            sweep_page: 3,
            sweep_ticks: 2,
        };
        let here = &mut self.nodes[node];
        here.boot = number;
        let identity = Identity { node: here.id, incarnation: incarnation(here.id), boot: BootNonce(number) };
        let mut exchange = Exchange::new(identity, config).expect("the world's bounds fit together");
        if let Some(mistake) = mistake {
            exchange.seed_mistake(mistake);
        }
        exchange.step(Input::Membership { membership });
        let mut backlog = VecDeque::new();
        for (index, entry) in here.log.after(here.log.base) {
            let names = entry.all_names();
            exchange.step(Input::Replayed { position: position(entry.term, index), names });
            if let Command::PutInline(payload) = entry.command
                && index <= here.catalog.applied
            {
                backlog.push_back((LogIndex(index as u64), payload));
            }
        }
        here.life = Some(Life {
            exchange,
            log: here.log.clone(),
            catalog: here.catalog.clone(),
            believes_leader: false,
            offered: Vec::new(),
            puts: BTreeMap::new(),
            proposals: BTreeMap::new(),
            backlog: Some(backlog),
            ticks: 0,
            exports: BTreeMap::new(),
        });
        for peer in 0..self.nodes.len() {
            self.connect(node, peer);
        }
    }

    pub(super) fn heal(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].life.is_none() {
                self.start(node);
            }
            for peer in 0..node {
                self.connect(node, peer);
            }
        }
    }

    /// A bounded piece of quiet life: nothing new comes, and everything under way goes on.
    pub(super) fn calm_round(&mut self) -> Result<(), String> {
        if self.leader.is_none() {
            self.elect()?;
        }
        for _ in 0..6 {
            for node in 0..self.nodes.len() {
                self.tick(node)?;
                for follower in 0..self.nodes.len() {
                    if let Some(leader) = self.leader.filter(|leader| *leader != follower) {
                        self.replicate(leader, follower)?;
                    }
                }
            }
            while !self.pending.is_empty() {
                self.perform_one()?;
            }
            for node in 0..self.nodes.len() {
                let log = self.life(node).log.clone();
                let boot = self.nodes[node].boot;
                self.pending.push(Event { node, boot, what: What::Synced(log) });
            }
            while !self.pending.is_empty() {
                self.perform_one()?;
            }
            self.commit_and_apply()?;
            for _ in 0..self.nodes.len() {
                self.flush_one()?;
                self.compact_one()?;
            }
            self.check()?;
        }
        Ok(())
    }
}
