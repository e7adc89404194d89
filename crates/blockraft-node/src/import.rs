//! Imports: while one is open, nothing is collected that it found here or brought.

use core::time::Duration;

use blockraft_catalog::{Command, Outcome};
use blockraft_types::ImportId;
use thiserror::Error;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::answer::Written;
use crate::node::Node;
use crate::write_error::WriteError;
use crate::writer::Writer;

/// An open import. As long as it lives, this node keeps it; once it is [ended](Self::end), or was dropped and
/// [`NodeLimits::import_lease`](crate::NodeLimits::import_lease) has gone by, what it found may be collected again.
///
/// Open it before the first look for what is there already, put what is missing, say what blocks [link](Node::link) to,
/// [pin](Node::pin) the root, and end it.
///
/// # Examples
/// ```
/// use blockraft_blocks::Block;
/// use blockraft_catalog::{Links, PinMode, Vertex};
/// use blockraft_node::Node;
///
/// /// Takes in a block with those that it links to, and keeps them until the pin is taken away.
/// async fn take_in(
///     node: &Node,
///     root: Vertex,
///     blocks: Vec<Block>,
///     links: Links,
/// ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     let import = node.open_import().await?;
///     for block in blocks {
///         node.put(block).await?;
///     }
///     node.link(root, links).await?;
///     node.pin(root, PinMode::Recursive).await?;
///     import.end().await?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Import {
    node: Node,
    id: ImportId,
    pub(crate) keeper: AbortHandle,
}

/// Why an import isn't open.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// As many are open as [may be](blockraft_catalog::imports::IMPORTS_MAX). Some end, or expire, in time.
    #[error("too many imports are open")]
    TooMany,
    /// It was open no more: nobody could keep it for too long. What it found before may have been collected since.
    #[error("the import has expired: what it found here may be gone")]
    Expired,
    /// It isn't known whether it was opened, or ended; if it is open, it expires in time.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Node {
    /// Opens an import. Dropping the future may leave one that nobody keeps, and that expires in time.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub async fn open_import(&self) -> Result<Import, ImportError> {
        let (written, number) = self.command(Command::OpenImport).await?;
        if written.outcome == Outcome::ImportsFull {
            return Err(ImportError::TooMany);
        }
        let id = ImportId { opened: written.position.index, number };
        let keeper = tokio::spawn(keep(self.shared.writer.clone(), self.shared.import_lease, id)).abort_handle();
        Ok(Import { node: self.clone(), id, keeper })
    }
}

impl Import {
    /// What names it.
    #[must_use]
    pub const fn id(&self) -> ImportId {
        self.id
    }

    /// Whether this node still keeps it: no longer once it has expired, or the node has stopped.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        !self.keeper.is_finished()
    }

    /// Ends it. What it found and brought is held by pins from here on, or not at all.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub async fn end(self) -> Result<Written, ImportError> {
        // Or else an import that is kept in between would be called expired by its own end.
        self.keeper.abort();
        let (written, _) = self.node.command(Command::EndImport { import: self.id }).await?;
        if written.outcome == Outcome::ImportExpired { Err(ImportError::Expired) } else { Ok(written) }
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Keeps an import until it isn't open any more, or the node has stopped.
async fn keep(writer: Writer, lease: Duration, import: ImportId) {
    let period = lease / KEPT_PER_LEASE;
    let mut pause = period;
    loop {
        sleep(pause).await;
        pause = match writer.command(Command::KeepImport { import }).await {
            Ok((Written { outcome: Outcome::ImportKept, .. }, _)) => period,
            Ok(_) => return warn!(%import, "import_expired"),
            Err(WriteError::Stopping) => return,
            Err(error) => {
                info!(%import, error = &error as &dyn std::error::Error, "import_not_kept");
                PAUSE.min(period)
            }
        };
    }
}

/// How often an import is kept within its lease: an election or two may come in between.
const KEPT_PER_LEASE: u32 = 4;

/// How long to wait before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);
