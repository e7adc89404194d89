//! What strikes: partitions, power cuts, pauses, disks, one stroke after the other.

use std::collections::BTreeSet;

use blockraft_node::witness::Past;
use blockraft_types::NodeId;

use crate::admin::Admin;
use crate::chance::Chance;
use crate::fault::Fault;
use crate::happening::What;
use crate::life::Death;
use crate::marks::Mark;
use crate::member::{Disks, Member};
use crate::place::{genesis, node_at};
use crate::shadow::is_quorum;
use crate::stage::Stage;
use crate::testimony::{Memory, Relapse};
use crate::weather::Span;

/// Draws strokes among the faults of a world.
#[derive(Debug)]
pub(crate) struct Nemesis {
    chance: Chance,
    kinds: Vec<Fault>,
    /// Nothing strikes any more.
    is_over: bool,
    /// Copies rot on these nodes alone, fewer than half of those that the group is born with.
    rotting: Vec<usize>,
    pub(crate) admin: Admin,
    /// How many leaders are hunted still.
    prey: u64,
}

impl Nemesis {
    pub(crate) fn new(stage: &mut Stage, mut chance: Chance) -> Self {
        let kinds: Vec<Fault> = STROKES.into_iter().filter(|fault| stage.weather.faults.has(*fault)).collect();
        let mut places: Vec<usize> = (0..stage.weather.nodes).collect();
        chance.shuffle(&mut places);
        places.truncate((stage.weather.nodes - 1) / 2);
        if !stage.weather.faults.has(Fault::Rot) {
            places.clear();
        }
        let mut nemesis = Self { chance, kinds, is_over: false, rotting: places, admin: Admin::new(), prey: 0 };
        nemesis.schedule(stage);
        nemesis
    }

    /// The nodes whose copies may have rotted.
    pub(crate) fn rotting(&self) -> &[usize] {
        &self.rotting
    }

    /// The nodes that may have lost what they promised.
    fn bad(&self, stage: &Stage, members: &[Member]) -> BTreeSet<usize> {
        let lost = |place: &usize| members[*place].disks == Disks::Wiped || stage.shadows.is_recovering(*place);
        let accused = stage.testimony.trial().map(|trial| trial.place);
        (0..members.len()).filter(lost).chain(accused).chain(self.rotting.iter().copied()).collect()
    }

    fn schedule(&mut self, stage: &mut Stage) {
        // A hunt is quick: what a new leader does first takes it no longer than this.
        let weather = &stage.weather;
        let moments = Span { min: 100, max: weather.latency.max + weather.log_sync.max };
        let delay = if 0 < self.prey { moments } else { weather.strokes }.draw(&mut self.chance);
        stage.after(delay, 0, None, What::Stroke);
    }

