//! Asking each node how it is doing.

use std::collections::BTreeSet;

use blockraft_types::NodeId;
use blockraft_wire::client::{Answer, NodeStatus, Operation};
use futures::future::join_all;
use thiserror::Error;
use tokio::time::Instant;

use crate::client::Client;
use crate::config::{Member, Others};
use crate::pool::{AttemptError, Effect};
use crate::slot::Slot;
use crate::unavailable::{MemberTrouble, Trouble};

/// Why a node's status isn't known.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StatusError {
    /// The client doesn't know this node.
    #[error("node {node} is no member that the client knows")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The node doesn't answer.
    #[error("node {} at {}: {}", .0.node, .0.address, .0.trouble)]
    Unreachable(MemberTrouble),
}

/// What the node says that is furthest ahead: of those that know a leader in the highest term, the one that knows most
/// to be committed.
#[must_use]
pub fn furthest(asked: &[(Member, Result<NodeStatus, StatusError>)]) -> Option<&NodeStatus> {
    let said = asked.iter().filter_map(|(_, status)| status.as_ref().ok());
    said.max_by_key(|status| {
        status.groups.first().map(|group| (group.leader.is_some(), group.term, group.commit_index))
    })
}

impl Client {
    /// How one node is doing, as it sees itself. Nobody else is asked.
    ///
    /// # Errors
    ///
    /// [`StatusError`], after [`connect_time_max`](crate::ClientOptions::connect_time_max) at the latest.
    pub async fn status_of(&self, node: NodeId) -> Result<NodeStatus, StatusError> {
        let slot = self.pool.roster.slot(node).ok_or(StatusError::UnknownNode { node })?;
        self.status(&slot).await
    }

    /// How all nodes are doing, each as it sees itself: those that the client knows, and those that they name. One that
    /// doesn't answer and is no member any more, as far as the [furthest] of them knows, is left out.
    pub async fn status_all(&self) -> Vec<(Member, Result<NodeStatus, StatusError>)> {
        let mut asked: Vec<(Member, Result<NodeStatus, StatusError>)> = Vec::new();
        loop {
            let slots = self.pool.roster.slots();
            let unasked = slots.iter().filter(|slot| asked.iter().all(|(member, _)| member.node != slot.member.node));
            let asking = unasked.map(|slot| async { (slot.member.clone(), self.status(slot).await) });
            let answers = join_all(asking).await;
            if answers.is_empty() {
                break;
            }
            answers.iter().filter_map(|(_, status)| status.as_ref().ok()).for_each(|said| self.pool.roster.learn(said));
            asked.extend(answers);
        }
        asked.sort_by_key(|(member, _)| member.node);
        if self.pool.options.others == Others::Learn
            && let Some(newest) = furthest(&asked).and_then(|status| status.groups.first())
        {
            let named: BTreeSet<NodeId> = newest.members.iter().map(|member| member.node).collect();
            asked.retain(|(member, status)| status.is_ok() || named.contains(&member.node));
        }
        asked
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
