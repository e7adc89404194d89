//! Which cluster a client uses, as whom, and how patient it is.

use std::time::Duration;

use blockraft_transport::PeerAddress;
use blockraft_transport_quic::Credentials;
use blockraft_types::{ClusterId, NodeId};

/// Which cluster, where its members are, and who the client is.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The cluster.
    pub cluster: ClusterId,
    /// Members to begin with; whether others are asked too, [`ClientOptions::others`] says.
    pub members: Vec<Member>,
    /// The client's certificate and key, and the authority that the cluster's nodes are signed by.
    pub credentials: Credentials,
    /// The member to begin with; `None` draws one, which spreads many clients over all members.
    pub prefer: Option<NodeId>,
    /// How patient the client is.
    pub options: ClientOptions,
}

/// A member and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Its address for clients.
    pub address: PeerAddress,
}

/// Bounds and patience; [`ClientOptions::default`] is right for a cluster in one data centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long [`Client::connect`](crate::Client::connect) looks for a member that answers. 5 s.
    pub connect_time_max: Duration,
    /// How long one request, with all its attempts, may take. 30 s.
    pub request_time_max: Duration,
    /// How long a node may be silent before it is asked whether it lives: while it works on a request, and before a write
    /// is sent to it. 100 ms.
    pub silence_min: Duration,
    /// How long such a node may stay silent before a put outside of the session on its way there is given up as unknown,
    /// unless its port is closed, which is noticed at once. All else goes elsewhere after 150 ms. 2 s.
    pub silence_max: Duration,
    /// The most bytes of blocks that one batch holds, unless it is a single block. 4 MiB.
    pub batch_bytes_max: u32,
    /// How many batches of one call are under way at once. 4.
    pub batches_max: usize,
    /// How many requests are under way at once; further ones wait. 48: a connection carries 64.
    pub requests_max: usize,
    /// Whether members that the configuration doesn't name are asked too. [`Others::Learn`].
    pub others: Others,
}

/// What becomes of members that a client's configuration doesn't name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Others {
    /// The client asks whoever answers it, once it is connected and from time to time while it is used, who the members
    /// are and where they listen, and goes on with those when it must. The addresses of its configuration are those to
    /// begin with.
    Learn,
    /// They are never asked.
    Never,
}

impl ClientConfig {
    /// A configuration with default options, and no preference.
    #[must_use]
    pub fn new(cluster: ClusterId, members: Vec<Member>, credentials: Credentials) -> Self {
        Self { cluster, members, credentials, prefer: None, options: ClientOptions::default() }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_time_max: Duration::from_secs(5),
            request_time_max: Duration::from_secs(30),
            silence_min: Duration::from_millis(100),
            silence_max: Duration::from_secs(2),
            batch_bytes_max: 4 << 20,
            batches_max: 4,
            requests_max: 48,
            others: Others::Learn,
        }
    }
}
