//! What a vertex leads to: the walk that a recursive pin rests on.

use std::collections::{BTreeSet, VecDeque};

use blockraft_blocks::Multihash;

use crate::links::Links;
use crate::pin::PinLimits;
use crate::vertex::Vertex;

/// Everything that a root leads to, as far as that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The blocks that are there.
    pub(crate) found: BTreeSet<Multihash>,
    /// In the order in which they were met, nearest to the root first.
    pub(crate) missing: Vec<Missing>,
    pub(crate) extent: Extent,
}

/// Whether the walk came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// It met its limits.
    TooLarge,
}

/// A vertex that keeps a graph from being complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Missing {
    /// The vertex.
    pub vertex: Vertex,
    /// What is missing of it.
    pub lack: Lack,
}

/// What is missing of a vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// The block isn't visible.
    Block,
    /// The block is visible, and nobody has recorded what it links to under this codec.
    Links,
}

/// What is known of one vertex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    Known(Links),
    Lacks(Lack),
}

impl Reach {
    /// Walks from `root` to everything that it leads to, each vertex once. What it meets, and in which order, hangs on
    /// nothing but what `look` says; it takes memory for `limits.vertices_max` vertices at most.
    pub(crate) fn from<E>(
        root: Vertex,
        limits: PinLimits,
        mut look: impl FnMut(&Vertex) -> Result<Sight, E>,
    ) -> Result<Self, E> {
        let mut reach = Self { found: BTreeSet::new(), missing: Vec::new(), extent: Extent::Whole };
        let mut met = BTreeSet::from([root]);
        let mut ahead = VecDeque::from([root]);
        let mut links = 0;
        while let Some(vertex) = ahead.pop_front() {
            let known = match look(&vertex)? {
                Sight::Known(known) => known,
                Sight::Lacks(lack) => {
                    reach.missing.push(Missing { vertex, lack });
                    continue;
                }
            };
            reach.found.insert(vertex.multihash);
            links += known.as_slice().len();
            if limits.links_max < links {
                reach.extent = Extent::TooLarge;
                return Ok(reach);
            }
            for &link in known.as_slice() {
                if met.insert(link) {
                    ahead.push_back(link);
                }
                if limits.vertices_max < met.len() {
                    reach.extent = Extent::TooLarge;
                    return Ok(reach);
                }
            }
        }
        Ok(reach)
    }
}
