//! Asking whether blocks are there, and how long they are.

use blockraft_blocks::{CidTarget, Multihash};
use blockraft_types::NodeId;
use blockraft_wire::client::{Answer, Consistency, GiveUpReason, Operation, Presence};
use futures::{StreamExt, stream};
use thiserror::Error;

use crate::batches::{self, Weight};
use crate::client::Client;
use crate::pool::{AskError, Effect};
use crate::target::Target;
use crate::unavailable::Unavailable;

/// Why nobody could say whether a block is there.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StatError {
    /// No member could say. Try again later.
    #[error("whether the block is there could not be found out")]
    Unavailable(#[source] Unavailable),
    /// The cluster won't do it.
    #[error("node {node} refuses the stat: {reason}")]
    Refused {
        /// The member that was asked.
        node: NodeId,
        /// Why.
        reason: GiveUpReason,
    },
}

impl Client {
    /// Whether a block is visible. Bytes inside an identity CID always are.
    ///
    /// # Errors
    ///
    /// [`StatError`].
    pub async fn has(&self, target: impl Into<Target>, consistency: Consistency) -> Result<bool, StatError> {
        Ok(self.stat(target, consistency).await?.is_some())
    }

    /// The length of a block in bytes; `None` if it is absent, as surely as `consistency` says.
    ///
    /// # Errors
    ///
    /// [`StatError`].
    pub async fn stat(&self, target: impl Into<Target>, consistency: Consistency) -> Result<Option<u32>, StatError> {
        match target.into().0 {
            CidTarget::Inline(bytes) => Ok(u32::try_from(bytes.len()).ok()),
            CidTarget::Stored(multihash) => {
                let mut found = self.stat_batch(vec![multihash], consistency).await;
                found.pop().expect("a batch of one block has one outcome")
            }
        }
    }

    /// The lengths of blocks, many in each request. There is an outcome for each, in the order given.
    pub async fn stat_many(
        &self,
        multihashes: &[Multihash],
        consistency: Consistency,
    ) -> Vec<Result<Option<u32>, StatError>> {
        let batches: Vec<_> = of_names(multihashes);
        let asking = stream::iter(batches).map(|batch| self.stat_batch(batch, consistency));
        asking.buffered(self.pool.options.batches_max.max(1)).concat().await
    }

    async fn stat_batch(
        &self,
        multihashes: Vec<Multihash>,
        consistency: Consistency,
    ) -> Vec<Result<Option<u32>, StatError>> {
        let count = multihashes.len();
        let operation = Operation::Stat { multihashes, consistency };
        let answered = self.pool.ask(&operation, Effect::Read, &mut self.pool.attempts()).await;
        match answered.map(|answered| answered.answer) {
            Ok(Answer::Stat { presences }) => presences.into_iter().map(|presence| Ok(length(presence))).collect(),
            Ok(_) => unreachable!("the pool passes on answers of the operation's own kind only"),
            Err(error) => vec![Err(stat_error(error)); count],
        }
    }
}

/// Batches of names alone.
pub(crate) fn of_names(multihashes: &[Multihash]) -> Vec<Vec<Multihash>> {
    let weight = |multihash: &Multihash| Weight { header_bytes: multihash.as_bytes().len(), body_bytes: 0 };
    let weights: Vec<_> = multihashes.iter().map(weight).collect();
    let batches = batches::cut(&weights, usize::MAX).into_iter();
    batches.map(|range| multihashes.get(range).unwrap_or_default().to_vec()).collect()
}

fn length(presence: Presence) -> Option<u32> {
    match presence {
        Presence::Present { length } => Some(length),
        Presence::Absent => None,
    }
}

fn stat_error(error: AskError) -> StatError {
    match error {
        AskError::Unavailable(unavailable) => StatError::Unavailable(unavailable),
        AskError::Refused { node, reason } => StatError::Refused { node, reason },
        AskError::Unknown { .. } => unreachable!("reads are asked again when their answer is lost"),
        AskError::TooLarge(_) => unreachable!("batches are cut to what a request may hold"),
    }
}
