//! One seed from its first event to its last: trouble under load, a quorum alone, all healed, everything read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use blockraft_blocks::Multihash;
use blockraft_node::Consistency;

use crate::chance::Chance;
use crate::clients::Load;
use crate::desk::Wanted;
use crate::fault::Fault;
use crate::law::{Breach, Law};
use crate::limits::Limits;
use crate::marks::{Mark, Marks};
use crate::mistake::Planted;
use crate::place::place_of;
use crate::stage::End;
use crate::time::Time;
use crate::trace::Lines;
use crate::weather::Weather;
use crate::world::World;

/// What a run was.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How many nodes it had.
    pub nodes: usize,
    /// The hash of its trace.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// How much virtual time passed, in microseconds.
    pub micros: u64,
    /// How many entries were committed.
    pub committed: u64,
    /// How many requests were answered.
    pub answered: u64,
    /// How often each fault struck, as in [`Fault::ALL`].
    pub struck: Vec<u64>,
    /// What it met.
    pub marks: Marks,
    /// The law that was broken, if one was.
    pub breach: Option<Breach>,
    /// What happened, in words, if that was asked for.
    pub lines: Vec<String>,
}

/// Runs `seed`.
#[must_use]
pub fn run(seed: u64, limits: &Limits, planted: Planted, lines: Lines) -> Report {
    planted.choose();
    let weather = Weather::draw(seed, limits);
    let nodes = weather.nodes;
    let mut world = World::new(seed, weather, planted, lines);
    // A panic anywhere in a node is a finding like any other. The world is looked at afterwards, never run on.
    let result = catch_unwind(AssertUnwindSafe(|| phases(&mut world, seed)));
    let breach = match result {
        Ok(result) => result.err(),
        Err(panic) => Some(Breach { law: Law::NoPanic, at: world.stage.now, what: message(panic.as_ref()) }),
    };
    let stage = world.stage;
    Report {
        seed,
        nodes,
        hash: stage.trace.hash(),
        events: stage.trace.events(),
        micros: stage.now.0,
        committed: stage.oracle.len() as u64,
        answered: world.clients.answered,
        struck: stage.struck(),
        marks: stage.marks,
        breach,
        lines: stage.trace.into_lines(),
    }
}

