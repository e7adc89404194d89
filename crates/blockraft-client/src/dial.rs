//! How a member is reached: over QUIC, or, in tests, by a script.

use core::fmt::Debug;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use blockraft_transport_quic::{ClientConnection, ConnectError, Credentials, RequestError};
use blockraft_types::ClusterId;
use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::config::Member;
use crate::unavailable::Trouble;

/// Reaches members.
#[async_trait]
pub(crate) trait Dialer: Debug + Send + Sync + 'static {
    /// Connects.
    async fn dial(&self, member: &Member) -> Result<Arc<dyn Link>, Trouble>;

    /// Finds out whether a member lives, waiting no longer than `patience`.
    async fn knock(&self, member: &Member, patience: Duration) -> Pulse;
}

/// A connection to one member.
#[async_trait]
pub(crate) trait Link: Debug + Send + Sync + 'static {
    /// Asks, and waits for the answer. Cancellation leaves unknown whether it was carried out.
    async fn request(&self, header: Bytes, body: Bytes) -> Result<(Bytes, Bytes), RequestError>;

    /// Waits for a sign of life; nothing is carried out.
    async fn prove(&self) -> Result<(), RequestError>;

    /// Whether it lives, as far as this end knows.
    fn is_open(&self) -> bool;

    /// Ends it.
    async fn close(&self);
}

/// Whether a member lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// It answers.
    Alive,
    /// Its port is closed: its process is gone.
    Gone,
    /// It doesn't answer: it is stopped, unreachable, or slow beyond patience.
    Silent,
}

/// Reaches members over QUIC.
#[derive(Debug)]
pub(crate) struct QuicDialer {
    pub(crate) cluster: ClusterId,
    pub(crate) credentials: Credentials,
}

#[async_trait]
impl Dialer for QuicDialer {
    async fn dial(&self, member: &Member) -> Result<Arc<dyn Link>, Trouble> {
        let connecting = ClientConnection::connect(&member.address, &self.credentials, self.cluster);
        // QUIC keeps trying a closed port until its handshake times out; the kernel knows better.
        let connection = tokio::select! {
            connected = connecting => connected.map_err(|error| Trouble::Connect(Arc::new(error)))?,
            () = until_refused(member) => return Err(Trouble::NobodyListens),
        };
        if connection.node() != member.node {
            return Err(Trouble::OtherNode { found: connection.node() });
        }
        Ok(Arc::new(connection))
    }

    async fn knock(&self, member: &Member, patience: Duration) -> Pulse {
        let connecting = ClientConnection::connect(&member.address, &self.credentials, self.cluster);
        tokio::select! {
            connected = timeout(patience, connecting) => match connected {
                Ok(Ok(connection)) => {
                    // Closing waits for the farewell to be acknowledged; nobody needs to wait for that.
                    tokio::spawn(async move { connection.close().await });
                    Pulse::Alive
                }
                // Somebody there said no: a node with all connections taken lives.
                Ok(Err(ConnectError::Refused { .. } | ConnectError::Handshake { .. })) => Pulse::Alive,
                Ok(Err(_)) | Err(_) => Pulse::Silent,
            },
            () = until_refused(member) => Pulse::Gone,
        }
    }
}

#[async_trait]
impl Link for ClientConnection {
    async fn request(&self, header: Bytes, body: Bytes) -> Result<(Bytes, Bytes), RequestError> {
        Self::request(self, header, body).await
    }

    async fn prove(&self) -> Result<(), RequestError> {
        Self::prove(self).await
    }

    fn is_open(&self) -> bool {
        Self::is_open(self)
    }

    async fn close(&self) {
        Self::close(self).await;
    }
}

/// Resolves when the kernel says that nobody listens at any address of the member; otherwise never.
///
/// An empty datagram is no QUIC packet and is ignored by a node; a closed port answers it with "port unreachable", which
/// a connected socket is told.
async fn until_refused(member: &Member) {
    if refused(member).await.is_none() {
        std::future::pending::<()>().await;
    }
}

async fn refused(member: &Member) -> Option<()> {
    let addresses: Vec<_> = tokio::net::lookup_host(member.address.as_str()).await.ok()?.collect();
    if addresses.is_empty() {
        return None;
    }
    for address in addresses {
        let unspecified: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(unspecified).await.ok()?;
        socket.connect(address).await.ok()?;
        socket.send(&[]).await.ok()?;
        match socket.recv(&mut [0; 1]).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Ok(_) | Err(_) => return None,
        }
    }
    Some(())
}
