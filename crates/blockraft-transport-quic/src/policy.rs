//! Whom a node refuses although the certificate is good.

use core::fmt::Debug;

use blockraft_transport::Peer;
use blockraft_types::NodeId;

use crate::refusal::Refusal;

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

    /// Hears that `node`, which has proved to be it, has judged us so when we dialled it. It is dialled again all the
    /// same, until its address is taken back.
    fn refused_by(&self, node: NodeId, reason: IdentityRefusal) {
        let _nothing_to_do = (node, reason);
    }
}

/// Why a good certificate isn't enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityRefusal {
    /// The id is known with another incarnation: its directory was wiped, or copied from an older certificate.
    OtherIncarnation,
    /// The id is known to have been removed.
    Removed,
    /// A later start of the same node was seen. Both live: one of them runs on a copy of the other's directory.
    Superseded,
}

impl IdentityRefusal {
    /// The judgement behind a close, if a policy was behind it.
    pub(crate) const fn of(refusal: Refusal) -> Option<Self> {
        match refusal {
            Refusal::OtherIncarnation => Some(Self::OtherIncarnation),
            Refusal::Removed => Some(Self::Removed),
            Refusal::Superseded => Some(Self::Superseded),
            Refusal::Handshake
            | Refusal::WrongRole
            | Refusal::MalformedHello
            | Refusal::HelloDisagrees
            | Refusal::NoCommonVersion
            | Refusal::UnexpectedNode
            | Refusal::Ourselves
            | Refusal::Settled
            | Refusal::Replaced
            | Refusal::Closing
            | Refusal::TooMany
            | Refusal::ProtocolViolation => None,
        }
    }

    pub(crate) const fn refusal(self) -> Refusal {
        match self {
            Self::OtherIncarnation => Refusal::OtherIncarnation,
            Self::Removed => Refusal::Removed,
            Self::Superseded => Refusal::Superseded,
        }
    }
}

/// Refuses nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdmitAll;

impl IdentityPolicy for AdmitAll {
    fn admit(&self, _peer: Peer) -> Result<(), IdentityRefusal> {
        Ok(())
    }
}
