//! A node with its disks: it starts, lives, stands still, dies, and starts again.

mod damage;

use core::fmt::Display;
use std::collections::BTreeSet;
use std::sync::Arc;

use blockraft_blocks::Multihash;
use blockraft_catalog::{CarriedBond, CatalogReader, MemoryTable, Table, Vertex};
use blockraft_core::RestoreError;
use blockraft_driver::state_machine::StateMachine;
use blockraft_driver::{Event, Remains, Replica, restore};
use blockraft_exchange::Input;
use blockraft_log::{LogStore, MemoryDisk};
use blockraft_node::assembly::{Assembly, Ground};
use blockraft_node::config::Identity;
use blockraft_node::freshness::Freshness;
use blockraft_node::lost_tail::LostTailError;
use blockraft_node::recall::{BehindItsPast, Recollection};
use blockraft_node::replay;
use blockraft_node::start_error::StartError;
use blockraft_node::witness::{Past, Witness};
use blockraft_types::{BootNonce, ClusterId, LogIndex, Membership, MembershipChange, NodeId};
use blockraft_wire::node::NodeMessage;
use futures::FutureExt;

use crate::block_disk::BlockDisk;
use crate::chance::Chance;
use crate::desk::{Desk, Wanted};
use crate::fault::Fault;
use crate::happening::{Frame, Happening, What};
use crate::introductions::{Course, Introductions};
use crate::law::Law;
use crate::life::{Death, GROUP, Life, Parts};
use crate::marks::Mark;
use crate::mistake::Planted;
use crate::oracle::Picture;
use crate::place::{incarnation, node_at};
use crate::stage::Stage;
use crate::testimony::Relapse;
use crate::time::Time;

/// A node.
#[derive(Debug)]
pub(crate) struct Member {
    place: usize,
    genesis: Membership,
    pub(crate) disks: Disks,
    pub(crate) blocks: BlockDisk,
    log: MemoryDisk,
    table: MemoryTable,
    /// What its process has kept of what it saw of others.
    kept: Vec<u8>,
    /// A copy of its disks, for whoever restores it one day.
    back_up: Option<BackUp>,
    boots: u64,
    chance: Chance,
    planted: Planted,
    pub(crate) awake: Option<Awake>,
    /// Nothing of it moves before.
    pub(crate) paused_until: Time,
    /// Ticks that passed meanwhile.
    missed_ticks: u64,
    /// A start is on its way.
    is_starting: bool,
    /// How many ticks passed since it wrote down what it has seen of others.
    ticks: u64,
    /// It stays down until the world says otherwise.
    pub(crate) is_held: bool,
    /// What fails next.
    pub(crate) failing: Option<Death>,
}

/// A copy of a node's disks.
#[derive(Debug, Default)]
struct BackUp {
    own: Past,
    blocks: BlockDisk,
    log: MemoryDisk,
    table: MemoryTable,
}

/// Whether a node has disks to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disks {
    /// Nobody formatted them yet.
    Unformatted,
    Formatted,
    /// They say that it was removed from the group.
    Retired,
    /// They are gone for ever.
    Wiped,
}

/// A node that runs.
#[derive(Debug)]
pub(crate) struct Awake {
    pub(crate) life: Life,
    pub(crate) desk: Desk,
}

