//! Certificate, Hello and policy: what stands between a QUIC connection and a [`Peer`].
//!
//! Both ends judge alike: the certificate's name, the Hello and the expected id have to agree, and the node's own policy
//! has the last word. A refusal is a typed close.

use core::fmt;
use core::ops::RangeInclusive;
use std::sync::Arc;

use blockraft_transport::Peer;
use blockraft_types::{ClusterId, NodeId};
use quinn::{ConnectError, Connection, ConnectionError, RecvStream, SendStream};
use rustls_pki_types::CertificateDer;
use thiserror::Error;

use crate::hello::{HELLO_BYTES_MAX, Hello, Lane};
use crate::policy::{IdentityPolicy, IdentityRefusal};
use crate::refusal::Refusal;
use crate::subject::Subject;

/// Who we are, what we speak and whom we let in.
#[derive(Clone, Debug)]
pub(crate) struct Ourselves {
    pub(crate) cluster: ClusterId,
    pub(crate) peer: Peer,
    pub(crate) wire_versions: RangeInclusive<u16>,
    pub(crate) policy: Arc<dyn IdentityPolicy>,
}

/// One of a pair's two connections, with its peer's Hello heard and judged.
pub(crate) struct Half {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
    pub(crate) hello: Hello,
}

/// Why a dial led nowhere.
#[derive(Debug, Error)]
pub(crate) enum DialError {
    #[error("looking up the address")]
    Lookup(#[source] std::io::Error),
    #[error("the address has no host")]
    NoHost,
    #[error("the address can't be dialled")]
    Connect(#[from] ConnectError),
    #[error("the connection failed")]
    Connection(#[from] ConnectionError),
    #[error("the peer closed it: {0}")]
    RefusedByPeer(Refusal),
    #[error("we refused the peer: {0}")]
    RefusedByUs(Refusal),
    #[error("no answer in time")]
    TimedOut,
}

impl Ourselves {
    /// Says our Hello on one lane of a dial and waits for the peer's.
    pub(crate) async fn greet(
        &self,
        connection: Connection,
        node: NodeId,
        (lane, dial): (Lane, u64),
    ) -> Result<Half, DialError> {
        let greeting = async {
            let (mut send, mut receive) = connection.open_bi().await.map_err(|_| Refusal::MalformedHello)?;
            self.say(&mut send, lane, dial).await?;
            let hello = hear(&mut receive).await?;
            if hello.node != node {
                return Err(Refusal::UnexpectedNode);
            }
            self.judge(&connection, &hello)?;
            if (hello.lane, hello.dial) != (lane, dial) {
                return Err(Refusal::HelloDisagrees);
            }
            Ok((send, receive, hello))
        };
        match greeting.await {
            Ok((send, receive, hello)) => Ok(Half { connection, send, receive, hello }),
            Err(refusal) => match connection.close_reason() {
                Some(reason) => {
                    let refusal = Refusal::of(&reason);
                    self.hear_judgement(&connection, refusal);
                    Err(refusal.map_or(reason.into(), DialError::RefusedByPeer))
                }
                None => {
                    refusal.close(&connection);
                    Err(DialError::RefusedByUs(refusal))
                }
            },
        }
    }

    /// Hears the Hello of a node that dialled us. Our own is the answer once both lanes are there.
    pub(crate) async fn accept(&self, connection: Connection) -> Result<Half, Refusal> {
        let opened = connection.accept_bi().await;
        let (send, mut receive) = opened.map_err(|error| Refusal::of(&error).unwrap_or(Refusal::MalformedHello))?;
        let hello = hear(&mut receive).await?;
        self.judge(&connection, &hello)?;
        Ok(Half { connection, send, receive, hello })
    }

    /// Says our Hello.
    pub(crate) async fn say(&self, send: &mut SendStream, lane: Lane, dial: u64) -> Result<(), Refusal> {
        let hello = Hello::new(self.cluster, self.peer, lane, dial, &self.wire_versions).encode();
        let length = u16::try_from(hello.len()).expect("a hello is far shorter than 64 KiB").to_be_bytes();
        send.write_all(&length).await.map_err(|_| Refusal::MalformedHello)?;
        send.write_all(&hello).await.map_err(|_| Refusal::MalformedHello)
    }

    fn judge(&self, connection: &Connection, hello: &Hello) -> Result<(), Refusal> {
        let Subject::Node { cluster, node, incarnation } = subject(connection)? else {
            return Err(Refusal::WrongRole);
        };
        if (hello.cluster, hello.node, hello.incarnation) != (cluster, node, incarnation) {
            return Err(Refusal::HelloDisagrees);
        }
        if node == self.peer.node {
            return Err(Refusal::Ourselves);
        }
        if !hello.shares_version(&self.wire_versions) {
            return Err(Refusal::NoCommonVersion);
        }
        self.policy.admit(hello.peer()).map_err(IdentityRefusal::refusal)
    }

    /// Passes on what the peer thinks of our identity. Its own was proved when the connection was made.
    fn hear_judgement(&self, connection: &Connection, refusal: Option<Refusal>) {
        if let Some(reason) = refusal.and_then(IdentityRefusal::of)
            && let Ok(Subject::Node { cluster, node, .. }) = subject(connection)
            && cluster == self.cluster
        {
            self.policy.refused_by(node, reason);
        }
    }
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half").field("hello", &self.hello).finish_non_exhaustive()
    }
}

/// Whom the other end's certificate names; the handshake has verified it.
pub(crate) fn subject(connection: &Connection) -> Result<Subject, Refusal> {
    let identity = connection.peer_identity().and_then(|identity| identity.downcast::<Vec<CertificateDer<'_>>>().ok());
    let certificates = identity.ok_or(Refusal::Handshake)?;
    let certificate = certificates.first().ok_or(Refusal::Handshake)?;
    Subject::of_certificate(certificate).map_err(|_| Refusal::Handshake)
}

async fn hear(receive: &mut RecvStream) -> Result<Hello, Refusal> {
    let malformed = |_| Refusal::MalformedHello;
    let mut length = [0; 2];
    receive.read_exact(&mut length).await.map_err(malformed)?;
    let mut buffer = [0; HELLO_BYTES_MAX];
    let bytes = buffer.get_mut(..usize::from(u16::from_be_bytes(length))).ok_or(Refusal::MalformedHello)?;
    receive.read_exact(bytes).await.map_err(malformed)?;
    Hello::decode(bytes).map_err(|_| Refusal::MalformedHello)
}

/// TLS wants a server name; ours are in the certificates, and it isn't sent.
pub(crate) const SERVER_NAME: &str = "blockraft.invalid";
