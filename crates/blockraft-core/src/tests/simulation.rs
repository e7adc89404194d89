//! A cluster under random faults: loss, duplication, reordering, delays, partitions, pauses, slow disks and power cuts.
//!
//! Each seed draws its own cluster and its own mix of faults, runs them under load with every invariant of the harness
//! checked after each step, then heals everything and demands that the cluster gets on.

use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use blockraft_types::{LogIndex, Membership, MembershipChange, Message, NodeId};

use super::chance::Chance;
use super::cluster::{Cluster, Envelope, incarnation, voters};
use super::configurations::is_quorum;
use crate::{Config, Input, Options, Snapshot};

/// Which faults a run has, each in thousandths per tick, node or message.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss: u64,
    duplication: u64,
    delay_max: u64,
    /// Messages that come very late.
    straggling: u64,
    /// Appends of which a gate lets in a part at a time.
    splitting: u64,
    crash: u64,
    restart: u64,
    pause: u64,
    partition: u64,
    one_way: u64,
    persist: u64,
    propose: u64,
    read: u64,
    transfer: u64,
    change: u64,
    compact: u64,
    unreachable: u64,
    stall: u64,
    /// Of those that crash, how many lose the end of their logs.
    lost_tail: u64,
}

struct World {
    cluster: Cluster,
    config: Config,
    chance: Chance,
    weather: Weather,
    now: u64,
    /// Messages on their way and when they arrive.
    network: Vec<(u64, Envelope)>,
    /// Snapshots on their way, when they will be complete, and in which life of the receiver.
    transfers: Vec<(u64, NodeId, u64, Snapshot)>,
    cut: BTreeSet<(NodeId, NodeId)>,
    paused_until: BTreeMap<NodeId, u64>,
}

/// A cluster and a mix of faults, drawn from `seed`, through `ticks` of trouble and a healing.
pub(super) fn run(seed: u64, ticks: u64, prepare: impl FnOnce(Config) -> Config) -> Outcome {
    let mut world = World::new(seed, prepare);
    for _ in 0..ticks {
        world.trouble();
    }
    world.heal();
    let Cluster { snapshots_installed, snapshots_unneeded, .. } = world.cluster;
    Outcome { committed: world.cluster.committed(), snapshots_installed, snapshots_unneeded }
}

/// What a run came to.
pub(super) struct Outcome {
    committed: LogIndex,
    snapshots_installed: u64,
    snapshots_unneeded: u64,
}

impl World {
    fn new(seed: u64, prepare: impl FnOnce(Config) -> Config) -> Self {
        let mut chance = Chance(seed);
        let membership = draw_membership(&mut chance);
        let options = draw_options(&mut chance);
        let weather = draw_weather(&mut chance);
        let config = prepare(Config::new(options).expect("drawn options fit together"));
        let cluster = Cluster::new(membership, config, seed);
        Self {
            cluster,
            config,
            chance,
            weather,
            now: 0,
            network: Vec::new(),
            transfers: Vec::new(),
            cut: BTreeSet::new(),
            paused_until: BTreeMap::new(),
        }
    }

    fn trouble(&mut self) {
        self.draw_faults();
        self.draw_load();
        self.pass();
    }

    /// One tick of the world.
    fn pass(&mut self) {
        self.now += 1;
        for id in self.cluster.ids() {
            if self.is_awake(id) {
                self.cluster.tick(id);
                self.post();
            }
        }
        for id in self.cluster.ids() {
            if self.is_awake(id) && self.cluster.has_writes(id) && self.chance.permille(self.weather.persist) {
                let count = 1 + self.chance.below(3) as usize;
                self.cluster.persist(id, count);
                self.post();
            }
        }
        let due: Vec<Envelope> = {
            let now = self.now;
            let (due, later) = core::mem::take(&mut self.network).into_iter().partition(|(at, _)| *at <= now);
            self.network = later;
            let due: Vec<(u64, Envelope)> = due;
            due.into_iter().map(|(_, envelope)| envelope).collect()
        };
        for envelope in due {
            if self.is_awake(envelope.to) {
                self.cluster.deliver(envelope);
                self.post();
            } else if self.cluster.is_up(envelope.to) {
                self.network.push((self.now + 1, envelope));
            }
        }
        self.transfer();
    }

