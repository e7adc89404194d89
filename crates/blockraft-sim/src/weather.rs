//! What a seed draws: the size of the cluster, which faults there are and how often, every bound and every delay.
//!
//! Each seed has a mix of its own (swarm testing, Groce et al. 2012): a world in which everything goes wrong at once hides
//! the bugs that need one thing to go right.

use blockraft_catalog::SessionLimits;
use blockraft_core::{Config, Options};
use blockraft_driver::ReplicaOptions;
use blockraft_driver::config::CompactionPolicy;

use crate::chance::Chance;
use crate::fault::{Fault, Faults};
use crate::leaning::Leaning;
use crate::limits::Limits;

/// A span of microseconds to draw from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest.
    pub min: u64,
    /// The longest.
    pub max: u64,
}

impl Span {
    /// One of it.
    pub fn draw(self, chance: &mut Chance) -> u64 {
        chance.between(self.min, self.max)
    }
}

/// All that a run is made of besides its course.
#[derive(Clone, Debug)]
pub struct Weather {
    /// How many members the group is born with.
    pub nodes: usize,
    /// How many nodes may be taken in later.
    pub spares: usize,
    /// Which faults there are.
    pub faults: Faults,
    /// How long the faults last, in microseconds.
    pub trouble: u64,
    /// What strikes as often as all others together, if anything does.
    pub favourite: Option<Fault>,
    /// Microseconds between two strokes of the nemesis.
    pub strokes: Span,
    /// Microseconds of a tick, by a clock that is right.
    pub tick: u64,
    /// How fast each node's clock runs, in thousandths.
    pub clock_permille: Vec<u64>,
    /// The settings of the replica.
    pub replica: ReplicaOptions,
    /// Ticks from a loss of leadership until open proposals are given up as unknown.
    pub unknown_after_ticks: u64,
    /// The bounds of the data plane.
    pub exchange: blockraft_exchange::Config,
    /// How long a message takes.
    pub latency: Span,
    /// How often a message vanishes, in thousandths.
    pub loss_permille: u64,
    /// How often a message of consensus comes twice.
    pub duplication_permille: u64,
    /// How often a message is late by `straggling`.
    pub straggling_permille: u64,
    /// How late.
    pub straggling: Span,
    /// How often a payload is lost.
    pub bulk_loss_permille: u64,
    /// How often a bit of a payload flips on its way.
    pub garbling_permille: u64,
    /// Microseconds that a byte takes on the bulk lane.
    pub bulk_byte: u64,
    /// How long a sync of the log takes.
    pub log_sync: Span,
    /// The founder whose log takes longer than that all the while, and how long.
    pub slow_log: Option<(usize, Span)>,
    /// How long a write of a block takes.
    pub store_write: Span,
    /// How long a look into a store takes.
    pub store_read: Span,
    /// How long it takes until there is room for the next block of a batch, and it is read.
    pub batch_read: Span,
    /// How long a turn of the loop takes to come.
    pub turn: Span,
    /// How long applying takes to come.
    pub apply: Span,
    /// How long what was applied takes to reach the data plane.
    pub tell: Span,
    /// How long it takes until both ends know of a connection, or of its end.
    pub session: Span,
    /// How long a node is down.
    pub downtime: Span,
    /// How many bytes a block store has while it is short of room.
    pub store_bytes: u64,
    /// How many clients there are.
    pub clients: usize,
    /// How long a client thinks.
    pub think: Span,
    /// How long a client waits for an answer.
    pub patience: u64,
    /// Blocks up to this length ride in the log.
    pub inline_bytes_max: u32,
    /// The longest block that clients put.
    pub block_bytes_max: u64,
    /// How many blocks a client goes back to.
    pub keys: u64,
    /// How often each operation is chosen, of a thousand.
    pub mix: Mix,
    /// How much catalogs keep of clients' sessions.
    pub sessions: SessionLimits,
}

/// How often clients do what, of a thousand; the rest are reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Puts of blocks that nobody put before.
    pub fresh_puts: u64,
    /// Puts of blocks that somebody put or deleted.
    pub puts: u64,
    /// Deletes.
    pub deletes: u64,
    /// How many of the puts ride in the log, of a thousand.
    pub inline: u64,
    /// Listings, counts and batches, instead of all that, of a thousand.
    pub surveys: u64,
}

