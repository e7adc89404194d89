//! Whom a node refuses although the certificate is good: a member under another incarnation, and one that was removed.

use std::sync::{PoisonError, RwLock};

use blockraft_node::{InForce, Standing};
use blockraft_transport::Peer;
use blockraft_transport_quic::{IdentityPolicy, IdentityRefusal};
use blockraft_types::Membership;

/// Judges peers by the membership that is in force here, and by the removals that are committed. An id that isn't known is
/// admitted: the handshake proves identity, and membership alone decides who is counted.
#[derive(Debug)]
pub(crate) struct KnownMembers {
    known: RwLock<Known>,
}

#[derive(Debug)]
struct Known {
    in_force: Membership,
    /// The newest one that can't be rolled back.
    committed: Membership,
}

impl KnownMembers {
    pub(crate) fn new(membership: Membership) -> Self {
        let known = Known { in_force: membership.clone(), committed: membership };
        Self { known: RwLock::new(known) }
    }

    /// Another configuration is in force, or is committed now. Counts for connections that come from now on.
    pub(crate) fn learn(&self, in_force: &InForce) {
        // Each field is replaced whole.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.in_force.clone_from(&in_force.membership);
        if in_force.standing == Standing::Committed {
            known.committed.clone_from(&in_force.membership);
        }
    }
}

impl IdentityPolicy for KnownMembers {
    fn admit(&self, peer: Peer) -> Result<(), IdentityRefusal> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.in_force.incarnation(peer.node) {
            Some(incarnation) if incarnation != peer.incarnation => Err(IdentityRefusal::OtherIncarnation),
            Some(_) => Ok(()),
            None if known.committed.is_removed(peer.node) => Err(IdentityRefusal::Removed),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
