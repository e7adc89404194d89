//! Going on with one data directory when a majority of the voters is lost for ever: the node is stopped, and its lock is
//! held meanwhile. What is written, and what it rests on, stands with [`blockraft_driver::forced_recovery`].

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use blockraft_blocks::BlockStore;
use blockraft_blocks_segment::{Options as SegmentOptions, SegmentStore};
use blockraft_catalog_rocksdb::{RocksTable, RocksTableOptions};
use blockraft_driver::Remnant;
use blockraft_driver::forced_recovery::Plan;
use blockraft_log::{LogState, LogStore};
use blockraft_log_rocksdb::{RocksLog, RocksLogConfig};
use blockraft_node::forced_recovery::Stopped;
use blockraft_types::{ClusterId, GroupId, Membership, NodeId};

use crate::data_dir::DataDir;

/// What a data directory holds of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The cluster.
    pub cluster: ClusterId,
    /// What is left of it.
    pub remnant: Remnant,
}

/// What became of a recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// What the directory held before.
    pub before: Remnant,
    /// What was done.
    pub plan: Plan,
}

/// Looks into the data directory of a stopped node. A log that lost its end is left as it is, as evidence.
///
/// # Errors
///
/// It is no data directory, a process serves it, or its log or catalog can't be read.
pub fn survey(path: &Path) -> Result<Survey, anyhow::Error> {
    let directory = DataDir::open(path)?;
    let genesis = directory.identity.genesis();
    let stopped = stopped(&directory, &genesis)?;
    let mut bereft = None;
    let look = |_, left: &LogState| {
        bereft = Some(left.clone());
        Err("it is only looked at".into())
    };
    let opened = RocksLog::open_although(directory.log(), RocksLogConfig::default(), look);
    let log = match bereft {
        Some(left) => left,
        None => opened.context("opening the log")?.load(GROUP)?.ok_or_else(|| anyhow!("the node has never run"))?,
    };
    Ok(Survey { cluster: stopped.cluster, remnant: stopped.survey(&log)? })
}

/// Lets the node of a data directory go on alone, after an operator said that the nodes `lost` never come back. Durable when
/// it returns, and safe to repeat.
///
/// # Errors
///
/// As [`survey`]; and if the recovery is refused, which leaves everything as it was, or fails.
pub async fn recover(path: &Path, lost: &BTreeSet<NodeId>) -> Result<Recovered, anyhow::Error> {
    let directory = DataDir::open(path)?;
    let genesis = directory.identity.genesis();
    let stopped = stopped(&directory, &genesis)?;
    let may_go_on = |_, left: &LogState| Ok(stopped.survey(left)?.plan(lost).map(drop)?);
    let mut log =
        RocksLog::open_although(directory.log(), RocksLogConfig::default(), may_go_on).context("opening the log")?;
    let found = log.load(GROUP)?.ok_or_else(|| anyhow!("the node has never run"))?;
    let before = stopped.survey(&found)?;
    let blocks = SegmentStore::open_existing(directory.blocks(), SegmentOptions::default())
        .context("opening the block store")?;
    let plan = stopped.recover(&mut log, &blocks, lost).await?;
    blocks.close().await.context("closing the block store")?;
    Ok(Recovered { before, plan })
}

fn stopped<'a>(directory: &DataDir, genesis: &'a Membership) -> Result<Stopped<'a>, anyhow::Error> {
    let file = &directory.identity;
    let table = RocksTable::open(&directory.catalog(), &RocksTableOptions::default()).context("opening the catalog")?;
    let (cluster, node, incarnation, table) = (file.cluster, file.node, file.incarnation, Arc::new(table));
    Ok(Stopped { cluster, node, incarnation, group: GROUP, genesis, table })
}

/// The group of every node that this program serves.
const GROUP: GroupId = GroupId(0);
