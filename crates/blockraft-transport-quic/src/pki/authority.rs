//! The certificate authority of one cluster: it trusts nobody else and is trusted by nobody else.

use std::time::{Duration, SystemTime};

use blockraft_types::ClusterId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use thiserror::Error;

use crate::pki::credentials::Credentials;
use crate::subject::Subject;

/// A cluster's certificate authority, with its private key. Keep it where only `init` and `join` run.
pub struct Authority {
    cluster: ClusterId,
    certificate_pem: String,
    key: KeyPair,
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub from: SystemTime,
    /// The last moment.
    pub until: SystemTime,
}

/// Why no certificate could be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The subject belongs to another cluster than the authority.
    #[error("the authority of cluster {authority} issues nothing for cluster {subject}")]
    OtherCluster {
        /// The authority's cluster.
        authority: ClusterId,
        /// The subject's cluster.
        subject: ClusterId,
    },
    /// The key or the certificate couldn't be made or read.
    #[error("certificate or key of cluster {cluster}")]
    Certificate {
        /// The authority's cluster.
        cluster: ClusterId,
        /// What went wrong.
        source: rcgen::Error,
    },
}

impl Authority {
    /// Makes the authority of a new cluster, valid for [`AUTHORITY_DAYS`] from an hour ago.
    ///
    /// # Errors
    ///
    /// [`IssueError::Certificate`] when the key can't be generated.
    pub fn generate(cluster: ClusterId) -> Result<Self, IssueError> {
        let failed = |source| IssueError::Certificate { cluster, source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = authority_params(cluster);
        Validity::starting_now(AUTHORITY_DAYS).apply(&mut params);
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self { cluster, certificate_pem: certificate.pem(), key })
    }

    /// Takes what [`certificate_pem`](Self::certificate_pem) and [`key_pem`](Self::key_pem) gave.
    ///
    /// # Errors
    ///
    /// [`IssueError::Certificate`] when the key can't be read.
    pub fn from_pem(cluster: ClusterId, certificate_pem: &str, key_pem: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key_pem).map_err(|source| IssueError::Certificate { cluster, source })?;
        Ok(Self { cluster, certificate_pem: certificate_pem.to_owned(), key })
    }

    /// The certificate that members and clients trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key. Whoever has it can be any node of this cluster.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Issues a certificate and a fresh key, valid for [`SUBJECT_DAYS`] from an hour ago.
    ///
    /// One certificate is issued per node id, ever: who keeps that count is the caller.
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub fn issue(&self, subject: &Subject) -> Result<Credentials, IssueError> {
        self.issue_for(subject, Validity::starting_now(SUBJECT_DAYS))
    }

    /// Issues a certificate and a fresh key with a validity of the caller's choice.
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub fn issue_for(&self, subject: &Subject, validity: Validity) -> Result<Credentials, IssueError> {
        if subject.cluster() != self.cluster {
            return Err(IssueError::OtherCluster { authority: self.cluster, subject: subject.cluster() });
        }
        let failed = |source| IssueError::Certificate { cluster: self.cluster, source };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let mut params = CertificateParams::default();
        let name = subject.to_string().as_str().try_into().map_err(failed)?;
        params.subject_alt_names = vec![SanType::URI(name)];
        params.distinguished_name = DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match subject {
            Subject::Node { .. } => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Subject::Client { .. } => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        validity.apply(&mut params);
        let issuer_params = authority_params(self.cluster);
        let issuer = Issuer::from_params(&issuer_params, &self.key);
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        Ok(Credentials {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            authority_pem: self.certificate_pem.clone(),
        })
    }
}

impl core::fmt::Debug for Authority {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Authority").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Validity {
    /// From an hour ago, so that a clock that lags a little doesn't refuse a newborn certificate, for this many days.
    #[must_use]
    pub fn starting_now(days: u32) -> Self {
        let now = SystemTime::now();
        let from = now.checked_sub(Duration::from_secs(3_600)).unwrap_or(SystemTime::UNIX_EPOCH);
        Self { from, until: now + Duration::from_secs(u64::from(days) * 86_400) }
    }

    fn apply(self, params: &mut CertificateParams) {
        params.not_before = self.from.into();
        params.not_after = self.until.into();
    }
}

/// What doesn't change between the authority's birth and a later start: issuing needs the name, not the certificate.
fn authority_params(cluster: ClusterId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("blockraft cluster {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// An authority lives for 10 years: longer than its members, so that none of them ever outlives its issuer.
pub const AUTHORITY_DAYS: u32 = 3_653;

/// A node's or client's certificate lives for 5 years: half of the authority's life, so a member that is issued in the
/// authority's first half is never cut short. A shorter life would turn a forgotten renewal into an outage of the whole
/// cluster, and revocation is the membership's work, not the calendar's.
pub const SUBJECT_DAYS: u32 = 1_826;

#[cfg(test)]
mod tests;
