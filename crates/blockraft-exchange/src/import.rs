//! A snapshot that this node is getting: chunks of names from one peer, payloads from all of them.
//!
//! Names come in order, at most two chunks ahead. A chunk is handed on to the state machine once every block that it names
//! is durable here, so a snapshot is complete with its payloads or not at all. What was durable already is not fetched,
//! whether an earlier life fetched it, another snapshot named it, or the log did.
//!
//! The peer that gives the names may die, or give its snapshot up. Then a newer one is asked for, of whoever leads; chunks
//! of different snapshots are never mixed, payloads are kept by name. As long as payloads come, and then until the log is
//! level, the peer is told now and then that it has to keep its own log for that.

use std::collections::{BTreeSet, VecDeque};

use blockraft_blocks::Multihash;
use blockraft_types::{LogIndex, NodeId, Position, RemoteTicket};

use crate::config::Config;
use crate::effect::Effect;
use crate::fetch::{Fetches, Purpose};
use crate::ledger::record::Holder;
use crate::ledger::{Ledger, Presence};
use crate::manifest::{Chunk, Manifest, Rest, Sealed};
use crate::message::{ChunkWanted, ExportNeeded, ExportOpened, Message, SnapshotWanted};
use crate::mistake::Mistake;
use crate::payload::Payload;
use crate::tickets::Tickets;

#[derive(Debug)]
pub(crate) struct Import {
    /// The leader's last offer: who, and what the snapshot has to cover.
    offer: Option<(NodeId, LogIndex)>,
    stage: Stage,
    /// What nobody could be found to have, and the snapshot that named it.
    lost: Option<(Multihash, Position)>,
    leftovers: Leftovers,
    /// A snapshot that was installed, and whose giver keeps its log after it until the log here is level.
    followed: Option<Followed>,
    imported: u64,
}

/// Whether rows of an import that an earlier life broke off may lie beside the state. They keep their payloads from being
/// reclaimed, so that the next import finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leftovers {
    Possible,
    None,
}

#[derive(Debug)]
enum Stage {
    Idle,
    /// The manifest is asked for.
    Asking {
        from: NodeId,
        counter: u64,
        asked_at: u64,
    },
    Pulling(Pull),
    /// The state machine makes it durable.
    Sealing(Source),
    /// It was given to consensus, which decides.
    Complete(Source),
}

#[derive(Clone, Copy, Debug)]
struct Followed {
    from: NodeId,
    export: RemoteTicket,
    /// The last entry that is durable in the log here, and the one that the giver was told of.
    durable: LogIndex,
    told: LogIndex,
    told_at: u64,
}

/// Where a snapshot comes from.
#[derive(Clone, Debug)]
struct Source {
    from: NodeId,
    export: RemoteTicket,
    manifest: Manifest,
}

#[derive(Debug)]
struct Pull {
    source: Source,
    /// The first one is being completed.
    chunks: VecDeque<Filling>,
    /// The next chunk begins behind this name.
    after: Option<Multihash>,
    names: Names,
    questions: u32,
    /// When the giver heard last that the snapshot is needed.
    told_at: u64,
}

/// Whether chunks are still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// The next one can be asked for.
    Next,
    /// It is.
    Asked {
        at: u64,
    },
    All,
}

/// A chunk whose payloads are being looked for.
#[derive(Debug)]
struct Filling {
    chunk: Chunk,
    /// How many of its rows were looked at.
    begun: usize,
    /// Those of them that aren't durable here.
    missing: BTreeSet<Multihash>,
    handed: Handed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handed {
    NotYet,
    /// The state machine is writing the rows.
    Over,
}

/// What an import works with.
pub(crate) struct Round<'a, P> {
    pub(crate) now: u64,
    pub(crate) config: &'a Config,
    pub(crate) ledger: &'a mut Ledger<P>,
    pub(crate) fetches: &'a mut Fetches,
    pub(crate) tickets: &'a mut Tickets,
    pub(crate) out: &'a mut Vec<Effect<P>>,
}

impl Import {
    pub(crate) const fn new() -> Self {
        Self {
            offer: None,
            stage: Stage::Idle,
            lost: None,
            leftovers: Leftovers::Possible,
            followed: None,
            imported: 0,
        }
    }

