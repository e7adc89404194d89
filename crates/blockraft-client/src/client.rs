//! The client itself: how it comes to be and how it ends. What it can do stands in the files of the operations.

use std::sync::Arc;

use blockraft_transport_quic::Subject;
use blockraft_transport_quic::pki::credentials::CredentialsError;
use blockraft_types::{ClusterId, NodeId, Position};
use futures::future::join_all;
use rand::Rng;
use thiserror::Error;

use crate::attempts::Attempts;
use crate::config::{ClientConfig, ClientOptions, Member, Others};
use crate::dial::{Dialer, QuicDialer};
use crate::pool::Pool;
use crate::roster::Roster;
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

    /// The members that this client knows: those of its configuration, in that order, and those that it has learnt of.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        self.pool.roster.slots().iter().map(|slot| slot.member.clone()).collect()
    }

    /// Ends all connections, in a bounded time. Calls under way fail or dial anew; this is for the end.
    pub async fn close(&self) {
        let slots = self.pool.roster.slots();
        join_all(slots.iter().map(|slot| slot.close())).await;
    }

    pub(crate) fn over(
        dialer: Arc<dyn Dialer>,
        members: Vec<Member>,
        prefer: Option<NodeId>,
        options: ClientOptions,
    ) -> Result<Self, ConnectError> {
        let drawn = rand::rng().random_range(0..members.len().max(1));
        let first = match prefer {
            None => members.get(drawn),
            Some(node) => {
                let preferred = members.iter().find(|member| member.node == node);
                Some(preferred.ok_or(ConnectError::UnknownPreference { node })?)
            }
        };
        let first = first.ok_or(ConnectError::NoMembers)?.node;
        let roster = Roster::new(dialer, members, options.others);
        Ok(Self { pool: Arc::new(Pool::new(roster, first, options)) })
    }

    async fn reach(&self) -> Result<(), Unavailable> {
        let mut attempts = Attempts::new(self.pool.options.connect_time_max);
        while !attempts.is_over() {
            let Some(slot) = self.pool.next(&attempts) else {
                let unavailable = attempts.unavailable(&self.pool.roster.slots());
                if unavailable.members.iter().all(|member| is_final(&member.trouble)) {
                    return Err(unavailable);
                }
                attempts.begin_anew().await;
                continue;
            };
            match self.pool.reach(&slot, &attempts).await {
                Ok(()) => {
                    if self.pool.options.others == Others::Learn {
                        self.pool.ask_for_others(slot);
                    }
                    return Ok(());
                }
                Err(trouble) => attempts.failed(slot.member.node, trouble),
            }
        }
        Err(attempts.unavailable(&self.pool.roster.slots()))
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
