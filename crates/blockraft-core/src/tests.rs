//! What must hold of the member: claims of the Raft paper, stories as scripts, and a cluster under random faults.

#![expect(clippy::indexing_slicing, reason = "a test may fail by panicking")]

mod chance;
mod cluster;
mod image;
mod paper;
mod scripts;
mod simulation;
mod story;
#[cfg(seeded_bugs)]
mod teeth;
