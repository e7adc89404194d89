//! Where a peer can be dialled.

use core::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// A host and a port, `host:port`; the host is a name, an IPv4 address, or an IPv6 address in brackets.
///
/// A name is looked up at each dial and not before: a peer may move, or not exist yet, when its address is configured.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress(Arc<str>);

/// Text that isn't a `host:port` of at most 261 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected host:port, found {text:?}")]
pub struct ParseAddressError {
    text: String,
}

impl PeerAddress {
    /// The text `host:port`, in the form that the standard library's resolver takes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PeerAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let well_formed = text.len() <= ADDRESS_BYTES_MAX
            && text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port));
        if !well_formed {
            return Err(ParseAddressError { text: text.chars().take(ADDRESS_BYTES_MAX).collect() });
        }
        Ok(Self(text.into()))
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string().into())
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
    }
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// The longest domain name, a colon and the longest port, with room for brackets.
const ADDRESS_BYTES_MAX: usize = 253 + 1 + 5 + 2;
