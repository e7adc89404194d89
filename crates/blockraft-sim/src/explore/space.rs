//! The spaces that are explored by name: by the tests, and by `cargo xtask sim --explore`.

use crate::explore::bounds::{Begin, Bounds, Change, Disk, Order};

/// Bounds with a name, small enough to visit every state within them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What it is about.
    pub name: &'static str,
    /// Which states belong to it.
    pub bounds: Bounds,
    /// How long it takes.
    pub size: Size,
}

/// How long it takes to go through a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A second or a few: the tests go through it.
    Small,
    /// Longer: it is for the command.
    Large,
}

impl Space {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        small(
            "an election and an entry, with a power cut and late disks",
            Bounds { timeouts: 1, disk: Disk::Late, ..Bounds::SMALL },
        ),
        small(
            "an election, with messages in any order",
            Bounds { timeouts: 1, crashes: 0, proposals: 0, order: Order::Any, ..Bounds::SMALL },
        ),
        small("two campaigns at once", Bounds { crashes: 0, proposals: 0, ..Bounds::SMALL }),
        small(
            "a read, with a lost message",
            Bounds { timeouts: 1, crashes: 0, proposals: 0, reads: 1, beats: 1, losses: 1, ..Bounds::SMALL },
        ),
        small("an entry and a lost end of a log", Bounds { timeouts: 1, crashes: 0, forgets: 1, ..Bounds::SMALL }),
        small(
            "the only member is replaced, with a power cut and late disks",
            Bounds { members: 1, learners: 1, changes: 1, disk: Disk::Late, ..Bounds::SMALL },
        ),
        small("one of two is replaced", Bounds { members: 2, learners: 1, ..CHANGE }),
        small("three become two", Bounds { change: Change::Shrink, timeouts: 1, ..CHANGE }),
        small("two become three", Bounds { change: Change::Grow, members: 2, learners: 1, ..CHANGE }),
        small("two become one, with a power cut", Bounds { change: Change::Shrink, members: 2, crashes: 1, ..CHANGE }),
        small("the only member is replaced or not, with a power cut and late disks", ONE_IS_REPLACED_OR_NOT),
        small(
            "three become two or not",
            Bounds { change: Change::Shrink, timeouts: 1, changes: 0, reverts: 1, begin: Begin::AmidChange, ..CHANGE },
        ),
        large(
            "three become two or not, with an entry and a power cut",
            Bounds { change: Change::Shrink, timeouts: 1, reverts: 1, proposals: 1, crashes: 1, ..CHANGE },
        ),
        large(
            "three become two or not, and the power goes amid the change",
            Bounds {
                change: Change::Shrink,
                timeouts: 1,
                changes: 0,
                reverts: 1,
                crashes: 1,
                begin: Begin::AmidChange,
                ..CHANGE
            },
        ),
    ];
}

/// The most states of a space. They take less than 2 GiB, also while the table of those that were seen grows.
pub const STATES_MAX: u64 = 50_000_000;

/// One change of members, without anything else that goes wrong but elections.
const CHANGE: Bounds = Bounds { changes: 1, proposals: 0, crashes: 0, ..Bounds::SMALL };

/// A joint configuration is left both ways while its leader may lose the power anywhere.
pub(crate) const ONE_IS_REPLACED_OR_NOT: Bounds = Bounds {
    members: 1,
    learners: 1,
    reverts: 1,
    crashes: 1,
    changes: 0,
    begin: Begin::AmidChange,
    disk: Disk::Late,
    ..CHANGE
};

const fn small(name: &'static str, bounds: Bounds) -> Space {
    Space { name, bounds, size: Size::Small }
}

const fn large(name: &'static str, bounds: Bounds) -> Space {
    Space { name, bounds, size: Size::Large }
}
