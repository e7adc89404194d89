//! Settings that tests of several modules start their clusters with.

use core::time::Duration;

use blockraft_core::{Config, Options};
use blockraft_node::NodeConfig;

/// Election timeouts of half a second to a second: a busy machine doesn't cause an election, but whatever holds a node up
/// for [`STALL`] does.
///
/// # Panics
/// Never: the times fit together.
pub fn calm(config: &mut NodeConfig) {
    let options = Options { election_ticks_min: 50, election_ticks_max: 100, ..Options::default() };
    config.driver.replica.core = Config::new(options).expect("heartbeats are ten times as frequent as elections");
}

/// Requests that give up soon, for tests of what can't succeed.
pub fn impatient(config: &mut NodeConfig) {
    config.limits.request_timeout = Duration::from_millis(800);
}

/// Longer than two of the longest election timeouts of a [`calm`] cluster.
pub const STALL: Duration = Duration::from_millis(2_500);
