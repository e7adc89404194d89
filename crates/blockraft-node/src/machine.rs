//! The catalog as the driver's state machine: applies entries and tells the data plane what they did.

use std::sync::Arc;

use blockraft_blocks::Multihash;
use blockraft_catalog::applied::{Applied, Effect};
use blockraft_catalog::table::Table;
use blockraft_catalog::{Catalog, CatalogFlusher, Imports, Sessions, Settled};
use blockraft_driver::state_machine::{ApplyError, FlushError, InstallError, StateMachine};
use blockraft_exchange::Input;
use blockraft_log::Anchor;
use blockraft_types::{Entry, LogIndex};

use crate::gate;
use crate::inline_pending::InlinePending;
use crate::payload::BlockPayload;
use crate::told::Told;

/// The catalog, owned by the driver's apply thread.
///
/// [`apply`](StateMachine::apply) waits while too many bodies that rode in entries are on their way to the block store. Who
/// has only one thread asks [`InlinePending::has_room`] first.
#[derive(Debug)]
pub struct CatalogMachine {
    catalog: Catalog<Arc<dyn Table>>,
    flusher: CatalogFlusher<Arc<dyn Table>>,
    inline: Arc<InlinePending>,
    told: Arc<Told>,
}

impl CatalogMachine {
    pub(crate) fn new(catalog: Catalog<Arc<dyn Table>>, inline: Arc<InlinePending>, told: Arc<Told>) -> Self {
        let flusher = catalog.flusher();
        Self { catalog, flusher, inline, told }
    }

    /// The sessions of clients after what was applied last.
    #[must_use]
    pub const fn sessions(&self) -> &Sessions {
        self.catalog.sessions()
    }

    /// The imports that are open after what was applied last.
    #[must_use]
    pub const fn imports(&self) -> &Imports {
        self.catalog.imports()
    }

    fn anchor(&self) -> Anchor {
        let state = self.catalog.state();
        Anchor { position: state.position, chain: state.chain }
    }

    /// Inlined blocks are readable before their rows are: a reader that sees the row must find the bytes.
    fn hold_inlined(&self, entries: &[Entry]) {
        self.inline.wait_for_room();
        for entry in entries {
            for block in gate::inlined(entry) {
                self.inline.add(entry.head.position.index, &block);
            }
        }
    }
}

impl StateMachine for CatalogMachine {
    type Output = Vec<Settled>;

    fn applied(&self) -> Anchor {
        self.anchor()
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<Vec<Vec<Settled>>, ApplyError> {
        self.hold_inlined(entries);
        let catalog = &mut self.catalog;
        let applied = self.told.in_order(|| {
            let applied = catalog.apply_many(entries);
            let told = applied.iter().flatten().zip(entries).flat_map(|(applied, entry)| told_of(applied, entry));
            let told = told.collect();
            (applied, told)
        });
        let applied = applied.map_err(|source| ApplyError {
            index: entries.first().map_or(LogIndex::ZERO, |entry| entry.head.position.index),
            source: Box::new(source),
        })?;
        Ok(applied.into_iter().map(|applied| applied.outcomes).collect())
    }

    fn install(&mut self, anchor: Anchor) -> Result<(), InstallError> {
        let installed = self.catalog.install(anchor.position, anchor.chain);
        installed.map_err(|source| InstallError { index: anchor.position.index, source: Box::new(source) })
    }

    fn flush(&mut self) -> Result<Anchor, FlushError> {
        self.flusher.flush().map_err(|source| FlushError { source: Box::new(source) })?;
        // The apply thread is the only writer: nothing was applied since the flush began.
        Ok(self.anchor())
    }
}

/// What the data plane hears of an applied entry: the bodies that rode in it, and which blocks came and went.
fn told_of(applied: &Applied, entry: &Entry) -> Vec<Input<BlockPayload>> {
    let index = applied.position.index;
    let mut created: Vec<Multihash> = Vec::new();
    let mut deleted: Vec<Multihash> = Vec::new();
    for effect in &applied.effects {
        match effect {
            Effect::Live { multihash, .. } => {
                deleted.retain(|other| other != multihash);
                created.push(*multihash);
            }
            Effect::Dead { multihash, .. } => {
                created.retain(|other| other != multihash);
                deleted.push(*multihash);
            }
        }
    }
    let inlined = gate::inlined(entry).into_iter();
    let inlined = inlined.map(|block| Input::InlineApplied { index, payload: BlockPayload(block) });
    inlined.chain([Input::Applied { index, created, deleted }]).collect()
}