    /// The leader can't send what the log here lacks. A transfer under way goes on if it covers that, from wherever.
    pub(crate) fn offered<P: Payload>(&mut self, from: NodeId, least: LogIndex, round: &mut Round<'_, P>) {
        self.offer = Some((from, least));
        let covers = match &self.stage {
            Stage::Idle => false,
            Stage::Asking { from: asked, .. } => *asked == from,
            Stage::Pulling(Pull { source, .. }) => least <= source.manifest.position.index,
            // It is about to be installed, and nothing else may be written beside the state meanwhile. If it reaches too
            // short, the next offer after that says so.
            Stage::Sealing(_) | Stage::Complete(_) => true,
        };
        if !covers {
            self.ask(round);
        }
    }

    /// The log grows by itself: no snapshot is needed.
    pub(crate) fn log_grows<P: Payload>(&mut self, round: &mut Round<'_, P>) {
        self.offer = None;
        let is_under_way = matches!(self.stage, Stage::Asking { .. } | Stage::Pulling(_));
        if is_under_way {
            self.abandon(round);
        }
        if is_under_way || self.is_idle() && self.leftovers == Leftovers::Possible {
            self.clear(round);
        }
    }

    /// The log is durable up to `through`: the giver of the last snapshot has to keep no more than what comes behind that.
    pub(crate) fn log_is_durable(&mut self, through: LogIndex) {
        if let Some(followed) = &mut self.followed {
            followed.durable = followed.durable.max(through);
        }
    }

    /// A peer holds its state still.
    pub(crate) fn opened<P: Payload>(&mut self, from: NodeId, opened: ExportOpened, round: &mut Round<'_, P>) {
        let counter = round.tickets.own(opened.ticket);
        let Stage::Asking { from: asked, counter: expected, .. } = self.stage else { return };
        if asked != from || counter != Some(expected) {
            return;
        }
        if self.offer.is_some_and(|(_, least)| opened.manifest.position.index < least) {
            return self.ask(round);
        }
        let source = Source { from, export: opened.export, manifest: opened.manifest };
        let (chunks, names, told_at) = (VecDeque::new(), Names::Next, round.now);
        self.stage = Stage::Pulling(Pull { source, chunks, after: None, names, questions: 0, told_at });
        self.advance(round);
    }

    /// The peer has no such snapshot any more.
    pub(crate) fn gone<P: Payload>(&mut self, export: RemoteTicket, round: &mut Round<'_, P>) {
        self.followed.take_if(|followed| followed.export == export);
        if matches!(&self.stage, Stage::Pulling(pull) if pull.source.export == export && pull.names != Names::All) {
            self.ask(round);
        }
    }

    /// Rows came. Those that weren't asked for, or of another snapshot, are dropped.
    pub(crate) fn arrived<P: Payload>(&mut self, export: RemoteTicket, chunk: Chunk, round: &mut Round<'_, P>) {
        let Stage::Pulling(pull) = &mut self.stage else { return };
        let is_next = pull.source.export == export && chunk.after == pull.after;
        if !is_next || !matches!(pull.names, Names::Asked { .. }) || !is_in_order(&chunk) {
            return;
        }
        pull.questions = 0;
        pull.after = chunk.rows.last().map(|row| row.named.name).or(pull.after);
        pull.names = match chunk.rest {
            Rest::More => Names::Next,
            Rest::Nothing => Names::All,
        };
        pull.chunks.push_back(Filling { chunk, begun: 0, missing: BTreeSet::new(), handed: Handed::NotYet });
        self.advance(round);
    }

    /// A payload is durable here.
    pub(crate) fn durable<P: Payload>(&mut self, name: Multihash, round: &mut Round<'_, P>) {
        let Stage::Pulling(pull) = &mut self.stage else { return };
        let mut found = false;
        for filling in &mut pull.chunks {
            if filling.missing.remove(&name) {
                round.fetches.unwant(name, Purpose::Snapshot);
                found = true;
            }
        }
        if found {
            let waited = round.now.saturating_sub(pull.told_at);
            if round.config.export_ticks_max / 4 <= waited {
                pull.told_at = round.now;
                let needed = ExportNeeded { export: pull.source.export, after: pull.source.manifest.position.index };
                round.out.push(Effect::Send { to: pull.source.from, message: Message::ExportNeeded(needed) });
            }
            self.advance(round);
        }
    }

