//! Deleting blocks.

use blockraft_blocks::{CidTarget, Multihash};
use blockraft_types::NodeId;
use blockraft_wire::client::{self as wire, Answer, GiveUpReason, Operation};
use futures::{StreamExt, stream};
use thiserror::Error;

use crate::client::Client;
use crate::pool::AskError;
use crate::stat::of_names;
use crate::target::Target;
use crate::unavailable::Unavailable;

/// What a delete did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeleteOutcome {
    /// It made the block invisible.
    Deleted,
    /// The block was not visible before.
    Absent,
}

/// Why a block wasn't deleted, or may not have been.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// Nothing was done. Try again later.
    #[error("the block was not deleted")]
    Unavailable(#[source] Unavailable),
    /// No answer came, however often it was asked for: the block may be deleted. It won't be any more once a later write of
    /// this client is done.
    #[error("whether the block was deleted is unknown: node {node} took the request, and no outcome came back")]
    Unknown {
        /// The member that was asked.
        node: NodeId,
    },
    /// The bytes are inside the CID itself: there is nothing that could be deleted.
    #[error("an identity CID carries its bytes itself: nothing can be deleted")]
    Inline,
    /// A pin covers the block. Nothing was done: take the pin away first.
    #[error("a pin holds the block")]
    HeldByPin,
    /// The cluster won't do it. Nothing was done.
    #[error("node {node} refuses the delete: {reason}")]
    Refused {
        /// The member that was asked.
        node: NodeId,
        /// Why.
        reason: GiveUpReason,
    },
}

impl Client {
    /// Deletes a block. When this resolves with an outcome, that is durable on a quorum.
    ///
    /// Cancellation: whether the block was deleted is unknown. It won't be any more once a later write of this client is
    /// done.
    ///
    /// # Errors
    ///
    /// [`DeleteError`]. A lost answer is asked for again, in the client's session: nothing is deleted twice.
    pub async fn delete(&self, target: impl Into<Target>) -> Result<DeleteOutcome, DeleteError> {
        match target.into().0 {
            CidTarget::Inline(_) => Err(DeleteError::Inline),
            CidTarget::Stored(multihash) => {
                let mut outcomes = self.delete_batch(vec![multihash]).await;
                outcomes.pop().expect("a batch of one block has one outcome")
            }
        }
    }

    /// Deletes blocks, many in each request. There is an outcome for each, in the order given: a failure concerns the
    /// blocks of its batch, and not the others.
    pub async fn delete_many(&self, multihashes: &[Multihash]) -> Vec<Result<DeleteOutcome, DeleteError>> {
        let deleting = stream::iter(of_names(multihashes)).map(|batch| self.delete_batch(batch));
        deleting.buffered(self.pool.options.batches_max.max(1)).concat().await
    }

    async fn delete_batch(&self, multihashes: Vec<Multihash>) -> Vec<Result<DeleteOutcome, DeleteError>> {
        let count = multihashes.len();
        let operation = |turn| Operation::DeleteInSession { turn, multihashes: multihashes.clone() };
        let answered = self.pool.write(count, operation, &mut self.pool.attempts()).await;
        match answered.map(|answered| answered.answer) {
            Ok(Answer::Delete { outcomes }) => outcomes.into_iter().map(delete_outcome).collect(),
            Ok(_) => unreachable!("the pool passes on answers of the operation's own kind only"),
            Err(error) => vec![Err(delete_error(error)); count],
        }
    }
}

const fn delete_outcome(outcome: wire::DeleteOutcome) -> Result<DeleteOutcome, DeleteError> {
    match outcome {
        wire::DeleteOutcome::Deleted => Ok(DeleteOutcome::Deleted),
        wire::DeleteOutcome::Absent => Ok(DeleteOutcome::Absent),
        wire::DeleteOutcome::HeldByPin => Err(DeleteError::HeldByPin),
    }
}

fn delete_error(error: AskError) -> DeleteError {
    match error {
        AskError::Unavailable(unavailable) => DeleteError::Unavailable(unavailable),
        AskError::Unknown { node } => DeleteError::Unknown { node },
        AskError::Refused { node, reason } => DeleteError::Refused { node, reason },
        AskError::TooLarge(_) => unreachable!("batches are cut to what a request may hold"),
    }
}
