//! Getting blocks, verified.

use blockraft_blocks::{Block, CidTarget, HashCode, Multihash};
use blockraft_types::NodeId;
use blockraft_wire::client::{Answer, Consistency, Found, GiveUpReason, Operation};
use futures::{StreamExt, stream};
use thiserror::Error;

use crate::client::Client;
use crate::pool::{AskError, Effect};
use crate::target::Target;
use crate::unavailable::{Trouble, Unavailable};

/// Why a block wasn't got. That it is absent is no error.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum GetError {
    /// No member could say, or had a readable copy. Try again later.
    #[error("the block could not be got")]
    Unavailable(#[source] Unavailable),
    /// The cluster won't do it.
    #[error("node {node} refuses the get: {reason}")]
    Refused {
        /// The member that was asked.
        node: NodeId,
        /// Why.
        reason: GiveUpReason,
    },
}

impl Client {
    /// Gets a block; `None` if it is absent, as surely as `consistency` says. Bytes inside an identity CID are given back
    /// as a block of [`HashCode::default`], and nobody is asked.
    ///
    /// # Errors
    ///
    /// [`GetError`].
    pub async fn get(&self, target: impl Into<Target>, consistency: Consistency) -> Result<Option<Block>, GetError> {
        match target.into().0 {
            CidTarget::Inline(bytes) => Ok(Some(Block::hash(HashCode::default(), bytes))),
            CidTarget::Stored(multihash) => {
                let mut found = self.get_batch(&[multihash], consistency).await;
                found.pop().expect("a batch of one block has one outcome")
            }
        }
    }

    /// Gets blocks, many in each request, and holds all of them in memory. There is an outcome for each, in the order
    /// given.
    pub async fn get_many(
        &self,
        multihashes: &[Multihash],
        consistency: Consistency,
    ) -> Vec<Result<Option<Block>, GetError>> {
        let batches = multihashes.chunks(BATCH_BLOCKS_MAX);
        let getting = stream::iter(batches).map(|batch| self.get_batch(batch, consistency));
        getting.buffered(self.pool.options.batches_max.max(1)).concat().await
    }

    async fn get_batch(
        &self,
        multihashes: &[Multihash],
        consistency: Consistency,
    ) -> Vec<Result<Option<Block>, GetError>> {
        let mut outcomes: Vec<Option<Result<Option<Block>, GetError>>> = vec![None; multihashes.len()];
        let mut attempts = self.pool.attempts();
        loop {
            let missing = outcomes.iter_mut().zip(multihashes).filter(|(outcome, _)| outcome.is_none());
            let (mut missing, multihashes): (Vec<_>, Vec<_>) = missing.unzip();
            if missing.is_empty() {
                break;
            }
            let operation = Operation::Get { multihashes: multihashes.into_iter().copied().collect(), consistency };
            let answered = match self.pool.ask(&operation, Effect::Read, &mut attempts).await {
                Ok(answered) => answered,
                Err(error) => {
                    let error = get_error(error);
                    missing.into_iter().for_each(|outcome| *outcome = Some(Err(error.clone())));
                    break;
                }
            };
            let (Operation::Get { multihashes, .. }, Answer::Get { blocks }) = (operation, answered.answer) else {
                unreachable!("the pool passes on answers of the operation's own kind only");
            };
            let mut trouble = Some(Trouble::Malformed);
            for ((outcome, multihash), found) in missing.iter_mut().zip(multihashes).zip(blocks) {
                let found = match found {
                    Found::Present(bytes) => match Block::verify(multihash, bytes) {
                        Ok(block) => Ok(Some(block)),
                        Err(error) => {
                            tracing::warn!(node = %answered.node, %multihash, %error, "received_wrong_bytes");
                            Err(Trouble::WrongBytes)
                        }
                    },
                    Found::Absent => Ok(None),
                    Found::Unreadable => Err(Trouble::Unreadable),
                    // The answer was full. Asking the same member again is no attempt lost as long as some block came.
                    Found::LeftOut => continue,
                };
                match found {
                    Ok(block) => {
                        **outcome = Some(Ok(block));
                        trouble = trouble.filter(|trouble| !matches!(trouble, Trouble::Malformed));
                    }
                    Err(found) => trouble = Some(found),
                }
            }
            if let Some(trouble) = trouble {
                attempts.failed(answered.node, trouble);
            }
        }
        outcomes.into_iter().flatten().collect()
    }
}

fn get_error(error: AskError) -> GetError {
    match error {
        AskError::Unavailable(unavailable) => GetError::Unavailable(unavailable),
        AskError::Refused { node, reason } => GetError::Refused { node, reason },
        AskError::Unknown { .. } => unreachable!("reads are asked again when their answer is lost"),
        AskError::TooLarge(_) => unreachable!("{BATCH_BLOCKS_MAX} names fit into a request"),
    }
}

/// How many blocks one request asks for: of a usual length they fit into one answer.
const BATCH_BLOCKS_MAX: usize = 64;