    pub(crate) fn strike(&mut self, stage: &mut Stage, members: &mut [Member]) {
        if self.is_over {
            return;
        }
        let favourite = stage.weather.favourite.filter(|_| self.chance.permille(500));
        let Some(kind) = favourite.or_else(|| self.chance.pick(&self.kinds)) else { return };
        self.schedule(stage);
        if 0 < self.prey && !self.chance.permille(STROKES_AMID_HUNT_PERMILLE) {
            return self.hunt(stage, members);
        }
        // A leader has more to lose.
        let leader = stage.leading.iter().position(Option::is_some).filter(|_| self.chance.permille(400));
        let node = leader.unwrap_or_else(|| self.chance.below(members.len() as u64) as usize);
        let now = stage.now;
        stage.trace.say(now, format_args!("{kind} strikes at node {}", node + 1));
        stage.trace.take(&[50, kind as u64, node as u64]);
        match kind {
            Fault::Partition => self.partition(stage, members.len()),
            Fault::OneWay => self.one_way(stage, members.len()),
            Fault::Reconnect => self.reconnect(stage, members.len(), node),
            Fault::PowerCut => {
                if members[node].is_up() {
                    stage.strike(kind);
                    members[node].cut_power(stage);
                }
            }
            Fault::PowerCutAll => {
                if self.chance.permille(300) {
                    stage.strike(kind);
                    for member in members.iter_mut() {
                        member.cut_power(stage);
                    }
                }
            }
            Fault::Pause => {
                let micros = self.chance.between(1_000, 4 * stage.weather.election_max());
                if stage.weather.election_max() < micros {
                    stage.meet(Mark::PausedLong);
                }
                stage.strike(kind);
                members[node].paused_until = now + micros;
            }
            Fault::LogStall | Fault::StoreStall => self.stall(stage, kind),
            Fault::LogFailure => members[node].failing = Some(Death::Log),
            Fault::StoreFailure => members[node].failing = Some(Death::Store),
            Fault::StoreFull => {
                let room = stage.weather.store_bytes;
                let bytes_max = self.chance.permille(400).then_some(room);
                members[node].blocks.set_bytes_max(bytes_max);
            }
            Fault::Rot => self.rot(stage, members),
            Fault::Transfer => {
                let to = NodeId(node as u64 + 1);
                let leader = (0..members.len()).find(|place| stage.leading[*place].is_some());
                if let Some(leader) = leader.filter(|leader| *leader != node) {
                    stage.strike(kind);
                    members[leader].transfer(stage, to);
                }
            }
            Fault::Members => {
                let bad = self.bad(stage, members);
                if let Some(leader) = (0..members.len()).find(|place| stage.leading[*place].is_some()) {
                    self.admin.change(stage, members, (&mut self.chance, leader), &bad);
                }
            }
            Fault::Wipe => {
                let bad = self.bad(stage, members);
                if self.chance.permille(300) {
                    self.admin.wipe(stage, members, node, &bad);
                }
            }
            Fault::Hunt => self.prey = self.chance.between(4, 40),
            Fault::RollBack => match members[node].backed_up() {
                Some(own) if self.chance.permille(800) => {
                    self.relapse(stage, members, node, (Relapse::RolledBack, own));
                }
                _ => members[node].back_up(stage),
            },
            Fault::Return => {
                let is_alone = is_quorum(&genesis(stage.weather.nodes), |founder| founder == node_at(node));
                if !is_alone && self.chance.permille(300) {
                    self.relapse(stage, members, node, (Relapse::Emptied, Past::default()));
                }
            }
            Fault::LostTail => self.lose_tail(stage, members, node),
            Fault::Loss
            | Fault::Garbling
            | Fault::Duplication
            | Fault::Straggling
            | Fault::BulkLoss
            | Fault::Drift
            | Fault::SlowApply
            | Fault::LateBirth => {}
        }
        if members.iter().all(|member| !member.is_up()) {
            stage.meet(Mark::AllDown);
        }
    }

    /// A leader's first entries are on it alone, or on one more, when it goes. The next one goes likewise, and the first comes
    /// back: that is how entries of older terms come to be on a majority (Raft paper, figure 8).
    fn hunt(&mut self, stage: &mut Stage, members: &mut [Member]) {
        let Some(leader) = stage.leading.iter().position(Option::is_some) else { return };
        if self.chance.permille(500) {
            stage.strike(Fault::Hunt);
            self.prey -= 1;
            members[leader].cut_power(stage);
        }
    }

    /// Takes what a node has promised from its disks, if somebody remembers what they lack now, and all others are a quorum
    /// without it.
    fn relapse(&mut self, stage: &mut Stage, members: &mut [Member], node: usize, (disks, own): (Relapse, Past)) {
        let bad = self.bad(stage, members);
        let is_left = |place: usize| place != node && !bad.contains(&place);
        let is_whole = members[node].is_living() && !stage.shadows.is_recovering(node);
        let may_strike = is_whole && stage.testimony.trial().is_none();
        if !may_strike || !self.admin.is_quorum(stage, members, is_left) {
            return;
        }
        let past = if self.chance.permille(300) { Memory::Kept } else { Memory::Seen };
        let remembers = |place: usize| {
            let forgets = stage.shadows.configuration(place).is_removed(node_at(node));
            let is_there = place != node && members[place].is_living() && !forgets;
            is_there && own.lacks(stage.testimony.past(past, place, node))
        };
        if !(0..members.len()).any(remembers) {
            return;
        }
        let kind = if disks == Relapse::RolledBack { Fault::RollBack } else { Fault::Return };
        stage.strike(kind);
        if past == Memory::Kept {
            stage.meet(Mark::RememberedOverRestart);
            members.iter_mut().for_each(|member| member.cut_power(stage));
        }
        members[node].relapse(stage, disks);
    }

    /// Ends all faults but the damage that is done: ways are open, disks have room and time, nobody stands still.
    pub(crate) fn end(&mut self, stage: &mut Stage, members: &mut [Member]) {
        self.is_over = true;
        stage.weather.calm();
        for member in members {
            member.paused_until = stage.now;
            member.failing = None;
            member.blocks.set_bytes_max(None);
        }
        heal(stage, &mut self.chance);
    }

