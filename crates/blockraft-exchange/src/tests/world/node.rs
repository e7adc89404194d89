//! A node: what a power cut leaves of it, and what it takes.

use std::collections::{BTreeMap, VecDeque};

use blockraft_blocks::Multihash;
use blockraft_types::{Incarnation, LogIndex, NodeId, Position};

use super::log::Log;
use crate::ticket::ExportTicket;
use crate::{Exchange, Named, ProposalTicket, PutId};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) boot: u64,
    pub(super) life: Option<Life>,
    pub(super) store: BTreeMap<Multihash, u32>,
    pub(super) log: Log,
    pub(super) catalog: Catalog,
}

/// What a power cut takes away.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) exchange: Exchange<Named>,
    pub(super) log: Log,
    pub(super) catalog: Catalog,
    pub(super) believes_leader: bool,
    /// What the gate was asked about since the last time that all of it was dropped.
    pub(super) offered: Vec<Position>,
    pub(super) puts: BTreeMap<PutId, (Named, u64)>,
    pub(super) proposals: BTreeMap<ProposalTicket, Vec<Named>>,
    /// Inlined bodies to be told again after the start; none once that is done.
    pub(super) backlog: Option<VecDeque<(LogIndex, Named)>>,
    pub(super) ticks: u64,
    /// Snapshots that are held still for others.
    pub(super) exports: BTreeMap<ExportTicket, Rows>,
}

/// Names and lengths.
pub(super) type Rows = BTreeMap<Multihash, u32>;

#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    pub(super) rows: Rows,
    /// A snapshot that is being put together, or the rows before the last one.
    pub(super) beside: Rows,
    pub(super) applied: usize,
}

impl Node {
    /// A sync never brings back what was compacted meanwhile.
    pub(super) fn write_log(&mut self, log: &Log) {
        let base = self.log.base;
        self.log = log.clone();
        self.log.compact(base);
    }
}

pub(super) fn index_of(node: NodeId) -> usize {
    node.0 as usize - 1
}

pub(super) fn incarnation(node: NodeId) -> Incarnation {
    Incarnation::from_bytes([node.0 as u8; 16])
}
