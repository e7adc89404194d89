//! Whom a node refuses although the certificate is good: a member under another incarnation.

use blockraft_transport::Peer;
use blockraft_transport_quic::{IdentityPolicy, IdentityRefusal};
use blockraft_types::Membership;

/// Judges peers by the membership that is in force here. An id that isn't known is admitted: the handshake proves
/// identity, and membership alone decides who is counted.
#[derive(Clone, Debug)]
pub(crate) struct KnownMembers {
    membership: Membership,
}

impl KnownMembers {
    pub(crate) const fn new(membership: Membership) -> Self {
        Self { membership }
    }
}

impl IdentityPolicy for KnownMembers {
    fn admit(&self, peer: Peer) -> Result<(), IdentityRefusal> {
        match self.membership.incarnation(peer.node) {
            Some(known) if known != peer.incarnation => Err(IdentityRefusal::OtherIncarnation),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
