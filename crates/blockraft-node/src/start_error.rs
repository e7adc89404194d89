//! Why a node didn't start. Nothing was changed.

use blockraft_catalog::catalog::OpenError;
use blockraft_driver::ReconcileError;
use blockraft_driver::driver::StartError as DriverStartError;
use blockraft_driver::log_thread::StartLogError;
use blockraft_exchange::config::ConfigError;
use blockraft_log::{CreateGroupError, LoadError, ReadError};
use blockraft_types::{ChainDigest, GroupId, LogIndex, NodeId};
use thiserror::Error;

use crate::lost_tail::LostTailError;
use crate::recall::BehindItsPast;

/// Why a node didn't start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The node isn't among the members that its group was born with.
    #[error("node {node} is not a member of the group that it shall join")]
    NotAMember {
        /// The node.
        node: NodeId,
    },
    /// The node was removed from its group: that is for ever.
    #[error("node {node} was removed from its group by entry {index}, for ever; a new node needs a new id")]
    Removed {
        /// The node.
        node: NodeId,
        /// The newest configuration that this node took part in.
        index: LogIndex,
    },
    /// The members know the node under another incarnation: this data directory is not the one they vote with.
    #[error("the members know node {node} under another incarnation than this data directory's")]
    OtherIncarnation {
        /// The node.
        node: NodeId,
    },
    /// This node lacks what another member has seen of it.
    #[error(transparent)]
    BehindItsPast(#[from] BehindItsPast),
    /// The log has lost its end, and there is no way back from that.
    #[error(transparent)]
    LostTail(#[from] LostTailError),
    /// A bound of the data plane contradicts another.
    #[error("the data plane's settings don't fit together")]
    ExchangeConfig(#[source] ConfigError),
    /// The group's log couldn't be made.
    #[error("beginning the log of group {group}")]
    CreateLog {
        /// The group.
        group: GroupId,
        /// What the log said.
        #[source]
        source: CreateGroupError,
    },
    /// The log couldn't be loaded.
    #[error("loading the log of group {group}")]
    LoadLog {
        /// The group.
        group: GroupId,
        /// What the log said.
        #[source]
        source: LoadError,
    },
    /// The log couldn't be read through.
    #[error("reading the log of group {group}")]
    ReadLog {
        /// The group.
        group: GroupId,
        /// What the log said.
        #[source]
        source: ReadError,
    },
    /// The log begins with another cluster or other founding members than the node was told.
    #[error("the log belongs to another cluster or other founding members: it begins with {found:?}, not {expected:?}")]
    ForeignLog {
        /// What it begins with.
        found: ChainDigest,
        /// What it should begin with.
        expected: ChainDigest,
    },
    /// The catalog couldn't be opened.
    #[error("opening the catalog")]
    Catalog(#[source] OpenError),
    /// An installation of a snapshot, which a crash cut short, couldn't be finished.
    #[error("resetting the log to the catalog")]
    Reconcile(#[source] ReconcileError),
    /// The log's threads couldn't be started.
    #[error("starting the log's threads")]
    LogThread(#[source] StartLogError),
    /// Consensus refused what it was given: the log and the catalog don't belong together.
    #[error("starting consensus")]
    Driver(#[source] DriverStartError),
}