    /// Draws for each node a side, or heals.
    fn partition(&mut self, stage: &mut Stage, nodes: usize) {
        if self.chance.permille(450) {
            return heal(stage, &mut self.chance);
        }
        stage.strike(Fault::Partition);
        let sides: Vec<u64> = (0..nodes).map(|_| self.chance.below(2)).collect();
        for from in 0..nodes {
            for to in (0..nodes).filter(|to| *to != from) {
                stage.network.set_cut(from, to, sides[from] != sides[to]);
            }
            stage.review_sessions(from, &mut self.chance);
        }
    }

    /// Cuts or opens single ways: rings, bridges and stars come of it.
    fn one_way(&mut self, stage: &mut Stage, nodes: usize) {
        stage.strike(Fault::OneWay);
        for _ in 0..self.chance.between(1, 3) {
            let (from, to) = (self.chance.below(nodes as u64) as usize, self.chance.below(nodes as u64) as usize);
            if from != to {
                let cut = self.chance.permille(500);
                stage.network.set_cut(from, to, cut);
                stage.review_sessions(from, &mut self.chance);
            }
        }
    }

    fn reconnect(&mut self, stage: &mut Stage, nodes: usize, node: usize) {
        let other = self.chance.below(nodes as u64) as usize;
        if other != node && stage.network.session(node, other).is_some() {
            stage.strike(Fault::Reconnect);
            stage.network.disconnect(node, other);
            stage.review_sessions(node, &mut self.chance);
        }
    }

    /// What one stroke remembers of a log, a later one goes back to, if the others are a quorum that has lost nothing.
    fn lose_tail(&self, stage: &mut Stage, members: &mut [Member], node: usize) {
        let Some(node) = stage.shadows.remembered() else {
            if members[node].is_up() {
                members[node].remember(stage);
            }
            return;
        };
        let bad = self.bad(stage, members);
        let is_left = |place: usize| place != node && !bad.contains(&place);
        let may_strike = members[node].is_up() && !stage.testimony.is_on_trial(node);
        if may_strike && self.admin.is_quorum(stage, members, is_left) {
            stage.strike(Fault::LostTail);
            members[node].lose_tail(stage);
        } else {
            stage.shadows.forget_remembered(node);
        }
    }

    /// Lets disks take long for a while, everywhere: which node's turn it is, chance says.
    fn stall(&mut self, stage: &mut Stage, kind: Fault) {
        let max = if self.chance.permille(600) {
            self.chance.between(10_000, 3 * stage.weather.election_max())
        } else {
            4_000
        };
        if 10_000 <= max {
            stage.strike(kind);
        }
        match kind {
            Fault::LogStall => stage.weather.log_sync.max = max,
            _ => stage.weather.store_write.max = max,
        }
    }

    /// Rots a copy of which another node has a whole one.
    fn rot(&mut self, stage: &mut Stage, members: &[Member]) {
        let Some(node) = self.chance.pick(&self.rotting) else { return };
        let names = members[node].blocks.names();
        let Some(name) = self.chance.pick(&names) else { return };
        let elsewhere = (0..members.len()).filter(|place| !self.rotting.contains(place) && members[*place].is_living());
        if elsewhere.into_iter().any(|place| members[place].blocks.has_whole(&name)) {
            stage.strike(Fault::Rot);
            members[node].blocks.rot(&name);
        }
    }
}

/// Opens all ways.
pub(crate) fn heal(stage: &mut Stage, chance: &mut Chance) {
    let nodes = stage.weather.places();
    for from in 0..nodes {
        for to in (0..nodes).filter(|to| *to != from) {
            stage.network.set_cut(from, to, false);
        }
    }
    for node in 0..nodes {
        stage.review_sessions(node, chance);
    }
}

/// Kinds that strike at a moment; the others are there all the while.
const STROKES: [Fault; 19] = [
    Fault::Partition,
    Fault::OneWay,
    Fault::Reconnect,
    Fault::PowerCut,
    Fault::PowerCutAll,
    Fault::Pause,
    Fault::LogStall,
    Fault::LogFailure,
    Fault::StoreStall,
    Fault::StoreFull,
    Fault::StoreFailure,
    Fault::Rot,
    Fault::Transfer,
    Fault::Members,
    Fault::Wipe,
    Fault::Hunt,
    Fault::RollBack,
    Fault::Return,
    Fault::LostTail,
];

/// How often something else strikes while leaders are hunted.
const STROKES_AMID_HUNT_PERMILLE: u64 = 20;
