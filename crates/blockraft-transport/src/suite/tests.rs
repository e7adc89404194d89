//! The suite against the custom transport of the example, which is no part of this crate.

use core::time::Duration;

use async_trait::async_trait;

use crate::peer::Peer;
use crate::suite::fixture::{Fixture, Started};

#[path = "../../examples/tcp_transport.rs"]
#[expect(unreachable_pub, reason = "it is public where it is a crate of its own")]
mod tcp_transport;

struct OverTcp;

#[async_trait]
impl Fixture for OverTcp {
    async fn start(&self, peer: Peer) -> Started {
        let (transport, address) = tcp_transport::Tcp::start(peer).await.expect("a port on loopback");
        Started { transport, address }
    }

    #[expect(clippy::disallowed_methods, reason = "the suite has no clock of its own: its caller lends it one")]
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

crate::transport_suite!(OverTcp);

#[test]
fn the_custom_transport_takes_at_most_150_lines() {
    let lines = include_str!("../../examples/tcp_transport.rs").lines().count();
    assert!(lines <= 150, "{lines} lines");
}
