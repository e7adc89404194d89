//! Imports, links and pins as committed entries make them, in plain words: nothing is counted, every pin is walked again.

use std::collections::{BTreeMap, BTreeSet};

use blockraft_blocks::{Codec, Multihash};
use blockraft_catalog::bond::CODECS_MAX;
use blockraft_catalog::{Bond, CarriedBond, ImportLimits, Links, Outcome, PinLimits, PinMode, Row, Vertex};
use blockraft_types::{ImportId, LogIndex};

/// What every catalog has to know besides rows and sessions.
#[derive(Debug)]
pub(crate) struct Dag {
    imports: BTreeMap<ImportId, LogIndex>,
    links: BTreeMap<Vertex, Links>,
    pins: BTreeSet<(Vertex, PinMode)>,
}

/// The blocks that are there.
type Rows = BTreeMap<Multihash, Row>;

impl Dag {
    pub(crate) const fn new() -> Self {
        Self { imports: BTreeMap::new(), links: BTreeMap::new(), pins: BTreeSet::new() }
    }

    /// The imports that are open, each with the entry that kept it last.
    pub(crate) const fn imports(&self) -> &BTreeMap<ImportId, LogIndex> {
        &self.imports
    }

    pub(crate) fn open(&mut self, id: ImportId) -> Outcome {
        if ImportLimits::FORMAT.imports_max <= self.imports.len() {
            return Outcome::ImportsFull;
        }
        self.imports.insert(id, id.opened);
        Outcome::ImportOpened
    }

    pub(crate) fn keep(&mut self, id: ImportId, index: LogIndex) -> Outcome {
        let Some(last_kept) = self.imports.get_mut(&id) else { return Outcome::ImportExpired };
        *last_kept = index;
        Outcome::ImportKept
    }

    pub(crate) fn end(&mut self, id: ImportId) -> Outcome {
        self.imports.remove(&id).map_or(Outcome::ImportExpired, |_| Outcome::ImportEnded)
    }

    pub(crate) fn expire(&mut self, id: ImportId, last_kept: LogIndex) -> Outcome {
        match self.imports.get(&id) {
            Some(kept) if *kept != last_kept => Outcome::ImportKept,
            Some(_) | None => self.end(id),
        }
    }

    pub(crate) fn link(&mut self, rows: &Rows, parent: Vertex, links: &Links) -> Outcome {
        if !rows.contains_key(&parent.multihash) {
            return Outcome::Absent;
        }
        if parent.is_raw() || self.links.contains_key(&parent) {
            return Outcome::AlreadyPresent;
        }
        if !self.has_room_for(&parent) {
            return Outcome::TooManyCodecs;
        }
        self.links.insert(parent, links.clone());
        Outcome::Linked
    }

    pub(crate) fn pin(&mut self, rows: &Rows, root: Vertex, mode: PinMode) -> Outcome {
        if self.pins.contains(&(root, mode)) {
            return Outcome::AlreadyPinned;
        }
        if !self.has_room_for(&root) {
            return Outcome::TooManyCodecs;
        }
        let met = self.met(root, mode);
        let is_known = |vertex: &Vertex| {
            let is_read = vertex.is_raw() || mode == PinMode::Direct || self.links.contains_key(vertex);
            is_read && rows.contains_key(&vertex.multihash)
        };
        let links: usize =
            met.iter().filter_map(|vertex| self.links.get(vertex)).map(|links| links.as_slice().len()).sum();
        let PinLimits { vertices_max, links_max } = PinLimits::FORMAT;
        if mode == PinMode::Recursive && (vertices_max < met.len() || links_max < links) {
            return Outcome::TooLarge;
        }
        if !met.iter().all(is_known) {
            return Outcome::Incomplete;
        }
        self.pins.insert((root, mode));
        Outcome::Pinned
    }

    pub(crate) fn unpin(&mut self, root: Vertex, mode: PinMode) -> Outcome {
        if self.pins.remove(&(root, mode)) { Outcome::Unpinned } else { Outcome::NotPinned }
    }

    /// Whether a pin covers the block.
    pub(crate) fn holds(&self, name: &Multihash) -> bool {
        self.pins.iter().any(|&(root, mode)| self.met(root, mode).iter().any(|vertex| vertex.multihash == *name))
    }

    /// The block is gone.
    pub(crate) fn forget(&mut self, name: &Multihash) {
        self.links.retain(|vertex, _| vertex.multihash != *name);
    }

    /// What is known of blocks besides their rows.
    pub(crate) fn bonds(&self) -> BTreeMap<Multihash, CarriedBond> {
        let mut bonds: BTreeMap<Multihash, (Bond, Vec<Links>)> = BTreeMap::new();
        for (vertex, known) in &self.links {
            let (bond, links) = bonds.entry(vertex.multihash).or_default();
            bond.linked.insert(vertex.codec);
            links.push(known.clone());
        }
        for &(root, mode) in &self.pins {
            bonds.entry(root.multihash).or_default().0.pins.insert((root.codec, mode));
            let covered: BTreeSet<Multihash> = self.met(root, mode).iter().map(|vertex| vertex.multihash).collect();
            covered.into_iter().for_each(|name| bonds.entry(name).or_default().0.holders += 1);
        }
        bonds.into_iter().map(|(name, (bond, links))| (name, CarriedBond { bond, links })).collect()
    }

    /// All that a pin of `root` meets, by the links that are known.
    fn met(&self, root: Vertex, mode: PinMode) -> BTreeSet<Vertex> {
        let (mut met, mut ahead) = (BTreeSet::from([root]), vec![root]);
        while let Some(vertex) = ahead.pop().filter(|_| mode == PinMode::Recursive) {
            let links = self.links.get(&vertex).map(Links::as_slice).unwrap_or_default();
            ahead.extend(links.iter().filter(|link| met.insert(**link)));
        }
        met
    }

    fn has_room_for(&self, vertex: &Vertex) -> bool {
        let of_block = |known: &&Vertex| known.multihash == vertex.multihash;
        let linked = self.links.keys().filter(of_block);
        let pinned = self.pins.iter().map(|(root, _)| root).filter(of_block);
        let codecs: BTreeSet<Codec> = linked.chain(pinned).chain([vertex]).map(|vertex| vertex.codec).collect();
        codecs.len() <= CODECS_MAX
    }
}
