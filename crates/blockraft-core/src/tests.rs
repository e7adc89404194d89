//! What must hold of the member: claims of the Raft paper, stories as scripts, and a cluster under random faults.

#![expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod chance;
mod cluster;
mod configurations;
mod hostile;
mod image;
mod judge;
mod links;
mod membership;
mod node;
mod page;
mod paper;
mod pitfalls;
mod recovery;
mod scripts;
mod simulation;
mod solo;
mod story;
#[cfg(seeded_bugs)]
mod teeth;
