//! A node that joins a group with much to catch up on, at a size that no seed draws: production's settings, one power cut.
//!
//! Lengths are real and so are digests; the bytes are windows of one buffer, so that state of any size fits into memory.

use std::collections::BTreeSet;

use blockraft_blocks::{Block, HashCode, Multihash};
use blockraft_catalog::SessionLimits;
use blockraft_core::Config;
use blockraft_driver::ReplicaOptions;
use blockraft_driver::config::CompactionPolicy;
use blockraft_node::Consistency;
use blockraft_types::{MembershipChange, NodeId};
use bytes::Bytes;

use crate::chance::Chance;
use crate::desk::Wanted;
use crate::fault::Faults;
use crate::law::{Breach, Law};
use crate::marks::Mark;
use crate::mistake::Planted;
use crate::place::incarnation;
use crate::trace::Lines;
use crate::weather::{Mix, Span, Weather};
use crate::world::World;

/// How much there is to catch up on, and when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Blocks that the group has.
    pub blocks: u64,
    /// The length of each in bytes, at least 8,192.
    pub block_bytes: u32,
    /// After so many thousandths of the bytes the joining node loses its power, and starts again.
    pub cut_permille: u64,
}

/// How a node caught up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaughtUp {
    /// Bytes of all blocks.
    pub state_bytes: u64,
    /// Bytes that were sent to the new node over the bulk lane, rows included.
    pub sent_bytes: u64,
    /// Of those, bytes that were sent before its power went.
    pub sent_before_cut: u64,
    /// Microseconds of virtual time from its first start until it had everything.
    pub micros: u64,
    /// The most bytes that it held outside of its store at any time: staged, arriving, or being fetched.
    pub held_bytes_max: u64,
    /// How many events there were.
    pub events: u64,
}

/// Fills a group of three, lets a fourth node join, cuts its power, and waits until it has everything, counts as a voter
/// and serves.
///
/// # Errors
/// The first breach of a law; [`Law::Progress`] if it doesn't catch up in ten times the time that its bandwidth takes.
pub fn catch_up(backlog: Backlog, progress: impl Fn(u64)) -> Result<CaughtUp, Breach> {
    let mut world = World::new(1, fair(), Planted::default(), Lines::Dropped);
    let names = fill(&mut world, backlog, &progress)?;
    let state_bytes = backlog.blocks * u64::from(backlog.block_bytes);
    let begun = world.stage.now;
    join(&mut world)?;

    let mut held_bytes_max = 0;
    let mut watch = |world: &World| {
        if let Some(awake) = &world.members[NEW].awake {
            let status = awake.life.status.borrow();
            let held = status.staged_bytes + status.gate_fetch_bytes + status.other_fetch_bytes;
            held_bytes_max = held.max(held_bytes_max);
        }
    };
    let limit = begun + 10 * (TIME_MICROS_MIN + state_bytes / BYTES_PER_MICRO);
    let until_cut = state_bytes / 1_000 * backlog.cut_permille;
    let is_cut = world.run(limit, |world| {
        watch(world);
        progress(backlog.blocks + world.stage.network.bulk_bytes(NEW) / u64::from(backlog.block_bytes));
        until_cut <= world.stage.network.bulk_bytes(NEW)
    })?;
    let sent_before_cut = world.stage.network.bulk_bytes(NEW);
    if !is_cut {
        return Err(stuck(&world, "the new node gets nothing"));
    }
    let World { stage, members, .. } = &mut world;
    members[NEW].cut_power(stage);

    let has_all = world.run(limit, |world| {
        watch(world);
        progress(backlog.blocks + world.stage.network.bulk_bytes(NEW) / u64::from(backlog.block_bytes));
        let applied = world.members[NEW].awake.as_ref().map(|awake| awake.life.applied.0);
        applied.is_some_and(|applied| world.stage.oracle.len() as u64 <= applied)
    })?;
    if !has_all || world.stage.marks.count(Mark::Installed) == 0 {
        return Err(stuck(&world, "the new node didn't catch up by a snapshot"));
    }
    let micros = world.stage.now.0 - begun.0;
    count(&mut world)?;
    serve(&mut world, &names)?;
    Ok(CaughtUp {
        state_bytes,
        sent_bytes: world.stage.network.bulk_bytes(NEW),
        sent_before_cut,
        micros,
        held_bytes_max,
        events: world.stage.trace.events(),
    })
}

fn stuck(world: &World, what: &str) -> Breach {
    Breach { law: Law::Progress, at: world.stage.now, what: what.to_owned() }
}

/// Puts all blocks, some at a time.
fn fill(world: &mut World, backlog: Backlog, progress: &impl Fn(u64)) -> Result<Vec<Multihash>, Breach> {
    let buffer = buffer(backlog);
    let mut names = Vec::new();
    while (names.len() as u64) < backlog.blocks {
        let leader = leader(world)?;
        let before = world.stage.oracle.len();
        let count = PUTS_AT_ONCE.min(backlog.blocks - names.len() as u64);
        for _ in 0..count {
            let begin = names.len() * WINDOW_BYTES;
            let block = Block::hash(HashCode::Sha2_256, buffer.slice(begin..begin + backlog.block_bytes as usize));
            names.push(*block.multihash());
            let (id, client) = world.clients.probe();
            world.members[leader].ask(&mut world.stage, id, client, Wanted::Put(block, None));
        }
        let enough = before + count as usize;
        let limit = world.stage.now + PUT_MICROS_MAX;
        if !world.run(limit, |world| enough <= world.stage.oracle.len())? {
            return Err(stuck(world, "blocks can't be put"));
        }
        progress(names.len() as u64);
    }
    Ok(names)
}

