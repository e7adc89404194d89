//! A token with which one node joins: an identity made for it, the cluster that it belongs to, and until when it may be
//! used.
//!
//! Whoever has the token can be that node. It is a file that its owner alone can read, and it is used once: the id in it is
//! given to the directory that is formatted from it, for ever.

use core::time::Duration;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use blockraft_transport_quic::pki::authority::IssueError;
use blockraft_transport_quic::pki::files::{ReadSecretError, read_secret};
use blockraft_transport_quic::{Authority, Credentials, Subject};
use blockraft_types::{ClusterId, Incarnation, NodeId};
use rand::random;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::birth::Birth;
use crate::data_dir::{DataDir, DataDirError, FORMAT, MemberEntry, NodeFile, hex};
use crate::init::draw_reset_key;

/// What a node needs to join.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The version of the token's format.
    format: u32,
    #[serde(with = "hex")]
    cluster: ClusterId,
    /// The node that it is for.
    pub node: NodeId,
    /// The data directory that will be formatted from it.
    #[serde(with = "hex")]
    pub incarnation: Incarnation,
    /// Where the node will listen.
    pub address: SocketAddr,
    /// The last second in which it may be used, since 1970.
    expires: u64,
    certificate: String,
    key: String,
    authority: String,
    /// The members that the cluster was born with.
    #[serde(rename = "member")]
    members: Vec<MemberEntry>,
}

/// Why a node can't join with a token.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The token can't be read, or isn't a secret.
    #[error("reading the token")]
    Read(#[from] ReadSecretError),
    /// The text is no token.
    #[error("this is no token")]
    Malformed(#[source] Box<toml::de::Error>),
    /// It is of a newer release.
    #[error("the token has format {found}, this release reads format {FORMAT}: use a newer release")]
    Newer {
        /// Its format.
        found: u32,
    },
    /// Its time is over.
    #[error("the token expired {ago:?} ago; remove node {node} and invite another one")]
    Expired {
        /// The node that it was for.
        node: NodeId,
        /// Since when.
        ago: Duration,
    },
    /// The directory couldn't be formatted.
    #[error(transparent)]
    Format(#[from] DataDirError),
}

impl Token {
    /// Makes an identity for `node` and a token with it, valid for `lifetime`. The caller sees to it that the id is
    /// given to nobody else.
    ///
    /// # Errors
    /// The authority can't issue.
    pub fn issue(
        authority: &Authority,
        birth: &Birth,
        node: NodeId,
        address: SocketAddr,
        lifetime: Duration,
    ) -> Result<Self, IssueError> {
        let (cluster, incarnation) = (birth.cluster, Incarnation::from_bytes(random()));
        let credentials = authority.issue(&Subject::Node { cluster, node, incarnation })?;
        let expires = since_1970(SystemTime::now()).saturating_add(lifetime).as_secs();
        let Credentials { certificate_pem: certificate, key_pem: key, authority_pem: authority } = credentials;
        let members = birth.members.clone();
        Ok(Self { format: FORMAT, cluster, node, incarnation, address, expires, certificate, key, authority, members })
    }

    /// The text of the token.
    ///
    /// # Panics
    /// Never: numbers, texts and a list of them are TOML.
    #[must_use]
    pub fn to_text(&self) -> String {
        toml::to_string(self).expect("numbers, texts and a list of them are TOML")
    }

    /// Reads the token in a file.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn read(path: &Path) -> Result<Self, JoinError> {
        let token: Self = toml::from_str(&read_secret(path)?).map_err(|error| JoinError::Malformed(Box::new(error)))?;
        if FORMAT < token.format {
            return Err(JoinError::Newer { found: token.format });
        }
        Ok(token)
    }

    /// Formats the data directory of the node that the token is for.
    ///
    /// # Errors
    /// See [`JoinError`]; an existing directory is never touched.
    pub fn join(&self, data_dir: &Path) -> Result<(), JoinError> {
        let late = since_1970(SystemTime::now()).saturating_sub(Duration::from_secs(self.expires));
        if !late.is_zero() {
            return Err(JoinError::Expired { node: self.node, ago: Duration::from_secs(late.as_secs()) });
        }
        let identity = NodeFile {
            format: FORMAT,
            cluster: self.cluster,
            node: self.node,
            incarnation: self.incarnation,
            joined: Some(self.address),
            members: self.members.clone(),
        };
        let credentials = Credentials {
            certificate_pem: self.certificate.clone(),
            key_pem: self.key.clone(),
            authority_pem: self.authority.clone(),
        };
        Ok(DataDir::format(data_dir, &identity, &credentials, &draw_reset_key())?)
    }
}

impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Token").field("node", &self.node).field("address", &self.address).finish_non_exhaustive()
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
