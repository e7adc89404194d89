//! What the data plane must know before the node takes part: every block that the log names.
//!
//! Nothing is reclaimed before all of it was told, and a block that the log names but the store lost is repaired.

use std::sync::Arc;

use blockraft_blocks::store::LIST_LIMIT_MAX;
use blockraft_blocks::{Block, BlockStore, Multihash};
use blockraft_catalog::CatalogReader;
use blockraft_catalog::moment::RowError;
use blockraft_catalog::table::Table;
use blockraft_exchange::payload::Named;
use blockraft_exchange::{Exchange, Input};
use blockraft_log::{LogReader, LogState, ReadError};
use blockraft_types::{GroupId, LogIndex};
use tracing::{info, warn};

use crate::gate;
use crate::inline_pending::InlinePending;
use crate::mistake::Mistake;
use crate::payload::BlockPayload;

/// What is replayed from, and to whom.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    pub(crate) exchange: &'a mut Exchange<BlockPayload>,
    pub(crate) inline: &'a InlinePending,
    pub(crate) blocks: &'a dyn BlockStore,
    pub(crate) reader: Arc<dyn LogReader>,
    pub(crate) group: GroupId,
}

/// What a replay came across.
#[derive(Debug)]
pub(crate) struct Found {
    /// The blocks that the log names beside it.
    pub(crate) beside: Vec<Named>,
    /// Bytes of bodies in the log, by the last entry of each piece.
    pub(crate) sizes: Vec<(LogIndex, u64)>,
}

impl Replay<'_> {
    /// Tells the data plane every entry of the log, and the inlined bodies of applied entries that the store lacks.
    ///
    /// Reads the log in pieces of bounded size; what stays in memory are names, and the bodies that were about to be
    /// stored when the last life ended.
    ///
    /// # Errors
    /// The log can't be read through.
    pub(crate) async fn run(self, state: &LogState, applied: LogIndex) -> Result<Found, ReadError> {
        let last = state.last.position.index;
        let mut next = state.anchor.position.index.next();
        let mut found = Found { beside: Vec::new(), sizes: Vec::new() };
        while next <= last {
            let entries = self.reader.entries(self.group, next, last, PIECE_BYTES_MAX)?;
            let Some(end) = entries.last().map(|entry| entry.head.position.index) else {
                break;
            };
            let mut inlined = Vec::new();
            for entry in &entries {
                let position = entry.head.position;
                if !Mistake::ReplayForgotten.is_made() {
                    self.exchange.step(Input::Replayed { position, names: gate::named(entry) });
                }
                found.beside.extend(gate::beside(entry));
                if position.index <= applied {
                    inlined.extend(gate::inlined(entry).into_iter().map(|block| (position.index, block)));
                }
            }
            for (index, block) in self.without_copy(inlined).await {
                self.inline.add(index, &block);
                self.exchange.step(Input::InlineApplied { index, payload: BlockPayload(block) });
            }
            found.sizes.push((end, entries.iter().map(|entry| entry.body.len() as u64).sum()));
            next = end.next();
        }
        self.exchange.step(Input::ReplayFinished { applied });
        Ok(found)
    }

    /// The blocks that the store doesn't have, or can't tell of.
    async fn without_copy(&self, inlined: Vec<(LogIndex, Block)>) -> Vec<(LogIndex, Block)> {
        let mut without = Vec::new();
        for piece in inlined.chunks(STAT_NAMES_MAX) {
            let names: Vec<Multihash> = piece.iter().map(|(_, block)| *block.multihash()).collect();
            let found = self.blocks.stat_many(&names).await.unwrap_or_else(|_| vec![None; names.len()]);
            let missing = piece.iter().zip(found).filter(|(_, found)| found.is_none());
            without.extend(missing.map(|(inlined, _)| inlined.clone()));
        }
        without
    }
}

/// The blocks that entries after `index` put, as the catalog knows them.
///
/// # Errors
/// The catalog can't be read.
pub(crate) fn applied_after(rows: &CatalogReader<Arc<dyn Table>>, index: LogIndex) -> Result<Vec<Named>, RowError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = rows.list(after, LIST_LIMIT_MAX)?.value;
        let newer = page.rows.into_iter().filter(|(_, row)| index < row.created.index);
        found.extend(newer.map(|(name, row)| Named { name, length: row.length }));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// The blocks among `named` that the store doesn't have: damage, since an entry entered the log only after them.
pub async fn lost(blocks: &dyn BlockStore, named: Vec<Named>) -> Vec<Named> {
    let mut lost = Vec::new();
    for piece in named.chunks(STAT_NAMES_MAX) {
        let names: Vec<Multihash> = piece.iter().map(|named| named.name).collect();
        match blocks.stat_many(&names).await {
            Ok(found) => {
                lost.extend(piece.iter().zip(found).filter(|(_, found)| found.is_none()).map(|(named, _)| *named));
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "block_store_unreadable");
                return lost;
            }
        }
    }
    info!(named = named.len(), lost = lost.len(), "checked_blocks_of_log");
    lost
}

const PIECE_BYTES_MAX: u64 = 4 << 20;
const STAT_NAMES_MAX: usize = 1_000;
