//! Whom a certificate names: one URI, compared exactly.

use core::fmt;
use std::str::FromStr;

use blockraft_types::{ClusterId, Incarnation, NodeId};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use webpki::EndEntityCert;

/// The one name in a certificate of a cluster.
///
/// It stands in the certificate as `blockraft://<cluster>/node/<id>/<incarnation>` or
/// `blockraft://<cluster>/client/<name>`. A role is part of the name: a client is refused on the peers' lane, and a node
/// on the clients'.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A member's data directory.
    Node {
        /// The cluster it belongs to.
        cluster: ClusterId,
        /// The member's id.
        node: NodeId,
        /// The data directory.
        incarnation: Incarnation,
    },
    /// Somebody who uses the cluster.
    Client {
        /// The cluster it may use.
        cluster: ClusterId,
        /// What it is called.
        name: ClientName,
    },
}

/// What a client is called: 1 to 64 of `a-z A-Z 0-9 - _ .`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName(String);

/// Why a certificate or a text names nobody.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubjectError {
    /// The certificate can't be parsed.
    #[error("the certificate is malformed")]
    Malformed,
    /// The certificate has not exactly one name, or names of another kind.
    #[error("the certificate doesn't have exactly one URI name")]
    NotOneName,
    /// The name isn't in the form of a [`Subject`].
    #[error("the name {name:?} is not a blockraft name")]
    NotAName {
        /// The name, cut to 200 characters.
        name: String,
    },
}

impl Subject {
    /// Reads the one name of a certificate. It proves nothing: the chain is verified elsewhere, before.
    ///
    /// # Errors
    ///
    /// [`SubjectError`]: the certificate is none of ours.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, SubjectError> {
        let certificate = EndEntityCert::try_from(certificate).map_err(|_| SubjectError::Malformed)?;
        if certificate.valid_dns_names().next().is_some() {
            return Err(SubjectError::NotOneName);
        }
        let mut names = certificate.valid_uri_names();
        match (names.next(), names.next()) {
            (Some(name), None) => name.parse(),
            _ => Err(SubjectError::NotOneName),
        }
    }

    /// The cluster that issued the name.
    #[must_use]
    pub const fn cluster(&self) -> ClusterId {
        match self {
            Self::Node { cluster, .. } | Self::Client { cluster, .. } => *cluster,
        }
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let parsed = parse(text).filter(|subject| subject.to_string() == text);
        parsed.ok_or_else(|| SubjectError::NotAName { name: text.chars().take(200).collect() })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { cluster, node, incarnation } => write!(f, "{SCHEME}{cluster}/node/{node}/{incarnation}"),
            Self::Client { cluster, name } => write!(f, "{SCHEME}{cluster}/client/{name}"),
        }
    }
}

impl ClientName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientName {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !(1..=64).contains(&text.len()) || !text.bytes().all(allowed) {
            return Err(SubjectError::NotAName { name: text.chars().take(200).collect() });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn parse(text: &str) -> Option<Subject> {
    let mut parts = text.strip_prefix(SCHEME)?.split('/');
    let cluster = parts.next()?.parse().ok()?;
    let subject = match parts.next()? {
        "node" => {
            let node = NodeId(parts.next()?.parse().ok()?);
            let incarnation = parts.next()?.parse().ok()?;
            Subject::Node { cluster, node, incarnation }
        }
        "client" => Subject::Client { cluster, name: parts.next()?.parse().ok()? },
        _ => return None,
    };
    parts.next().is_none().then_some(subject)
}

const SCHEME: &str = "blockraft://";

#[cfg(test)]
mod tests;
