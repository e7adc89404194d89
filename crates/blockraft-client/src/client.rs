//! The client itself: how it comes to be and how it ends. What it can do stands in the files of the operations.

use std::sync::Arc;

use blockraft_transport_quic::Subject;
use blockraft_transport_quic::pki::credentials::CredentialsError;
use blockraft_types::{ClusterId, NodeId, Position};
use futures::future::join_all;
use rand::Rng;
use thiserror::Error;

use crate::attempts::Attempts;
use crate::config::{ClientConfig, ClientOptions, Member};
use crate::dial::{Dialer, QuicDialer};
use crate::pool::Pool;
use crate::slot::Slot;
use crate::unavailable::{Trouble, Unavailable};

/// A client of one cluster. Clones share connections and what was seen.
///
/// It may be used from many tasks at once; share one rather than making many: a node allows 64 connections from one
/// address.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) pool: Arc<Pool>,
}

/// Why a client can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration names no member.
    #[error("the configuration names no member")]
    NoMembers,
    /// The member to begin with isn't one of the configuration.
    #[error("node {node} is to be preferred, but is no member of the configuration")]
    UnknownPreference {
        /// The node.
        node: NodeId,
    },
    /// The certificate can't be used.
    #[error("the client's credentials")]
    Credentials(#[source] CredentialsError),
    /// The certificate isn't one of a client of this cluster.
    #[error("the certificate names {found}, not a client of cluster {cluster}")]
    WrongSubject {
        /// The configured cluster.
        cluster: ClusterId,
        /// Whom the certificate names.
        found: Box<Subject>,
    },
    /// No member answered in time.
    #[error("cluster {cluster}")]
    Unreachable {
        /// The cluster.
        cluster: ClusterId,
        /// What was wrong with each.
        source: Unavailable,
    },
}

impl Client {
    /// Connects to a member: the preferred one, or the first other one that answers.
    ///
    /// # Errors
    ///
    /// [`ConnectError`]; [`Unreachable`](ConnectError::Unreachable) may pass later. When every member is surely not there
    /// it comes at once, otherwise after [`connect_time_max`](ClientOptions::connect_time_max).
    pub async fn connect(config: ClientConfig) -> Result<Self, ConnectError> {
        match config.credentials.subject().map_err(ConnectError::Credentials)? {
            Subject::Client { cluster, .. } if cluster == config.cluster => {}
            found => return Err(ConnectError::WrongSubject { cluster: config.cluster, found: Box::new(found) }),
        }
        let dialer = QuicDialer { cluster: config.cluster, credentials: config.credentials };
        let client = Self::over(Arc::new(dialer), config.members, config.prefer, config.options)?;
        match client.reach().await {
            Ok(()) => Ok(client),
            Err(source) => Err(ConnectError::Unreachable { cluster: config.cluster, source }),
        }
    }

    /// The highest position that any answer carried. Reads of this client are never from before it.
    #[must_use]
    pub fn position(&self) -> Position {
        self.pool.position()
    }

    /// Who gave the last answer, and as of which position; `None` before the first one.
    ///
    /// That is for whoever records what a cluster says. With several calls under way it doesn't tell which of them was
    /// answered, so a recorder does one thing at a time.
    #[must_use]
    pub fn last_answer(&self) -> Option<(NodeId, Position)> {
        self.pool.last_answer()
    }

    /// Takes over a position from elsewhere, such as another client's: reads are never from before it.
    pub fn observe(&self, position: Position) {
        self.pool.observe(position);
    }

    /// The members, in the order of the configuration.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.pool.slots.iter().map(|slot| &slot.member)
    }

    /// Ends all connections, in a bounded time. Calls under way fail or dial anew; this is for the end.
    pub async fn close(&self) {
        join_all(self.pool.slots.iter().map(|slot| slot.close())).await;
    }

    pub(crate) fn over(
        dialer: Arc<dyn Dialer>,
        members: Vec<Member>,
        prefer: Option<NodeId>,
        options: ClientOptions,
    ) -> Result<Self, ConnectError> {
        if members.is_empty() {
            return Err(ConnectError::NoMembers);
        }
        let first = match prefer {
            None => rand::rng().random_range(0..members.len()),
            Some(node) => {
                let position = members.iter().position(|member| member.node == node);
                position.ok_or(ConnectError::UnknownPreference { node })?
            }
        };
        let slot = |member| Arc::new(Slot::new(member, Arc::clone(&dialer)));
        let slots = members.into_iter().map(slot).collect();
        Ok(Self { pool: Arc::new(Pool::new(slots, first, options)) })
    }

    async fn reach(&self) -> Result<(), Unavailable> {
        let mut attempts = Attempts::new(self.pool.slots.len(), self.pool.options.connect_time_max);
        while !attempts.is_over() {
            let Some(index) = self.pool.next(&attempts) else {
                let unavailable = attempts.unavailable(&self.pool.slots);
                if unavailable.members.iter().all(|member| is_final(&member.trouble)) {
                    return Err(unavailable);
                }
                attempts.begin_anew().await;
                continue;
            };
            match self.pool.reach(index, &attempts).await {
                Ok(()) => return Ok(()),
                Err(trouble) => attempts.failed(index, trouble),
            }
        }
        Err(attempts.unavailable(&self.pool.slots))
    }
}

/// Whether a dial that failed so is not worth a second one within seconds.
fn is_final(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::NobodyListens | Trouble::Connect(_) | Trouble::OtherNode { .. } => true,
        Trouble::Connecting
        | Trouble::NoAnswer
        | Trouble::Busy
        | Trouble::Refused(_)
        | Trouble::Unreadable
        | Trouble::WrongBytes
        | Trouble::Malformed => false,
    }
}