    /// Snapshots that are offered start on their way, several to one member too, and some are complete.
    fn transfer(&mut self) {
        for id in self.cluster.ids() {
            if let Some(snapshot) = self.cluster.take_offered(id) {
                let late = if self.chance.permille(self.weather.straggling) { self.chance.below(150) } else { 0 };
                let at = self.now + self.chance.below(4 * self.weather.delay_max + 1) + late;
                self.transfers.push((at, id, self.cluster.node(id).boots, snapshot));
            }
        }
        let now = self.now;
        let (due, later) = core::mem::take(&mut self.transfers).into_iter().partition(|(at, ..)| *at <= now);
        self.transfers = later;
        let due: Vec<(u64, NodeId, u64, Snapshot)> = due;
        for (_, id, boots, snapshot) in due {
            if self.is_awake(id) && self.cluster.node(id).boots == boots {
                self.cluster.install(id, snapshot);
                self.post();
            }
        }
    }

    fn is_awake(&self, id: NodeId) -> bool {
        self.cluster.is_up(id) && self.paused_until.get(&id).is_none_or(|until| *until <= self.now)
    }

    /// Puts what was sent on the network, or loses it.
    fn post(&mut self) {
        for envelope in core::mem::take(&mut self.cluster.sent) {
            if self.cut.contains(&(envelope.from, envelope.to)) || self.chance.permille(self.weather.loss) {
                if self.chance.permille(self.weather.unreachable) {
                    self.cluster.step(envelope.from, Input::Unreachable { peer: envelope.to });
                }
                continue;
            }
            let copies = if self.chance.permille(self.weather.duplication) { 2 } else { 1 };
            for _ in 0..copies {
                let late = if self.chance.permille(self.weather.straggling) { self.chance.below(150) } else { 0 };
                let at = self.now + self.chance.below(self.weather.delay_max + 1) + late;
                let Some((first, rest)) = self.split(&envelope) else {
                    self.network.push((at, envelope.clone()));
                    continue;
                };
                self.network.push((at, first));
                self.network.push((at + self.chance.below(10), rest));
            }
        }
    }

    /// The two parts in which a gate lets an append in, if it doesn't let it in as a whole.
    fn split(&mut self, envelope: &Envelope) -> Option<(Envelope, Envelope)> {
        let Message::AppendEntries(append) = &envelope.message else { return None };
        if append.heads.len() < 2 || !self.chance.permille(self.weather.splitting) {
            return None;
        }
        let (mut first, mut rest) = (append.clone(), append.clone());
        rest.heads = first.heads.split_off(1 + self.chance.below(append.heads.len() as u64 - 1) as usize);
        let last = first.heads.last()?;
        (rest.prev, rest.prev_chain) = (last.position, last.chain);
        let part = |append| Envelope { message: Message::AppendEntries(append), ..envelope.clone() };
        Some((part(first), part(rest)))
    }

