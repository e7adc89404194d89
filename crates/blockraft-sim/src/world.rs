//! Whole nodes in one thread: one event after the other, and the laws after each.

use blockraft_types::NodeId;

use crate::chance::Chance;
use crate::clients::Clients;
use crate::fault::Fault;
use crate::happening::{Happening, What};
use crate::law::Breach;
use crate::marks::Mark;
use crate::member::{Connection, Member};
use crate::mistake::Planted;
use crate::nemesis::Nemesis;
use crate::place::genesis;
use crate::stage::{End, Stage};
use crate::time::Time;
use crate::trace::Lines;
use crate::weather::Weather;

/// Nodes, their clients, and what strikes them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) stage: Stage,
    pub(crate) members: Vec<Member>,
    pub(crate) clients: Clients,
    pub(crate) nemesis: Nemesis,
    /// The founder that hasn't come yet.
    awaited: Option<usize>,
}

impl World {
    pub(crate) fn new(seed: u64, weather: Weather, planted: Planted, lines: Lines) -> Self {
        let nodes = weather.nodes;
        let mut stage = Stage::new(seed, weather, lines);
        let faults = stage.weather.faults;
        for fault in [Fault::Drift, Fault::SlowApply].into_iter().filter(|fault| faults.has(*fault)) {
            stage.strike(fault);
        }
        let member = |place| Member::new(place, seed, genesis(nodes), planted);
        let mut members: Vec<Member> = (0..stage.weather.places()).map(member).collect();
        let late = late_founder(&mut stage, &mut Chance::new(seed, 7));
        for (place, member) in members[..nodes].iter_mut().enumerate() {
            member.format();
            let micros = late.filter(|(founder, _)| *founder == place).map_or(0, |(_, micros)| micros);
            member.start_after(&mut stage, micros);
        }

        let clients = Clients::new(&mut stage, Chance::new(seed, 4), Chance::new(seed, 9), Chance::new(seed, 11));
        let nemesis = Nemesis::new(&mut stage, Chance::new(seed, 5));
        Self { stage, members, clients, nemesis, awaited: late.map(|(founder, _)| founder) }
    }

    /// Lets things happen until `end`, or until `enough` says so; says whether it did.
    ///
    /// # Errors
    /// The first breach of a law.
    pub(crate) fn run(&mut self, end: Time, mut enough: impl FnMut(&mut Self) -> bool) -> Result<bool, Breach> {
        loop {
            if enough(self) {
                return Ok(true);
            }
            // Every node that runs ticks, and those that don't are started again: something always happens.
            let Some((at, happening)) = self.stage.queue.pop() else { return Ok(false) };
            if end < at {
                self.stage.now = end;
                self.stage.queue.push(at, happening);
                return Ok(false);
            }
            self.stage.now = at;
            self.happen(happening);
            if let Some(breach) = self.stage.broken() {
                return Err(breach.clone());
            }
        }
    }

    /// As [`run`](Self::run), until `listener` hears how its request ended.
    ///
    /// # Errors
    /// The first breach of a law.
    pub(crate) fn run_until_heard(&mut self, end: Time, listener: usize) -> Result<Option<End>, Breach> {
        self.clients.listen(listener);
        self.run(end, |world| world.clients.heard().is_some())?;
        Ok(self.clients.heard())
    }

    fn happen(&mut self, happening: Happening) {
        let Happening { node, boot, ref what } = happening;
        self.stage.trace.take(&[self.stage.now.0, node as u64, boot.unwrap_or(0), what.kind()]);
        match *what {
            What::Stroke => self.nemesis.strike(&mut self.stage, &mut self.members),
            What::Client { client } => self.clients.act(&mut self.stage, &mut self.members, client),
            What::Session { other } => self.review_session(node, other),
            _ => {
                let comes = matches!(what, What::Start) && self.awaited.take_if(|founder| *founder == node).is_some();
                if comes && 0 < self.stage.oracle.len() {
                    self.stage.meet(Mark::BornWithout);
                }
                if let Some(member) = self.members.get_mut(node) {
                    member.happen(&mut self.stage, happening);
                }
            }
        }
        self.clients.hear(&mut self.stage);
    }

    /// Both ends learn what became of their connection.
    fn review_session(&mut self, a: usize, b: usize) {
        let may_meet = self.stage.may_meet(a, b);
        let network = &mut self.stage.network;
        let is_open = self.members[a].is_up()
            && self.members[b].is_up()
            && !network.is_cut(a, b)
            && !network.is_cut(b, a)
            && may_meet;
        match (is_open, network.session(a, b)) {
            (true, None) => network.connect(a, b),
            (false, Some(_)) => network.disconnect(a, b),
            (true, Some(_)) | (false, None) => {}
        }
        for (node, other) in [(a, b), (b, a)] {
            if !self.members[node].is_up() {
                continue;
            }
            let (before, after) = self.stage.network.learn(node, other);
            let peer = NodeId(other as u64 + 1);
            if before == after {
                continue;
            }
            if before.is_some() {
                self.members[node].connection(&mut self.stage, peer, Connection::Lost);
            }
            if after.is_some() {
                self.members[node].connection(&mut self.stage, peer, Connection::Gained);
            }
        }
    }
}

/// Which founder isn't there when the group is born, and after how many microseconds it comes. A founder alone is no group
/// before.
fn late_founder(stage: &mut Stage, chance: &mut Chance) -> Option<(usize, u64)> {
    let (nodes, trouble) = (stage.weather.nodes, stage.weather.trouble);
    if nodes < 2 || !stage.weather.faults.has(Fault::LateBirth) {
        return None;
    }
    stage.strike(Fault::LateBirth);
    Some((chance.below(nodes as u64) as usize, chance.between(1, trouble.max(1))))
}
