//! The driver's gate: asks the data plane which entries may enter, and tells it what becomes of the log.
//!
//! It lives in the driver's loop, so that one owner serialises reserve, put and reclaim of each block with the steps of
//! consensus. It does no I/O: what the data plane wants done leaves through a channel.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use blockraft_blocks::{Block, Multihash};
use blockraft_catalog::{Command, batch};
use blockraft_core::{LogPoint, ProposalTicket, Snapshot};
use blockraft_driver::gate::{Admission, AppendGate, GateChanges, GateRefusal, HeldChange, LogEvent};
use blockraft_exchange::effect::ProposalRefusal;
use blockraft_exchange::payload::{EntryNames, Named};
use blockraft_exchange::{Effect, Exchange, Input, Manifest};
use blockraft_types::{BodyDigest, Entry, EntryKind, LogIndex, Position};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::inline_pending::InlinePending;
use crate::mistake::Mistake;
use crate::payload::BlockPayload;

/// The data plane behind the driver's hook.
#[derive(Debug)]
pub struct NodeGate {
    exchange: Exchange<BlockPayload>,
    inline: Arc<InlinePending>,
    effects: mpsc::UnboundedSender<Effect<BlockPayload>>,
    status: watch::Sender<blockraft_exchange::Status>,
    /// Entries in the log that aren't known to be durable: the data plane wants positions, the driver tells indexes.
    unpersisted: VecDeque<Position>,
    /// What came up while no changes could be returned; the next tick takes it along.
    pending: GateChanges,
    /// How far the data plane was told what applying did. The apply thread tells the driver by a way of its own, which may
    /// be the faster one.
    told: LogIndex,
    ticks: u64,
    /// Until when the store is called full, if it was.
    full_until: Option<u64>,
    /// Whether entries wait because there is no room for the bodies inside them.
    holds_inlined: bool,
    /// The bodies of entries that wait and whose inlined blocks were hashed: they are asked about again and again.
    verified: HashSet<BodyDigest>,
}

impl NodeGate {
    /// The gate of a data plane to which the log was replayed, and what was applied up to `applied`.
    pub(crate) fn new(
        exchange: Exchange<BlockPayload>,
        applied: LogIndex,
        inline: Arc<InlinePending>,
        effects: mpsc::UnboundedSender<Effect<BlockPayload>>,
        status: watch::Sender<blockraft_exchange::Status>,
    ) -> Self {
        let (unpersisted, pending) = (VecDeque::new(), GateChanges::default());
        Self {
            exchange,
            inline,
            effects,
            status,
            unpersisted,
            pending,
            told: applied,
            ticks: 0,
            full_until: None,
            holds_inlined: false,
            verified: HashSet::new(),
        }
    }

    /// Switches a known mistake of the data plane on, so that a simulation can show that it notices.
    #[cfg(seeded_bugs)]
    pub fn seed_mistake(&mut self, mistake: blockraft_exchange::Mistake) {
        self.exchange.seed_mistake(mistake);
    }

    /// Hands on what the data plane wants done, and keeps what concerns the driver.
    fn drain(&mut self) {
        for effect in self.exchange.take_effects() {
            match effect {
                Effect::GateMoved => self.pending.held = HeldChange::Recheck,
                Effect::ProposalReady { ticket } => self.pending.released.push(ProposalTicket(ticket.0)),
                Effect::ProposalRefused { ticket, reason } => {
                    self.pending.refused.push((ProposalTicket(ticket.0), refusal(reason)));
                }
                Effect::SnapshotComplete { manifest } => self.pending.snapshot = Some(snapshot_of(manifest)),
                // Nobody performs effects any more once the node has stopped; the loop is about to end too.
                other => drop(self.effects.send(other)),
            }
        }
    }

    fn step(&mut self, input: Input<BlockPayload>) {
        self.exchange.step(input);
        self.drain();
    }

    /// Says once that the store is full, and once that it isn't any more. Whoever waits for room in it looks again.
    fn watch_room(&mut self) {
        let is_full = self.exchange.is_full();
        self.inline.set_store_full(is_full);
        if is_full {
            if self.full_until.is_none() {
                warn!("block_store_full");
            }
            self.full_until = Some(self.ticks + ROOM_TICKS);
        }
        if self.full_until.take_if(|until| *until <= self.ticks).is_some() {
            info!("block_store_has_room");
        }
        if self.holds_inlined && !self.lacks_room_for_inline() {
            self.pending.held = HeldChange::Recheck;
        }
    }

    fn lacks_room_for_inline(&self) -> bool {
        self.exchange.is_full() && !self.exchange.has_room_for_inline()
    }