impl Weather {
    /// Draws the weather of `seed`, as far as `limits` allow.
    #[must_use]
    pub fn draw(seed: u64, limits: &Limits) -> Self {
        let chance = &mut Chance::new(seed, 1);
        let nodes = [1, 3, 3, 3, 3, 3, 5, 5, 4, 2, 6, 7][chance.below(12) as usize];
        let nodes = limits.nodes.map_or(nodes, |most| nodes.min(most.max(1)));
        // A few faults at a time in most runs, many in some.
        let density = chance.pick(&[80, 200, 400, 650]).unwrap_or(200);
        let mut faults = Faults::NONE;
        for fault in Fault::ALL {
            if chance.permille(density) {
                faults = faults.with(fault);
            }
        }
        let leaning_chance = &mut Chance::new(seed, 8);
        let leaning = Leaning::draw(leaning_chance);
        let faults = leaning.faults(faults).minus(limits.without);
        let strength = |chance: &mut Chance, fault: Fault, most: u64| {
            let drawn = chance.between(1, most);
            if faults.has(fault) { drawn } else { 0 }
        };
        let spares = strength(chance, Fault::Members, 3) as usize;
        let tick = chance.pick(&[10_000, 15_000, 20_000]).unwrap_or(10_000);
        // Whatever there is or isn't, as much is drawn: a run without one fault is the same run otherwise.
        let drift = |chance: &mut Chance| {
            let drawn = chance.between(900, 1_100);
            if faults.has(Fault::Drift) { drawn } else { 1_000 }
        };
        let slow = |chance: &mut Chance, (slow_min, slow_max), usual: u64| {
            let drawn = chance.between(slow_min, slow_max);
            if faults.has(Fault::SlowApply) { drawn } else { usual }
        };
        let (core, unknown_after_ticks) = options(chance);
        let straggling_max = chance.between(20_000, 1_500_000);
        let sync_max = chance.between(300, 12_000);
        let write_max = chance.between(300, 12_000);
        let apply_max = slow(chance, (20_000, 400_000), 2_000);
        let tell_max = slow(chance, (5_000, 150_000), 1_000);
        let many = &mut Chance::new(seed, 10);
        let surveys = many.between(0, 150);
        let batch_read_max = many.pick(&[1_000, 50_000, 400_000]).unwrap_or(1_000);
        // Some worlds are hunted: leaders don't live long enough to commit.
        let haste = chance.pick(&[120_000, 300_000, 900_000]).unwrap_or(900_000);
        let mut weather = Self {
            nodes,
            spares,
            faults,
            favourite: leaning.favourite().filter(|fault| faults.has(*fault)),
            trouble: limits.trouble.unwrap_or_else(|| chance.between(3_000_000, 8_000_000)),
            strokes: Span { min: 5_000, max: chance.between(50_000, haste) },
            tick,
            clock_permille: (0..PLACES_MAX).map(|_| drift(chance)).collect(),
            replica: ReplicaOptions {
                core: Config::new(core).unwrap_or_default(),
                compaction: compaction(chance),
                recent_bytes_max: chance.between(200, 8_000),
                recent_entries_max: chance.between(2, 60) as usize,
                held_bytes_max: chance.between(400, 4_000),
                apply_bytes_max: chance.between(400, 4_000),
            },
            unknown_after_ticks,
            exchange: bounds(chance),
            latency: Span { min: 100, max: chance.between(500, 15_000) },
            loss_permille: strength(chance, Fault::Loss, 120),
            duplication_permille: strength(chance, Fault::Duplication, 100),
            straggling_permille: strength(chance, Fault::Straggling, 150),
            straggling: Span { min: 5_000, max: straggling_max },
            bulk_loss_permille: strength(chance, Fault::BulkLoss, 300),
            garbling_permille: strength(chance, Fault::Garbling, 150),
            bulk_byte: chance.between(0, 20),
            log_sync: Span { min: 100, max: sync_max },
            slow_log: None,
            store_write: Span { min: 100, max: write_max },
            store_read: Span { min: 50, max: 1_000 },
            batch_read: Span { min: 50, max: batch_read_max },
            turn: Span { min: 0, max: chance.between(0, 1_500) },
            apply: Span { min: 0, max: apply_max },
            tell: Span { min: 0, max: tell_max },
            session: Span { min: 500, max: chance.between(2_000, 400_000) },
            downtime: Span { min: 5_000, max: chance.between(50_000, 1_500_000) },
            store_bytes: chance.between(400, 3_000),
            clients: limits.clients.unwrap_or(usize::MAX).min(chance.between(1, 5) as usize),
            think: Span { min: 0, max: chance.between(10_000, 200_000) },
            patience: chance.between(800_000, 3_000_000),
            inline_bytes_max: 24,
            block_bytes_max: 160,
            keys: chance.between(2, 12),
            mix: Mix {
                fresh_puts: chance.between(50, 400),
                puts: chance.between(50, 250),
                deletes: chance.between(20, 250),
                inline: chance.between(0, 1_000),
                surveys,
            },
            sessions: session_limits(chance),
        };
        weather.lean(leaning, leaning_chance);
        weather
    }

