//! Runs blockraft's own code where nothing is left to chance that wasn't drawn from a seed: whole nodes in one thread with
//! virtual time and faults, and the core through every order of events that fits small bounds.
//!
//! # What it is
//!
//! Three ways to look for mistakes, none of which is a model of the code:
//!
//! - [`run`](run::run) makes a *world* of a group of one to seven, and up to three nodes more, from a seed. A node is the
//!   production logic: the driver's replica, the node's gate with the data plane behind it, the catalog, the replay at the
//!   start, the hold of inlined bodies, the courses of reads, what nodes remember of each other. Around it stand a virtual
//!   clock, a network that loses, delays, doubles and reorders, disks that lose what wasn't synced or go back in time,
//!   clients, and judges that look at everything.
//! - [`catch_up`](catch_up::catch_up) lets a node join a group whose state is of any size, with production's settings, and
//!   counts what is sent to it.
//! - [`explore::explore`] visits every state that the core alone reaches within small bounds, once.
//!   [`Space::ALL`](explore::Space::ALL) names bounds whose spaces close: `cargo xtask sim --explore` goes through them.
//!
//! # Where it stands
//!
//! Floor 4, above `blockraft-node`. It needs no runtime and pulls in neither RocksDB nor QUIC; production never depends on
//! it.
//!
//! ```text
//!   run ─► world ─► nemesis    strikes: partitions, power cuts, pauses, disks
//!            │        └─► admin  changes the members, and knows how many disks may be lost
//!            │ ├──► clients    ask one thing after the other; some write in a session
//!            │ └──► member     a node with its disks, over all its lives
//!            │        ├─► desk  the requests at a node: what its writer and reader do
//!            │        └─► life  replica, gate, catalog, with virtual threads around them
//!            └────► stage      time, network, and the judges:
//!                     shadow   the log of each member, in memory and durable
//!                     testimony  what each node must remember of the others
//!                     oracle   the committed entries and what follows from them
//!                     ledger   which commands of sessions were carried out, and which sessions expired
//!                     history  what an answer to a read must say, and listing what all its pages together
//! ```
//!
//! # The course of a world
//!
//! 1. Trouble: clients work while the faults that the seed drew strike. Those with a session ask for what is unknown until
//!    they know it, at any node, and at times for what they know; in most worlds sessions expire.
//! 2. All faults end, but only as many nodes come back as make a quorum of every configuration that can be in force. They
//!    have to acknowledge a put within bounded time.
//! 3. The others come back, but for those whose disks are lost. Clients go quiet, and all members have to reach the same
//!    state.
//! 4. Every block that is there is read from every member.
//!
//! After each event the [laws](law::Law) are looked at. The same seed gives the same [trace hash](run::Report::hash) on
//! every build of the same sources.
//!
//! # Examples
//!
//! ```
//! use blockraft_sim::limits::Limits;
//! use blockraft_sim::mistake::Planted;
//! use blockraft_sim::run::run;
//! use blockraft_sim::trace::Lines;
//!
//! let report = run(1, &Limits::default(), Planted::default(), Lines::Dropped);
//! assert_eq!(report.breach, None);
//! println!("{} events in {} µs of virtual time", report.events, report.micros);
//! ```
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
//! `cargo xtask sim` runs many seeds on all cores, and shows how to repeat the one that fails; with `--seeded-bugs` it shows
//! how long each known mistake goes unnoticed.
//!
//! # Limits
//!
//! Worlds: the log's disk writes a batch wholly or not at all, and the block store is a model with the contract of the real
//! ones. No log rots. A node whose disks went back in time, or are empty, meets only those who remember what it lacks until
//! it has found out: where none of them can be reached it goes on with the others, and nothing could be demanded of it; so
//! worlds don't tell what happens then. For the same reason no disk goes back to before its node had company. Nodes are
//! asked for changes of members at the leader itself, not through the commands of an operator. Bounds are looked at every
//! 20 ticks of a node. A link that is cut one way is cut both ways once its ends have noticed, so lasting one-way links are
//! for the tests of the core.
//!
//! Exploration: no space in which a group of three is replaced as a whole is among the named ones, for want of one that
//! closes soon; a change is given up in groups of one and of three that become two. Each state takes 16 bytes of memory. The
//! numbers in [`Bounds`](explore::Bounds) multiply: begin with [`Bounds::SMALL`](explore::Bounds::SMALL) and raise one at a
//! time.

pub mod campaign;
pub mod catch_up;
pub mod run;
#[cfg(seeded_bugs)]
pub mod score;

pub mod fault;
#[cfg(seeded_bugs)]
pub mod known;
pub mod law;
pub mod limits;
pub mod marks;
pub mod mistake;
pub mod trace;
pub mod weather;

pub mod chance;
pub mod time;

pub mod explore;

mod admin;
mod block_disk;
mod clients;
mod dag;
mod desk;
mod happening;
mod history;
mod importer;
mod introductions;
mod leaning;
mod ledger;
mod life;
mod listing;
mod member;
mod nemesis;
mod network;
mod oracle;
mod place;
mod session;
mod shadow;
mod stage;
mod testimony;
mod world;

#[cfg(test)]
mod tests;