    fn persisted(&mut self, through: LogIndex) {
        let durable = self.unpersisted.partition_point(|position| position.index <= through);
        let last = self.unpersisted.drain(..durable).next_back();
        if let Some(position) = last {
            self.step(Input::Persisted { position });
        }
    }
}

impl AppendGate for NodeGate {
    type Event = Input<BlockPayload>;

    fn admit(&mut self, entries: &[Entry]) -> usize {
        // A full store takes no bodies: beyond their bound, entries with more of them wait in front of the log, in order.
        let may_inline = !self.lacks_room_for_inline();
        let storable = entries.iter().take_while(|entry| may_inline || !commands(entry).iter().any(is_inlined));
        let readable: Vec<EntryNames> = storable.map_while(|entry| needed(entry, &self.verified)).collect();
        self.holds_inlined = !may_inline && readable.len() < entries.len();
        let admitted = self.exchange.reserve_append(&readable);
        let waiting = entries.iter().take(readable.len()).skip(admitted);
        self.verified = waiting.map(|entry| entry.head.body_digest).collect();
        self.drain();
        admitted
    }

    fn admit_proposal(&mut self, ticket: ProposalTicket, body: &Bytes) -> Admission {
        let Ok(requests) = batch::decode(body) else {
            return Admission::Refuse(GateRefusal::Never("the body is not a batch of commands"));
        };
        let commands: Vec<Command> = requests.into_iter().map(|request| request.command).collect();
        if !commands.iter().all(inlined_body_is_true) {
            return Admission::Refuse(GateRefusal::Never("an inlined block doesn't hash to its name"));
        }
        // Whatever is committed every member has to store. Deletes make room.
        if self.exchange.is_full() && commands.iter().any(is_inlined) {
            return Admission::Refuse(GateRefusal::NoRoom);
        }
        let names: Vec<Named> = commands.iter().filter_map(beside_the_log).collect();
        let admission = self.exchange.reserve_proposal(blockraft_exchange::ProposalTicket(ticket.0), &names, None);
        self.drain();
        match admission {
            blockraft_exchange::Admission::Enter => Admission::Enter,
            blockraft_exchange::Admission::Wait => Admission::Wait,
            blockraft_exchange::Admission::Refuse(reason) => Admission::Refuse(refusal(reason)),
        }
    }

    fn handle(&mut self, event: Self::Event) -> GateChanges {
        if let Input::Applied { index, .. } = event {
            self.told = self.told.max(index);
        }
        self.step(event);
        core::mem::take(&mut self.pending)
    }

    fn tick(&mut self) -> GateChanges {
        self.step(Input::Tick);
        self.ticks += 1;
        self.watch_room();
        if self.ticks.is_multiple_of(STATUS_TICKS) {
            self.status.send_replace(self.exchange.status());
        }
        core::mem::take(&mut self.pending)
    }

    fn observe(&mut self, event: LogEvent<'_>) {
        match event {
            LogEvent::Appended { entries } => {
                for entry in entries {
                    self.unpersisted.push_back(entry.head.position);
                    self.step(Input::Appended { position: entry.head.position, names: named(entry) });
                }
            }
            LogEvent::Persisted { through } => self.persisted(through),
            LogEvent::Truncated { from } => {
                let kept = self.unpersisted.partition_point(|position| position.index < from);
                self.unpersisted.truncate(kept);
                self.step(Input::Truncated { from });
            }
            LogEvent::Dropped { entries } => {
                let positions = entries.iter().map(|entry| entry.head.position).collect();
                self.step(Input::AppendDropped { positions });
            }
            LogEvent::Compacted { through } => self.step(Input::Compacted { through }),
            LogEvent::ProposalAccepted { ticket, .. } | LogEvent::ProposalRefused { ticket } => {
                self.step(Input::ProposalClosed { ticket: blockraft_exchange::ProposalTicket(ticket.0) });
            }
            LogEvent::Leader { term, leader } => self.step(Input::Leader { term, leader }),
            LogEvent::Membership(membership) => self.step(Input::Membership { membership: membership.clone() }),
            LogEvent::SnapshotWanted(offer) => {
                self.step(Input::SnapshotOffered { from: offer.from, least: offer.least.position.index });
            }
            LogEvent::SnapshotInstalled(position) => {
                self.told = self.told.max(position.index);
                let replaced = self.unpersisted.partition_point(|entry| entry.index <= position.index);
                self.unpersisted.drain(..replaced);
                self.step(Input::SnapshotInstalled { position });
            }
            LogEvent::SnapshotUnneeded(position) => self.step(Input::SnapshotUnneeded { position }),
            LogEvent::PeerConnected(peer) => self.step(Input::PeerConnected { peer }),
            LogEvent::PeerDisconnected(peer) => self.step(Input::PeerDisconnected { peer }),
            // The state machine tells the data plane itself, with the names; what is only held takes no lease.
            LogEvent::Applied { .. } | LogEvent::Held { .. } => {}
            // The driver may learn to tell more than a data plane needs.
            _ => {}
        }
    }

