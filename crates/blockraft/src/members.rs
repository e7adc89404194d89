//! Whom a node refuses although the certificate is good: a member under another incarnation, one that was removed, and a
//! process whose directory was copied and served by another one since.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError, RwLock};

use blockraft_node::{InForce, Standing};
use blockraft_transport::Peer;
use blockraft_transport_quic::{IdentityPolicy, IdentityRefusal};
use blockraft_types::{BootNonce, Membership, NodeId};
use tokio::sync::watch;
use tracing::warn;

/// Judges peers by the membership that is in force here, and by the removals that are committed. An id that isn't known is
/// admitted: the handshake proves identity, and membership alone decides who is counted.
#[derive(Debug)]
pub(crate) struct KnownMembers {
    known: RwLock<Known>,
    starts: Mutex<BTreeMap<NodeId, Starts>>,
    /// What others think of this node's own identity.
    judgements: watch::Sender<BTreeSet<(NodeId, IdentityRefusal)>>,
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
        Self { known: RwLock::new(known), starts: Mutex::default(), judgements: watch::Sender::default() }
    }

    /// Waits until a peer says that this process is nobody any more, and says who did and why. Its word is enough: a removal
    /// that it knows to be committed is for ever, as an id is never given again; and of two starts of one node at most the
    /// later one may live.
    pub(crate) async fn disowned(&self) -> (NodeId, IdentityRefusal) {
        let mut judgements = self.judgements.subscribe();
        loop {
            let said = judgements.borrow_and_update().iter().find(|(_, why)| is_final(*why)).copied();
            if let Some(said) = said {
                return said;
            }
            // The sender is ours.
            let _never_closed = judgements.changed().await;
        }
    }

    /// Whether a later start of the peer was seen before this one. A process lives once, so one that comes back after its
    /// successor was there has lived beside it. Only members are remembered, and a few starts of each.
    fn is_superseded(&self, peer: Peer) -> bool {
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = starts.entry(peer.node).or_insert(Starts { latest: peer.boot, earlier: VecDeque::new() });
        if of_peer.earlier.contains(&peer.boot) {
            return true;
        }
        if of_peer.latest != peer.boot {
            of_peer.earlier.truncate(STARTS_REMEMBERED - 1);
            of_peer.earlier.push_front(of_peer.latest);
            of_peer.latest = peer.boot;
        }
        false
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
            Some(_) if self.is_superseded(peer) => Err(IdentityRefusal::Superseded),
            Some(_) => Ok(()),
            None if known.committed.is_removed(peer.node) => Err(IdentityRefusal::Removed),
            None => Ok(()),
        }
    }

    fn refused_by(&self, node: NodeId, reason: IdentityRefusal) {
        let is_new = self.judgements.send_if_modified(|judgements| judgements.insert((node, reason)));
        if is_new && reason == IdentityRefusal::OtherIncarnation {
            // It may be behind: it alone can't say that this directory isn't the one that members vote with.
            warn!(peer = node.0, "refused_by_peer_that_knows_this_id_with_another_data_directory");
        }
    }
}

/// Starts of one node, as their first connections came.
#[derive(Debug)]
struct Starts {
    latest: BootNonce,
    /// The newest first.
    earlier: VecDeque<BootNonce>,
}

/// Whether one peer that says so is enough. One that knows another incarnation may be behind.
const fn is_final(reason: IdentityRefusal) -> bool {
    match reason {
        IdentityRefusal::Removed | IdentityRefusal::Superseded => true,
        IdentityRefusal::OtherIncarnation => false,
    }
}

/// Starts of a node that are known again. A process that is older than that many of its successors is taken for new.
const STARTS_REMEMBERED: usize = 16;

#[cfg(test)]
mod tests;