/// One buffer whose windows all differ.
fn buffer(backlog: Backlog) -> Bytes {
    let mut chance = Chance::new(1, 7);
    let length = backlog.blocks as usize * WINDOW_BYTES + backlog.block_bytes as usize;
    let words = (0..length.div_ceil(8)).flat_map(|_| chance.draw().to_le_bytes());
    words.collect::<Vec<u8>>().into()
}

fn leader(world: &mut World) -> Result<usize, Breach> {
    let limit = world.stage.now + PUT_MICROS_MAX;
    world.run(limit, |world| world.stage.leading.iter().any(Option::is_some))?;
    world.stage.leading.iter().position(Option::is_some).ok_or_else(|| stuck(world, "nobody leads"))
}

/// Starts the new node, and has it taken in.
fn join(world: &mut World) -> Result<(), Breach> {
    let leader = leader(world)?;
    let World { stage, members, .. } = world;
    members[NEW].format();
    members[NEW].start_after(stage, 1_000);
    let change = MembershipChange::AddLearner { node: NODE, incarnation: incarnation(NEW), address: None };
    members[leader].change(stage, change);
    Ok(())
}

/// Has the new node counted.
fn count(world: &mut World) -> Result<(), Breach> {
    let limit = world.stage.now + PUT_MICROS_MAX;
    while world.stage.now < limit {
        let leader = leader(world)?;
        let change = MembershipChange::Reconfigure { promote: [NODE].into(), remove: BTreeSet::new() };
        let World { stage, members, .. } = world;
        members[leader].change(stage, change);
        let soon = world.stage.now + RETRY_MICROS;
        if world.run(soon, |world| world.stage.oracle.membership().voters.contains_key(&NODE))? {
            return Ok(());
        }
    }
    Err(stuck(world, "the new node isn't promoted"))
}

/// Reads some of the blocks from the new node.
fn serve(world: &mut World, names: &[Multihash]) -> Result<(), Breach> {
    let step = (names.len() / READS).max(1);
    for name in names.iter().step_by(step) {
        let (id, client) = world.clients.probe();
        world.members[NEW].ask(&mut world.stage, id, client, Wanted::Read(*name, Consistency::Linearizable));
        let limit = world.stage.now + PUT_MICROS_MAX;
        if world.run_until_heard(limit, client)?.is_none_or(|end| !end.is_answer()) {
            return Err(stuck(world, "the new node doesn't serve"));
        }
    }
    Ok(())
}

/// Nothing goes wrong, and all is set as in production, but for a log so short that it is of no help.
fn fair() -> Weather {
    let compaction = CompactionPolicy { entries_max: 200, entries_kept: 100, ..CompactionPolicy::default() };
    Weather {
        nodes: 3,
        spares: 1,
        faults: Faults::NONE,
        trouble: 0,
        favourite: None,
        strokes: Span { min: u64::MAX / 4, max: u64::MAX / 4 },
        tick: TICK_MICROS,
        clock_permille: vec![1_000; 4],
        replica: ReplicaOptions { core: Config::default(), compaction, ..ReplicaOptions::default() },
        unknown_after_ticks: 60,
        exchange: blockraft_exchange::Config::for_ticks_of((TICK_MICROS / 1_000) as u32),
        latency: Span { min: 100, max: 500 },
        loss_permille: 0,
        duplication_permille: 0,
        straggling_permille: 0,
        straggling: Span { min: 0, max: 0 },
        bulk_loss_permille: 0,
        garbling_permille: 0,
        bulk_byte: 0,
        log_sync: Span { min: 100, max: 1_000 },
        slow_log: None,
        store_write: Span { min: 100, max: 2_000 },
        store_read: Span { min: 50, max: 500 },
        batch_read: Span { min: 50, max: 500 },
        turn: Span { min: 0, max: 100 },
        apply: Span { min: 0, max: 1_000 },
        tell: Span { min: 0, max: 500 },
        session: Span { min: 500, max: 2_000 },
        downtime: Span { min: 100_000, max: 200_000 },
        store_bytes: u64::MAX,
        clients: 0,
        think: Span { min: 1_000, max: 1_000 },
        patience: PUT_MICROS_MAX,
        inline_bytes_max: 4_096,
        block_bytes_max: 2 << 20,
        keys: 1,
        mix: Mix { fresh_puts: 0, puts: 0, deletes: 0, inline: 0, surveys: 0 },
        sessions: SessionLimits::FORMAT,
    }
}

/// The place of the node that joins.
const NEW: usize = 3;
const NODE: NodeId = NodeId(NEW as u64 + 1);

/// How far the windows of two blocks are apart.
const WINDOW_BYTES: usize = 64;

const PUTS_AT_ONCE: u64 = 16;
const TICK_MICROS: u64 = 10_000;
const PUT_MICROS_MAX: u64 = 60_000_000;
const RETRY_MICROS: u64 = 500_000;
const TIME_MICROS_MIN: u64 = 5_000_000;

/// What a transfer takes at most, as configured by default.
const BYTES_PER_MICRO: u64 = 100;

/// How many blocks are read in the end.
const READS: usize = 50;
