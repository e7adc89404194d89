//! A node seen from outside, for people and metrics.

use blockraft_catalog::row::CatalogState;
use blockraft_driver::status::DriverStatus;
use blockraft_exchange::{Debt, Reserve, reserve};
use blockraft_transport::PeerStatus;
use blockraft_types::{LogIndex, NodeId, Position, Role, Term};

use crate::config::Identity;

/// A node's state at one moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// Who it is.
    pub identity: Identity,
    /// Consensus: role, term, leader, positions, progress of the others.
    pub driver: DriverStatus,
    /// The catalog: what is applied, how many blocks are visible.
    pub catalog: CatalogState,
    /// The data plane: queues, leases, fetches, each beside its bound.
    pub exchange: blockraft_exchange::Status,
    /// The network: who is connected, what is in flight.
    pub peers: Vec<PeerStatus>,
}

impl Status {
    /// The node's id.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.identity.node
    }

    /// Its role.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.driver.role().role
    }

    /// Its term.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.driver.role().term
    }

    /// The leader of that term, if it is known.
    #[must_use]
    pub const fn leader(&self) -> Option<NodeId> {
        self.driver.role().leader
    }

    /// Entries in the log.
    #[must_use]
    pub const fn log_entries(&self) -> u64 {
        self.driver.log_entries
    }

    /// The last entry known to be committed.
    #[must_use]
    pub const fn commit_index(&self) -> LogIndex {
        self.driver.commit_index()
    }

    /// How far the members lag, a second or so old; none unless this node leads.
    #[must_use]
    pub fn debts(&self) -> &[Debt] {
        if self.role() == Role::Leader { &self.exchange.debts } else { &[] }
    }

    /// Whether a voter may fail without the others having to wait for one that is far behind. `None` unless this node
    /// leads and knows.
    #[must_use]
    pub fn reserve(&self) -> Option<Reserve> {
        let debts = self.debts();
        (!debts.is_empty()).then(|| reserve(&self.driver.core.membership, debts))
    }

    /// The last entry applied.
    #[must_use]
    pub const fn last_applied(&self) -> Position {
        self.catalog.position
    }
}
