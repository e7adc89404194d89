//! A client's folder: `client.toml` with the cluster and its members, and beside it `ca.pem`, `client.pem`, `client.key`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use blockraft_transport::PeerAddress;
use blockraft_transport::address::ParseAddressError;
use blockraft_transport_quic::Credentials;
use blockraft_transport_quic::pki::files::{ReadSecretError, read_secret, write_secret};
use blockraft_types::id::ParseIdError;
use blockraft_types::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{ClientConfig, Member};

/// Why a client's folder can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no `client.toml`: it is no client's folder.
    #[error("{} is not a client folder: it has no {FILE}", dir.display())]
    NotAClientFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// A file can't be read.
    #[error("reading {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The private key can't be read, or isn't private.
    #[error("the client's key")]
    Key(#[from] ReadSecretError),
    /// The file isn't TOML of the expected form.
    #[error("{} is not a client's configuration", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where it differs.
        source: Box<toml::de::Error>,
    },
    /// The file is of another format.
    #[error("{} has format {found}, this release reads format {FORMAT}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that it names.
        found: u64,
    },
    /// The cluster's id is none.
    #[error("the cluster's id in {}", path.display())]
    Cluster {
        /// The file.
        path: PathBuf,
        /// What was expected.
        source: ParseIdError,
    },
    /// A member's address is none.
    #[error("the address of node {node} in {}", path.display())]
    Address {
        /// The file.
        path: PathBuf,
        /// The member.
        node: NodeId,
        /// What was expected.
        source: ParseAddressError,
    },
    /// No member, node 0, or a node twice.
    #[error("{} must name at least one member, each once, and none of them 0", path.display())]
    Members {
        /// The file.
        path: PathBuf,
    },
}

/// Why a client's folder couldn't be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SaveError {
    /// A file can't be written.
    #[error("writing {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The configuration can't be put into words.
    #[error("the client's configuration")]
    Toml(#[from] toml::ser::Error),
}

impl ClientConfig {
    /// Reads a client's folder.
    ///
    /// # Errors
    ///
    /// [`LoadError`], which names the file.
    pub fn load(dir: &Path) -> Result<Self, LoadError> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LoadError::NotAClientFolder { dir: dir.to_owned() });
            }
            Err(source) => return Err(LoadError::Io { path, source }),
        };
        let (cluster, members) = parse(&path, &text)?;
        let read = |name| {
            let path = dir.join(name);
            fs::read_to_string(&path).map_err(|source| LoadError::Io { path, source })
        };
        let credentials = Credentials {
            certificate_pem: read(CERTIFICATE)?,
            key_pem: read_secret(&dir.join(KEY))?,
            authority_pem: read(AUTHORITY)?,
        };
        Ok(Self::new(cluster, members, credentials))
    }

    /// Writes these members into the `client.toml` of an existing folder, in place of those that it names, all at once or
    /// not at all.
    ///
    /// # Errors
    ///
    /// [`SaveError`], which names the file.
    pub fn save_members(&self, dir: &Path, members: &[Member]) -> Result<(), SaveError> {
        let text = client_toml(self.cluster, members)?;
        let (path, beside) = (dir.join(FILE), dir.join(FILE_BESIDE));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SaveError::Io { path, source }
        };
        let written = fs::File::create(&beside).and_then(|mut file| {
            io::Write::write_all(&mut file, text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(failed(&beside))?;
        fs::rename(&beside, &path).map_err(failed(&path))?;
        fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
    }

    /// Writes a client's folder, which may exist but must not hold any of the files yet. The key is readable by its owner
    /// alone. Options and preference are not kept.
    ///
    /// # Errors
    ///
    /// [`SaveError`], which names the file.
    pub fn save(&self, dir: &Path) -> Result<(), SaveError> {
        let text = client_toml(self.cluster, &self.members)?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SaveError::Io { path, source }
        };
        fs::create_dir_all(dir).map_err(failed(dir))?;
        write_secret(&dir.join(KEY), self.credentials.key_pem.as_bytes()).map_err(failed(&dir.join(KEY)))?;
        let public = [
            (CERTIFICATE, &self.credentials.certificate_pem),
            (AUTHORITY, &self.credentials.authority_pem),
            (FILE, &text),
        ];
        for (name, text) in public {
            let path = dir.join(name);
            let written = fs::File::create_new(&path).and_then(|mut file| {
                io::Write::write_all(&mut file, text.as_bytes())?;
                file.sync_all()
            });
            written.map_err(failed(&path))?;
        }
        fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
    }
}

fn client_toml(cluster: ClusterId, members: &[Member]) -> Result<String, toml::ser::Error> {
    let member = |member: &Member| MemberToml { node: member.node.0, address: member.address.to_string() };
    let (cluster, member) = (cluster.to_string(), members.iter().map(member).collect());
    toml::to_string(&ClientToml { format: FORMAT, cluster, member })
}

fn parse(path: &Path, text: &str) -> Result<(ClusterId, Vec<Member>), LoadError> {
    let not_toml = |source| LoadError::Toml { path: path.to_owned(), source: Box::new(source) };
    // The format comes first: what a later one holds is none of this release's business.
    let Format { format } = toml::from_str(text).map_err(not_toml)?;
    if format != FORMAT {
        return Err(LoadError::Format { path: path.to_owned(), found: format });
    }
    let file: ClientToml = toml::from_str(text).map_err(not_toml)?;
    let cluster = file.cluster.parse().map_err(|source| LoadError::Cluster { path: path.to_owned(), source })?;
    let distinct: BTreeSet<_> = file.member.iter().map(|member| member.node).collect();
    if distinct.is_empty() || distinct.contains(&0) || distinct.len() < file.member.len() {
        return Err(LoadError::Members { path: path.to_owned() });
    }
    let member = |MemberToml { node, address }| -> Result<Member, LoadError> {
        let node = NodeId(node);
        let address: Result<PeerAddress, _> = address.parse();
        let address = address.map_err(|source| LoadError::Address { path: path.to_owned(), node, source })?;
        Ok(Member { node, address })
    };
    Ok((cluster, file.member.into_iter().map(member).collect::<Result<_, LoadError>>()?))
}

#[derive(Deserialize)]
struct Format {
    format: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientToml {
    format: u64,
    cluster: String,
    #[serde(default)]
    member: Vec<MemberToml>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberToml {
    node: u64,
    address: String,
}

const FORMAT: u64 = 1;
const FILE: &str = "client.toml";
const FILE_BESIDE: &str = "client.toml.new";
const AUTHORITY: &str = "ca.pem";
const CERTIFICATE: &str = "client.pem";
const KEY: &str = "client.key";
