//! Putting blocks.

use std::sync::Arc;

use blockraft_blocks::limits::BLOCK_BYTES_MAX;
use blockraft_blocks::{Block, Multihash};
use blockraft_types::NodeId;
use blockraft_wire::EncodeError;
use blockraft_wire::client::{Answer, GiveUpReason, Operation, PutOutcome};
use futures::{StreamExt, stream};
use thiserror::Error;

use crate::batches::{self, Weight};
use crate::client::Client;
use crate::pool::{AskError, Effect};
use crate::unavailable::Unavailable;

/// What to do when the answer to a put is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnknown {
    /// Ask again in the client's session, in which each block is put once, until the outcome is known or the time is over:
    /// then it ends with [`PutError::Unknown`], and if the block wasn't put by then, it won't be any more once a later
    /// write of this client is done.
    #[default]
    Resolve,
    /// Put it outside of any session, and end with [`PutError::Unknown`].
    Surface,
}

/// Why a block wasn't put, or may not have been.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum PutError {
    /// Nothing was done. Try again later.
    #[error("the block was not put")]
    Unavailable(#[source] Unavailable),
    /// No answer came: the block may be visible, or become so yet. [`stat`](Client::stat) tells what is, not what will be;
    /// putting again is harmless unless somebody deletes the block.
    #[error("whether the block was put is unknown: node {node} took it, and no outcome came back")]
    Unknown {
        /// The member that was asked.
        node: NodeId,
    },
    /// The block is longer than the cluster takes. Nothing was done.
    #[error("block {multihash} of {bytes} bytes is over the limit of {bytes_max}")]
    BlockTooLong {
        /// The block.
        multihash: Multihash,
        /// Its length in bytes.
        bytes: u64,
        /// The longest that is taken, in bytes.
        bytes_max: u64,
    },
    /// The cluster won't do it. Nothing was done.
    #[error("node {node} refuses the put: {reason}")]
    Refused {
        /// The member that was asked.
        node: NodeId,
        /// Why.
        reason: GiveUpReason,
    },
    /// The request is over the limits of the protocol. Nothing was done.
    #[error("the put can't be sent")]
    TooLarge(#[source] Arc<EncodeError>),
}

impl Client {
    /// Puts a block. When this resolves with an outcome, the block is durable on a quorum and visible. The empty block is
    /// put like any other.
    ///
    /// Cancellation: whether the block was put is unknown. It won't be any more once a later write of this client is done.
    ///
    /// # Errors
    ///
    /// [`PutError`].
    pub async fn put(&self, block: Block) -> Result<PutOutcome, PutError> {
        self.put_with(block, OnUnknown::default()).await
    }

    /// Puts a block, and says what to do when the answer is lost.
    ///
    /// # Errors
    ///
    /// [`PutError`]; with [`OnUnknown::Resolve`] a lost answer isn't one if a later attempt is answered.
    pub async fn put_with(&self, block: Block, on_unknown: OnUnknown) -> Result<PutOutcome, PutError> {
        let mut outcomes = self.put_batch(vec![block], on_unknown).await;
        outcomes.pop().expect("a batch of one block has one outcome")
    }

    /// Puts blocks, many in each request. There is an outcome for each, in the order given: a failure concerns the blocks
    /// of its batch, and not the others.
    pub async fn put_many(&self, blocks: Vec<Block>, on_unknown: OnUnknown) -> Vec<Result<PutOutcome, PutError>> {
        let weight = |block: &Block| Weight {
            header_bytes: block.multihash().as_bytes().len(),
            body_bytes: block.bytes().len(),
        };
        let weights: Vec<_> = blocks.iter().map(weight).collect();
        let options = &self.pool.options;
        let batches = batches::cut(&weights, options.batch_bytes_max as usize).into_iter();
        let batches: Vec<_> = batches.map(|range| blocks.get(range).unwrap_or_default().to_vec()).collect();
        let putting = stream::iter(batches).map(|batch| self.put_batch(batch, on_unknown));
        putting.buffered(options.batches_max.max(1)).concat().await
    }

    async fn put_batch(&self, mut blocks: Vec<Block>, on_unknown: OnUnknown) -> Vec<Result<PutOutcome, PutError>> {
        let mut outcomes: Vec<Option<Result<PutOutcome, PutError>>> = vec![None; blocks.len()];
        let mut pending: Vec<usize> = (0..blocks.len()).collect();
        refuse_oversized(&mut blocks, &mut pending, &mut outcomes);
        let mut attempts = self.pool.attempts();
        while !pending.is_empty() {
            let unverified = || blocks.iter().cloned().map(Into::into).collect();
            let answered = match on_unknown {
                OnUnknown::Resolve => {
                    let put_in = |turn| Operation::PutInSession { turn, blocks: unverified() };
                    self.pool.write(blocks.len(), put_in, &mut attempts).await
                }
                OnUnknown::Surface => {
                    self.pool.ask(&Operation::Put { blocks: unverified() }, Effect::Write, &mut attempts).await
                }
            };
            match answered.map(|answered| answered.answer) {
                Ok(Answer::Put { outcomes: done }) => {
                    for (index, outcome) in pending.drain(..).zip(done) {
                        settle(&mut outcomes, index, Ok(outcome));
                    }
                }
                Ok(_) => unreachable!("the pool passes on answers of the operation's own kind only"),
                Err(error) => {
                    // A refusal that names one block leaves the others to be put without it.
                    let named = match &error {
                        AskError::Refused { reason: GiveUpReason::BlockTooLong { number, .. }, .. }
                        | AskError::Refused { reason: GiveUpReason::HashMismatch { number }, .. } => {
                            Some(*number as usize).filter(|&number| number < pending.len())
                        }
                        _ => None,
                    };
                    match named {
                        Some(number) => {
                            let (index, block) = (pending.remove(number), blocks.remove(number));
                            settle(&mut outcomes, index, Err(put_error(error, &block)));
                        }
                        None => {
                            for (index, block) in pending.drain(..).zip(&blocks) {
                                settle(&mut outcomes, index, Err(put_error(error.clone(), block)));
                            }
                        }
                    }
                }
            }
        }
        outcomes.into_iter().flatten().collect()
    }
}

fn refuse_oversized(
    blocks: &mut Vec<Block>,
    pending: &mut Vec<usize>,
    outcomes: &mut [Option<Result<PutOutcome, PutError>>],
) {
    let bytes_max = u64::from(BLOCK_BYTES_MAX);
    for number in (0..blocks.len()).rev() {
        let bytes = blocks.get(number).map_or(0, |block| block.bytes().len() as u64);
        if bytes_max < bytes {
            let (index, block) = (pending.remove(number), blocks.remove(number));
            settle(outcomes, index, Err(PutError::BlockTooLong { multihash: *block.multihash(), bytes, bytes_max }));
        }
    }
}

fn settle(outcomes: &mut [Option<Result<PutOutcome, PutError>>], index: usize, outcome: Result<PutOutcome, PutError>) {
    if let Some(slot) = outcomes.get_mut(index) {
        *slot = Some(outcome);
    }
}

fn put_error(error: AskError, block: &Block) -> PutError {
    match error {
        AskError::Unavailable(unavailable) => PutError::Unavailable(unavailable),
        AskError::Unknown { node } => PutError::Unknown { node },
        AskError::Refused { reason: GiveUpReason::BlockTooLong { bytes, bytes_max, .. }, .. } => {
            PutError::BlockTooLong { multihash: *block.multihash(), bytes, bytes_max }
        }
        AskError::Refused { node, reason } => PutError::Refused { node, reason },
        AskError::TooLarge(error) => PutError::TooLarge(error),
    }
}
