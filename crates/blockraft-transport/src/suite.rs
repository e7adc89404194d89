//! The conformance suite: what every [`Transport`](crate::Transport) must do, as tests that run against yours.
//!
//! Say how one of your transports is started, and name the fixture to [`transport_suite!`](crate::transport_suite):
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use blockraft_transport::suite::{Fixture, Started};
//! use blockraft_transport::{Network, Peer};
//!
//! struct InProcess(Network);
//!
//! #[async_trait::async_trait]
//! impl Fixture for InProcess {
//!     async fn start(&self, peer: Peer) -> Started {
//!         Started { transport: Arc::new(self.0.endpoint(peer)), address: self.0.address() }
//!     }
//!     async fn sleep(&self, time: Duration) {
//!         tokio::time::sleep(time).await;
//!     }
//! }
//!
//! blockraft_transport::transport_suite!(InProcess(Network::new()));
//! ```
//!
//! Each check is one `#[tokio::test]` of that name, so your crate needs tokio's `macros`, `rt` and `time`. A check fails
//! by panicking and takes at most a minute; all of them together take seconds.

#![expect(clippy::panic, reason = "a check fails by panicking, as any test does")]

pub mod bulk;
pub mod connection;
pub mod control;
pub mod fixture;
mod wait;

pub use fixture::{Fixture, Started};

/// Makes a `#[tokio::test]` of each check of the suite; see [`suite`](crate::suite) for an example.
///
/// The expression makes a fixture; it is evaluated once for each check.
#[macro_export]
macro_rules! transport_suite {
    ($fixture:expr) => {
        $crate::transport_suite!(@check $fixture;
            control::frames_arrive_in_the_order_sent_and_once,
            control::the_largest_frame_arrives_and_one_byte_more_is_refused,
            control::a_frame_for_nobody_is_dropped_at_once,
            control::a_full_queue_drops_and_what_it_took_arrives_in_order,
            control::a_dropped_receive_loses_nothing,
            bulk::transfers_arrive_whole_and_under_their_senders_name,
            bulk::the_largest_transfer_arrives_and_one_byte_more_is_refused,
            bulk::a_transfer_for_nobody_fails_at_once,
            bulk::an_unread_bulk_lane_is_bounded_and_delays_no_frame,
            bulk::an_unread_bulk_lane_costs_other_peers_nothing,
            bulk::a_dropped_transfer_arrives_whole_or_never_and_gives_its_credit_back,
            connection::events_alternate_and_name_the_peer,
            connection::a_restarted_peer_is_found_again_under_its_new_boot,
            connection::a_new_connection_replaces_the_old_one_at_once,
            connection::peers_that_dial_each_other_settle_on_one_connection,
            connection::a_forgotten_peer_is_disconnected,
            connection::a_transfer_under_way_fails_when_its_peer_closes,
            connection::closing_is_prompt_and_final,
        );
    };
    (@check $fixture:expr; $($room:ident::$check:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $check() {
                $crate::suite::$room::$check(&$fixture).await;
            }
        )*
    };
}

#[cfg(test)]
mod tests;
