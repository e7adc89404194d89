//! Snapshots that are being given to members that are far behind: each one moment of this node's state, read at leisure.
//!
//! While one is open the log isn't compacted past it. That keeps the entries which its receiver needs next, and with them
//! the bytes of blocks that were deleted since. Once it is installed the log is kept after what the receiver has of it,
//! until that is level: otherwise a log that is compacted faster than it is read would need one snapshot after the other.
//!
//! A receiver that says nothing for a time, since it is dead or stuck, is given up. So is one that keeps too much, and all
//! are when space is short: they ask for a newer snapshot and keep the payloads that they have.

use std::collections::BTreeMap;

use blockraft_types::{LogIndex, NodeId, RemoteTicket};

use crate::config::Config;
use crate::effect::Effect;
use crate::manifest::Manifest;
use crate::message::{ChunkWanted, ExportNeeded, ExportOpened, Message, SnapshotWanted};
use crate::ticket::ExportTicket;
use crate::tickets::Tickets;

#[derive(Debug, Default)]
pub(crate) struct Exports {
    open: BTreeMap<ExportTicket, Export>,
}

#[derive(Debug)]
struct Export {
    to: NodeId,
    /// The question that it answers.
    asked: RemoteTicket,
    /// The log is kept after this entry.
    pinned: LogIndex,
    /// Once it is open.
    manifest: Option<Manifest>,
    reading: Reading,
    used_at: u64,
}

/// What is done with the state that is held still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Idle,
    /// A chunk is on its way from the table to the lane.
    Chunk,
    /// The receiver has all of it: it is let go.
    Over,
}

impl Exports {
    /// A member asks for the state. It has one export at a time; a question that is repeated gets the same answer.
    pub(crate) fn wanted<P>(
        &mut self,
        from: NodeId,
        wanted: SnapshotWanted,
        (now, applied, config): (u64, LogIndex, &Config),
        (tickets, out): (&mut Tickets, &mut Vec<Effect<P>>),
    ) {
        let known = self.open.iter_mut().find(|(_, export)| export.to == from);
        if let Some((&ticket, export)) = known {
            if export.asked == wanted.ticket {
                export.used_at = now;
                let opened = export.manifest.clone();
                out.extend(opened.map(|manifest| told(from, wanted.ticket, tickets.remote(ticket.0), manifest)));
                return;
            }
            self.close(ticket, out);
        }
        if self.open.len() >= config.exports_max || applied < wanted.least {
            return;
        }
        let ticket = ExportTicket(tickets.draw());
        // Before the state is looked at, so that nothing is compacted that comes after what will be seen.
        let (asked, pinned) = (wanted.ticket, applied);
        self.open
            .insert(ticket, Export { to: from, asked, pinned, manifest: None, reading: Reading::Idle, used_at: now });
        out.push(Effect::OpenExport { export: ticket });
    }

    /// The state is held still for an export, or can't be.
    pub(crate) fn opened<P>(
        &mut self,
        ticket: ExportTicket,
        manifest: Option<Manifest>,
        tickets: &Tickets,
        out: &mut Vec<Effect<P>>,
    ) {
        let Some(export) = self.open.get_mut(&ticket) else {
            out.push(Effect::CloseExport { export: ticket });
            return;
        };
        let Some(manifest) = manifest else {
            self.open.remove(&ticket);
            return;
        };
        export.pinned = export.pinned.max(manifest.position.index);
        export.manifest = Some(manifest.clone());
        out.push(told(export.to, export.asked, tickets.remote(ticket.0), manifest));
    }

    /// The receiver asks for the next rows.
    pub(crate) fn chunk_wanted<P>(
        &mut self,
        from: NodeId,
        wanted: ChunkWanted,
        (now, config): (u64, &Config),
        (tickets, out): (&Tickets, &mut Vec<Effect<P>>),
    ) {
        let ticket = tickets.own(wanted.export).map(ExportTicket);
        let export = ticket.and_then(|ticket| Some((ticket, self.open.get_mut(&ticket)?)));
        let is_readable = |export: &Export| export.manifest.is_some() && export.reading != Reading::Over;
        let Some((ticket, export)) = export.filter(|(_, export)| export.to == from && is_readable(export)) else {
            out.push(Effect::Send { to: from, message: Message::ExportGone(wanted.export) });
            return;
        };
        export.used_at = now;
        // One at a time, so that a repeated question costs nothing.
        if export.reading == Reading::Idle {
            export.reading = Reading::Chunk;
            let (rows_max, payload_bytes_max) = (config.chunk_rows_max, config.chunk_payload_bytes_max);
            let (to, remote, after) = (from, wanted.export, wanted.after);
            out.push(Effect::SendChunk { to, export: ticket, remote, after, rows_max, payload_bytes_max });
        }
    }

