//! Forced recovery of a whole member: what the disks of a stopped one hold of its group, and going on with that alone.
//!
//! What is appended to the log, why that is sound, and what may be lost stands with the [algorithm]. Here log and
//! catalog are brought together first, as at a start: the catalog may know the configuration that the log has compacted, and
//! may be ahead of a log whose end is gone, or which a crash kept from being reset.
//!
//! After it the member starts as any other. What peers remember of it is from lower terms, so it isn't behind its own past.

use std::collections::BTreeSet;
use std::sync::Arc;

use blockraft_blocks::{BlockStore, WriteError};
use blockraft_catalog::catalog::OpenError;
use blockraft_catalog::table::Table;
use blockraft_catalog::{Catalog, CatalogReader};
use blockraft_driver::forced_recovery as algorithm;
use blockraft_driver::forced_recovery::{Plan, RecoveryRefusal, Remnant};
use blockraft_driver::{ReconcileError, Remains, RestoreFailure, reconcile, restore};
use blockraft_log::{Anchor, LoadError, LogState, LogStore, PersistError, ReadError};
use blockraft_types::{ChainDigest, ClusterId, GroupId, Incarnation, LogIndex, Membership, NodeId, Position};
use thiserror::Error;

use crate::replay::Unstored;

/// A stopped member and its catalog. Nobody else may have its disks open.
#[derive(Debug)]
pub struct Stopped<'a> {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// Its data directory.
    pub incarnation: Incarnation,
    /// Its group.
    pub group: GroupId,
    /// The members that the group was born with.
    pub genesis: &'a Membership,
    /// Its catalog.
    pub table: Arc<dyn Table>,
}

/// Why it isn't known what the disks hold. Nothing was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SurveyError {
    /// The log begins with another cluster or other founding members.
    #[error("the log belongs to another cluster or other founding members")]
    ForeignLog,
    /// The catalog couldn't be opened.
    #[error("opening the catalog")]
    Catalog(#[source] OpenError),
}

/// Why a member doesn't go on alone.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The log couldn't be loaded.
    #[error("loading the log")]
    LoadLog(#[source] LoadError),
    /// The node never ran, so there is nothing to go on with.
    #[error("the node has no log of group {group}: it has never run")]
    NeverRan {
        /// The group.
        group: GroupId,
    },
    /// It isn't known what the disks hold.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// It must not, or needn't. Nothing was changed.
    #[error(transparent)]
    Refused(#[from] RecoveryRefusal),
    /// Bodies in the log couldn't be read that may be nowhere else.
    #[error("reading the log")]
    ReadLog(#[source] ReadError),
    /// They couldn't be stored.
    #[error("storing blocks of the log")]
    StoreBlocks(#[source] WriteError),
    /// The log couldn't be brought to where the catalog stands.
    #[error("resetting the log to the catalog")]
    Reconcile(#[source] ReconcileError),
    /// Log and catalog don't go together: the node couldn't start afterwards either. The log is as it was.
    #[error("log and catalog don't go together")]
    Restore(#[source] RestoreFailure),
    /// The log couldn't be written. The same call tells whether it was.
    #[error("writing the log")]
    Append(#[source] PersistError),
}

impl Stopped<'_> {
    /// Says what is left of the group here. `log` is what was found of its log.
    ///
    /// # Errors
    ///
    /// See [`SurveyError`].
    pub fn survey(&self, log: &LogState) -> Result<Remnant, SurveyError> {
        self.look(log.clone()).map(|held| held.remnant(self))
    }

    /// Goes on with this member alone, after an operator said that `lost` never come back. Durable when it returns; safe to
    /// repeat, also after a power cut or when it was dropped. Returns the plan that was carried out, or [`Plan::AlreadySo`].
    ///
    /// # Errors
    ///
    /// See [`RecoverError`].
    pub async fn recover(
        &self,
        log: &mut dyn LogStore,
        blocks: &dyn BlockStore,
        lost: &BTreeSet<NodeId>,
    ) -> Result<Plan, RecoverError> {
        let group = self.group;
        // Whoever is refused finds the log as it was.
        let found = self.look(load(log, group)?)?;
        found.remnant(self).plan(lost)?;
        if found.installed || found.log.lost_tail.is_some() {
            // What rides in entries that a reset drops may be nowhere else.
            let unstored = Unstored { reader: log.reader(), group, blocks };
            let applied = found.applied.position.index;
            let riding = unstored.inlined(&found.log, applied).await.map_err(RecoverError::ReadLog)?;
            for (_, block) in riding {
                if !found.rows.visible(block.multihash()).is_ok_and(|row| row.value.is_none()) {
                    blocks.put_reserved(block).await.map_err(RecoverError::StoreBlocks)?;
                }
            }
            reconcile(log, group, found.applied).map_err(RecoverError::Reconcile)?;
        }
        let held = self.look(load(log, group)?)?;
        held.check(self, log).map_err(RecoverError::Restore)?;
        let plan = held.remnant(self).plan(lost)?;
        if let Plan::Append(succession) = &plan {
            algorithm::append(log, group, succession.as_ref().clone()).map_err(RecoverError::Append)?;
        }
        Ok(plan)
    }

    fn look(&self, log: LogState) -> Result<Held, SurveyError> {
        let genesis = ChainDigest::genesis(self.cluster, self.group, self.genesis);
        if log.anchor.position == Position::ZERO && log.anchor.chain != genesis {
            return Err(SurveyError::ForeignLog);
        }
        let catalog = Catalog::open(Arc::clone(&self.table), self.group, genesis).map_err(SurveyError::Catalog)?;
        Ok(Held {
            applied: Anchor { position: catalog.state().position, chain: catalog.state().chain },
            membership: catalog.membership().cloned().unwrap_or_else(|| (LogIndex::ZERO, self.genesis.clone())),
            installed: catalog.is_installed(),
            rows: catalog.reader(),
            log,
        })
    }
}

fn load(log: &dyn LogStore, group: GroupId) -> Result<LogState, RecoverError> {
    log.load(group).map_err(RecoverError::LoadLog)?.ok_or(RecoverError::NeverRan { group })
}

/// What log and catalog hold now.
#[derive(Debug)]
struct Held {
    log: LogState,
    applied: Anchor,
    membership: (LogIndex, Membership),
    installed: bool,
    rows: CatalogReader<Arc<dyn Table>>,
}

impl Held {
    fn remnant(&self, of: &Stopped<'_>) -> Remnant {
        let applied = self.applied.position.index;
        Remnant::new((of.node, of.incarnation), &self.log, applied, self.membership.clone())
    }

    /// Whether the member could start from it.
    fn check(&self, of: &Stopped<'_>, log: &dyn LogStore) -> Result<(), RestoreFailure> {
        let (membership_index, membership) = self.membership.clone();
        let (node, group, applied, reader) = (of.node, of.group, self.applied, log.reader());
        let (log, reader) = (self.log.clone(), &*reader);
        restore(Remains { node, group, log, applied, membership, membership_index, reader }).map(drop)
    }
}

#[cfg(test)]
mod tests;
