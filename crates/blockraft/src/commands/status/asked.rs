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

/// A node has one group so far.
pub(crate) fn group(status: &NodeStatus) -> Option<&GroupStatus> {
    status.groups.first()
}