    fn draw_faults(&mut self) {
        let weather = self.weather;
        for id in self.cluster.ids() {
            if !self.cluster.is_up(id) {
                if self.chance.permille(weather.restart) {
                    self.cluster.restart(id);
                }
                continue;
            }
            let leads = self.cluster.leader() == Some(id);
            if self.chance.permille(weather.crash * if leads { 3 } else { 1 }) {
                let survivors = self.chance.below(4) as usize;
                self.cluster.crash(id, survivors);
                if self.chance.permille(weather.lost_tail) && self.can_do_without(id) {
                    let after = LogIndex(self.chance.below(self.cluster.node(id).disk.last().position.index.0 + 1));
                    self.cluster.lose_tail(id, after);
                }
            } else if self.chance.permille(weather.pause) {
                self.paused_until.insert(id, self.now + 1 + self.chance.below(60));
            } else if self.chance.permille(weather.compact) {
                self.cluster.flush_applied(id);
                self.cluster.compact(id);
            } else if self.chance.permille(weather.stall) {
                self.cluster.step(id, Input::StorageStalled);
            }
            self.post();
        }
        if self.chance.permille(weather.partition) {
            self.cut.clear();
            let ids = self.cluster.ids();
            let side: Vec<bool> = ids.iter().map(|_| self.chance.permille(500)).collect();
            for (&from, &from_side) in ids.iter().zip(&side) {
                for (&to, &to_side) in ids.iter().zip(&side) {
                    if from_side != to_side {
                        self.cut.insert((from, to));
                    }
                }
            }
        }
        if self.chance.permille(weather.one_way) {
            let ids = self.cluster.ids();
            self.cut.insert((self.chance.pick(&ids), self.chance.pick(&ids)));
        }
        if self.chance.permille(weather.partition + weather.one_way) {
            self.cut.clear();
        }
    }

    fn draw_load(&mut self) {
        let ids = self.cluster.ids();
        let (id, weather) = (self.chance.pick(&ids), self.weather);
        if !self.is_awake(id) {
            return;
        }
        if self.chance.permille(weather.propose) {
            let entries = 1 + self.chance.below(3);
            let sizes: Vec<u32> = (0..entries).map(|_| self.chance.below(2000) as u32).collect();
            self.cluster.propose(id, &sizes);
        }
        if self.chance.permille(weather.read) {
            self.cluster.read(id);
        }
        if self.chance.permille(weather.transfer) {
            let to = self.chance.pick(&ids);
            self.cluster.step(id, Input::TransferLeadership { to });
        }
        // Those who recover elect nobody: a change that counts on them can leave nobody who can be elected (`recovery.rs`).
        let recovers = ids.iter().any(|id| self.cluster.is_recovering(*id));
        if self.chance.permille(weather.change) && !recovers {
            let leader = self.cluster.leader().filter(|leader| self.is_awake(*leader)).unwrap_or(id);
            let change = self.draw_change(leader);
            self.cluster.change(leader, change);
        }
        self.post();
    }

    /// Something that an operator might ask of `leader`, sensible or not.
    fn draw_change(&mut self, leader: NodeId) -> MembershipChange {
        let membership = self.cluster.raft(leader).status().membership;
        let pick = |chance: &mut Chance, from: Vec<NodeId>, share| -> BTreeSet<NodeId> {
            from.into_iter().filter(|_| chance.permille(share)).collect()
        };
        let ids = |half: &BTreeMap<NodeId, _>| half.keys().copied().collect::<Vec<_>>();
        match self.chance.below(10) {
            0 => MembershipChange::Revert,
            1..=3 if membership.members().count() < 6 => {
                let node = match self.chance.below(8) {
                    0 => NodeId(1 + self.chance.below(membership.next_id().0)),
                    _ => membership.next_id(),
                };
                if !self.cluster.nodes.contains_key(&node) {
                    self.cluster.join(node, self.config);
                }
                MembershipChange::AddLearner { node, incarnation: incarnation(node), address: None }
            }
            4 | 5 => {
                let promote = pick(&mut self.chance, ids(&membership.learners), 700);
                MembershipChange::Reconfigure { promote, remove: BTreeSet::new() }
            }
            6 => {
                let remove = pick(&mut self.chance, membership.members().map(|(node, _)| node).collect(), 250);
                MembershipChange::Reconfigure { promote: BTreeSet::new(), remove }
            }
            _ => {
                let promote = pick(&mut self.chance, ids(&membership.learners), 800);
                let remove = pick(&mut self.chance, ids(&membership.voters), 250);
                MembershipChange::Reconfigure { promote, remove }
            }
        }
    }

