//! Blocks, links and pins under construction while entries are applied.

use std::collections::BTreeMap;

use blockraft_blocks::Multihash;
use blockraft_types::Position;

use crate::bond::Bond;
use crate::keys::Keys;
use crate::links::Links;
use crate::mistake::Mistake;
use crate::moment::{RowError, bond_in, links_in, row_in};
use crate::outcome::Outcome;
use crate::pin::{PinLimits, PinMode};
use crate::reach::{Extent, Lack, Reach, Sight};
use crate::row::Row;
use crate::table::{Change, View};
use crate::vertex::Vertex;

/// What differs from a view of the table. Of each map a value is `None` where what the view shows is gone.
pub(crate) struct DagRun<'a> {
    view: Box<dyn View + 'a>,
    keys: Keys,
    limits: PinLimits,
    rows: BTreeMap<Multihash, Option<Row>>,
    bonds: BTreeMap<Multihash, Option<Bond>>,
    links: BTreeMap<Vertex, Option<Links>>,
}

/// What became of a block that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    Removed(Row),
    Absent,
    /// A pin covers it.
    Held,
}

impl<'a> DagRun<'a> {
    pub(crate) fn on(view: Box<dyn View + 'a>, keys: Keys, limits: PinLimits) -> Self {
        Self { view, keys, limits, rows: BTreeMap::new(), bonds: BTreeMap::new(), links: BTreeMap::new() }
    }

    /// How many rows differ from the view.
    pub(crate) fn rows_changed(&self) -> usize {
        self.rows.len()
    }

    /// Makes a block visible.
    pub(crate) fn put(&mut self, multihash: Multihash, length: u32, created: Position) -> Result<Outcome, RowError> {
        if self.row(&multihash)?.is_some() {
            return Ok(Outcome::AlreadyPresent);
        }
        self.rows.insert(multihash, Some(Row { length, created }));
        Ok(Outcome::Created)
    }

    /// Makes a block invisible, and forgets its links, unless a pin covers it.
    pub(crate) fn remove(&mut self, multihash: Multihash) -> Result<Removal, RowError> {
        let Some(row) = self.row(&multihash)? else { return Ok(Removal::Absent) };
        let bond = self.bond(&multihash)?;
        if bond.is_held() && !Mistake::PinsIgnored.is_made() {
            return Ok(Removal::Held);
        }
        self.rows.insert(multihash, None);
        for &codec in &bond.linked {
            self.links.insert(Vertex { multihash, codec }, None);
        }
        if !bond.is_empty() {
            self.bonds.insert(multihash, None);
        }
        Ok(Removal::Removed(row))
    }

    /// Records what a visible block links to. The first word on it stands: its bytes don't change.
    pub(crate) fn link(&mut self, parent: Vertex, links: Links) -> Result<Outcome, RowError> {
        if self.row(&parent.multihash)?.is_none() {
            return Ok(Outcome::Absent);
        }
        let mut bond = self.bond(&parent.multihash)?;
        if parent.is_raw() || bond.linked.contains(&parent.codec) {
            return Ok(Outcome::AlreadyPresent);
        }
        if !bond.has_room_for(parent.codec) {
            return Ok(Outcome::TooManyCodecs);
        }
        bond.linked.insert(parent.codec);
        self.set_bond(parent.multihash, bond);
        self.links.insert(parent, Some(links));
        Ok(Outcome::Linked)
    }