    /// The state machine has the rows of the first chunk, beside its state: from now on they name their blocks.
    pub(crate) fn imported<P: Payload>(&mut self, round: &mut Round<'_, P>) {
        let Stage::Pulling(pull) = &mut self.stage else { return };
        let Some(filling) = pull.chunks.pop_front_if(|filling| filling.handed == Handed::Over) else { return };
        self.imported += filling.chunk.rows.len() as u64;
        // Otherwise the ledger would keep a record of each until its grace is over.
        filling.chunk.rows.iter().for_each(|row| round.ledger.created(row.named.name));
        release(&filling, round.ledger);
        if filling.chunk.rest == Rest::Nothing {
            let source = pull.source.clone();
            round.out.push(Effect::SealImport { manifest: source.manifest.clone() });
            self.stage = Stage::Sealing(source);
            return;
        }
        self.advance(round);
    }

    /// The snapshot is durable, or isn't what its manifest said.
    pub(crate) fn sealed<P: Payload>(&mut self, outcome: Sealed, round: &mut Round<'_, P>) {
        let Stage::Sealing(source) = &self.stage else { return };
        match outcome {
            Sealed::Whole => {
                round.out.push(Effect::SnapshotComplete { manifest: source.manifest.clone() });
                self.stage = Stage::Complete(source.clone());
            }
            Sealed::Broken => self.ask(round),
        }
    }

    /// Consensus has taken the snapshot: the state before it is to be cleared away.
    pub(crate) fn installed<P: Payload>(&mut self, position: Position, round: &mut Round<'_, P>) {
        if let Stage::Complete(source) = &self.stage
            && source.manifest.position == position
        {
            let (from, export, last) = (source.from, source.export, position.index);
            self.followed = Some(Followed { from, export, durable: last, told: last, told_at: round.now });
            self.stage = Stage::Idle;
            (self.offer, self.lost) = (None, None);
            self.clear(round);
        }
    }

    /// Consensus has no use for the snapshot: it is to be cleared away.
    pub(crate) fn unneeded<P: Payload>(&mut self, position: Position, round: &mut Round<'_, P>) {
        if matches!(&self.stage, Stage::Complete(source) if source.manifest.position == position) {
            self.abandon(round);
            (self.offer, self.lost) = (None, None);
            self.clear(round);
        }
    }

    /// All peers that can be reached, the leader among them, say that they don't have it. Either it was deleted since the
    /// snapshot was made: then a newer one doesn't name it. Or it is lost, which an operator must hear of; it is looked for
    /// as long as it takes.
    pub(crate) fn nobody_has<P: Payload>(&mut self, name: Multihash, round: &mut Round<'_, P>) {
        let Stage::Pulling(pull) = &self.stage else { return };
        let position = pull.source.manifest.position;
        match self.lost {
            Some((lost, _)) if lost == name => {
                round.out.push(Effect::SnapshotStuck { name, position });
                // Said once for each snapshot.
                self.lost = Some((name, position));
            }
            _ => {
                self.lost = Some((name, position));
                self.ask(round);
            }
        }
    }

    pub(crate) fn tick<P: Payload>(&mut self, round: &mut Round<'_, P>) {
        if let Some(followed) = &mut self.followed
            && followed.told < followed.durable
            && followed.told_at.saturating_add(round.config.retry_ticks) <= round.now
        {
            (followed.told, followed.told_at) = (followed.durable, round.now);
            let needed = ExportNeeded { export: followed.export, after: followed.durable };
            round.out.push(Effect::Send { to: followed.from, message: Message::ExportNeeded(needed) });
        }
        let patience = round.config.fetch_ticks_max;
        match &mut self.stage {
            Stage::Asking { asked_at, .. } if asked_at.saturating_add(patience) <= round.now => self.ask(round),
            Stage::Pulling(pull) => {
                if matches!(pull.names, Names::Asked { at } if at.saturating_add(patience) <= round.now) {
                    if CHUNK_QUESTIONS_MAX <= pull.questions {
                        return self.ask(round);
                    }
                    pull.names = Names::Next;
                }
                self.advance(round);
            }
            Stage::Idle | Stage::Asking { .. } | Stage::Sealing(_) | Stage::Complete(_) => {}
        }
    }

