//! quinn, configured: windows, timeouts, datagram size, keys.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::congestion::CubicConfig;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Endpoint, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use rand::Rng;
use ring::hmac;

use crate::limits::{
    BULK_WINDOW_BYTES, CLIENT_WINDOW_BYTES, CONTROL_WINDOW_BYTES, MTU_BYTES_MAX, QuicLimits, SEND_WINDOW_BYTES,
    STREAM_WINDOW_BYTES, STREAMS_MAX,
};
use crate::socket::{self, PortReleased, SharedSocket};

/// The key by which a node, restarted on the same address, tells its peers that their connections are dead. 64 random
/// bytes, drawn once and kept with the node's other secrets.
#[derive(Clone)]
pub struct ResetKey([u8; 64]);

impl ResetKey {
    /// Takes 64 bytes, which the caller drew from the operating system's random source.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// A key for an endpoint that nobody has to recognise after a restart.
    pub(crate) fn random() -> Self {
        let mut bytes = [0; 64];
        rand::rng().fill(&mut bytes);
        Self(bytes)
    }
}

impl core::fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ResetKey")
    }
}

/// What a connection is for, which decides its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Accepted, and nothing is known of it yet: one stream, for the Hello.
    Unknown,
    Control,
    Bulk,
    Client,
}

/// An endpoint, and the word that its port is free again.
pub(crate) fn endpoint(
    listen: SocketAddr,
    reset_key: &ResetKey,
    server: Option<ServerConfig>,
    limits: &QuicLimits,
) -> io::Result<(Endpoint, PortReleased)> {
    let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &reset_key.0);
    let mut config = EndpointConfig::new(Arc::new(hmac_key));
    // Connection ids carry a keyed checksum. Without the same key a restarted node would take its old connections' ids
    // for noise and never answer with a reset.
    let [a, b, c, d, e, f, g, h, ..] = reset_key.0;
    let id_key = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)));
    config.max_udp_payload_size(MTU_BYTES_MAX).map_err(io::Error::other)?;
    let (socket, released) = SharedSocket::new(socket::bind(listen, limits.socket_buffer_bytes)?)?;
    let endpoint = Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime))?;
    Ok((endpoint, released))
}

pub(crate) fn server_config(
    tls: rustls::ServerConfig,
    limits: &QuicLimits,
) -> Result<ServerConfig, NoInitialCipherSuite> {
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config
        .transport_config(transport_config(Purpose::Unknown, limits))
        .migration(false)
        .max_incoming(limits.handshakes_max)
        .incoming_buffer_size(64 << 10)
        .incoming_buffer_size_total(4 << 20);
    Ok(config)
}

pub(crate) fn client_config(
    tls: rustls::ClientConfig,
    purpose: Purpose,
    limits: &QuicLimits,
) -> Result<ClientConfig, NoInitialCipherSuite> {
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport_config(purpose, limits));
    Ok(config)
}

/// Opens an accepted connection to what it turned out to be for.
pub(crate) fn widen(connection: &quinn::Connection, purpose: Purpose) {
    connection.set_receive_window(window(purpose));
    connection.set_max_concurrent_bi_streams(bidirectional_streams(purpose));
    connection.set_max_concurrent_uni_streams(unidirectional_streams(purpose));
}

/// Congestion control is CUBIC: between nodes of a local network BBR gains nothing and starves beside other traffic on a
/// lossy path. It starts with ten datagrams of our largest size, as RFC 9002 has it; quinn's ten of 1,200 bytes are less
/// than two of ours, behind which even the frame that closes a connection would wait.
fn transport_config(purpose: Purpose, limits: &QuicLimits) -> Arc<TransportConfig> {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_BYTES_MAX);
    let mut congestion = CubicConfig::default();
    congestion.initial_window(10 * u64::from(MTU_BYTES_MAX));
    let mut config = TransportConfig::default();
    let idle = IdleTimeout::try_from(limits.idle_time_max).unwrap_or_else(|_| IdleTimeout::from(VarInt::MAX));
    config
        .max_concurrent_bidi_streams(bidirectional_streams(purpose))
        .max_concurrent_uni_streams(unidirectional_streams(purpose))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(window(purpose))
        .send_window(SEND_WINDOW_BYTES)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(limits.keep_alive_interval))
        .mtu_discovery_config(Some(mtu))
        .congestion_controller_factory(Arc::new(congestion))
        .datagram_receive_buffer_size(None);
    Arc::new(config)
}

fn window(purpose: Purpose) -> VarInt {
    VarInt::from_u32(match purpose {
        Purpose::Unknown => 64 << 10,
        Purpose::Control => CONTROL_WINDOW_BYTES,
        Purpose::Bulk => BULK_WINDOW_BYTES,
        Purpose::Client => CLIENT_WINDOW_BYTES,
    })
}

fn bidirectional_streams(purpose: Purpose) -> VarInt {
    VarInt::from_u32(match purpose {
        Purpose::Unknown | Purpose::Control | Purpose::Bulk => 1,
        Purpose::Client => STREAMS_MAX,
    })
}

fn unidirectional_streams(purpose: Purpose) -> VarInt {
    VarInt::from_u32(match purpose {
        Purpose::Unknown | Purpose::Control | Purpose::Client => 0,
        Purpose::Bulk => STREAMS_MAX,
    })
}
