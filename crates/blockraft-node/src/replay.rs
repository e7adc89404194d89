//! What the data plane must know before the node takes part: every block that the log names.
//!
//! Nothing is reclaimed before all of it was told, and a block that the log names but the store lost is repaired.

use std::sync::Arc;

use blockraft_blocks::store::LIST_LIMIT_MAX;
use blockraft_blocks::store::ReadError as StoreReadError;
use blockraft_blocks::{Block, BlockStore, Multihash};
use blockraft_catalog::moment::RowError;
use blockraft_catalog::table::Table;
use blockraft_catalog::{CatalogReader, Row};
use blockraft_exchange::payload::Named;
use blockraft_exchange::{Exchange, Input};
use blockraft_log::{LogReader, LogState, ReadError};
use blockraft_types::{Entry, GroupId, LogIndex};

use crate::gate;
use crate::inline_pending::InlinePending;
use crate::mistake::Mistake;
use crate::payload::BlockPayload;

/// What is replayed from, and to whom.
#[derive(Debug)]
pub(crate) struct Replay<'a> {
    pub(crate) exchange: &'a mut Exchange<BlockPayload>,
    pub(crate) inline: &'a InlinePending,
    pub(crate) log: Unstored<'a>,
}

/// A log, and the store that its bodies go to.
#[derive(Debug)]
pub(crate) struct Unstored<'a> {
    pub(crate) reader: Arc<dyn LogReader>,
    pub(crate) group: GroupId,
    pub(crate) blocks: &'a dyn BlockStore,
}

/// A block of which an entry speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The block.
    pub named: Named,
    /// The entry.
    pub index: LogIndex,
}

/// What a replay came across.
#[derive(Debug)]
pub(crate) struct Found {
    /// The blocks that the log names beside it.
    pub(crate) beside: Vec<Spoken>,
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
    pub(crate) async fn run(
        self,
        state: &LogState,
        (applied, rescued): (LogIndex, Vec<(LogIndex, Block)>),
    ) -> Result<Found, ReadError> {
        let Self { exchange, inline, log } = self;
        let mut found = Found { beside: Vec::new(), sizes: Vec::new() };
        let hold = |exchange: &mut Exchange<BlockPayload>, unstored: Vec<(LogIndex, Block)>| {
            for (index, block) in unstored {
                inline.add(index, &block);
                exchange.step(Input::InlineApplied { index, payload: BlockPayload(block) });
            }
        };
        hold(exchange, rescued);
        let mut next = state.anchor.position.index.next();
        while let Some(entries) = log.piece(next, state)? {
            for entry in &entries {
                if !Mistake::ReplayForgotten.is_made() {
                    exchange.step(Input::Replayed { position: entry.head.position, names: gate::named(entry) });
                }
                let index = entry.head.position.index;
                found.beside.extend(gate::beside(entry).into_iter().map(|named| Spoken { named, index }));
            }
            hold(exchange, log.without_copy(inlined(&entries, applied)).await);
            let Some(end) = entries.last().map(|entry| entry.head.position.index) else { break };
            found.sizes.push((end, entries.iter().map(|entry| entry.body.len() as u64).sum()));
            next = end.next();
        }
        exchange.step(Input::ReplayFinished { applied });
        Ok(found)
    }
}

impl Unstored<'_> {
    /// The inlined bodies of applied entries of `state` that the store lacks.
    ///
    /// # Errors
    /// The log can't be read through.
    pub(crate) async fn inlined(
        &self,
        state: &LogState,
        applied: LogIndex,
    ) -> Result<Vec<(LogIndex, Block)>, ReadError> {
        let (mut found, mut next) = (Vec::new(), state.anchor.position.index.next());
        while let Some(entries) = self.piece(next, state)? {
            found.extend(self.without_copy(inlined(&entries, applied)).await);
            let Some(end) = entries.last().map(|entry| entry.head.position.index) else { break };
            next = end.next();
        }
        Ok(found)
    }

    /// The entries from `next` on, as many as are read at once; nothing behind the last one.
    fn piece(&self, next: LogIndex, state: &LogState) -> Result<Option<Vec<Entry>>, ReadError> {
        let last = state.last.position.index;
        if last < next {
            return Ok(None);
        }
        self.reader.entries(self.group, next, last, PIECE_BYTES_MAX).map(Some)
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

/// The blocks that ride in applied entries.
fn inlined(entries: &[Entry], applied: LogIndex) -> Vec<(LogIndex, Block)> {
    let applied = entries.iter().filter(|entry| entry.head.position.index <= applied);
    let blocks = |entry| gate::inlined(entry).into_iter().map(|block| (entry.head.position.index, block));
    applied.flat_map(blocks).collect()
}

/// The next blocks of the catalog behind `after`, and where to go on; nothing behind the last one.
///
/// # Errors
/// The catalog can't be read.
pub fn page_of_rows(
    rows: &CatalogReader<Arc<dyn Table>>,
    after: Option<Multihash>,
) -> Result<(Vec<Spoken>, Option<Multihash>), RowError> {
    let page = rows.list(after, LIST_LIMIT_MAX)?.value;
    let spoken =
        |(name, row): (Multihash, Row)| Spoken { named: Named { name, length: row.length }, index: row.created.index };
    Ok((page.rows.into_iter().map(spoken).collect(), page.next))
}

/// The blocks among `spoken` that the store doesn't have: damage, since an entry entered the log only after them. Of what an
/// entry up to `applied` put, blocks that surely aren't visible any more don't count: a later entry deleted them.
///
/// # Errors
/// The store can't tell. Nothing is known of any of them then.
pub async fn lost(
    blocks: &dyn BlockStore,
    rows: &CatalogReader<Arc<dyn Table>>,
    applied: LogIndex,
    spoken: Vec<Spoken>,
) -> Result<Vec<Spoken>, StoreReadError> {
    let is_deleted = |spoken: &Spoken| {
        spoken.index <= applied && rows.visible(&spoken.named.name).is_ok_and(|row| row.value.is_none())
    };
    let mut lost = Vec::new();
    for piece in spoken.chunks(STAT_NAMES_MAX) {
        let names: Vec<Multihash> = piece.iter().map(|spoken| spoken.named.name).collect();
        let found = blocks.stat_many(&names).await?;
        let missing = piece.iter().zip(found).filter(|(_, found)| found.is_none()).map(|(spoken, _)| *spoken);
        lost.extend(missing.filter(|spoken| !is_deleted(spoken)));
    }
    Ok(lost)
}

const PIECE_BYTES_MAX: u64 = 4 << 20;
const STAT_NAMES_MAX: usize = 1_000;

#[cfg(test)]
mod tests;