    /// Names that came and are in the state machine's hands.
    pub(crate) const fn imported_names(&self) -> u64 {
        self.imported
    }

    pub(crate) const fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Idle)
    }

    fn clear<P: Payload>(&mut self, round: &mut Round<'_, P>) {
        self.leftovers = Leftovers::None;
        round.out.push(Effect::ClearImport);
    }

    /// Asks whoever leads for a snapshot, from the first name on.
    fn ask<P: Payload>(&mut self, round: &mut Round<'_, P>) {
        self.abandon(round);
        let Some((from, least)) = self.offer else { return };
        let counter = round.tickets.draw();
        let wanted = SnapshotWanted { ticket: round.tickets.remote(counter), least };
        round.out.push(Effect::Send { to: from, message: Message::SnapshotWanted(wanted) });
        self.leftovers = Leftovers::Possible;
        self.stage = Stage::Asking { from, counter, asked_at: round.now };
    }

    /// Lets go of the transfer, of its leases and fetches, and of the peer's snapshot.
    fn abandon<P: Payload>(&mut self, round: &mut Round<'_, P>) {
        let source = match core::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle | Stage::Asking { .. } => return,
            Stage::Sealing(source) | Stage::Complete(source) => source,
            Stage::Pulling(Pull { source, chunks, .. }) => {
                for filling in &chunks {
                    release(filling, round.ledger);
                    filling.missing.iter().for_each(|name| round.fetches.unwant(*name, Purpose::Snapshot));
                }
                source
            }
        };
        round.out.push(Effect::Send { to: source.from, message: Message::ExportClosed(source.export) });
    }

    /// Begins what may begin: the next question for names, looks at rows, and the handing over of a complete chunk.
    fn advance<P: Payload>(&mut self, round: &mut Round<'_, P>) {
        let Stage::Pulling(pull) = &mut self.stage else { return };
        if pull.names == Names::Next && pull.chunks.len() < CHUNKS_AHEAD {
            pull.names = Names::Asked { at: round.now };
            pull.told_at = round.now;
            pull.questions += 1;
            let wanted = ChunkWanted { export: pull.source.export, after: pull.after };
            round.out.push(Effect::Send { to: pull.source.from, message: Message::ChunkWanted(wanted) });
        }
        let mut missing: usize = pull.chunks.iter().map(|filling| filling.missing.len()).sum();
        for filling in &mut pull.chunks {
            while missing < round.config.snapshot_names_max
                && let Some(row) = filling.chunk.rows.get(filling.begun)
            {
                filling.begun += 1;
                let name = row.named.name;
                round.ledger.lease(name, Holder::Transfer);
                if round.ledger.presence(name) != Presence::Durable {
                    filling.missing.insert(name);
                    missing += 1;
                    round.fetches.want(row.named, Purpose::Snapshot);
                    round.ledger.stat(name, round.out);
                }
            }
        }
        if let Some(filling) = pull.chunks.front_mut()
            && filling.handed == Handed::NotYet
            && filling.begun == filling.chunk.rows.len()
            && (filling.missing.is_empty() || round.ledger.mistakes.makes(Mistake::SnapshotWithoutPayloads))
        {
            filling.handed = Handed::Over;
            round.out.push(Effect::ImportChunk { chunk: filling.chunk.clone() });
        }
    }
}

fn release<P: Payload>(filling: &Filling, ledger: &mut Ledger<P>) {
    for row in filling.chunk.rows.iter().take(filling.begun) {
        ledger.release(row.named.name, Holder::Transfer);
    }
}

/// Whether the names come behind the cursor and one behind the other.
fn is_in_order(chunk: &Chunk) -> bool {
    let names = || chunk.after.iter().chain(chunk.rows.iter().map(|row| &row.named.name));
    names().zip(names().skip(1)).all(|(name, next)| name < next)
        && (chunk.rest == Rest::Nothing || !chunk.rows.is_empty())
}

/// Chunks of names that are here at once: one is completed, the other one begun.
const CHUNKS_AHEAD: usize = 2;

/// A chunk that is asked for so often in vain won't come.
const CHUNK_QUESTIONS_MAX: u32 = 4;
