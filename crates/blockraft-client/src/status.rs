//! Asking each node how it is doing.

use blockraft_types::NodeId;
use blockraft_wire::client::{Answer, NodeStatus, Operation};
use futures::future::join_all;
use thiserror::Error;
use tokio::time::Instant;

use crate::client::Client;
use crate::config::Member;
use crate::pool::{AttemptError, Effect};
use crate::slot::Slot;
use crate::unavailable::{MemberTrouble, Trouble};

/// Why a node's status isn't known.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StatusError {
    /// The configuration doesn't name this node.
    #[error("node {node} is no member of the client's configuration")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The node doesn't answer.
    #[error("node {} at {}: {}", .0.node, .0.address, .0.trouble)]
    Unreachable(MemberTrouble),
}

impl Client {
    /// How one node is doing, as it sees itself. Nobody else is asked.
    ///
    /// # Errors
    ///
    /// [`StatusError`], after [`connect_time_max`](crate::ClientOptions::connect_time_max) at the latest.
    pub async fn status_of(&self, node: NodeId) -> Result<NodeStatus, StatusError> {
        let slot = self.pool.slots.iter().find(|slot| slot.member.node == node);
        self.status(slot.ok_or(StatusError::UnknownNode { node })?).await
    }

    /// How all nodes are doing, each as it sees itself, in the order of the configuration.
    pub async fn status_all(&self) -> Vec<(Member, Result<NodeStatus, StatusError>)> {
        let asking = self.pool.slots.iter().map(|slot| async { (slot.member.clone(), self.status(slot).await) });
        join_all(asking).await
    }

    async fn status(&self, slot: &Slot) -> Result<NodeStatus, StatusError> {
        let deadline = Instant::now() + self.pool.options.connect_time_max;
        loop {
            let trouble = match self.pool.attempt(slot, &Operation::Status, Effect::Read, deadline).await {
                Ok(Answer::Status(status)) => return Ok(status),
                Ok(_) => unreachable!("the pool passes on answers of the operation's own kind only"),
                // The dial goes on.
                Err(AttemptError::Elsewhere(Trouble::Connecting)) if Instant::now() < deadline => continue,
                Err(
                    AttemptError::Elsewhere(trouble) | AttemptError::Later(trouble) | AttemptError::Unknown(trouble),
                ) => trouble,
                Err(AttemptError::Refused(_) | AttemptError::TooLarge(_)) => Trouble::Malformed,
            };
            let (node, address) = (slot.member.node, slot.member.address.clone());
            return Err(StatusError::Unreachable(MemberTrouble { node, address, trouble }));
        }
    }
}
