//! Changing the members of the cluster.

use blockraft_types::{MembershipChange, NodeId};
use blockraft_wire::client::{Answer, ChangeMembersOutcome, GiveUpReason, Operation};
use thiserror::Error;

use crate::client::Client;
use crate::pool::{AskError, Effect};
use crate::unavailable::Unavailable;

/// Why nobody says what became of a change of members. Asking again is always safe.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ChangeMembersError {
    /// Nobody could be asked.
    #[error("the members were not changed")]
    Unavailable(#[source] Unavailable),
    /// The answer was lost.
    #[error("whether the members were changed is unknown: node {node} took the request, and no outcome came back")]
    Unknown {
        /// The member that was asked.
        node: NodeId,
    },
    /// This client may not ask it.
    #[error("node {node} refuses the change: {reason}")]
    Refused {
        /// The member that was asked.
        node: NodeId,
        /// Why.
        reason: GiveUpReason,
    },
}

impl Client {
    /// Asks for other members. Only the client called `admin` may.
    ///
    /// Cancellation: whether they were changed is unknown; ask again.
    ///
    /// # Errors
    ///
    /// [`ChangeMembersError`]. What the cluster refused, or hasn't finished yet, is an outcome.
    pub async fn change_members(&self, change: MembershipChange) -> Result<ChangeMembersOutcome, ChangeMembersError> {
        let operation = Operation::ChangeMembers(change);
        let answered = self.pool.ask(&operation, Effect::Repeatable, &mut self.pool.attempts()).await;
        match answered.map(|answered| answered.answer) {
            Ok(Answer::ChangeMembers { outcome }) => Ok(outcome),
            Ok(_) => unreachable!("the pool passes on answers of the operation's own kind only"),
            Err(AskError::Unavailable(unavailable)) => Err(ChangeMembersError::Unavailable(unavailable)),
            Err(AskError::Unknown { node }) => Err(ChangeMembersError::Unknown { node }),
            Err(AskError::Refused { node, reason }) => Err(ChangeMembersError::Refused { node, reason }),
            Err(AskError::TooLarge(_)) => unreachable!("a change of members is far below the limits"),
        }
    }
}
