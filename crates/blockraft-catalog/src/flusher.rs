//! Making the catalog durable, beside applying.

use std::sync::Arc;

use blockraft_types::Position;
use thiserror::Error;

use crate::shared::Shared;
use crate::table::{FlushError, Table};

/// Flushes a catalog's table, from any thread, while entries are applied.
#[derive(Debug)]
pub struct CatalogFlusher<T: Table> {
    shared: Arc<Shared<T>>,
}

/// Why the catalog was not flushed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CatalogFlushError {
    /// The table failed. The catalog stops: it applies nothing more until it is opened anew.
    #[error("flushing the catalog up to entry {position}")]
    Failed {
        /// The entry that was to become durable.
        position: Position,
        /// What the table said.
        #[source]
        source: FlushError,
    },
    /// A flush failed before. It is never tried again: a second one may claim what the first one lost.
    #[error("the catalog stopped after a failed flush")]
    Stopped,
}

impl<T: Table> CatalogFlusher<T> {
    pub(crate) const fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Makes everything durable that was applied before the call, and says up to where: the log may be compacted up
    /// to there as far as the catalog is concerned.
    ///
    /// # Errors
    /// The table failed, now or before.
    pub fn flush(&self) -> Result<Position, CatalogFlushError> {
        if self.shared.flush_failed() {
            return Err(CatalogFlushError::Stopped);
        }
        let position = self.shared.applied().position;
        if let Err(source) = self.shared.table().flush() {
            self.shared.fail_flushes();
            return Err(CatalogFlushError::Failed { position, source });
        }
        self.shared.raise_flushed(position);
        Ok(self.shared.flushed())
    }

    /// The entry up to which the catalog is known to be durable.
    #[must_use]
    pub fn flushed(&self) -> Position {
        self.shared.flushed()
    }
}

impl<T: Table> Clone for CatalogFlusher<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}
