//! A node's data directory: who the node is, its credentials, and where its log, catalog and blocks are.
//!
//! ```text
//! node-1/
//!   node.toml       cluster, node, incarnation, and the members that the cluster was born with
//!   blockraft.toml  settings (optional)
//!   ca.pem node.pem node.key reset.key
//!   witness         what the node has seen of the others; made by the first process that serves it
//!   LOCK            held while a process serves the directory
//!   log/ catalog/ blocks/
//! ```
//!
//! A directory is formatted once, under an incarnation of its own. Serving never makes one: a node whose directory was
//! wiped is a stranger to its cluster and must not vote with the memory that it lost.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use blockraft_blocks_segment::{Options as SegmentOptions, SegmentStore};
use blockraft_catalog_rocksdb::{RocksTable, RocksTableOptions};
use blockraft_log_rocksdb::RocksLog;
use blockraft_transport_quic::pki::files::{ReadSecretError, read_secret, write_secret};
use blockraft_transport_quic::{Credentials, ResetKey};
use blockraft_types::{ClusterId, Incarnation, Membership, NodeId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An opened data directory. The lock is held until it is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Who the node is.
    pub identity: NodeFile,
    /// Its certificate, key and authority.
    pub credentials: Credentials,
    /// The key that lets its peers notice a restart at once.
    pub reset_key: ResetKey,
    lock: File,
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Closing the file isn't enough: a child process that is just being started holds a copy of it, and the lock
        // with it, until it runs its own program. A failure leaves what closing does.
        let _ = self.lock.unlock();
    }
}

/// What `node.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// The version of the directory's format.
    pub format: u32,
    /// The cluster, in hexadecimal digits.
    #[serde(with = "hex")]
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// This directory, in hexadecimal digits.
    #[serde(with = "hex")]
    pub incarnation: Incarnation,
    /// Where this node listens, if it joined a cluster that was born without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<SocketAddr>,
    /// The members that the cluster was born with, this one included unless it joined later.
    #[serde(rename = "member")]
    pub members: Vec<MemberEntry>,
}

/// A member that a cluster was born with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberEntry {
    /// Its id.
    pub node: NodeId,
    /// Its data directory, in hexadecimal digits.
    #[serde(with = "hex")]
    pub incarnation: Incarnation,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Why a data directory can't be formatted or opened. Nothing in it was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// There is no data directory.
    #[error(
        "{} is no data directory: there is no node.toml in it; `blockraft init` makes data directories, and a node \
         that lost its own must not come back under its old id", path.display()
    )]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Something is there already.
    #[error("{} exists already; nothing was changed", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Another process serves it.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// It was formatted by a newer release.
    #[error("{} has format {found}, this release reads format {FORMAT}: use a newer release", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// `node.toml` can't be understood.
    #[error("{} can't be read", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: toml::de::Error,
    },
    /// `node.toml` contradicts itself.
    #[error("{}: {what}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A key file can't be read, or others may read it.
    #[error("a key of the data directory")]
    Secret(#[from] ReadSecretError),
    /// A part of the directory couldn't be formatted.
    #[error("formatting {}", path.display())]
    Format {
        /// The part.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system failed.
    #[error("{attempt} {}", path.display())]
    Io {
        /// What was tried.
        attempt: &'static str,
        /// With what.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl DataDir {
    /// Formats a new directory at `path`. `node.toml` is written last: a directory that was cut short has none and is
    /// never served.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn format(
        path: &Path,
        identity: &NodeFile,
        credentials: &Credentials,
        reset_key: &[u8; 64],
    ) -> Result<(), DataDirError> {
        make_new(path)?;
        let secret = |name: &str, bytes: &[u8]| {
            let path = path.join(name);
            write_secret(&path, bytes).map_err(|source| DataDirError::Io { attempt: "writing", path, source })
        };
        secret("ca.pem", credentials.authority_pem.as_bytes())?;
        secret("node.pem", credentials.certificate_pem.as_bytes())?;
        secret("node.key", credentials.key_pem.as_bytes())?;
        secret("reset.key", reset_key.map(|byte| format!("{byte:02x}")).concat().as_bytes())?;
        secret("LOCK", b"")?;
        let log = path.join("log");
        RocksLog::format(&log).map_err(|source| DataDirError::Format { path: log, source: Box::new(source) })?;
        let catalog = path.join("catalog");
        RocksTable::create(&catalog, &RocksTableOptions::default())
            .map_err(|source| DataDirError::Format { path: catalog, source: Box::new(source) })?;
        let blocks = path.join("blocks");
        SegmentStore::open(&blocks, SegmentOptions::default())
            .map_err(|source| DataDirError::Format { path: blocks, source: Box::new(source) })?;
        let text = toml::to_string(identity)
            .map_err(|source| DataDirError::Format { path: path.join("node.toml"), source: Box::new(source) })?;
        secret("node.toml", text.as_bytes())
    }

    /// Opens a directory and takes its lock.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let identity = read_identity(path)?;
        let lock_path = path.join("LOCK");
        let failed = |source| DataDirError::Io { attempt: "locking", path: lock_path.clone(), source };
        let lock = File::open(&lock_path).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DataDirError::Locked { path: path.to_owned() },
            TryLockError::Error(source) => failed(source),
        })?;
        let credentials = Credentials {
            certificate_pem: read_secret(&path.join("node.pem"))?,
            key_pem: read_secret(&path.join("node.key"))?,
            authority_pem: read_secret(&path.join("ca.pem"))?,
        };
        let reset_path = path.join("reset.key");
        let reset_key = parse_reset_key(&read_secret(&reset_path)?)
            .ok_or(DataDirError::Contradiction { path: reset_path, what: "expected 128 hexadecimal digits" })?;
        Ok(Self { path: path.to_owned(), identity, credentials, reset_key, lock })
    }

    /// Whether a formatted directory is at `path`.
    #[must_use]
    pub fn exists(path: &Path) -> bool {
        path.join("node.toml").exists()
    }

    /// The directory of the log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The directory of the catalog.
    #[must_use]
    pub fn catalog(&self) -> PathBuf {
        self.path.join("catalog")
    }

    /// The directory of the blocks.
    #[must_use]
    pub fn blocks(&self) -> PathBuf {
        self.path.join("blocks")
    }

    /// The file of what the node has seen of the others.
    #[must_use]
    pub fn witness(&self) -> PathBuf {
        self.path.join("witness")
    }

    /// The settings file that is read when no other is named.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.path.join("blockraft.toml")
    }
}

