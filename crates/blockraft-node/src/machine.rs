//! The catalog as the driver's state machine: applies entries and tells the data plane what they did.

use std::sync::Arc;

use blockraft_blocks::{Block, Multihash};
use blockraft_catalog::catalog::Effect;
use blockraft_catalog::table::Table;
use blockraft_catalog::{Catalog, CatalogFlusher, Outcome};
use blockraft_driver::state_machine::{ApplyError, FlushError, StateMachine};
use blockraft_exchange::Input;
use blockraft_log::Anchor;
use blockraft_types::{Entry, LogIndex};
use tokio::sync::mpsc;

use crate::inline_pending::InlinePending;
use crate::payload::BlockPayload;

/// The catalog, owned by the driver's apply thread.
#[derive(Debug)]
pub(crate) struct CatalogMachine {
    catalog: Catalog<Arc<dyn Table>>,
    flusher: CatalogFlusher<Arc<dyn Table>>,
    inline: Arc<InlinePending>,
    /// What the data plane is told. As many as entries are applied ahead of the loop.
    told: mpsc::UnboundedSender<Input<BlockPayload>>,
}

impl CatalogMachine {
    pub(crate) fn new(
        catalog: Catalog<Arc<dyn Table>>,
        inline: Arc<InlinePending>,
        told: mpsc::UnboundedSender<Input<BlockPayload>>,
    ) -> Self {
        let flusher = catalog.flusher();
        Self { catalog, flusher, inline, told }
    }

    fn anchor(&self) -> Anchor {
        let state = self.catalog.state();
        Anchor { position: state.position, chain: state.chain }
    }

    /// Inlined blocks are readable before their rows are: a reader that sees the row must find the bytes.
    fn hold_inlined(&self, entries: &[Entry]) {
        for block in entries.iter().flat_map(crate::gate::inlined) {
            self.inline.add(&block);
        }
    }

    fn tell(&self, index: LogIndex, effects: Vec<Effect>) {
        let mut created: Vec<Multihash> = Vec::new();
        let mut deleted: Vec<Multihash> = Vec::new();
        for effect in effects {
            match effect {
                Effect::Live { multihash, .. } => {
                    deleted.retain(|other| *other != multihash);
                    created.push(multihash);
                }
                Effect::Dead { multihash, .. } => {
                    created.retain(|other| *other != multihash);
                    deleted.push(multihash);
                }
            }
        }
        // The data plane is gone only when the node is.
        drop(self.told.send(Input::Applied { index, created, deleted }));
    }

    fn tell_inlined(&self, index: LogIndex, blocks: Vec<Block>) {
        for block in blocks {
            drop(self.told.send(Input::InlineApplied { index, payload: BlockPayload(block) }));
        }
    }
}

impl StateMachine for CatalogMachine {
    type Output = Vec<Outcome>;

    fn applied(&self) -> Anchor {
        self.anchor()
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<Vec<Vec<Outcome>>, ApplyError> {
        self.hold_inlined(entries);
        let applied = self.catalog.apply_many(entries).map_err(|source| ApplyError {
            index: entries.first().map_or(LogIndex::ZERO, |entry| entry.head.position.index),
            source: Box::new(source),
        })?;
        let mut outputs = Vec::with_capacity(applied.len());
        for (entry, applied) in entries.iter().zip(applied) {
            let index = applied.position.index;
            self.tell_inlined(index, crate::gate::inlined(entry));
            self.tell(index, applied.effects);
            outputs.push(applied.outcomes);
        }
        Ok(outputs)
    }

    fn flush(&mut self) -> Result<Anchor, FlushError> {
        self.flusher.flush().map_err(|source| FlushError { source: Box::new(source) })?;
        // The apply thread is the only writer: nothing was applied since the flush began.
        Ok(self.anchor())
    }
}
