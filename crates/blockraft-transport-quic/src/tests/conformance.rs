//! The seam's suite over real QUIC.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use blockraft_transport::Peer;
use blockraft_transport::suite::{Fixture, Started};

use crate::tests::harness::Cluster;

#[async_trait]
impl Fixture for Cluster {
    async fn start(&self, peer: Peer) -> Started {
        let node = Self::start(self, peer);
        let address = node.address();
        Started { transport: Arc::new(node.transport), address }
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

blockraft_transport::transport_suite!(Cluster::new());