    /// Ends what goes wrong all the while.
    pub fn calm(&mut self) {
        self.loss_permille = 0;
        self.duplication_permille = 0;
        self.straggling_permille = 0;
        self.bulk_loss_permille = 0;
        self.garbling_permille = 0;
        self.slow_log = None;
        self.log_sync.max = self.log_sync.max.min(CALM_DISK_MICROS).max(self.log_sync.min);
        self.store_write.max = self.store_write.max.min(CALM_DISK_MICROS).max(self.store_write.min);
        self.apply.max = self.apply.max.min(CALM_DISK_MICROS);
        self.tell.max = self.tell.max.min(CALM_DISK_MICROS);
        self.session.max = self.session.max.min(CALM_SESSION_MICROS).max(self.session.min);
        self.latency.max = self.latency.max.min(CALM_LATENCY_MICROS).max(self.latency.min);
    }

    /// Makes likely what the world leans towards.
    fn lean(&mut self, leaning: Leaning, chance: &mut Chance) {
        match leaning {
            Leaning::Nowhere => {}
            Leaning::Leases => {
                let exchange = &mut self.exchange;
                exchange.put_ticks_max = chance.between(6, 12);
                exchange.push_ticks_max = chance.between(2, 4);
                exchange.grace_ticks = exchange.put_ticks_max + exchange.push_ticks_max + 1;
                let grace = exchange.grace_ticks * self.tick;
                let place = chance.below(self.nodes as u64) as usize;
                self.slow_log = Some((place, Span { min: grace / 4, max: 3 * grace }));
                // What is admitted waits for the sync before, and its payload lies beside the log.
                self.set_options(|options| options.persists_inflight_max = 1);
                self.mix.inline /= 4;
            }
            Leaning::Elections => {
                if self.faults.has(Fault::Duplication) {
                    self.duplication_permille = chance.between(200, 600);
                }
                self.set_options(|options| options.election_ticks_max = options.election_ticks_min + 2);
            }
            Leaning::Members => self.strokes.max = chance.between(30_000, 120_000),
        }
    }

    fn set_options(&mut self, set: impl FnOnce(&mut Options)) {
        let mut options = *self.replica.core.options();
        set(&mut options);
        self.replica.core = Config::new(options).unwrap_or_default();
    }

    /// How long a sync of the log takes on the node at `place`.
    #[must_use]
    pub fn log_sync_at(&self, place: usize) -> Span {
        self.slow_log.filter(|(slow, _)| *slow == place).map_or(self.log_sync, |(_, span)| span)
    }

    /// How many nodes there may be at all.
    #[must_use]
    pub const fn places(&self) -> usize {
        self.nodes + self.spares
    }

    /// The longest election timeout, in microseconds by a clock that is right.
    #[must_use]
    pub fn election_max(&self) -> u64 {
        u64::from(self.replica.core.options().election_ticks_max) * self.tick
    }

    /// The shortest one by the clock of `node`, for which a proof of freshness holds.
    #[must_use]
    pub fn freshness(&self) -> u64 {
        u64::from(self.replica.core.options().election_ticks_min) * self.tick
    }
}

/// The most nodes of any world.
const PLACES_MAX: usize = 10;

/// How long disks take when nothing is wrong, at most.
const CALM_DISK_MICROS: u64 = 4_000;

/// How long a connection takes to be noticed when nothing is wrong, at most.
const CALM_SESSION_MICROS: u64 = 20_000;

/// How long a message takes when nothing is wrong, at most.
const CALM_LATENCY_MICROS: u64 = 3_000;

