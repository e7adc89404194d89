//! What imports, links and pins mean, in the plainest words: nothing is counted, every pin is walked again.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_blocks::{Codec, Multihash};
use blockraft_types::{ImportId, LogIndex};

use crate::bond::{Bond, CODECS_MAX, CarriedBond};
use crate::imports::ImportLimits;
use crate::links::Links;
use crate::outcome::Outcome;
use crate::pin::{PinLimits, PinMode};
use crate::row::Row;
use crate::vertex::Vertex;

/// Everything but rows and sessions.
#[derive(Default)]
pub(super) struct ModelDag {
    pub(super) imports: BTreeMap<ImportId, LogIndex>,
    links: BTreeMap<Vertex, Links>,
    pins: BTreeSet<(Vertex, PinMode)>,
}

type Rows = BTreeMap<Multihash, Row>;

impl ModelDag {
    pub(super) fn open(&mut self, id: ImportId, limits: ImportLimits) -> Outcome {
        if self.imports.len() == limits.imports_max {
            return Outcome::ImportsFull;
        }
        self.imports.insert(id, id.opened);
        Outcome::ImportOpened
    }

    pub(super) fn keep(&mut self, id: ImportId, index: LogIndex) -> Outcome {
        if !self.imports.contains_key(&id) {
            return Outcome::ImportExpired;
        }
        self.imports.insert(id, index);
        Outcome::ImportKept
    }

    pub(super) fn end(&mut self, id: ImportId) -> Outcome {
        if self.imports.remove(&id).is_some() { Outcome::ImportEnded } else { Outcome::ImportExpired }
    }

    pub(super) fn expire(&mut self, id: ImportId, last_kept: LogIndex) -> Outcome {
        if self.imports.get(&id).is_some_and(|kept| *kept != last_kept) {
            return Outcome::ImportKept;
        }
        self.end(id)
    }

    pub(super) fn link(&mut self, rows: &Rows, parent: Vertex, links: Links) -> Outcome {
        if !rows.contains_key(&parent.multihash) {
            return Outcome::Absent;
        }
        if parent.codec == Codec::RAW || self.links.contains_key(&parent) {
            return Outcome::AlreadyPresent;
        }
        if !self.has_room_for(parent) {
            return Outcome::TooManyCodecs;
        }
        self.links.insert(parent, links);
        Outcome::Linked
    }

    pub(super) fn pin(&mut self, rows: &Rows, root: Vertex, mode: PinMode, limits: PinLimits) -> Outcome {
        if self.pins.contains(&(root, mode)) {
            return Outcome::AlreadyPinned;
        }
        if !self.has_room_for(root) {
            return Outcome::TooManyCodecs;
        }
        let met = self.met(root, mode);
        let links: usize = met.iter().map(|vertex| self.links_of(vertex).len()).sum();
        if mode == PinMode::Recursive && (limits.vertices_max < met.len() || limits.links_max < links) {
            return Outcome::TooLarge;
        }
        let is_whole = |vertex: &Vertex| {
            let is_leaf = vertex.codec == Codec::RAW || mode == PinMode::Direct;
            rows.contains_key(&vertex.multihash) && (is_leaf || self.links.contains_key(vertex))
        };
        if !met.iter().all(is_whole) {
            return Outcome::Incomplete;
        }
        self.pins.insert((root, mode));
        Outcome::Pinned
    }

    pub(super) fn unpin(&mut self, root: Vertex, mode: PinMode) -> Outcome {
        if self.pins.remove(&(root, mode)) { Outcome::Unpinned } else { Outcome::NotPinned }
    }

    pub(super) fn holds(&self, name: Multihash) -> bool {
        self.pins.iter().any(|&(root, mode)| self.met(root, mode).iter().any(|vertex| vertex.multihash == name))
    }

    /// The block is gone.
    pub(super) fn forget(&mut self, name: Multihash) {
        self.links.retain(|vertex, _| vertex.multihash != name);
    }

    pub(super) fn bonds(&self) -> BTreeMap<Multihash, CarriedBond> {
        let empty = || CarriedBond { bond: Bond::default(), links: Vec::new() };
        let mut bonds: BTreeMap<Multihash, CarriedBond> = BTreeMap::new();
        for (vertex, links) in &self.links {
            let carried = bonds.entry(vertex.multihash).or_insert_with(empty);
            carried.bond.linked.insert(vertex.codec);
            carried.links.push(links.clone());
        }
        for &(root, mode) in &self.pins {
            bonds.entry(root.multihash).or_insert_with(empty).bond.pins.insert((root.codec, mode));
            let covered: BTreeSet<Multihash> = self.met(root, mode).iter().map(|vertex| vertex.multihash).collect();
            for name in covered {
                bonds.entry(name).or_insert_with(empty).bond.holders += 1;
            }
        }
        bonds
    }

    /// All that a pin of `root` meets, by the links that are known.
    fn met(&self, root: Vertex, mode: PinMode) -> BTreeSet<Vertex> {
        let mut met = BTreeSet::from([root]);
        loop {
            let before = met.len();
            if mode == PinMode::Recursive {
                met = met.iter().flat_map(|vertex| self.links_of(vertex).iter().chain([vertex])).copied().collect();
            }
            if met.len() == before {
                return met;
            }
        }
    }

    fn links_of(&self, vertex: &Vertex) -> &[Vertex] {
        self.links.get(vertex).map(Links::as_slice).unwrap_or_default()
    }

    fn has_room_for(&self, vertex: Vertex) -> bool {
        let known = self.links.keys().chain(self.pins.iter().map(|(root, _)| root));
        let of_block = known.filter(|known| known.multihash == vertex.multihash);
        let codecs: BTreeSet<Codec> = of_block.map(|known| known.codec).chain([vertex.codec]).collect();
        codecs.len() <= CODECS_MAX
    }
}
