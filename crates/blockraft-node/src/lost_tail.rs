//! Whether a node may take part again whose log has lost its end: to be asked before anything is written to that log, since
//! who refuses must leave the evidence as it is.

use std::sync::Arc;

use blockraft_catalog::Catalog;
use blockraft_catalog::table::Table;
use blockraft_core::recovery::others_can_elect;
use blockraft_log::{Cause, LogState};
use blockraft_types::{ChainDigest, LogIndex, Membership, NodeId, Position, Term};
use thiserror::Error;

use crate::config::NodeConfig;

/// Why a node with such a log doesn't start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LostTailError {
    /// Term and vote went back too, so that the node may have voted and doesn't know for whom.
    #[error(
        "node {node} has applied entry {applied}, and its log knows of no term after {term}: term and vote are lost, and \
         the node must not vote; nothing was changed: replace it by a new node"
    )]
    TermLost {
        /// The node.
        node: NodeId,
        /// The term that the log knows.
        term: Term,
        /// What its catalog has applied.
        applied: Position,
    },
    /// Nobody else can tell what is gone.
    #[error(
        "node {node} had acknowledged its log up to at least entry {lost}, only {left} is left of it, and as far as it knows \
         the other voters are no quorum that could tell the rest; nothing was changed"
    )]
    NoQuorum {
        /// The node.
        node: NodeId,
        /// How far the log had reached.
        lost: LogIndex,
        /// Where it ends now.
        left: Position,
    },
}

/// Whether the node of `config` may go on with `log`, of which the end is gone, and with the catalog in `table`. Changes
/// neither.
///
/// # Errors
/// A [`LostTailError`] if not, or what opening the catalog says.
pub fn judge(config: &NodeConfig, table: Arc<dyn Table>, log: &LogState) -> Result<(), Cause> {
    let NodeConfig { identity, group, genesis, .. } = config;
    let genesis_chain = ChainDigest::genesis(identity.cluster, *group, genesis);
    let catalog = Catalog::open(table, *group, genesis_chain)?;
    Ok(examine(identity.node, log, &catalog, genesis)?)
}

/// Whether `node` may go on with `log` and `catalog`.
pub(crate) fn examine(
    node: NodeId,
    log: &LogState,
    catalog: &Catalog<Arc<dyn Table>>,
    genesis: &Membership,
) -> Result<(), LostTailError> {
    let (term, applied) = (log.hard_state.term, catalog.state().position);
    // Whoever applies an entry has made its term durable before; only who installs a snapshot hasn't yet.
    if term < applied.term && !catalog.is_installed() {
        return Err(LostTailError::TermLost { node, term, applied });
    }
    let Some(lost) = log.lost_tail else { return Ok(()) };
    let in_log = log.memberships.last().map(|(position, membership)| (position.index, membership));
    let applied = catalog.membership().map(|(index, membership)| (*index, membership));
    let newest = in_log.into_iter().chain(applied).max_by_key(|(index, _)| *index);
    let membership = newest.map_or(genesis, |(_, membership)| membership);
    if others_can_elect(membership, node) {
        Ok(())
    } else {
        Err(LostTailError::NoQuorum { node, lost: lost.index, left: log.last.position })
    }
}

#[cfg(test)]
mod tests;
