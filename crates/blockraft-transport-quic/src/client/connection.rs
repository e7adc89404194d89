//! The client's side of the client lane: a request, a stream, an answer.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use blockraft_transport::PeerAddress;
use blockraft_transport::limits::{BULK_BODY_BYTES_MAX, BULK_HEADER_BYTES_MAX};
use blockraft_types::{ClusterId, NodeId};
use bytes::Bytes;
use quinn::{ConnectionError, RecvStream, SendStream, VarInt, WriteError};
use thiserror::Error;
use tokio::time::timeout;

use crate::endpoint::{self, Purpose, ResetKey};
use crate::frame::{Preamble, StreamError, read_bytes};
use crate::limits::QuicLimits;
use crate::peer::handshake;
use crate::pki::credentials::{Credentials, CredentialsError};
use crate::refusal::Refusal;
use crate::subject::Subject;
use crate::tls;

/// A connection of a client to one node.
#[derive(Debug)]
pub struct ClientConnection {
    endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    node: NodeId,
}

/// Why there is no connection. Nothing was asked yet: try another node, or the same one later.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The client's own credentials can't be used.
    #[error("the client's credentials")]
    Credentials(#[from] CredentialsError),
    /// The address can't be looked up or dialled.
    #[error("dialling {address}")]
    Dial {
        /// The address.
        address: PeerAddress,
        /// Why not.
        source: std::io::Error,
    },
    /// The handshake failed: nobody there, or somebody who isn't of this cluster.
    #[error("connecting to {address}")]
    Handshake {
        /// The address.
        address: PeerAddress,
        /// Why not.
        source: ConnectionError,
    },
    /// One of both ends refused the other.
    #[error("{address}: {refusal}")]
    Refused {
        /// The address.
        address: PeerAddress,
        /// The reason.
        refusal: Refusal,
    },
    /// No answer in time.
    #[error("no answer from {address} in time")]
    TimedOut {
        /// The address.
        address: PeerAddress,
    },
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Header or body are over the limits of the lane. The caller's mistake.
    #[error("a request of {header_bytes} and {body_bytes} bytes is over the limits")]
    TooLarge {
        /// Size of the header.
        header_bytes: usize,
        /// Size of the body.
        body_bytes: usize,
    },
    /// The connection ended before the request was sent whole: it was never seen. Ask again, here or elsewhere.
    #[error("the request was not sent")]
    NotSent,
    /// The node was too busy and has done nothing. Ask again later, or elsewhere.
    #[error("the node is busy")]
    Busy,
    /// The request may have been carried out: the connection ended, or the node dropped it, before an answer came.
    #[error("the request was sent and not answered")]
    Unknown,
}

/// How a stream of the client lane ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamCode {
    Cancelled,
    Busy,
    Unanswered,
    Malformed,
}

impl ClientConnection {
    /// Connects to a node of `cluster`, trying each address of its name.
    ///
    /// # Errors
    ///
    /// [`ConnectError`].
    pub async fn connect(
        address: &PeerAddress,
        credentials: &Credentials,
        cluster: ClusterId,
    ) -> Result<Self, ConnectError> {
        let limits = QuicLimits::default();
        let dial = |source| ConnectError::Dial { address: address.clone(), source };
        let tls = tls::config::client(credentials, cluster, tls::config::CLIENT_ALPN)?;
        let config = endpoint::client_config(tls, Purpose::Client, &limits);
        let config = config.map_err(|error| dial(std::io::Error::other(error)))?;
        let mut last = dial(std::io::ErrorKind::AddrNotAvailable.into());
        for remote in tokio::net::lookup_host(address.as_str()).await.map_err(dial)?.take(ADDRESSES_TRIED_MAX) {
            let unspecified = match remote {
                SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            };
            let endpoint = endpoint::endpoint(unspecified, &ResetKey::random(), None, &limits);
            let (endpoint, _released) = endpoint.map_err(dial)?;
            let connecting = endpoint.connect_with(config.clone(), remote, handshake::SERVER_NAME);
            let connecting = connecting.map_err(|error| dial(std::io::Error::other(error)))?;
            match timeout(limits.handshake_time_max, connecting).await {
                Ok(Ok(connection)) => return Self::greeted(endpoint, connection, address),
                Ok(Err(source)) => last = ConnectError::Handshake { address: address.clone(), source },
                Err(_elapsed) => last = ConnectError::TimedOut { address: address.clone() },
            }
        }
        Err(last)
    }