    /// Everything works again for a drawn quorum, and the others are down: a leader emerges, no change of members is left
    /// half done, a proposal reaches every member that is up, and a read is confirmed.
    fn heal(&mut self) {
        self.weather = Weather { persist: 1000, ..CALM };
        self.cut.clear();
        self.paused_until.clear();
        let configurations = self.configurations_that_matter();
        let mut down = BTreeSet::new();
        for id in self.cluster.ids() {
            down.insert(id);
            let votes = |id| !down.contains(&id) && !self.cluster.is_recovering(id);
            let quorum_left = configurations.iter().all(|membership| is_quorum(membership, votes));
            if !self.chance.permille(300) || !quorum_left {
                down.remove(&id);
            }
        }
        for id in self.cluster.ids() {
            match (self.cluster.is_up(id), down.contains(&id)) {
                (true, true) => self.cluster.crash(id, 0),
                (false, false) => self.cluster.restart(id),
                (true, false) | (false, true) => {}
            }
        }
        let patience = 4000;
        let deadline = self.now + patience;
        let mut asked = None;
        while self.now < deadline {
            self.pass();
            let Some(leader) = self.cluster.leader() else { continue };
            let (ticket, read) =
                *asked.get_or_insert_with(|| (self.cluster.propose(leader, &[100]), self.cluster.read(leader)));
            self.post();
            let status = self.cluster.raft(leader).status();
            let settled = !status.membership.is_joint() && status.membership_index <= status.commit_index;
            let everywhere = self.cluster.accepted.get(&ticket).is_some_and(|&index| {
                let members = status.membership.members().map(|(node, _)| node);
                let mut up = members.filter(|id| self.cluster.is_up(*id));
                up.all(|id| index <= self.cluster.node(id).applied)
            });
            if settled && everywhere && self.cluster.confirmed_reads.contains(&read) {
                return;
            }
            if self.now.is_multiple_of(500) {
                asked = None;
            }
        }
        let up = self.cluster.ids().into_iter().filter(|id| self.cluster.is_up(*id));
        let states: Vec<_> = up.map(|id| self.cluster.raft(id).status()).collect();
        panic!("a healed cluster got on within {patience} ticks: {states:#?}");
    }

    /// Whether the others are a quorum of members that lost nothing, whichever configuration is in force.
    fn can_do_without(&self, id: NodeId) -> bool {
        let votes = |other: NodeId| {
            other != id && self.cluster.nodes.contains_key(&other) && !self.cluster.is_recovering(other)
        };
        self.configurations_that_matter().iter().all(|membership| is_quorum(membership, votes))
    }

    /// Configurations that may be in force, now or after a restart, on a member that can still be elected.
    fn configurations_that_matter(&self) -> Vec<Membership> {
        let (index, committed) = self.cluster.configuration();
        let mut found = Vec::from([committed.clone()]);
        for id in self.cluster.ids() {
            let node = self.cluster.node(id);
            let on_disk = node.disk.membership_at(LogIndex(u64::MAX));
            let status = node.raft.as_ref().map(|raft| raft.status());
            let in_force = status.as_ref().map(|status| (status.membership_index, &status.membership));
            let newer = [Some(on_disk), in_force].into_iter().flatten().filter(|(at, _)| index < *at);
            found.extend(newer.map(|(_, membership)| membership.clone()));
        }
        found
    }
}

const CALM: Weather = Weather {
    loss: 0,
    duplication: 0,
    delay_max: 1,
    straggling: 0,
    splitting: 0,
    crash: 0,
    restart: 0,
    pause: 0,
    partition: 0,
    one_way: 0,
    persist: 900,
    propose: 0,
    read: 0,
    transfer: 0,
    change: 0,
    compact: 0,
    unreachable: 0,
    stall: 0,
    lost_tail: 0,
};

fn draw_membership(chance: &mut Chance) -> Membership {
    let size = chance.pick(&[1, 3, 3, 3, 5, 5, 2, 4]);
    let mut membership = voters(1..=size);
    if chance.permille(150) {
        membership.outgoing = voters(size.saturating_sub(1).max(1)..=size + 1).voters;
    }
    if chance.permille(200) {
        for id in [8, 9] {
            membership.learners.insert(NodeId(id), incarnation(NodeId(id)));
        }
    }
    membership
}

