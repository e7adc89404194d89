//! What concerns snapshots, given and got.

use blockraft_types::{NodeId, Position};

use crate::exchange::Exchange;
use crate::import::{Import, Round};
use crate::input::Input;
use crate::ledger::LogEnd;
use crate::message::Message;
use crate::payload::Payload;
use crate::ticket::ExportTicket;

impl<P: Payload> Exchange<P> {
    pub(super) fn step_snapshot(&mut self, input: Input<P>) {
        match input {
            Input::SnapshotOffered { from, least } => {
                self.importing(|import, round| import.offered(from, least, round));
            }
            Input::ExportReady { export, manifest } => {
                self.exports.opened(export, manifest, &self.tickets, &mut self.out);
            }
            Input::ChunkSent { export } => self.exports.chunk_sent(export, self.now),
            Input::ChunkArrived { from: _, export, chunk } => {
                self.importing(|import, round| import.arrived(export, chunk, round));
            }
            Input::ChunkImported => self.importing(Import::imported),
            Input::ImportSealed { outcome } => self.importing(|import, round| import.sealed(outcome, round)),
            Input::ImportCleared => self.reclamation.sweep_again(self.now),
            Input::SnapshotInstalled { position } => {
                self.installed(position);
                self.importing(|import, round| import.installed(position, round));
            }
            Input::SnapshotUnneeded { position } => {
                self.importing(|import, round| import.unneeded(position, round));
            }
            _ => {}
        }
    }

    pub(super) fn receive_snapshot(&mut self, from: NodeId, message: Message) {
        match message {
            Message::SnapshotWanted(wanted) => {
                let moment = (self.now, self.applied, &self.config);
                self.exports.wanted(from, wanted, moment, (&mut self.tickets, &mut self.out));
            }
            Message::ExportOpened(opened) => self.importing(|import, round| import.opened(from, opened, round)),
            Message::ChunkWanted(wanted) => {
                let rooms = (&self.tickets, &mut self.out);
                self.exports.chunk_wanted(from, wanted, (self.now, &self.config), rooms);
            }
            Message::ExportGone(export) => self.importing(|import, round| import.gone(export, round)),
            Message::ExportClosed(export) => {
                if let Some(counter) = self.tickets.own(export) {
                    self.exports.closed(from, ExportTicket(counter), &mut self.out);
                }
            }
            Message::ExportNeeded(needed) => {
                let rooms = (&self.tickets, &mut self.out);
                self.exports.needed(from, needed, (self.now, self.applied), rooms);
            }
            _ => {}
        }
    }

    pub(super) fn tick_snapshots(&mut self) {
        if self.ledger.is_short() {
            self.exports.close_all(&mut self.out);
        }
        // What isn't applied yet stays in the log whoever needs it, and may have to wait for the very member that is fed.
        let kept = |pinned| self.log.bytes_between(pinned, self.applied);
        self.exports.tick((self.now, self.applied, &self.config), kept, &mut self.out);
        self.importing(Import::tick);
    }

    /// Every row may be another one, and nothing up to there in the log names anything. What the disk's log had after that is
    /// of an earlier term than what follows the snapshot, so it counts as any other truncated end.
    fn installed(&mut self, position: Position) {
        self.applied = self.applied.max(position.index);
        for named in self.log.compact(position.index) {
            self.ledger.log_lost(named.name, LogEnd::Compacted);
        }
        self.ledger.compacted(position.index);
        self.ledger.forget_rows();
        // An import that was given up for this one may have brought blocks that this one doesn't name.
        self.reclamation.sweep_again(self.now);
    }

    pub(super) fn importing(&mut self, act: impl FnOnce(&mut Import, &mut Round<'_, P>)) {
        self.may_fetch = true;
        let mut round = Round {
            now: self.now,
            config: &self.config,
            ledger: &mut self.ledger,
            fetches: &mut self.fetches,
            tickets: &mut self.tickets,
            out: &mut self.out,
        };
        act(&mut self.import, &mut round);
    }
}
