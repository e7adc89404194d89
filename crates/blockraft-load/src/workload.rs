//! A mixed load of concurrent clients from a seed, recorded: fresh blocks of all lengths, contended blocks that are
//! deleted and put again, reads of every consistency, listings.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use blockraft_blocks::{Block, Multihash};
use blockraft_client::ClientConfig;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::gaps::Gaps;
use crate::history::{Action, Consistency, Continuation, Effect, HistoryWriter, Operation, Outcome};
use crate::material;
use crate::report::Event;
use crate::session::{Reach, Session};

/// What to do, and for how long.
#[derive(Clone, Debug)]
pub struct WorkloadOptions {
    /// Everything drawn comes from here.
    pub seed: u64,
    /// Clients, each doing one thing at a time.
    pub clients: u32,
    /// How long.
    pub time: Duration,
    /// Bytes of fresh blocks after which only small ones are put.
    pub fresh_bytes_max: u64,
    /// Where the history goes.
    pub history: PathBuf,
}

/// Runs the load to its end and tells gaps as they end.
///
/// # Errors
/// No member can be reached at the start, or the history can't be written.
pub async fn run(config: ClientConfig, options: WorkloadOptions) -> Result<()> {
    let Continuation { begins_ns, first_client } = Continuation::behind(&options.history)?;
    let clock = Clock::continued(begins_ns);
    let history = HistoryWriter::append(&options.history)?;
    let shared = Arc::new(Shared::new(&options));
    let (ended, operations) = mpsc::channel(QUEUE_OPERATIONS);
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        let reach = Reach::Any { first: number as usize };
        let session = Session::connect(config.clone(), first_client + number, reach, clock).await?;
        let until = Duration::from_nanos(begins_ns) + options.time;
        let generator = material::generator(options.seed, u64::from(number) + 1);
        let worker = Worker { session, number, generator, shared: Arc::clone(&shared), ended: ended.clone() };
        clients.spawn(worker.run(clock, until));
    }
    drop(ended);
    Event::Started { bytes: 0 }.tell();
    let tally = record(operations, &history, clock).await;
    while clients.join_next().await.is_some() {}
    tokio::task::spawn_blocking(move || history.finish()).await??;
    tally.tell((clock.now_ns() - begins_ns) / 1_000_000);
    Ok(())
}

/// Writes operations as they end, and watches for gaps between acknowledged writes.
async fn record(mut operations: mpsc::Receiver<Operation>, history: &HistoryWriter, clock: Clock) -> Tally {
    let history = history.sender();
    let mut gaps = Gaps::of_at_least(GAP_NS_MIN);
    let mut tally = Tally::default();
    while let Some(operation) = operations.recv().await {
        tally.count(&operation);
        if let Some(unwritten) = Event::unwritten(&operation, clock) {
            unwritten.tell();
        }
        if is_acknowledged_write(&operation) {
            for gap in gaps.acknowledged(operation.client, operation.returned) {
                Event::gap(gap, clock).tell();
            }
        }
        if history.send(operation).await.is_err() {
            break; // `finish` tells why the file can't be written
        }
    }
    tally
}

pub(crate) fn is_acknowledged_write(operation: &Operation) -> bool {
    operation.action.consistency().is_none() && operation.done().is_some()
}

/// How many operations ended how.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    done: u64,
    refused: u64,
    unknown: u64,
    bytes: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, operation: &Operation) {
        match (&operation.outcome, &operation.action) {
            (Outcome::Done { effect: Effect::Created, .. }, Action::Put { bytes, .. }) => {
                self.done += 1;
                self.bytes += bytes;
            }
            (Outcome::Done { .. }, _) => self.done += 1,
            (Outcome::Refused { .. }, _) => self.refused += 1,
            (Outcome::Unknown { .. }, _) => self.unknown += 1,
        }
    }

    pub(crate) fn tell(self, ms: u64) {
        let Self { done, refused, unknown, bytes } = self;
        Event::Done { done, refused, unknown, bytes, ms }.tell();
    }
}

/// What the clients share: the contended blocks, and the fresh blocks that are there.
#[derive(Debug)]
struct Shared {
    seed: u64,
    contended: Vec<Contended>,
    recent: Mutex<VecDeque<Multihash>>,
    next_fresh: AtomicU64,
    fresh_bytes_left: AtomicU64,
}

/// A block that is put and deleted over and over.
#[derive(Debug)]
struct Contended {
    block: Block,
    busy: AtomicU32,
}

