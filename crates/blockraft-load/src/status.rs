//! How each node sees itself, for whoever watches a cluster come and go.

use anyhow::Result;
use blockraft_client::{Client, ClientConfig};
use std::time::Duration;

use crate::report::Event;

/// Asks each node once, and tells what it said, or that it said nothing.
///
/// # Errors
/// The client's configuration can't be used. Nodes that don't answer are no error.
pub async fn run(config: ClientConfig) -> Result<()> {
    for member in config.members.clone() {
        let node = member.node;
        let mut alone = config.clone();
        alone.members = vec![member];
        alone.options.connect_time_max = PATIENCE;
        let status = match Client::connect(alone).await {
            Ok(client) => client.status_of(node).await.ok(),
            Err(_) => None,
        };
        let group = status.and_then(|status| status.groups.into_iter().next());
        let event = match group {
            Some(group) => Event::Node {
                node: node.0,
                role: Some(group.role.to_string()),
                term: group.term.0,
                leader: group.leader.map(|leader| leader.0),
                applied: group.last_applied.index.0,
                blocks: group.blocks,
            },
            None => Event::Node { node: node.0, role: None, term: 0, leader: None, applied: 0, blocks: 0 },
        };
        event.tell();
    }
    Ok(())
}

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_millis(1_500);
