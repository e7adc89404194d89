//! What the data plane must know before the node takes part: every block that the log names.
//!
//! Nothing is reclaimed before all of it was told, and a block that the log names but the store lost is repaired.

use blockraft_blocks::{BlockStore, Multihash};
use blockraft_exchange::payload::Named;
use blockraft_exchange::{Exchange, Input};
use blockraft_log::{LogReader, LogState, ReadError};
use blockraft_types::{GroupId, LogIndex};
use tracing::{info, warn};

use crate::gate;
use crate::inline_pending::InlinePending;
use crate::payload::BlockPayload;

/// Tells `exchange` every entry of the log, and the inlined bodies of those that are applied.
///
/// Reads the log in pieces of bounded size; the exchange keeps names alone, and the bodies until they are stored.
///
/// # Errors
/// The log can't be read through.
pub(crate) fn tell_log(
    exchange: &mut Exchange<BlockPayload>,
    inline: &InlinePending,
    reader: &dyn LogReader,
    group: GroupId,
    state: &LogState,
    applied: LogIndex,
) -> Result<Vec<Named>, ReadError> {
    let last = state.last.position.index;
    let mut next = state.anchor.position.index.next();
    let mut beside = Vec::new();
    while next <= last {
        let entries = reader.entries(group, next, last, PIECE_BYTES_MAX)?;
        let Some(end) = entries.last().map(|entry| entry.head.position.index) else {
            break;
        };
        for entry in &entries {
            let position = entry.head.position;
            exchange.step(Input::Replayed { position, names: gate::named(entry) });
            beside.extend(gate::beside(entry));
            if position.index <= applied {
                for block in gate::inlined(entry) {
                    inline.add_unbounded(&block);
                    exchange.step(Input::InlineApplied { index: position.index, payload: BlockPayload(block) });
                }
            }
        }
        next = end.next();
    }
    exchange.step(Input::ReplayFinished);
    Ok(beside)
}

/// The blocks among `named` that the store doesn't have: damage, since an entry entered the log only after them.
pub(crate) async fn lost(blocks: &dyn BlockStore, named: Vec<Named>) -> Vec<Named> {
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