    fn compaction_floor(&self) -> LogIndex {
        if Mistake::InlineNotHeld.is_made() {
            return LogIndex(u64::MAX);
        }
        // Of bodies that rode in entries behind `told` the data plane has yet to hear.
        self.exchange.compaction_floor().min(self.told)
    }

    fn compaction_wanted(&self) -> Option<LogIndex> {
        self.exchange.compaction_wanted()
    }

    fn is_obstructed(&self) -> bool {
        self.exchange.is_full() || self.exchange.is_stalled()
    }
}

impl Drop for NodeGate {
    /// The loop ends, and nothing is stored any more: the apply thread, which the driver is about to wait for, must not
    /// wait for the store.
    fn drop(&mut self) {
        self.inline.close();
    }
}

/// Every block that an entry's puts name, inlined or not. Nothing for a body that can't be read: applying it is what
/// stops the node loudly.
pub(crate) fn named(entry: &Entry) -> Vec<Named> {
    commands(entry).iter().filter_map(put_of).map(|(named, _)| named).collect()
}

/// The blocks that an entry's puts name beside the log.
pub(crate) fn beside(entry: &Entry) -> Vec<Named> {
    commands(entry).iter().filter_map(beside_the_log).collect()
}

/// The blocks that ride inside an entry, verified. Those that don't hash to their names are left out.
pub(crate) fn inlined(entry: &Entry) -> Vec<Block> {
    commands(entry)
        .into_iter()
        .filter_map(|command| match command {
            Command::Put { multihash, inline: Some(inline), .. } => Block::verify(multihash, inline).ok(),
            _ => None,
        })
        .collect()
}

/// What an entry needs in the block store, or `None` if it must not enter: an inlined block that isn't what it is called.
/// Bodies that are `verified` aren't hashed again.
fn needed(entry: &Entry, verified: &HashSet<BodyDigest>) -> Option<EntryNames> {
    let commands = commands(entry);
    if !verified.contains(&entry.head.body_digest) && !commands.iter().all(inlined_body_is_true) {
        error!(position = %entry.head.position, "refused_false_inline");
        return None;
    }
    let names = commands.iter().filter_map(beside_the_log).collect();
    Some(EntryNames { position: entry.head.position, names })
}

fn snapshot_of(manifest: Manifest) -> Snapshot {
    let Manifest { position, chain, membership, membership_index, .. } = manifest;
    Snapshot { point: LogPoint { position, chain }, membership, membership_index }
}

fn commands(entry: &Entry) -> Vec<Command> {
    match entry.head.kind {
        EntryKind::Command => {
            let requests = batch::decode(&entry.body).unwrap_or_default();
            requests.into_iter().map(|request| request.command).collect()
        }
        EntryKind::Blank | EntryKind::Membership(_) => Vec::new(),
    }
}

fn beside_the_log(command: &Command) -> Option<Named> {
    put_of(command).and_then(|(named, inline)| inline.is_none().then_some(named))
}

const fn is_inlined(command: &Command) -> bool {
    matches!(command, Command::Put { inline: Some(_), .. })
}

fn put_of(command: &Command) -> Option<(Named, Option<&Bytes>)> {
    match command {
        Command::Put { multihash, length, inline } => {
            Some((Named { name: *multihash, length: *length }, inline.as_ref()))
        }
        _ => None,
    }
}

fn inlined_body_is_true(command: &Command) -> bool {
    match command {
        Command::Put { multihash, inline: Some(inline), .. } => {
            Multihash::of(multihash.hash_code(), inline) == *multihash
        }
        _ => true,
    }
}

fn refusal(reason: ProposalRefusal) -> GateRefusal {
    match reason {
        ProposalRefusal::Full => GateRefusal::Later("too many proposals wait for their payloads"),
        ProposalRefusal::NotHeld => GateRefusal::Later("a payload could not be had in time"),
        ProposalRefusal::StoreFull => GateRefusal::NoRoom,
        ProposalRefusal::Poisoned => GateRefusal::Later("the block store takes no more writes"),
        ProposalRefusal::Length => GateRefusal::Never("a named length is not the length of the block"),
        _ => GateRefusal::Later("the data plane refused it"),
    }
}

/// Ticks between two pictures of the data plane for operators.
const STATUS_TICKS: u64 = 10;

/// Ticks without a refusal until the store is said to have room again.
const ROOM_TICKS: u64 = 1_000;

#[cfg(test)]
mod tests;