    /// The node at the other end.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Whether the connection lives, as far as this end knows.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// Why the node closed the connection, if it did.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.connection.close_reason().as_ref().and_then(Refusal::of)
    }

    /// Asks, and waits for the answer. Requests on one connection are independent of each other; beyond 64 of them the
    /// call waits for its turn.
    ///
    /// Cancellation: a dropped call tells the node so; whether it was carried out is unknown.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; only [`Unknown`](RequestError::Unknown) leaves a doubt about whether it was carried out.
    pub async fn request(&self, header: Bytes, body: Bytes) -> Result<(Bytes, Bytes), RequestError> {
        if BULK_HEADER_BYTES_MAX < header.len() || BULK_BODY_BYTES_MAX < body.len() {
            return Err(RequestError::TooLarge { header_bytes: header.len(), body_bytes: body.len() });
        }
        let (send, receive) = self.connection.open_bi().await.map_err(|_| RequestError::NotSent)?;
        let mut exchange = Exchange { send, receive, answered: false };
        let sent = exchange.ask(header, body).await;
        match sent {
            // The node may answer, or refuse, before it has read everything.
            Ok(()) | Err(WriteError::Stopped(_)) => exchange.answer().await,
            Err(WriteError::ConnectionLost(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected) => {
                Err(RequestError::NotSent)
            }
        }
    }

    /// Waits for a sign of life: the node's transport answers an empty request itself, and nothing is carried out. A request
    /// that fails after it has at least left for a node that was there.
    ///
    /// # Errors
    ///
    /// [`RequestError`], in whatever form; a node that is just gone doesn't answer at all.
    pub async fn prove(&self) -> Result<(), RequestError> {
        self.request(Bytes::new(), Bytes::new()).await.map(drop)
    }

    /// Ends the connection, in a bounded time. Requests under way fail.
    pub async fn close(&self) {
        Refusal::Closing.close(&self.connection);
        let _late = timeout(std::time::Duration::from_secs(1), self.endpoint.wait_idle()).await;
    }

    /// A stream of its own, for tests that don't behave.
    #[cfg(test)]
    pub(crate) async fn open_stream(&self) -> (SendStream, RecvStream) {
        self.connection.open_bi().await.expect("the connection is open")
    }

    fn greeted(
        endpoint: quinn::Endpoint,
        connection: quinn::Connection,
        address: &PeerAddress,
    ) -> Result<Self, ConnectError> {
        match handshake::subject(&connection) {
            Ok(Subject::Node { node, .. }) => Ok(Self { endpoint, connection, node }),
            Ok(Subject::Client { .. }) => Err(Refusal::WrongRole),
            Err(refusal) => Err(refusal),
        }
        .map_err(|refusal| ConnectError::Refused { address: address.clone(), refusal })
    }
}

/// A request under way; dropped early, it is called off at both ends.
struct Exchange {
    send: SendStream,
    receive: RecvStream,
    answered: bool,
}

impl Exchange {
    async fn ask(&mut self, header: Bytes, body: Bytes) -> Result<(), WriteError> {
        self.send.write_all(&Preamble::of(&header, &body).encode()).await?;
        // The node acts on a request that is there whole, finished or not: so nothing may fail after the last byte.
        for part in [header, body] {
            if !part.is_empty() {
                self.send.write_chunk(part).await?;
            }
        }
        let _gone_already = self.send.finish();
        Ok(())
    }

    async fn answer(mut self) -> Result<(Bytes, Bytes), RequestError> {
        let unanswered = |error| match error {
            StreamError::Reset { code } if code == StreamCode::Busy.code().into_inner() => RequestError::Busy,
            StreamError::Reset { .. } | StreamError::Ended | StreamError::Malformed => RequestError::Unknown,
        };
        let preamble = Preamble::read(&mut self.receive, BULK_HEADER_BYTES_MAX, BULK_BODY_BYTES_MAX).await;
        let preamble = preamble.map_err(unanswered)?;
        let header = read_bytes(&mut self.receive, preamble.header_bytes as usize).await.map_err(unanswered)?;
        let body = read_bytes(&mut self.receive, preamble.body_bytes as usize).await.map_err(unanswered)?;
        self.answered = true;
        Ok((header, body))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.answered {
            let _gone = self.send.reset(StreamCode::Cancelled.code());
            let _gone = self.receive.stop(StreamCode::Cancelled.code());
        }
    }
}

impl StreamCode {
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Cancelled => 1,
            Self::Busy => 2,
            Self::Unanswered => 3,
            Self::Malformed => 4,
        })
    }
}

/// Addresses of one name that a connect tries.
const ADDRESSES_TRIED_MAX: usize = 4;