impl NodeFile {
    /// The membership that the cluster was born with.
    #[must_use]
    pub fn genesis(&self) -> Membership {
        Membership::of_voters(self.members.iter().map(|member| (member.node, member.incarnation)))
    }

    /// This node: as it joined, or among the members.
    #[must_use]
    pub fn itself(&self) -> Option<MemberEntry> {
        match self.joined {
            Some(address) => Some(MemberEntry { node: self.node, incarnation: self.incarnation, address }),
            None => self.members.iter().find(|member| member.node == self.node).cloned(),
        }
    }
}

/// Makes a folder that doesn't exist yet, readable by its owner alone, with the folders above it.
///
/// # Errors
/// It exists, or can't be made.
pub(crate) fn make_new(path: &Path) -> Result<(), DataDirError> {
    use std::os::unix::fs::DirBuilderExt;
    let failed = |source| DataDirError::Io { attempt: "making", path: path.to_owned(), source };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::DirBuilder::new().mode(0o700).create(path).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => DataDirError::Exists { path: path.to_owned() },
        _ => failed(source),
    })
}

fn read_identity(path: &Path) -> Result<NodeFile, DataDirError> {
    let file = path.join("node.toml");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DataDirError::Missing { path: path.to_owned() });
        }
        Err(source) => return Err(DataDirError::Io { attempt: "reading", path: file, source }),
    };
    // The format comes first: what a newer release wrote besides it needn't be readable here.
    let version: Version =
        toml::from_str(&text).map_err(|source| DataDirError::Malformed { path: file.clone(), source })?;
    if FORMAT < version.format {
        return Err(DataDirError::Newer { path: file, found: version.format });
    }
    let identity: NodeFile =
        toml::from_str(&text).map_err(|source| DataDirError::Malformed { path: file.clone(), source })?;
    let contradiction = |what| Err(DataDirError::Contradiction { path: file.clone(), what });
    match identity.itself() {
        _ if identity.format != FORMAT => contradiction("unknown format"),
        _ if identity.members.iter().any(|member| member.node == NodeId(0)) => contradiction("no member has the id 0"),
        _ if identity.genesis().voters.len() != identity.members.len() => contradiction("a member is named twice"),
        None => contradiction("the node isn't among the members"),
        Some(_) if identity.joined.is_some() && identity.genesis().incarnation(identity.node).is_some() => {
            contradiction("a node that joined isn't among the members that the cluster was born with")
        }
        Some(itself) if itself.incarnation != identity.incarnation => {
            contradiction("the members name the node with another incarnation")
        }
        Some(_) => Ok(identity),
    }
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

fn parse_reset_key(text: &str) -> Option<ResetKey> {
    let digits = text.trim();
    if digits.len() != 128 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 64];
    for (byte, at) in key.iter_mut().zip((0..128).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(ResetKey::from_bytes(key))
}

/// Ids as hexadecimal digits.
pub(crate) mod hex {
    use core::fmt::Display;
    use core::str::FromStr;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(id: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(crate) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The format of data directories that this release writes and reads.
pub const FORMAT: u32 = 1;

#[cfg(test)]
mod tests;