fn draw_options(chance: &mut Chance) -> Options {
    Options {
        heartbeat_ticks: 3,
        election_ticks_min: 10,
        election_ticks_max: 20,
        commit_stall_ticks: 100,
        append_entries_max: chance.pick(&[1, 1, 2, 5, 100]),
        append_bytes_max: chance.pick(&[1, 1500, 1 << 20]),
        inflight_messages_max: chance.pick(&[1, 2, 4, 64]),
        inflight_bytes_max: chance.pick(&[2000, 8 << 20]),
        uncommitted_bytes_max: chance.pick(&[3000, 64 << 20]),
        uncommitted_entries_max: chance.pick(&[8, 65536]),
        reads_pending_max: chance.pick(&[2, 1000]),
        persists_inflight_max: chance.pick(&[1, 2, 64, 64]),
    }
}

fn draw_weather(chance: &mut Chance) -> Weather {
    let mut sometimes = |values: &[u64]| if chance.permille(600) { chance.pick(values) } else { 0 };
    let mut weather = Weather {
        loss: sometimes(&[10, 50, 200]),
        duplication: sometimes(&[10, 100, 300]),
        delay_max: sometimes(&[1, 3, 8]),
        straggling: sometimes(&[10, 50]),
        splitting: sometimes(&[100, 500]),
        crash: sometimes(&[1, 4, 10]),
        restart: 0,
        pause: sometimes(&[1, 5]),
        partition: sometimes(&[5, 20]),
        one_way: sometimes(&[5, 20]),
        persist: 0,
        propose: 0,
        read: sometimes(&[50, 300]),
        transfer: sometimes(&[5, 20]),
        change: sometimes(&[10, 50]),
        compact: sometimes(&[2, 20]),
        unreachable: sometimes(&[500, 1000]),
        stall: sometimes(&[1, 3]),
        lost_tail: sometimes(&[200, 700]),
    };
    weather.restart = chance.pick(&[20, 50, 200]);
    weather.persist = chance.pick(&[100, 300, 700, 1000]);
    weather.propose = chance.pick(&[50, 300, 800]);
    weather
}

#[cfg(not(seeded_bugs))]
#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let mut world = World::new(seed, |config| config);
        world.cluster.story = Some(Vec::new());
        (0..400).for_each(|_| world.trouble());
        world.cluster.story.take()
    };
    for seed in 1..20 {
        let told = story(seed);
        assert!(told.as_ref().is_some_and(|story| 10 < story.len()));
        assert_eq!(told, story(seed), "seed {seed}");
    }
}

/// How many seeds a run takes; a campaign sets `BLOCKRAFT_SEEDS`.
#[cfg(not(seeded_bugs))]
fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("BLOCKRAFT_SEED_FIRST").unwrap_or(1);
    first..first + number("BLOCKRAFT_SEEDS").unwrap_or(300)
}

#[cfg(not(seeded_bugs))]
#[test]
fn a_cluster_under_random_faults_keeps_every_invariant_and_recovers() {
    let (mut committed, mut installed, mut unneeded) = (0, 0, 0);
    for seed in seeds() {
        std::println!(
            "replay: BLOCKRAFT_SEED_FIRST={seed} BLOCKRAFT_SEEDS=1 cargo test -p blockraft-core random_faults"
        );
        let outcome = run(seed, 1200, |config| config);
        committed += outcome.committed.0;
        installed += outcome.snapshots_installed;
        unneeded += outcome.snapshots_unneeded;
    }
    std::println!("{committed} entries were committed, {installed} snapshots installed, {unneeded} too late");
    assert!(seeds().count() as u64 <= committed, "the faults left room for work");
    let few = seeds().count() < 100;
    assert!(few || (0 < installed && 0 < unneeded), "snapshots are installed, and come too late");
}
