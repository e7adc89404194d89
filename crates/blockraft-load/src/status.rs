//! How each node sees itself, for whoever watches a cluster come and go.

use anyhow::Result;
use blockraft_client::{Client, ClientConfig};
use std::time::Duration;

use crate::report::Event;

/// Asks each node once, those of the configuration and those that they name, and tells what it said, or that it said
/// nothing.
///
/// # Errors
/// The client's configuration can't be used. Nodes that don't answer are no error.
pub async fn run(mut config: ClientConfig) -> Result<()> {
    config.options.connect_time_max = PATIENCE;
    let configured = config.members.clone();
    let asked = match Client::connect(config).await {
        Ok(client) => client.status_all().await.into_iter().map(|(member, said)| (member.node, said.ok())).collect(),
        Err(_) => configured.into_iter().map(|member| (member.node, None)).collect::<Vec<_>>(),
    };
    for (node, status) in asked {
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
