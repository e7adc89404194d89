//! Forming a cluster: its id, its authority, a data directory for each first member, and a folder for clients.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use blockraft_transport_quic::pki::authority::IssueError;
use blockraft_transport_quic::pki::files::write_secret;
use blockraft_transport_quic::{Authority, ClientName, Subject};
use blockraft_types::{ClusterId, Incarnation, NodeId};
use rand::random;
use thiserror::Error;

use crate::birth::Birth;
use crate::data_dir::{DataDir, DataDirError, FORMAT, MemberEntry, NodeFile, make_new};

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

/// Why no cluster was formed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InitError {
    /// A cluster has 1, 3, 5 or 7 members.
    #[error("a cluster has 1, 3, 5 or 7 members, not {members}")]
    Size {
        /// How many were asked for.
        members: usize,
    },
    /// Two members would listen on one address.
    #[error("two members can't listen on {address}")]
    SharedAddress {
        /// The address.
        address: SocketAddr,
    },
    /// Members must know each other's port beforehand.
    #[error("{address} names no port")]
    NoPort {
        /// The address.
        address: SocketAddr,
    },
    /// An address has to lead to one member, from wherever it is dialled.
    #[error("{address} isn't the address of one host")]
    NotOneHost {
        /// The address.
        address: SocketAddr,
    },
    /// A certificate couldn't be issued.
    #[error("issuing certificates")]
    Issue(#[from] IssueError),
    /// A folder couldn't be made.
    #[error(transparent)]
    Folder(#[from] DataDirError),
}

/// Forms a cluster. A folder that was cut short may be removed and formed again: no node has lived in it.
///
/// # Errors
/// See [`InitError`].
///
/// # Panics
/// Never: the name of the first client is valid.
pub fn run(options: InitOptions) -> Result<Formed, InitError> {
    let InitOptions { dir, addresses } = options;
    check(&addresses)?;
    let cluster = ClusterId::from_bytes(random());
    let numbered = addresses.iter().zip(1..);
    let members: Vec<MemberEntry> = numbered
        .map(|(&address, id)| MemberEntry { node: NodeId(id), incarnation: Incarnation::from_bytes(random()), address })
        .collect();

    make_new(&dir)?;
    let authority = Authority::generate(cluster)?;
    let secret = |path: PathBuf, bytes: &[u8]| {
        write_secret(&path, bytes).map_err(|source| DataDirError::Io { attempt: "writing", path, source })
    };
    secret(dir.join("ca.pem"), authority.certificate_pem().as_bytes())?;
    secret(dir.join("ca.key"), authority.key_pem().as_bytes())?;

    let birth = Birth { format: FORMAT, cluster, members: members.clone() };
    secret(dir.join("cluster.toml"), birth.to_text().as_bytes())?;

    let mut formed = Vec::with_capacity(members.len());
    for member in &members {
        let MemberEntry { node, incarnation, address } = *member;
        let identity = NodeFile { format: FORMAT, cluster, node, incarnation, joined: None, members: members.clone() };
        let credentials = authority.issue(&Subject::Node { cluster, node, incarnation })?;
        let data_dir = dir.join(format!("node-{node}"));
        DataDir::format(&data_dir, &identity, &credentials, &draw_reset_key())?;
        formed.push(FormedMember { node, address, data_dir });
    }

    let client_dir = dir.join("client");
    make_new(&client_dir)?;
    let name: ClientName = "admin".parse().expect("a short lower-case word is a client's name");
    let credentials = authority.issue(&Subject::Client { cluster, name })?;
    secret(client_dir.join("ca.pem"), credentials.authority_pem.as_bytes())?;
    secret(client_dir.join("client.pem"), credentials.certificate_pem.as_bytes())?;
    secret(client_dir.join("client.key"), credentials.key_pem.as_bytes())?;
    secret(client_dir.join("client.toml"), client_file(cluster, &members).as_bytes())?;
    Ok(Formed { cluster, members: formed, client_dir })
}

/// A key for stateless resets, drawn anew.
pub(crate) fn draw_reset_key() -> [u8; 64] {
    core::array::from_fn(|_| random())
}

/// Where the data directory of a lone node is, inside the folder that `serve` makes for it.
#[must_use]
pub fn lone_data_dir(dir: &Path) -> PathBuf {
    dir.join("node-1")
}

fn check(addresses: &[SocketAddr]) -> Result<(), InitError> {
    if !matches!(addresses.len(), 1 | 3 | 5 | 7) {
        return Err(InitError::Size { members: addresses.len() });
    }
    for (place, &address) in addresses.iter().enumerate() {
        if address.port() == 0 {
            return Err(InitError::NoPort { address });
        }
        let ip = address.ip().to_canonical();
        if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Err(InitError::NotOneHost { address });
        }
        if addresses.iter().skip(place + 1).any(|other| *other == address) {
            return Err(InitError::SharedAddress { address });
        }
    }
    Ok(())
}

/// What a client needs to know of the cluster: see `ClientConfig::load` of `blockraft-client`.
fn client_file(cluster: ClusterId, members: &[MemberEntry]) -> String {
    let mut text = format!("format = 1\ncluster = \"{cluster}\"\n");
    for MemberEntry { node, address, .. } in members {
        write!(text, "\n[[member]]\nnode = {node}\naddress = \"{address}\"\n").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests;
