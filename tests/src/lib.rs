//! One cluster inside this process, for every test that needs more than one crate.
//!
//! Members are whole [`Node`](blockraft_node::Node)s over the in-memory log, block store, catalog table and network.
//! What a member keeps outlives its crashes: [`Cluster::crash`] cuts it off, stops it and cuts the power of its disks;
//! [`Cluster::restart`] starts it from what survived, as another boot of the same incarnation.
//!
//! # Where it stands
//!
//! Floor 5: it uses everything, and nothing uses it but tests. There is no second harness.

pub mod cluster;
pub mod settle;
pub mod troubled_store;
pub mod tuning;

pub use cluster::{Cluster, Member, PATIENCE};
pub use settle::eventually;
pub use troubled_store::{Trouble, TroubledStore};
