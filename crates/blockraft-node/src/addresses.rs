//! Keeps the transport dialling those who are members.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use blockraft_driver::{InForce, Standing};
use blockraft_transport::{PeerAddress, Transport};
use blockraft_types::NodeId;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

/// Tells the transport of addresses that configurations name, and of nodes that were removed, until the driver stops.
/// Addresses that no configuration names are the owner's to set.
pub(crate) async fn keep_addresses(
    ourselves: NodeId,
    mut memberships: watch::Receiver<InForce>,
    transport: Arc<dyn Transport>,
) {
    let mut known = BTreeSet::new();
    loop {
        let InForce { membership, standing, .. } = memberships.borrow_and_update().clone();
        for (node, address) in membership.addresses.iter().filter(|(node, _)| **node != ourselves) {
            match address.parse::<PeerAddress>() {
                Ok(address) => transport.set_peer(*node, Some(address)),
                Err(error) => warn!(peer = node.0, error = &error as &dyn std::error::Error, "unusable_address"),
            }
        }
        known.extend(membership.members().map(|(node, _)| node));
        known.extend(transport.peers().into_iter().map(|peer| peer.node));
        if standing == Standing::Committed {
            let removed: BTreeSet<NodeId> = known.iter().copied().filter(|node| membership.is_removed(*node)).collect();
            known.retain(|node| !removed.contains(node));
            for node in removed {
                info!(peer = node.0, "peer_removed");
                let transport = Arc::clone(&transport);
                // Somebody may be telling it of its removal still.
                tokio::spawn(async move {
                    sleep(FAREWELL).await;
                    transport.set_peer(node, None);
                });
            }
        }
        if memberships.changed().await.is_err() {
            return;
        }
    }
}

/// How long the connection to a removed node is kept: longer than a leader goes on telling it.
const FAREWELL: Duration = Duration::from_secs(10);
