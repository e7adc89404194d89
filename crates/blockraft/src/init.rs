//! Forming a cluster: its id, its authority, a data directory for each first member, and a folder for clients.

use std::net::SocketAddr;
use std::path::PathBuf;

use blockraft_types::{ClusterId, NodeId};

/// What `init` is to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitOptions {
    /// The folder that everything goes to. It must not exist yet.
    pub dir: PathBuf,
    /// Where each member listens, for members and clients alike; the first is node 1.
    pub addresses: Vec<SocketAddr>,
}

/// What `init` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formed {
    /// The new cluster.
    pub cluster: ClusterId,
    /// Its members.
    pub members: Vec<FormedMember>,
    /// The folder that clients are pointed at.
    pub client_dir: PathBuf,
}

/// One member that `init` made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormedMember {
    /// Its id.
    pub node: NodeId,
    /// Where it will listen.
    pub address: SocketAddr,
    /// Its data directory, for `serve --data`.
    pub data_dir: PathBuf,
}

/// Forms a cluster.
///
/// # Errors
///
/// The folder exists, or can't be written.
pub fn run(options: InitOptions) -> Result<Formed, anyhow::Error> {
    anyhow::bail!("{} can't be formed by this build", options.dir.display())
}