fn options(chance: &mut Chance) -> (Options, u64) {
    let heartbeat_ticks = chance.between(1, 3) as u32;
    let election_ticks_min = heartbeat_ticks * 2 + 1 + chance.below(8) as u32;
    let election_ticks_max = election_ticks_min + 2 + chance.below(14) as u32;
    let options = Options {
        heartbeat_ticks,
        election_ticks_min,
        election_ticks_max,
        commit_stall_ticks: election_ticks_max * 2 + 1 + chance.below(40) as u32,
        append_entries_max: chance.pick(&[1, 1, 3, 12]).unwrap_or(12),
        append_bytes_max: chance.between(40, 1_500),
        inflight_messages_max: chance.between(1, 8) as usize,
        inflight_bytes_max: chance.between(80, 4_000),
        uncommitted_bytes_max: chance.between(400, 6_000),
        uncommitted_entries_max: chance.between(6, 80),
        reads_pending_max: chance.between(2, 32) as usize,
        persists_inflight_max: chance.between(1, 6) as usize,
    };
    (options, chance.between(5, 60))
}

/// Logs so short that who is away for a while needs a snapshot; in some worlds they wait for everybody.
fn compaction(chance: &mut Chance) -> CompactionPolicy {
    let (entries_max, bytes_max) = (chance.between(2, 60), chance.between(300, 9_000));
    let waits = chance.permille(300);
    let kept = |most: u64, chance: &mut Chance| if waits { most * 1_000 } else { chance.below(most) };
    CompactionPolicy {
        entries_max,
        bytes_max,
        entries_kept: kept(entries_max, chance),
        bytes_kept: kept(bytes_max, chance),
        ticks_max: chance.between(20, 2_000),
    }
}

/// In most worlds sessions expire, since there are more than fit, or since they keep too much.
fn session_limits(chance: &mut Chance) -> SessionLimits {
    let drawn =
        SessionLimits { sessions_max: chance.between(1, 6) as usize, outcomes_max: chance.between(1, 16) as usize };
    if chance.permille(600) { drawn } else { SessionLimits::FORMAT }
}

/// Bounds so small that everything runs into them.
fn bounds(chance: &mut Chance) -> blockraft_exchange::Config {
    let (put_ticks_max, push_ticks_max) = (chance.between(20, 80), chance.between(4, 20));
    blockraft_exchange::Config {
        lane_bytes_max: chance.between(100, 600),
        puts_max: chance.between(3, 16) as usize,
        put_bytes_max: chance.between(400, 2_000),
        put_ticks_max,
        push_ticks_max,
        retry_ticks: chance.between(1, 6),
        announced_max: chance.between(1, 8) as usize,
        arriving_bytes_max: chance.between(200, 1_200),
        staged_bytes_max: chance.between(300, 1_500),
        staged_blocks_max: chance.between(3, 12) as usize,
        evict_ticks_min: chance.between(2, 12),
        grace_ticks: put_ticks_max + push_ticks_max + chance.between(1, 40),
        reclaims_max: chance.between(1, 6) as usize,
        deleted_blocks_max: chance.between(1, 30) as usize,
        full_ticks: chance.between(4, 20),
        stall_ticks: chance.between(10, 100),
        gate_fetches_max: chance.between(1, 4) as usize,
        gate_fetch_bytes_max: chance.between(150, 600),
        other_fetches_max: chance.between(1, 3) as usize,
        other_fetch_bytes_max: chance.between(150, 400),
        snapshot_fetches_max: chance.between(1, 3) as usize,
        snapshot_fetch_bytes_max: chance.between(150, 400),
        snapshot_tick_bytes_max: chance.between(40, 400),
        snapshot_names_max: chance.between(1, 6) as usize,
        chunk_rows_max: chance.between(1, 5) as usize,
        chunk_payload_bytes_max: chance.between(100, 600),
        exports_max: chance.between(1, 2) as usize,
        export_ticks_max: chance.between(20, 100),
        // As many as clients bring about while all rows are read, or nobody catches up under load.
        pinned_entries_max: chance.between(30, 90),
        pinned_payload_bytes_max: chance.between(500, 4_000),
        fetch_ticks_max: chance.between(3, 12),
        gate_names_max: chance.between(2, 12) as usize,
        proposals_max: chance.between(2, 12) as usize,
        proposal_ticks_max: chance.between(8, 40),
        repairs_max: chance.between(1, 6) as usize,
        repair_ticks_max: chance.between(10, 40),
        serves_max: chance.between(1, 5) as usize,
        serve_bytes_max: 600,
        inline_bytes_max: chance.between(30, 400),
        sweep_page: chance.between(1, 6) as usize,
        sweep_ticks: chance.between(1, 4),
    }
}