    /// Holds everything that a pin covers, if all of it is here.
    pub(crate) fn pin(&mut self, root: Vertex, mode: PinMode) -> Result<Outcome, RowError> {
        let bond = self.bond(&root.multihash)?;
        if bond.pins.contains(&(root.codec, mode)) {
            return Ok(Outcome::AlreadyPinned);
        }
        if !bond.has_room_for(root.codec) {
            return Ok(Outcome::TooManyCodecs);
        }
        let reach = self.reach(root, mode)?;
        if !Mistake::PinnedUnchecked.is_made() {
            if reach.extent == Extent::TooLarge {
                return Ok(Outcome::TooLarge);
            }
            if !reach.missing.is_empty() {
                return Ok(Outcome::Incomplete);
            }
        }
        for multihash in reach.found {
            let mut bond = self.bond(&multihash)?;
            bond.holders += 1;
            self.set_bond(multihash, bond);
        }
        let mut bond = self.bond(&root.multihash)?;
        bond.pins.insert((root.codec, mode));
        self.set_bond(root.multihash, bond);
        Ok(Outcome::Pinned)
    }

    /// Takes a pin away. The walk meets what it met when the pin was set: neither a row nor a link of a block that is held
    /// can vanish, and no vertex on the way can get other links than it had.
    pub(crate) fn unpin(&mut self, root: Vertex, mode: PinMode) -> Result<Outcome, RowError> {
        let mut bond = self.bond(&root.multihash)?;
        if !bond.pins.remove(&(root.codec, mode)) {
            return Ok(Outcome::NotPinned);
        }
        self.set_bond(root.multihash, bond);
        for multihash in self.reach(root, mode)?.found {
            let mut bond = self.bond(&multihash)?;
            // Saturating, since a damaged table must not panic: each was counted when the pin was set.
            bond.holders = bond.holders.saturating_sub(1);
            self.set_bond(multihash, bond);
        }
        Ok(Outcome::Unpinned)
    }

    /// Whether the entries brought a link or a pin.
    pub(crate) fn has_bonds(&self) -> bool {
        !self.bonds.is_empty()
    }

    /// What is to be written to the table.
    pub(crate) fn finish(self) -> Vec<Change> {
        let Self { view: _, keys, limits: _, rows, bonds, links } = self;
        let changed = |key, value| match value {
            Some(value) => Change::Set { key, value },
            None => Change::Remove { key },
        };
        let rows = rows.iter().map(|(name, row)| changed(keys.row(name), row.as_ref().map(Row::encode)));
        let bonds = bonds.iter().map(|(name, bond)| changed(keys.bond(name), bond.as_ref().map(Bond::encode)));
        let links = links.iter().map(|(vertex, links)| changed(keys.links(vertex), links.as_ref().map(Links::encode)));
        rows.chain(bonds).chain(links).collect()
    }

    /// The blocks that a pin of `root` covers.
    fn reach(&self, root: Vertex, mode: PinMode) -> Result<Reach, RowError> {
        let look = |vertex: &Vertex| {
            if self.row(&vertex.multihash)?.is_none() {
                return Ok(Sight::Lacks(Lack::Block));
            }
            if vertex.is_raw() || mode == PinMode::Direct {
                return Ok(Sight::Known(Links::default()));
            }
            Ok(self.links(vertex)?.map_or(Sight::Lacks(Lack::Links), Sight::Known))
        };
        Reach::from(root, self.limits, look)
    }

    fn row(&self, multihash: &Multihash) -> Result<Option<Row>, RowError> {
        match self.rows.get(multihash) {
            Some(row) => Ok(*row),
            None => row_in(self.view.as_ref(), self.keys, multihash),
        }
    }

    /// What is known of a block; an empty bond if that is nothing.
    fn bond(&self, multihash: &Multihash) -> Result<Bond, RowError> {
        let bond = match self.bonds.get(multihash) {
            Some(bond) => bond.clone(),
            None => bond_in(self.view.as_ref(), self.keys, multihash)?,
        };
        Ok(bond.unwrap_or_default())
    }

    fn set_bond(&mut self, multihash: Multihash, bond: Bond) {
        self.bonds.insert(multihash, Some(bond).filter(|bond| !bond.is_empty()));
    }

    fn links(&self, vertex: &Vertex) -> Result<Option<Links>, RowError> {
        match self.links.get(vertex) {
            Some(links) => Ok(links.clone()),
            None => links_in(self.view.as_ref(), self.keys, vertex),
        }
    }
}
