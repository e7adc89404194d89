//! Running a node until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;

use blockraft_types::{ClusterId, NodeId};

/// What `serve` is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServeOptions {
    /// The node's data directory.
    pub data_dir: PathBuf,
    /// Its configuration file; without one, the data directory's own if it has one.
    pub config: Option<PathBuf>,
    /// Where it listens, instead of what the configuration says.
    pub listen: Option<SocketAddr>,
    /// The longest block that it takes from clients, instead of what the configuration says, in bytes.
    pub block_bytes_max: Option<u64>,
}

/// A node that has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// Where it listens; the port is the real one if 0 was asked for.
    pub address: SocketAddr,
    /// The folder that clients are pointed at, if this node made one (a lone node does).
    pub client_dir: Option<PathBuf>,
}

/// Runs a node until SIGINT or SIGTERM, which hand leadership over first; calls `ready` once it listens.
///
/// # Errors
///
/// The node can't start, or had to stop on its own.
pub async fn run(options: ServeOptions, ready: impl FnOnce(&Serving) + Send) -> Result<(), anyhow::Error> {
    let _never_started = ready;
    anyhow::bail!("{} can't be served by this build", options.data_dir.display())
}
