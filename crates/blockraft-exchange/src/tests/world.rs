//! Whole data planes over a model of everything else: stores and logs with a volatile and a durable image, links that lose
//! and delay, and an all-knowing stand-in for consensus. One event at a time, chosen by a seeded generator; the
//! invariants are checked after each.

mod clients;
mod consensus;
mod event;
mod faults;
mod invariants;
mod log;
mod node;
mod shell;
mod snapshots;

use std::collections::BTreeMap;

use blockraft_blocks::{HashCode, Multihash};
use blockraft_types::NodeId;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::event::Event;
use self::log::{Entry, Log};
use self::node::{Catalog, Life, Node};
use crate::Named;
use crate::mistake::Mistake;

/// What a run did, so that a test can ask whether it met what it is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coverage {
    pub(super) committed: u64,
    pub(super) power_cuts: u64,
    pub(super) truncations: u64,
    pub(super) reclaimed: u64,
    pub(super) fetched: u64,
    pub(super) refused_pushes: u64,
    pub(super) held_appends: u64,
    pub(super) puts_failed: u64,
    pub(super) snapshots_installed: u64,
    pub(super) snapshots_unneeded: u64,
}

#[derive(Debug)]
pub(super) struct World {
    rng: ChaCha8Rng,
    nodes: Vec<Node>,
    term: u64,
    leader: Option<usize>,
    committed: Vec<Entry>,
    pending: Vec<Event>,
    /// Links that are up, by the smaller and the greater node, with the number of the connection.
    links: BTreeMap<(usize, usize), u64>,
    last_number: u64,
    blocks: Vec<Named>,
    mistake: Option<Mistake>,
    faults: Faults,
    pub(super) coverage: Coverage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    On,
    Off,
}

impl World {
    pub(super) fn new(seed: u64, nodes: usize, mistake: Option<Mistake>) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let blocks = (0..24_u64)
            .map(|number| Named {
                name: Multihash::of(HashCode::Sha2_256, &number.to_le_bytes()),
                length: rng.random_range(40..160),
            })
            .collect();
        let nodes = (0..nodes).map(|index| Node {
            id: NodeId(index as u64 + 1),
            boot: 0,
            life: None,
            store: BTreeMap::new(),
            log: Log::default(),
            catalog: Catalog::default(),
        });
        let mut world = Self {
            rng,
            nodes: nodes.collect(),
            term: 0,
            leader: None,
            committed: Vec::new(),
            pending: Vec::new(),
            links: BTreeMap::new(),
            last_number: 0,
            blocks,
            mistake,
            faults: Faults::On,
            coverage: Coverage::default(),
        };
        for node in 0..world.nodes.len() {
            world.start(node);
        }
        world
    }

    /// Runs `events` events under faults, then heals everything and asks that all come to rest.
    ///
    /// # Errors
    ///
    /// The first invariant that broke, in words.
    pub(super) fn run(&mut self, events: usize) -> Result<(), String> {
        for _ in 0..events {
            self.happen()?;
            self.check()?;
        }
        self.faults = Faults::Off;
        self.heal();
        for _ in 0..60 {
            self.calm_round()?;
        }
        self.check_rest()
    }

    fn happen(&mut self) -> Result<(), String> {
        match self.rng.random_range(0..1000) {
            0..500 => self.perform_one(),
            500..640 => self.tick_one(),
            640..740 => self.client_put(),
            740..765 => self.client_inline(),
            765..790 => self.client_delete(),
            790..900 => self.replicate_one(),
            900..930 => self.sync_one(),
            930..945 => self.flush_one(),
            945..965 => self.compact_one(),
            965..972 => self.elect(),
            972..982 => {
                self.change_link();
                Ok(())
            }
            982..986 => self.power_cut(),
            986..996 => {
                let down: Vec<usize> = (0..self.nodes.len()).filter(|n| self.nodes[*n].life.is_none()).collect();
                if let Some(node) = self.choose(&down) {
                    self.start(node);
                }
                Ok(())
            }
            _ => self.drop_append(),
        }
    }

    fn life(&mut self, node: usize) -> &mut Life {
        self.nodes[node].life.as_mut().expect("only nodes that are up are asked")
    }

    fn up(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].life.is_some()).collect()
    }

    fn any_up(&mut self) -> Option<usize> {
        let up = self.up();
        self.choose(&up)
    }

    fn choose(&mut self, among: &[usize]) -> Option<usize> {
        if among.is_empty() { None } else { Some(among[self.rng.random_range(0..among.len())]) }
    }

    fn unlucky(&mut self, chance: f64) -> bool {
        self.faults == Faults::On && self.rng.random_bool(chance)
    }

    fn linked(&self, a: usize, b: usize) -> bool {
        a == b || self.links.contains_key(&(a.min(b), a.max(b)))
    }

    fn is_link(&self, a: usize, b: usize, number: u64) -> bool {
        self.links.get(&(a.min(b), a.max(b))) == Some(&number)
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}
