//! Applying entries: the state under construction.

use blockraft_blocks::Multihash;
use blockraft_types::{ChainDigest, Entry, EntryKind, ImportId, Position, SessionId};

use crate::applied::{Applied, ApplyError, Effect};
use crate::batch;
use crate::command::{Command, Request};
use crate::dag::{DagRun, Removal};
use crate::imports::{ChangedImports, ImportsRun};
use crate::keys::Keys;
use crate::mistake::Mistake;
use crate::moment::RowError;
use crate::outcome::{Outcome, Settled};
use crate::row::{CatalogState, Graphs, Row, Slot, StateRecord};
use crate::session::Known;
use crate::sessions::{ChangedSessions, SessionsRun};
use crate::table::{Change, WriteBatch};

/// What a catalog becomes, entry by entry.
pub(crate) struct Run<'a> {
    pub(crate) keys: Keys,
    pub(crate) state: CatalogState,
    pub(crate) graphs: Graphs,
    pub(crate) dag: DagRun<'a>,
    pub(crate) sessions: SessionsRun<'a>,
    pub(crate) imports: ImportsRun<'a>,
}

/// What a catalog has become.
pub(crate) struct Ran {
    pub(crate) state: CatalogState,
    pub(crate) graphs: Graphs,
    pub(crate) sessions: ChangedSessions,
    pub(crate) imports: ChangedImports,
    pub(crate) batch: WriteBatch,
}

impl Run<'_> {
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<Applied, ApplyError> {
        let position = entry.head.position;
        let applied = self.state.position;
        if position.index != applied.index.next() || position.term < applied.term {
            return Err(ApplyError::OutOfOrder { found: position, applied });
        }
        if !entry.head.follows(self.state.chain) {
            return Err(ApplyError::Chain { position });
        }
        if !entry.body_matches_head() {
            return Err(ApplyError::Body { position });
        }
        let mut requests = match entry.head.kind {
            EntryKind::Command => {
                batch::decode(&entry.body).map_err(|source| ApplyError::Undecodable { position, source })?
            }
            EntryKind::Blank | EntryKind::Membership(_) => Vec::new(),
        };
        if Mistake::CommandsInOtherOrder.is_made() && self.dag.rows_changed() % 2 == 1 {
            requests.reverse();
        }
        let mut outcomes = Vec::with_capacity(requests.len());
        let mut effects = Vec::new();
        for (number, request) in (0..).zip(requests) {
            let (settled, effect) =
                self.settle(position, number, request).map_err(|source| ApplyError::Row { position, source })?;
            outcomes.push(settled);
            effects.extend(effect);
        }
        self.state.position = position;
        self.state.chain = entry.head.chain;
        Ok(Applied { position, outcomes, effects })
    }

    /// Carries a command out, unless its session knows better (Raft thesis, section 6.3).
    fn settle(
        &mut self,
        position: Position,
        number: u32,
        Request { turn, command }: Request,
    ) -> Result<(Settled, Option<Effect>), RowError> {
        if let Some(turn) = &turn {
            match self.sessions.meet(turn, position.index) {
                Known::Nothing => {}
                Known::Settled(_) if Mistake::RepeatsCarriedOut.is_made() => {}
                Known::Settled(settled) => return Ok((settled, None)),
                Known::Refused(outcome) => return Ok((Settled { outcome, position }, None)),
            }
        }
        let (outcome, effect) = self.obey(position, number, command)?;
        let settled = Settled { outcome, position };
        if let Some(turn) = &turn {
            self.sessions.settle(turn, settled);
        }
        Ok((settled, effect))
    }

    fn obey(
        &mut self,
        position: Position,
        number: u32,
        command: Command,
    ) -> Result<(Outcome, Option<Effect>), RowError> {
        let outcome = match command {
            Command::Put { multihash, length, inline } => {
                let outcome = self.dag.put(multihash, length, position)?;
                if outcome != Outcome::Created {
                    return Ok((outcome, None));
                }
                self.state.blocks += 1;
                self.state.bytes += u64::from(length);
                return Ok((outcome, Some(Effect::Live { multihash, length, inline })));
            }
            Command::Delete { multihash } => return self.remove(multihash, Outcome::Deleted),
            Command::Collect { .. } if self.imports.is_any_open() && !Mistake::ImportsHoldNothing.is_made() => {
                Outcome::HeldByImport
            }
            Command::Collect { multihash } => return self.remove(multihash, Outcome::Collected),
            Command::Noop => Outcome::Nothing,
            Command::OpenSession => {
                self.sessions.open(SessionId { opened: position.index, number });
                Outcome::SessionOpened
            }
            Command::OpenImport => self.imports.open(ImportId { opened: position.index, number }),
            Command::KeepImport { import } => self.imports.keep(import, position.index),
            Command::EndImport { import } => self.imports.end(import),
            Command::ExpireImport { import, last_kept } => self.imports.expire(import, last_kept),
            Command::Link { parent, links } => self.dag.link(parent, links)?,
            Command::Pin { root, mode } => self.dag.pin(root, mode)?,
            Command::Unpin { root, mode } => self.dag.unpin(root, mode)?,
        };
        Ok((outcome, None))
    }

    fn remove(&mut self, multihash: Multihash, done: Outcome) -> Result<(Outcome, Option<Effect>), RowError> {
        let Row { length, .. } = match self.dag.remove(multihash)? {
            Removal::Removed(row) => row,
            Removal::Absent => return Ok((Outcome::Absent, None)),
            Removal::Held => return Ok((Outcome::HeldByPin, None)),
        };
        // Saturating, since a damaged table must not panic: each row was counted when it was made.
        self.state.blocks = self.state.blocks.saturating_sub(1);
        self.state.bytes = self.state.bytes.saturating_sub(u64::from(length));
        Ok((done, Some(Effect::Dead { multihash, length })))
    }

    pub(crate) fn finish(self, genesis: ChainDigest, slot: Slot) -> Ran {
        let Self { keys, state, mut graphs, dag, sessions, imports } = self;
        let (sessions, imports) = (sessions.finish(), imports.finish());
        if dag.has_bonds() || !imports.is_empty() {
            graphs = Graphs::Ever;
        }
        let mut changes = dag.finish();
        changes.extend(sessions.changes(keys));
        changes.extend(imports.changes(keys));
        changes.push(Change::Set { key: keys.state(), value: StateRecord { genesis, state, slot, graphs }.encode() });
        Ran { state, graphs, sessions, imports, batch: WriteBatch { changes } }
    }
}
