//! Runs blockraft's own consensus through every order of events that fits small bounds, and judges each state.
//!
//! # What it is
//!
//! Not a model of the core but the core itself, `blockraft-core`, with disks that lose what wasn't synced and a network
//! that delays, reorders, repeats and loses. [`explore::explore`] visits every reachable state once and checks the laws of the
//! Raft paper in each.
//!
//! # Where it stands
//!
//! Floor 4. It uses `blockraft-core` and `blockraft-types` and is used by nobody: production never depends on it.
//!
//! # Example
//!
//! ```
//! use blockraft_sim::explore::{Bounds, explore};
//!
//! let bounds = Bounds { timeouts: 1, crashes: 0, ..Bounds::SMALL };
//! let census = explore(bounds, 1_000_000, |config| config).expect("no law is broken");
//! assert!(census.closed);
//! println!("{} states", census.states);
//! ```
//!
//! # Limits
//!
//! Each state takes 16 bytes of memory. The numbers in [`Bounds`](explore::Bounds) multiply: begin with
//! [`Bounds::SMALL`](explore::Bounds::SMALL) and raise one at a time. The members of a group are fixed, and nothing is
//! compacted.

pub mod explore;
