//! What a world leans towards: most draw all of their weather evenly, and some are bent so that one situation is likely
//! which needs several rare things at once.
//!
//! It is drawn from a sequence of its own, and [`Weather`](crate::weather::Weather) lays it over what is drawn anyway: a
//! world that leans nowhere is what it would be without this.

use crate::chance::Chance;
use crate::fault::{Fault, Faults};

/// What is likely in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaning {
    Nowhere,
    /// A node's log is so slow that leases outlive the grace of the blocks that they hold.
    Leases,
    /// Nodes campaign at once, answers come twice, and leaders die young.
    Elections,
    /// Members change all the time.
    Members,
}

impl Leaning {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        match chance.below(1_000) {
            0..80 => Self::Leases,
            80..200 => Self::Elections,
            200..300 => Self::Members,
            _ => Self::Nowhere,
        }
    }

    /// The faults of such a world, of which these were drawn.
    pub(crate) const fn faults(self, drawn: Faults) -> Faults {
        match self {
            Self::Nowhere | Self::Leases => drawn,
            Self::Elections => drawn.with(Fault::Duplication).with(Fault::Hunt),
            Self::Members => drawn.with(Fault::Members),
        }
    }

    /// What strikes in such a world as often as all others together.
    pub(crate) const fn favourite(self) -> Option<Fault> {
        match self {
            Self::Nowhere | Self::Leases => None,
            Self::Elections => Some(Fault::Hunt),
            Self::Members => Some(Fault::Members),
        }
    }
}