fn message(panic: &(dyn core::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

fn phases(world: &mut World, seed: u64) -> Result<(), Breach> {
    let mut chance = Chance::new(seed, 6);
    let trouble = world.stage.weather.trouble;
    world.run(Time(trouble), |_| false)?;
    quorum_alone(world, &mut chance)?;
    all_together(world)?;
    everything_is_read(world)
}

/// Only a majority comes back, and must get on.
fn quorum_alone(world: &mut World, chance: &mut Chance) -> Result<(), Breach> {
    let World { stage, members, nemesis, .. } = world;
    // Who hasn't found out that it is behind its own past would meet others now who can't tell it.
    if let Some(trial) = stage.testimony.trial() {
        members[trial.place].wipe(stage);
    }
    let mut places: Vec<usize> = (0..members.len()).filter(|place| members[*place].is_living()).collect();
    chance.shuffle(&mut places);
    // Of a block whose copies rotted, the whole ones must be among those that go on.
    let rotting = nemesis.rotting().to_vec();
    places.sort_by_key(|place| !rotting.contains(place));
    let mut alone: Vec<usize> = Vec::new();
    for place in &places {
        let goes_on = |other: usize| {
            let is_whole = members[other].is_living() && !stage.shadows.is_recovering(other);
            other != *place && is_whole && !alone.contains(&other)
        };
        if nemesis.admin.is_quorum(stage, members, goes_on) {
            alone.push(*place);
        }
    }
    if !alone.is_empty() {
        stage.meet(Mark::QuorumAlone);
    }
    for place in &alone {
        let member = &mut members[*place];
        member.is_held = true;
        member.cut_power(stage);
    }
    nemesis.end(stage, members);
    for place in places {
        members[place].start_after(stage, 1_000);
    }
    put_probe(world, "a healed quorum")
}

/// A client that puts blocks until one of them is acknowledged, beside the log: whether commits go on is no proof that
/// payloads do.
fn put_probe(world: &mut World, who: &str) -> Result<(), Breach> {
    let deadline = world.stage.now + patience(world);
    let before = world.stage.oracle.len();
    let reached = |world: &mut World| {
        let ups = taking_part(world);
        let everywhere = |world: &World, index: usize| {
            ups.iter().all(|place| {
                let awake = world.members[*place].awake.as_ref();
                awake.is_some_and(|awake| index as u64 <= awake.life.applied.0)
            })
        };
        world.clients.heard().is_some_and(End::is_answer)
            && before + PROGRESS_ENTRIES <= world.stage.oracle.len()
            && everywhere(world, before + PROGRESS_ENTRIES)
    };
    // Clients go on as they are.
    let mut reached = reached;
    let (_, client) = world.clients.probe();
    world.clients.listen(client);
    while world.stage.now < deadline {
        if world.run(world.stage.now + PROBE_MICROS, &mut reached)? {
            return Ok(());
        }
        let (id, client) = world.clients.probe();
        let block = world.clients.fresh(&world.stage);
        let ups = taking_part(world);
        if let Some(place) = ups.get(id as usize % ups.len().max(1)) {
            world.members[*place].ask(&mut world.stage, id, client, Wanted::Put(block, None));
        }
    }
    describe(world);
    let committed = world.stage.oracle.len();
    let (entries, probe) = (committed - before, world.clients.heard());
    let what =
        format!("{who} committed {entries} entries in {} ms, and a put ended {probe:?}", patience(world) / 1_000);
    Err(Breach { law: Law::Progress, at: world.stage.now, what })
}

/// The nodes that run and are members, as far as that is committed.
fn taking_part(world: &World) -> Vec<usize> {
    let members = world.stage.oracle.membership().members().map(|(node, _)| place_of(node));
    members.filter(|place| world.members[*place].is_up()).collect()
}

/// Tells whoever reads the trace how each node stands.
fn describe(world: &mut World) {
    let World { stage, members, .. } = world;
    let now = stage.now;
    for member in members {
        if let Some(awake) = &member.awake {
            stage.trace.say(now, format_args!("{:?}", awake.life.replica.status()));
            stage.trace.say(now, format_args!("{:?}", *awake.life.status.borrow()));
        }
    }
}

/// How long progress may take: elections, held puts, a transfer of everything, and a leader that has to find out that it
/// gets nowhere.
fn patience(world: &World) -> u64 {
    let weather = &world.stage.weather;
    let stall = u64::from(weather.replica.core.options().commit_stall_ticks) * weather.tick;
    let exchange = &weather.exchange;
    let puts = (exchange.put_ticks_max + exchange.proposal_ticks_max + exchange.full_ticks) * weather.tick;
    // Whoever has to fetch everything.
    let payloads = world.stage.oracle.present().len() as u64 * weather.block_bytes_max;
    let transfer = payloads.div_ceil(exchange.snapshot_tick_bytes_max) * weather.tick;
    5_000_000 + 40 * weather.election_max() + 4 * stall + 4 * puts + 4 * transfer
}

/// Everybody comes back, nobody asks anything, and all come to the same state.
fn all_together(world: &mut World) -> Result<(), Breach> {
    for member in &mut world.members {
        member.is_held = false;
        member.start_after(&mut world.stage, 1_000);
    }
    put_probe(world, "the healed cluster")?;
    world.clients.load = Load::Off;
    let deadline = world.stage.now + patience(world);
    let settled = world.run(deadline, |world| world.clients.is_idle() && is_settled(world))?;
    if !settled {
        return Err(unsettled(world));
    }
    let expected = world.stage.oracle.catalog();
    for place in taking_part(world) {
        let found = world.members[place].catalog();
        if found != expected {
            let (found, expected) = (found.without_rows(), expected.without_rows());
            let what =
                format!("node {} has {found:?}, perhaps with other rows, and entries make {expected:?}", place + 1);
            return Err(Breach { law: Law::Convergence, at: world.stage.now, what });
        }
    }
    Ok(())
}

fn is_settled(world: &World) -> bool {
    let last = world.stage.oracle.len() as u64;
    let mut places = world.stage.oracle.membership().members().map(|(node, _)| place_of(node));
    places.all(|place| {
        let member = &world.members[place];
        !member.is_living()
            || !world.stage.shadows.is_recovering(place)
                && member.awake.as_ref().is_some_and(|awake| {
                    awake.life.applied.0 == last && awake.life.replica.status().core.last.index.0 == last
                })
    })
}

fn unsettled(world: &mut World) -> Breach {
    describe(world);
    let applied = world.members.iter().map(|member| {
        let awake = member.awake.as_ref();
        awake.map_or("down".to_owned(), |awake| {
            format!("{} of {}", awake.life.applied, awake.life.replica.status().core.last)
        })
    });
    let applied: Vec<String> = applied.collect();
    let what = format!("nodes applied {applied:?} of {} committed entries", world.stage.oracle.len());
    Breach { law: Law::Convergence, at: world.stage.now, what }
}

/// Every block that is there is served by every node.
fn everything_is_read(world: &mut World) -> Result<(), Breach> {
    let names = world.stage.oracle.present();
    for place in taking_part(world) {
        for name in &names {
            read_probe(world, place, *name)?;
        }
    }
    Ok(())
}

fn read_probe(world: &mut World, place: usize, name: Multihash) -> Result<(), Breach> {
    for _ in 0..READ_TRIES {
        let (id, _) = world.clients.probe();
        let listener = usize::MAX - 1;
        world.members[place].ask(&mut world.stage, id, listener, Wanted::Read(name, Consistency::Linearizable));
        let deadline = world.stage.now + 2 * world.stage.weather.patience;
        if world.run_until_heard(deadline, listener)?.is_some_and(End::is_answer) {
            return Ok(());
        }
    }
    let what = format!("node {} doesn't serve {name} although everything is healed", place + 1);
    let law = if world.clients.block(&name).is_some() { Law::NothingLost } else { Law::RightBytes };
    Err(Breach { law, at: world.stage.now, what })
}

/// Faults that a report names, with how often they struck.
pub fn strokes(struck: &[u64]) -> impl Iterator<Item = (Fault, u64)> {
    Fault::ALL.into_iter().zip(struck.to_vec())
}

/// Entries that a healed quorum has to commit.
const PROGRESS_ENTRIES: usize = 3;

/// How often a probe puts something.
const PROBE_MICROS: u64 = 150_000;

/// How often a read is tried that finds no copy in time.
const READ_TRIES: usize = 4;