    /// The lane has taken a chunk, or lost it.
    pub(crate) fn chunk_sent(&mut self, ticket: ExportTicket, now: u64) {
        if let Some(export) = self.open.get_mut(&ticket) {
            if export.reading == Reading::Chunk {
                export.reading = Reading::Idle;
            }
            export.used_at = now;
        }
    }

    /// The receiver gets on, and asks that the log be kept for it. When it is level it needs that no more.
    pub(crate) fn needed<P>(
        &mut self,
        from: NodeId,
        needed: ExportNeeded,
        (now, applied): (u64, LogIndex),
        (tickets, out): (&Tickets, &mut Vec<Effect<P>>),
    ) {
        let ticket = tickets.own(needed.export).map(ExportTicket);
        let export = ticket.and_then(|ticket| Some((ticket, self.open.get_mut(&ticket)?)));
        let open = export.filter(|(_, export)| export.to == from);
        let gone = Effect::Send { to: from, message: Message::ExportGone(needed.export) };
        let Some((ticket, export)) = open else { return out.push(gone) };
        let Some(covered) = export.manifest.as_ref().map(|manifest| manifest.position.index) else { return };
        export.used_at = now;
        if needed.after <= covered {
            return;
        }
        export.pinned = export.pinned.max(needed.after);
        let is_level = applied.since(export.pinned) <= LEVEL_ENTRIES_MAX;
        if core::mem::replace(&mut export.reading, Reading::Over) != Reading::Over {
            out.push(Effect::CloseExport { export: ticket });
        }
        if is_level {
            self.open.remove(&ticket);
            out.push(gone);
        }
    }

    /// The receiver needs it no more.
    pub(crate) fn closed<P>(&mut self, from: NodeId, ticket: ExportTicket, out: &mut Vec<Effect<P>>) {
        if self.open.get(&ticket).is_some_and(|export| export.to == from) {
            self.close(ticket, out);
        }
    }

    /// Gives up what nobody asked for lately, and what keeps too much of the log. `kept` says how many payload bytes of
    /// what is applied stand in the log after an entry.
    pub(crate) fn tick<P>(
        &mut self,
        (now, applied, config): (u64, LogIndex, &Config),
        kept: impl Fn(LogIndex) -> u64,
        out: &mut Vec<Effect<P>>,
    ) {
        let is_over = |export: &Export| {
            export.used_at.saturating_add(config.export_ticks_max) <= now
                || config.pinned_entries_max < applied.since(export.pinned)
                || config.pinned_payload_bytes_max < kept(export.pinned)
        };
        let over: Vec<ExportTicket> =
            self.open.iter().filter(|(_, export)| is_over(export)).map(|(ticket, _)| *ticket).collect();
        over.into_iter().for_each(|ticket| self.close(ticket, out));
    }

    /// Gives all of them up: what they keep is needed.
    pub(crate) fn close_all<P>(&mut self, out: &mut Vec<Effect<P>>) {
        let all: Vec<ExportTicket> = self.open.keys().copied().collect();
        all.into_iter().for_each(|ticket| self.close(ticket, out));
    }

    /// The log must not be compacted beyond this.
    pub(crate) fn floor(&self) -> LogIndex {
        self.open.values().map(|export| export.pinned).min().unwrap_or(LogIndex(u64::MAX))
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn close<P>(&mut self, ticket: ExportTicket, out: &mut Vec<Effect<P>>) {
        if self.open.remove(&ticket).is_some_and(|export| export.reading != Reading::Over) {
            out.push(Effect::CloseExport { export: ticket });
        }
    }
}

fn told<P>(to: NodeId, asked: RemoteTicket, export: RemoteTicket, manifest: Manifest) -> Effect<P> {
    Effect::Send { to, message: Message::ExportOpened(ExportOpened { ticket: asked, export, manifest }) }
}

/// A receiver that lacks no more entries than this gets them in the next moment.
const LEVEL_ENTRIES_MAX: u64 = 16;
