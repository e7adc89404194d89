//! rustls configurations for both ends: built piece by piece, since quinn's and rustls' convenience constructors turn
//! early data and resumption on.

use std::sync::Arc;

use blockraft_types::ClusterId;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::pki::credentials::{Credentials, CredentialsError, Parsed};
use crate::tls::verifier::{MemberVerifier, NodeVerifier};

/// The protocol of nodes among each other.
pub const PEER_ALPN: &[u8] = b"blockraft-peer/1";

/// The protocol between clients and nodes.
pub const CLIENT_ALPN: &[u8] = b"blockraft-client/1";

/// The end that is dialled. It speaks both protocols; which certificate may speak which is decided after the handshake.
pub(crate) fn server(credentials: &Credentials, cluster: ClusterId) -> Result<ServerConfig, CredentialsError> {
    let Parsed { certificate, key, authority } = credentials.parse()?;
    let provider = provider();
    let verifier = MemberVerifier::new(cluster, trusting(authority)?, Arc::clone(&provider))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![PEER_ALPN.to_vec(), CLIENT_ALPN.to_vec()];
    config.max_early_data_size = 0;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// The end that dials, for one protocol.
pub(crate) fn client(
    credentials: &Credentials,
    cluster: ClusterId,
    protocol: &[u8],
) -> Result<ClientConfig, CredentialsError> {
    let Parsed { certificate, key, authority } = credentials.parse()?;
    let provider = provider();
    let verifier = NodeVerifier { cluster, authorities: trusting(authority)?, provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(vec![certificate], key)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    config.enable_early_data = false;
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// ring, with AES-128-GCM first: ring would choose AES-256, which costs more and protects nothing here that 128 bits
/// don't.
fn provider() -> Arc<CryptoProvider> {
    let cipher_suites = vec![
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(CryptoProvider { cipher_suites, ..default_provider() })
}

fn trusting(authority: rustls_pki_types::CertificateDer<'static>) -> Result<Arc<RootCertStore>, CredentialsError> {
    let mut authorities = RootCertStore::empty();
    authorities.add(authority)?;
    Ok(Arc::new(authorities))
}

#[cfg(test)]
mod tests;
