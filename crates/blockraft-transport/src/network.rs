//! An in-process network: endpoints of one process joined by links that a test cuts and mends.
//!
//! It has no clock and no task: what is sent is in the receiver's inbox when the call returns. It proves nobody's
//! identity, for there is nobody to deceive.

pub mod endpoint;
mod switchboard;

use blockraft_types::NodeId;

use crate::address::PeerAddress;
use crate::network::endpoint::Endpoint;
use crate::network::switchboard::Wiring;
use crate::peer::Peer;

/// A network inside this process. Clones are the same network.
///
/// Two endpoints are connected while both exist, at least one of them has the other as a peer
/// ([`Transport::set_peer`](crate::Transport::set_peer), whatever the address), and the pair isn't disconnected.
#[derive(Clone, Debug, Default)]
pub struct Network {
    wiring: Wiring,
}

impl Network {
    /// A network without endpoints.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the endpoint of `peer`. One of the same node that lives is closed first, as a crash would.
    #[must_use]
    pub fn endpoint(&self, peer: Peer) -> Endpoint {
        Endpoint::start(self.wiring.clone(), peer)
    }

    /// An address for [`Transport::set_peer`](crate::Transport::set_peer). This network knows its nodes by their ids,
    /// so one address serves for all.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        "in-process:1".parse().expect("a name and a port are an address")
    }

    /// From now on frames from `source` to `target` vanish although both look connected, and bulk that way is lost.
    pub fn cut(&self, source: NodeId, target: NodeId) {
        self.wiring.lock().cut(source, target);
    }

    /// Undoes [`cut`](Self::cut) in this direction.
    pub fn heal(&self, source: NodeId, target: NodeId) {
        self.wiring.lock().heal(source, target);
    }

    /// Ends the connection of the two nodes and keeps them apart; both see it.
    pub fn disconnect(&self, one: NodeId, other: NodeId) {
        self.wiring.lock().disconnect(one, other);
    }

    /// Undoes [`disconnect`](Self::disconnect); both see a new connection.
    pub fn reconnect(&self, one: NodeId, other: NodeId) {
        self.wiring.lock().reconnect(one, other);
    }
}

#[cfg(test)]
mod tests;
