//! Whom a node refuses although the certificate is good.

use core::fmt::Debug;

use blockraft_transport::Peer;

/// A node's own knowledge about ids, asked once for each connection, on both ends.
///
/// The handshake proves identity, never membership: an id that isn't known is admitted, since it may be a member that
/// this node hasn't heard of yet and that it needs to elect a leader. Implementations answer from memory, at once.
pub trait IdentityPolicy: Debug + Send + Sync + 'static {
    /// Judges a peer whose certificate and Hello are in order.
    ///
    /// # Errors
    ///
    /// [`IdentityRefusal`] closes the connection and names the reason to the other end.
    fn admit(&self, peer: Peer) -> Result<(), IdentityRefusal>;
}

/// Why a good certificate isn't enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityRefusal {
    /// The id is known with another incarnation: its directory was wiped, or copied from an older certificate.
    OtherIncarnation,
    /// The id is known to have been removed.
    Removed,
}

/// Refuses nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdmitAll;

impl IdentityPolicy for AdmitAll {
    fn admit(&self, _peer: Peer) -> Result<(), IdentityRefusal> {
        Ok(())
    }
}