impl Member {
    pub(crate) fn new(place: usize, seed: u64, genesis: Membership, planted: Planted) -> Self {
        Self {
            place,
            genesis,
            disks: Disks::Unformatted,
            blocks: BlockDisk::default(),
            log: MemoryDisk::new(),
            table: MemoryTable::new(),
            kept: Witness::default().encode(),
            back_up: None,
            boots: 0,
            chance: Chance::new(seed, 100 + place as u64),
            planted,
            awake: None,
            paused_until: Time::default(),
            missed_ticks: 0,
            is_starting: false,
            ticks: 0,
            is_held: false,
            failing: None,
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.awake.is_some()
    }

    pub(crate) const fn boot(&self) -> Option<u64> {
        if self.is_up() { Some(self.boots) } else { None }
    }

    /// Makes a node that can start.
    pub(crate) fn format(&mut self) {
        if self.disks == Disks::Unformatted {
            self.disks = Disks::Formatted;
        }
    }

    /// Whether it runs, or may run again.
    pub(crate) fn is_living(&self) -> bool {
        self.disks == Disks::Formatted
    }

    /// Starts it a while from now, unless it runs, is about to, is held down, or can't.
    pub(crate) fn start_after(&mut self, stage: &mut Stage, micros: u64) {
        if !self.is_up() && !self.is_starting && !self.is_held && self.is_living() {
            self.is_starting = true;
            stage.after(micros, self.place, None, What::Start);
        }
    }

    /// What happens to it.
    pub(crate) fn happen(&mut self, stage: &mut Stage, happening: Happening) {
        let Happening { node, boot, what } = happening;
        if boot.is_some() && boot != self.boot() {
            return;
        }
        if let What::Start = what {
            self.is_starting = false;
            return self.start(stage);
        }
        if stage.now < self.paused_until {
            if let What::Tick = what {
                self.missed_ticks += 1;
                return self.schedule_tick(stage);
            }
            let until = self.paused_until;
            return stage.queue.push(until, Happening { node, boot, what });
        }
        match self.live(stage, what) {
            Ok(()) => self.hear(stage),
            Err(death) => self.die(stage, death),
        }
    }

    fn live(&mut self, stage: &mut Stage, what: What) -> Result<(), Death> {
        let Some(Awake { life, desk }) = &mut self.awake else { return Ok(()) };
        match what {
            What::Tick => {
                let count = (core::mem::take(&mut self.missed_ticks) + 1).min(TICKS_PER_PAUSE_MAX);
                if life.is_starting() {
                    life.wait_for_others(stage, count);
                } else {
                    life.tick(stage, count);
                    self.ticks += count;
                    if KEEP_TICKS <= self.ticks {
                        self.ticks = 0;
                        self.kept = life.introductions.witness.encode();
                        stage.testimony.kept(self.place);
                    }
                }
                self.schedule_tick(stage);
            }
            What::Deliver { from, session, frame: Frame::Node(NodeMessage::Recall(question)) } => {
                if stage.network.session(from, self.place) == Some(session) {
                    life.recall(stage, node_at(from), question);
                }
            }
            What::Deliver { from, session, frame: Frame::Node(NodeMessage::RecallReply(reply)) } => {
                if stage.network.session(from, self.place) == Some(session) {
                    life.told(stage, node_at(from), reply)?;
                }
            }
            // It hears nothing else before it has asked.
            What::Deliver { .. } if life.is_starting() => {}
            What::Turn => life.turn(stage),
            What::LogSynced if self.failing == Some(Death::Log) => {
                self.failing = None;
                return Err(Death::Log);
            }
            // Between a snapshot that was taken and the log that begins behind it there is a moment too short to be hit often.
            What::LogSynced
                if life.is_resetting()
                    && stage.weather.faults.has(Fault::LogFailure)
                    && stage.now.0 < stage.weather.trouble
                    && self.chance.permille(150) =>
            {
                return Err(Death::Log);
            }
            What::StoreDone { .. } if self.failing == Some(Death::Store) => {
                self.failing = None;
                return Err(Death::Store);
            }
            What::LogSynced => life.log_synced(stage)?,
            What::LogRead { request, first, last, bytes_max } => {
                life.log_read(stage, request, (first, last), bytes_max);
            }
            What::Apply => life.apply(stage)?,
            What::Tell => life.tell(stage),
            What::StoreDone { operation } => life.store_done(stage, operation),
            What::Stat { name } => life.stat(stage, name),
            What::List { after, limit } => life.list(stage, after, limit),
            What::CheckRows { ticket, names } => life.check_rows(stage, ticket, names),
            What::Serve { to, serve, ticket, name } => life.serve(stage, to, (serve, ticket), name),
            What::PushEnded { to, ticket, sent } => life.push_ended(stage, to, ticket, sent),
            What::Deliver { from, session, frame } => {
                let peer = NodeId(from as u64 + 1);
                let stands = stage.network.session(from, self.place) == Some(session);
                match frame {
                    // Consensus must bear messages from anywhere in its past.
                    Frame::Raft { message, bodies } => {
                        life.heard(stage, peer, &message);
                        if life.may_talk(stage, peer) {
                            life.event(stage, Event::Received { from: peer, message, bodies });
                        }
                    }
                    Frame::Exchange(message) if stands => life.gate(stage, Input::Message { from: peer, message }),
                    Frame::Node(message) if stands => desk.receive(stage, life, peer, message),
                    Frame::Bulk { header, body } if stands => life.arrived(stage, peer, header, body),
                    Frame::Exchange(_) | Frame::Node(_) | Frame::Bulk { .. } => {}
                }
            }
            What::Request { id, poke } => desk.poke(stage, life, id, poke),
            What::Start | What::Session { .. } | What::Client { .. } | What::Stroke => {}
        }
        Ok(())
    }

    /// Lets the requests take what the life said.
    fn hear(&mut self, stage: &mut Stage) {
        if let Some(Awake { life, desk }) = &mut self.awake {
            desk.hear(stage, life);
        }
    }

    /// A client asks this node.
    pub(crate) fn ask(&mut self, stage: &mut Stage, id: u64, client: usize, wanted: Wanted) -> bool {
        let Some(Awake { life, desk }) = &mut self.awake else { return false };
        if life.is_starting() {
            return false;
        }
        desk.ask(stage, life, id, client, wanted);
        desk.hear(stage, life);
        true
    }

    /// The transport has a connection, or has lost it.
    pub(crate) fn connection(&mut self, stage: &mut Stage, peer: NodeId, connection: Connection) {
        let Some(Awake { life, desk }) = &mut self.awake else { return };
        match connection {
            Connection::Gained => life.connected(stage, peer),
            Connection::Lost => {
                life.disconnected(stage, peer);
                desk.gone(stage, life, peer);
                desk.hear(stage, life);
            }
        }
    }

    /// Asks it to hand leadership over.
    pub(crate) fn transfer(&mut self, stage: &mut Stage, to: NodeId) {
        if let Some(Awake { life, .. }) = &mut self.awake {
            life.event(stage, Event::TransferLeadership { to });
        }
    }

    /// Asks it for a change of members.
    pub(crate) fn change(&mut self, stage: &mut Stage, change: MembershipChange) {
        if let Some(Awake { life, .. }) = &mut self.awake {
            life.change(stage, change);
        }
    }

    fn schedule_tick(&self, stage: &mut Stage) {
        let permille = stage.weather.clock_permille.get(self.place).copied().unwrap_or(1_000);
        let micros = stage.weather.tick * 1_000 / permille;
        stage.after(micros, self.place, self.boot(), What::Tick);
    }

    fn die(&mut self, stage: &mut Stage, death: Death) {
        let fault = match death {
            Death::Log => Fault::LogFailure,
            Death::Store => Fault::StoreFailure,
            Death::BehindItsPast(behind) => return self.retire(stage, behind),
            // A breach is noted; nothing of this world counts any more.
            Death::Broken => return self.cut_power(stage),
        };
        stage.strike(fault);
        self.cut_power(stage);
    }

    /// It found out that it must take no part any more.
    fn retire(&mut self, stage: &mut Stage, behind: BehindItsPast) {
        let now = stage.now;
        stage.trace.say(now, format_args!("{behind}"));
        let Some(trial) = stage.testimony.trial().filter(|trial| trial.place == self.place) else {
            return stage.breach(Law::Starts, format!("nothing happened to its disks, and yet: {behind}"));
        };
        let was_starting = self.awake.as_ref().is_some_and(|awake| awake.life.is_starting());
        stage.meet(if was_starting { Mark::BehindAtStart } else { Mark::BehindLater });
        if trial.disks == Relapse::Emptied {
            stage.meet(Mark::ReturnedEmpty);
        }
        self.wipe(stage);
    }

    /// Its power goes: what isn't durable is lost, or kept in part.
    pub(crate) fn cut_power(&mut self, stage: &mut Stage) {
        let Some(Awake { mut life, desk }) = self.awake.take() else { return };
        let now = stage.now;
        stage.trace.say(now, format_args!("node {} loses its power", self.place + 1));
        if stage.leading.get(self.place).is_some_and(Option::is_some)
            && life.replica.status().core.commit_index < life.replica.status().core.last.index
        {
            stage.meet(Mark::LeaderLostTail);
        }
        if stage.shadows.is_recovering(self.place) {
            stage.meet(Mark::CutAmidRecovery);
        }
        life.cut_log(stage);
        life.cut_store(stage);
        let unflushed = self.table.unflushed() as u64;
        self.table.cut_power(self.chance.below(unflushed + 1) as usize);
        stage.shadows.cut(self.place);
        stage.testimony.cut(self.place);
        if let Some(leading) = stage.leading.get_mut(self.place) {
            *leading = None;
        }
        desk.close(stage);
        drop(life);
        stage.network.forget(self.place);
        stage.review_sessions(self.place, &mut self.chance);
        let downtime = stage.weather.downtime.draw(&mut self.chance);
        self.start_after(stage, downtime);
    }

    fn start(&mut self, stage: &mut Stage) {
        if self.is_up() || self.is_held || !self.is_living() {
            return;
        }
        self.boots += 1;
        self.missed_ticks = 0;
        self.ticks = 0;
        self.paused_until = stage.now;
        self.failing = None;
        match self.wake(stage) {
            Ok(()) => {
                let now = stage.now;
                stage.trace.say(now, format_args!("node {} starts for the {}. time", self.place + 1, self.boots));
                self.schedule_tick(stage);
                stage.review_sessions(self.place, &mut self.chance);
            }
            Err(Sleep::Removed) => {
                stage.meet(Mark::Retired);
                self.disks = Disks::Retired;
                if stage.testimony.is_on_trial(self.place) {
                    stage.testimony.close();
                }
            }
            Err(Sleep::Irrecoverable) => {
                if stage.shadows.others_always_elect(self.place) {
                    let what = format!("node {} doesn't start, and the others could lead without it", self.place + 1);
                    stage.breach(Law::Starts, what);
                }
                self.wipe(stage);
            }
            Err(Sleep::Broken(why)) => {
                stage.breach(Law::Starts, format!("node {} doesn't start: {why}", self.place + 1));
            }
        }
    }

    fn wake(&mut self, stage: &mut Stage) -> Result<(), Sleep> {
        let identity = identity(self.place, self.boots);
        let mut log = self.log.open();
        let ground = Ground {
            identity,
            group: GROUP,
            genesis: &self.genesis,
            exchange: stage.weather.exchange.clone(),
            log: &mut log,
            blocks: &self.blocks,
            table: Arc::new(self.table.clone()),
            sessions: stage.weather.sessions,
        };
        let assembly = Assembly::build(ground).now_or_never().ok_or_else(waits)?;
        let assembly = assembly.map_err(|error| match error {
            StartError::Removed { .. } => Sleep::Removed,
            StartError::LostTail(LostTailError::NoQuorum { .. }) => Sleep::Irrecoverable,
            error => Sleep::Broken(format!("{error}: {error:?}")),
        })?;
        let Assembly {
            log: state,
            membership: (membership_index, membership),
            log_sizes,
            importer,
            machine,
            mut gate,
            rows,
            inline,
            told,
            tellings,
            wishes,
            exchange_status: status,
            named,
            is_in_doubt,
        } = assembly;
        let is_on_trial = stage.testimony.is_on_trial(self.place);
        if !is_on_trial && stage.shadows.anchor(self.place) < state.anchor.position.index {
            // The installation of a snapshot, which the power cut short, was ended; or the log ended before what is applied.
            let is_recovering = stage.shadows.is_recovering(self.place);
            stage.meet(if is_recovering { Mark::AppliedBeyondLog } else { Mark::InstalledAtStart });
            stage.reset(self.place, state.anchor);
            stage.durably_reset(self.place, state.anchor);
        }
        if !is_on_trial {
            let verdict = stage.shadows.found(self.place, &state, &stage.oracle.links(LogIndex(u64::MAX)));
            stage.judge(verdict);
        }
        let members = state.memberships.last().map_or(&membership, |(_, newest)| newest).clone();
        let others = members.members().map(|(node, _)| node).filter(|node| *node != identity.node).collect();
        let own = Past::of_log(&state);
        let mut named = named;
        if is_in_doubt {
            let mut after = None;
            loop {
                let (page, next) = replay::page_of_rows(&rows, after).map_err(broken)?;
                named.extend(page);
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        let applied = machine.applied().position.index;
        let lost = replay::lost(&self.blocks, &rows, applied, named).now_or_never().ok_or_else(waits)?;
        let lost = lost.map_err(broken)?.into_iter().map(|spoken| spoken.named).collect();
        let ticks = u64::from(stage.weather.replica.core.options().election_ticks_max);
        let introductions = Introductions {
            recollection: Recollection::new(identity.node, own, others),
            witness: Witness::decode(&self.kept).map_err(broken)?,
            members,
            course: Course::Starting { ticks, connected: BTreeSet::new(), lost },
        };
        let mut options = stage.weather.replica;
        self.planted.plant(self.place, &mut options, &mut gate);
        let applied = machine.applied();
        if applied.position.index < state.last.position.index {
            stage.meet(Mark::Reapplied);
        }
        let reader = log.reader();
        let remains = Remains {
            node: identity.node,
            group: GROUP,
            log: state,
            applied,
            membership,
            membership_index,
            reader: &*reader,
        };
        let restored = restore(remains).map_err(broken)?;
        let mut replica = Replica::new(options, self.chance.draw(), restored, gate).map_err(|error| match error {
            RestoreError::Irrecoverable { .. } => Sleep::Irrecoverable,
            error => broken(error),
        })?;
        replica.found(&log_sizes);
        let lifetime = core::time::Duration::from_micros(stage.weather.freshness());
        let parts = Parts {
            place: self.place,
            identity,
            boot: self.boots,
            replica,
            machine,
            importer,
            genesis: self.genesis.clone(),
            rows,
            inline,
            told,
            tellings,
            wishes,
            status,
            log,
            blocks: self.blocks.clone(),
            freshness: Freshness::new(lifetime),
            introductions,
            chance: Chance::new(self.chance.draw(), self.boots),
        };
        let mut life = Life::new(parts);
        // Who is alone waits for nobody.
        life.wait_for_others(stage, 0);
        self.awake = Some(Awake { life, desk: Desk::default() });
        Ok(())
    }

    /// What its catalog holds.
    pub(crate) fn catalog(&self) -> Picture {
        let Some(Awake { life, .. }) = &self.awake else { return Picture::default() };
        let (mut rows, mut after) = (Vec::new(), None);
        while let Ok(page) = life.rows.list(after, 1_000) {
            rows.extend(page.value.rows);
            after = page.value.next;
            if after.is_none() {
                break;
            }
        }
        let sessions = life.machine.sessions().iter().map(|(id, session)| (*id, session.clone())).collect();
        let bonds = rows.iter().filter_map(|(name, _)| Some((*name, bond_of(&life.rows, name)?))).collect();
        let imports = life.machine.imports().iter().collect();
        Picture { state: Some(life.rows.state()), rows, bonds, sessions, imports }
    }
}

fn bond_of(rows: &CatalogReader<Arc<dyn Table>>, name: &Multihash) -> Option<CarriedBond> {
    let bond = rows.bond(name).ok()?.value?;
    let links = |&codec| rows.links(&Vertex { multihash: *name, codec }).ok()?.value;
    let links = bond.linked.iter().filter_map(links).collect();
    Some(CarriedBond { bond, links })
}

/// Why a node doesn't start.
enum Sleep {
    /// It was removed from the group, and knows it.
    Removed,
    /// Its log lost its end where nobody could tell what that was.
    Irrecoverable,
    Broken(String),
}

fn broken(error: impl Display) -> Sleep {
    Sleep::Broken(error.to_string())
}

fn waits() -> Sleep {
    Sleep::Broken("it waits for something".to_owned())
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Gained,
    Lost,
}

fn identity(place: usize, boot: u64) -> Identity {
    Identity {
        cluster: ClusterId::from_bytes([7; 16]),
        node: node_at(place),
        incarnation: incarnation(place),
        boot: BootNonce(boot),
    }
}

/// How many ticks pass before what was seen of others is written down again.
const KEEP_TICKS: u64 = 25;

/// How many ticks a pause counts for at most, as in the driver.
const TICKS_PER_PAUSE_MAX: u64 = 3;
