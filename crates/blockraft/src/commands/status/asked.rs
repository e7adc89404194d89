//! What every node says of itself.

use blockraft_client::{Member, NodeStatus, StatusError};
use blockraft_types::Role;
use blockraft_wire::client::GroupStatus;

use crate::connection::ConnectionArguments;
use crate::exit::Failure;

pub(crate) type Asked = (Member, Result<NodeStatus, StatusError>);

pub(crate) async fn ask(connection: &ConnectionArguments) -> Result<Vec<Asked>, Failure> {
    let client = connection.connect().await?;
    let nodes = client.status_all().await;
    client.close().await;
    Ok(nodes)
}

pub(crate) fn leads(status: &Result<NodeStatus, StatusError>) -> bool {
    status.as_ref().ok().and_then(group).is_some_and(|group| group.role == Role::Leader)
}

/// What the leader says, the one of the latest term if several call themselves so.
pub(crate) fn of_leader(nodes: &[Asked]) -> Option<&GroupStatus> {
    let leading = nodes.iter().filter(|(_, status)| leads(status));
    leading.filter_map(|(_, status)| group(status.as_ref().ok()?)).max_by_key(|group| group.term)
}

/// A node has one group so far.
pub(crate) fn group(status: &NodeStatus) -> Option<&GroupStatus> {
    status.groups.first()
}
