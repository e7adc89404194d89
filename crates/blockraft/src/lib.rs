//! A blockraft node as a program: what `blockraft init` and `blockraft serve` do, for the binary and for tests.
//!
//! Here the default adapters meet the node: the log and the catalog in RocksDB, blocks in segments, QUIC between nodes.
//! Whoever wants others builds a [`blockraft_node::Node`] from parts.

pub mod birth;
pub mod data_dir;
pub mod init;
mod members;
pub mod recover;
pub mod serve;
pub mod settings;
pub mod token;
mod witness_file;
