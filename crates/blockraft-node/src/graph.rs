//! Graphs of blocks: what they link to, and which of them are kept.

use blockraft_blocks::Multihash;
use blockraft_catalog::{Command, Completeness, Links, Missing, Outcome, PinMode, Vertex};
use blockraft_types::Position;
use futures::StreamExt;
use futures::stream;
use thiserror::Error;

use crate::answer::{Answer, Written};
use crate::consistency::Consistency;
use crate::node::Node;
use crate::read_error::ReadError;
use crate::write_error::WriteError;

/// Why the links of a block were not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The block isn't there: put it first.
    #[error("the block isn't here, so its links weren't recorded")]
    Absent,
    /// Its links are known under [as many](blockraft_catalog::bond::CODECS_MAX) other codecs as they may be.
    #[error("the block's links are known under too many other codecs")]
    TooManyCodecs,
    /// It isn't known to have happened.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why a pin was not set, or not taken away.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PinError {
    /// Not all that it would cover is here. Nothing was pinned.
    #[error("{} of the blocks to be pinned, or their links, are missing at {position}", missing.len())]
    Incomplete {
        /// What is missing, nearest to the root first, [`MISSING_MAX`] at most. Empty if it came in the meantime.
        missing: Vec<Missing>,
        /// As of when.
        position: Position,
    },
    /// It would cover more than a pin [may](blockraft_catalog::PinLimits): pin its parts.
    #[error("the graph is too large for one pin; pin its parts")]
    TooLarge,
    /// The root has links and pins under [as many](blockraft_catalog::bond::CODECS_MAX) other codecs as it may.
    #[error("the block is known under too many other codecs")]
    TooManyCodecs,
    /// It isn't known to have happened.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It is incomplete, and what is missing couldn't be read.
    #[error("the graph is incomplete; finding what is missing")]
    Read(#[from] ReadError),
}

/// What became of one page of blocks that nothing holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blocks that were made invisible.
    pub blocks: u64,
    /// Their lengths together, in bytes.
    pub bytes: u64,
    /// Where the next page starts; `None` after the last one.
    pub next: Option<Multihash>,
}

/// Why a page wasn't collected. Some of its blocks may have been.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CollectError {
    /// An import is open, and may need any block. Try again later.
    #[error("an import is open: nothing is collected until it has ended")]
    Held,
    /// It isn't known what became of a block.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The blocks couldn't be listed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Node {
    /// Records what a block links to, which a recursive [pin](Self::pin) follows. The first that is said of it stands as
    /// long as the block is visible; of a raw block nothing need be said. The links aren't compared with the block's bytes:
    /// whoever reads the codec says them.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub async fn link(&self, parent: Vertex, links: Links) -> Result<Written, LinkError> {
        let (written, _) = self.command(Command::Link { parent, links }).await?;
        match written.outcome {
            Outcome::Absent => Err(LinkError::Absent),
            Outcome::TooManyCodecs => Err(LinkError::TooManyCodecs),
            _ => Ok(written),
        }
    }

    /// Pins a block, or all that it leads to, if all of it is here: none of it can be deleted or [collected](Self::collect)
    /// until the pin is taken away.
    ///
    /// Open an [import](Self::open_import) around putting and pinning, so that nothing is collected in between.
    ///
    /// # Errors
    /// See [`PinError`].
    pub async fn pin(&self, root: Vertex, mode: PinMode) -> Result<Written, PinError> {
        let (written, _) = self.command(Command::Pin { root, mode }).await?;
        match written.outcome {
            Outcome::Incomplete => {
                let since = Consistency::Confirmed { at_least: written.position };
                let Answer { value, position } = self.reach(root, since).await?;
                let missing = if let Completeness::Incomplete { missing } = value { missing } else { Vec::new() };
                Err(PinError::Incomplete { missing, position })
            }
            Outcome::TooLarge => Err(PinError::TooLarge),
            Outcome::TooManyCodecs => Err(PinError::TooManyCodecs),
            _ => Ok(written),
        }
    }

    /// Takes a pin away; what no other one covers may be deleted or collected from here on. A pin that isn't there is
    /// [`Outcome::NotPinned`].
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn unpin(&self, root: Vertex, mode: PinMode) -> Result<Written, WriteError> {
        self.command(Command::Unpin { root, mode }).await.map(|(written, _)| written)
    }

    /// Makes blocks invisible that no pin covers, a page of at most `limit` rows of the listing behind `after`. Writes go on
    /// meanwhile. **Every block that isn't pinned goes**, also one that was put a moment ago.
    ///
    /// # Errors
    /// See [`CollectError`].
    pub async fn collect(&self, after: Option<Multihash>, limit: usize) -> Result<Collected, CollectError> {
        let page = self.shared.reader.collectable(after, limit).await?;
        let mut collected = Collected { next: page.next, ..Collected::default() };
        let mut under_way = stream::iter(page.rows)
            .map(|(multihash, row)| async move {
                let (written, _) = self.command(Command::Collect { multihash }).await?;
                Ok::<_, WriteError>((written.outcome, row))
            })
            .buffer_unordered(SIDE_BY_SIDE_MAX);
        while let Some(done) = under_way.next().await {
            match done? {
                (Outcome::Collected, row) => {
                    collected.blocks += 1;
                    collected.bytes += u64::from(row.length);
                }
                (Outcome::HeldByImport, _) => return Err(CollectError::Held),
                // Somebody pinned or deleted it since the page was read.
                _ => {}
            }
        }
        Ok(collected)
    }

    /// Whether a recursive pin of `root` would be set here and now, and what is missing for that.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn reach(&self, root: Vertex, consistency: Consistency) -> Result<Answer<Completeness>, ReadError> {
        self.shared.reader.reach(root, MISSING_MAX, consistency).await
    }
}

/// The most that is named of what is missing.
pub const MISSING_MAX: usize = 1_000;

/// How many blocks of a page are collected at once: as many commands ride in few entries.
const SIDE_BY_SIDE_MAX: usize = 64;

#[cfg(test)]
mod tests;
