//! The parts that a node is built from: one implementation of each seam.

use std::sync::Arc;

use blockraft_blocks::BlockStore;
use blockraft_catalog::table::Table;
use blockraft_log::LogStore;
use blockraft_transport::Transport;

/// One implementation of each seam. Swap any of them on its own.
#[derive(Debug)]
pub struct Parts {
    /// Where consensus keeps its log. The node owns it; a group that it doesn't hold yet is created.
    pub log: Box<dyn LogStore>,
    /// How nodes talk. The node receives from it alone and closes it when it stops; peers' addresses are the caller's
    /// to set.
    pub transport: Arc<dyn Transport>,
    /// Where blocks are. The node alone writes to it; it closes it when it stops.
    pub blocks: Arc<dyn BlockStore>,
    /// Where the catalog is. The node alone writes to it.
    pub table: Arc<dyn Table>,
}
