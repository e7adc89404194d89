//! What a node or a client shows: its certificate and key, and the authority that it trusts.

use core::fmt;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::subject::{Subject, SubjectError};

/// A certificate, its private key and the cluster's authority, as PEM texts.
#[derive(Clone)]
pub struct Credentials {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key. Never printed.
    pub key_pem: String,
    /// The authority's certificate: what the other side has to be signed by.
    pub authority_pem: String,
}

/// Why credentials can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A PEM text holds no such thing, or a damaged one.
    #[error("the {part} is not readable PEM")]
    Pem {
        /// Which of the three.
        part: &'static str,
        /// What is wrong with it.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate names nobody of ours.
    #[error("the certificate's name")]
    Subject(#[from] SubjectError),
    /// The certificate names somebody else than its holder wants to be.
    #[error("the certificate names {found}, not {expected}")]
    OtherSubject {
        /// The holder.
        expected: Box<Subject>,
        /// The name in the certificate.
        found: Box<Subject>,
    },
    /// The key doesn't belong to the certificate, or one of them is of an unknown kind.
    #[error("certificate, key and authority don't fit together")]
    Tls(#[from] rustls::Error),
    /// The verifier of the other side's certificates couldn't be made.
    #[error("the authority's certificate can't be trusted")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// [`Credentials`] that were read.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) authority: CertificateDer<'static>,
}

impl Credentials {
    /// Whom the certificate names.
    ///
    /// # Errors
    ///
    /// [`CredentialsError::Pem`] and [`CredentialsError::Subject`].
    pub fn subject(&self) -> Result<Subject, CredentialsError> {
        Ok(Subject::of_certificate(&certificate("certificate", &self.certificate_pem)?)?)
    }

    pub(crate) fn parse(&self) -> Result<Parsed, CredentialsError> {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes());
        Ok(Parsed {
            certificate: certificate("certificate", &self.certificate_pem)?,
            key: key.map_err(|source| CredentialsError::Pem { part: "key", source })?,
            authority: certificate("authority", &self.authority_pem)?,
        })
    }

    pub(crate) fn check_subject(&self, expected: Subject) -> Result<(), CredentialsError> {
        let found = self.subject()?;
        if found == expected {
            return Ok(());
        }
        Err(CredentialsError::OtherSubject { expected: Box::new(expected), found: Box::new(found) })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("certificate", &self.certificate_pem).finish_non_exhaustive()
    }
}

fn certificate(part: &'static str, pem: &str) -> Result<CertificateDer<'static>, CredentialsError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|source| CredentialsError::Pem { part, source })
}