impl Shared {
    fn new(options: &WorkloadOptions) -> Self {
        let lengths = [0, 40, 900, 4_096, 4_097, 30_000, 256 << 10];
        let count = (options.clients as usize * 2).max(lengths.len());
        let contended = lengths.iter().cycle().zip(0..count as u64).map(|(&bytes, number)| {
            // There is only one empty block: it stands in the list once.
            let bytes = if bytes == 0 && number > 0 { 64 } else { bytes };
            let block = material::block(options.seed, CONTENDED_NUMBERS + number, bytes);
            Contended { block, busy: AtomicU32::new(0) }
        });
        Self {
            seed: options.seed,
            contended: contended.collect(),
            recent: Mutex::default(),
            next_fresh: AtomicU64::new(0),
            fresh_bytes_left: AtomicU64::new(options.fresh_bytes_max),
        }
    }

    fn fresh(&self, generator: &mut ChaCha8Rng) -> Block {
        let wanted = material::length(generator) as u64;
        let number = self.next_fresh.fetch_add(1, Ordering::Relaxed);
        let take = |left: u64| left.checked_sub(wanted);
        let has_room = self.fresh_bytes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        material::block(self.seed, number, if has_room { wanted as usize } else { 64 })
    }

    fn remember(&self, multihash: Multihash) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == RECENT_BLOCKS {
            recent.pop_front();
        }
        recent.push_back(multihash);
    }

    fn any_recent(&self, generator: &mut ChaCha8Rng) -> Option<Multihash> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.is_empty() { None } else { recent.get(generator.random_range(0..recent.len())).copied() }
    }

    /// A contended block that not too many are at, so that its history can be searched.
    fn contended(&self, generator: &mut ChaCha8Rng) -> Option<Claim<'_>> {
        let contended = self.contended.get(generator.random_range(0..self.contended.len()))?;
        let claim = Claim(contended);
        (contended.busy.fetch_add(1, Ordering::AcqRel) < CONTENDERS_MAX).then_some(claim)
    }
}

/// One client at a contended block.
struct Claim<'a>(&'a Contended);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Worker {
    session: Session,
    number: u32,
    generator: ChaCha8Rng,
    shared: Arc<Shared>,
    ended: mpsc::Sender<Operation>,
}

impl Worker {
    async fn run(mut self, clock: Clock, until: Duration) {
        while Duration::from_nanos(clock.now_ns()) < until {
            let operation = self.step().await;
            let was_refused = matches!(operation.outcome, Outcome::Refused { .. });
            if self.ended.send(operation).await.is_err() {
                return;
            }
            if was_refused {
                sleep(REFUSED_PAUSE).await;
            }
        }
        self.session.client().close().await;
    }

    async fn step(&mut self) -> Operation {
        let shared = Arc::clone(&self.shared);
        let generator = &mut self.generator;
        let session = &self.session;
        match generator.random_range(0..100_u32) {
            0..35 => return self.put_fresh().await,
            35..60 => {
                if let Some(claim) = shared.contended(generator) {
                    let block = &claim.0.block;
                    return match generator.random_bool(0.5) {
                        true => session.put(block).await,
                        false => session.delete(*block.multihash()).await,
                    };
                }
            }
            60..82 => {
                if let Some(claim) = shared.contended(generator) {
                    let consistency = consistency(generator);
                    let multihash = *claim.0.block.multihash();
                    return match generator.random_bool(0.5) {
                        true => session.get(multihash, consistency).await,
                        false => session.stat(multihash, consistency).await,
                    };
                }
            }
            82..98 => {
                if let Some(multihash) = shared.any_recent(generator) {
                    let consistency = consistency(generator);
                    return session.get(multihash, consistency).await;
                }
            }
            _ => {
                let after = shared.any_recent(generator);
                let consistency = consistency(generator);
                return session.list(after, LIST_BLOCKS, consistency).await;
            }
        }
        self.put_fresh().await
    }

    async fn put_fresh(&mut self) -> Operation {
        let block = self.shared.fresh(&mut self.generator);
        let operation = self.session.put(&block).await;
        if is_acknowledged_write(&operation) {
            self.shared.remember(*block.multihash());
        }
        operation
    }
}

impl core::fmt::Debug for Worker {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Worker").field("number", &self.number).finish_non_exhaustive()
    }
}

fn consistency(generator: &mut ChaCha8Rng) -> Consistency {
    match generator.random_range(0..20_u32) {
        0..9 => Consistency::Linearizable,
        9..17 => Consistency::Confirmed,
        _ => Consistency::Local,
    }
}

/// Numbers of contended blocks begin here, far behind the fresh ones.
const CONTENDED_NUMBERS: u64 = 1 << 40;

/// Clients at one contended block at once.
const CONTENDERS_MAX: u32 = 6;

/// Fresh blocks that are read again.
const RECENT_BLOCKS: usize = 4_096;

/// Blocks on a page of a listing.
const LIST_BLOCKS: u32 = 100;

/// Operations that wait to be recorded; clients wait behind them.
const QUEUE_OPERATIONS: usize = 1_024;

/// A client that was refused looks around before it goes on.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// Gaps worth telling.
pub(crate) const GAP_NS_MIN: u64 = 100_000_000;
