//! Nothing but puts, as fast as so many clients can: how many a second, how long each took, and where they stood still.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use blockraft_client::{Client, ClientConfig};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::gaps::Gaps;
use crate::material;
use crate::report::Event;
use crate::workload::GAP_NS_MIN;

/// What to put, and when to stop.
#[derive(Clone, Copy, Debug)]
pub struct WritesOptions {
    /// Blocks differ from those of other seeds.
    pub seed: u64,
    /// Puts under way at once.
    pub clients: u32,
    /// Length of each block.
    pub block_bytes: usize,
    /// How long, at most.
    pub time: Duration,
    /// How many bytes, at most.
    pub bytes_max: u64,
}

/// Puts until the time or the bytes are used up; tells gaps as they end, and at the end throughput and latencies.
///
/// # Errors
/// No member can be reached at the start.
pub async fn run(config: ClientConfig, options: WritesOptions) -> Result<()> {
    let connections = connect(config, options.clients).await?;
    let clock = Clock::start();
    let next = Arc::new(AtomicU64::new(0));
    let failed = Arc::new(AtomicU64::new(0));
    let (acknowledged, acknowledgements) = mpsc::channel(QUEUE_ACKNOWLEDGEMENTS);
    let mut clients = JoinSet::new();
    for number in 0..options.clients {
        let place = number as usize % connections.len();
        let Some(client) = connections.get(place).cloned() else { break };
        let counters = Counters { next: Arc::clone(&next), failed: Arc::clone(&failed) };
        clients.spawn(put_on(client, number, options, counters, clock, acknowledged.clone()));
    }
    drop(acknowledged);
    Event::Started { bytes: 0 }.tell();
    let took = watch(acknowledgements, clock, options.block_bytes as u64).await;
    while clients.join_next().await.is_some() {}
    for client in connections {
        client.close().await;
    }
    took.tell(options.block_bytes as u64);
    measured("puts without acknowledgement", failed.load(Ordering::Relaxed) as f64, "puts");
    Ok(())
}

/// A node takes a bounded number of connections from one address, so many clients share few.
async fn connect(config: ClientConfig, clients: u32) -> Result<Vec<Client>> {
    let mut connections = Vec::new();
    for number in 0..clients.min(CONNECTIONS_MAX) as usize {
        let prefer = config.members.get(number % config.members.len().max(1)).map(|member| member.node);
        connections.push(Client::connect(ClientConfig { prefer, ..config.clone() }).await?);
    }
    Ok(connections)
}

#[derive(Clone, Copy)]
struct Acknowledgement {
    client: u32,
    invoked_ns: u64,
    returned_ns: u64,
}

/// What all clients count together.
struct Counters {
    /// The number of the next block.
    next: Arc<AtomicU64>,
    /// Puts that were refused, or whose answer was lost.
    failed: Arc<AtomicU64>,
}

async fn put_on(
    client: Client,
    number: u32,
    options: WritesOptions,
    counters: Counters,
    clock: Clock,
    acknowledged: mpsc::Sender<Acknowledgement>,
) {
    let blocks_max = options.bytes_max / (options.block_bytes as u64).max(1);
    while Duration::from_nanos(clock.now_ns()) < options.time {
        let block_number = counters.next.fetch_add(1, Ordering::Relaxed);
        if blocks_max <= block_number {
            return;
        }
        let block = material::block(options.seed, block_number, options.block_bytes);
        let invoked_ns = clock.now_ns();
        if client.put(block).await.is_err() {
            counters.failed.fetch_add(1, Ordering::Relaxed);
            sleep(FAILED_PAUSE).await;
            continue;
        }
        let acknowledgement = Acknowledgement { client: number, invoked_ns, returned_ns: clock.now_ns() };
        if acknowledged.send(acknowledgement).await.is_err() {
            return;
        }
    }
}

async fn watch(mut acknowledgements: mpsc::Receiver<Acknowledgement>, clock: Clock, block_bytes: u64) -> Took {
    let mut gaps = Gaps::of_at_least(GAP_NS_MIN);
    let mut took = Took::default();
    let mut told_ns = 0;
    while let Some(Acknowledgement { client, invoked_ns, returned_ns }) = acknowledgements.recv().await {
        took.add(invoked_ns, returned_ns);
        for gap in gaps.acknowledged(client, returned_ns) {
            Event::gap(gap, clock).tell();
        }
        if told_ns + PROGRESS_NS < returned_ns {
            told_ns = returned_ns;
            Event::Progress { blocks: took.count, bytes: took.count * block_bytes }.tell();
        }
    }
    took
}

/// How long puts took, counted in steps of a tenth, so that millions cost nothing.
#[derive(Clone, Debug, Default)]
struct Took {
    count: u64,
    last_ns: u64,
    steps: BTreeMap<u32, u64>,
}

impl Took {
    fn add(&mut self, invoked_ns: u64, returned_ns: u64) {
        self.count += 1;
        self.last_ns = self.last_ns.max(returned_ns);
        let took_us = returned_ns.saturating_sub(invoked_ns) / 1_000;
        *self.steps.entry(step(took_us)).or_default() += 1;
    }

    /// The latency that this share of the puts stayed within, in milliseconds.
    fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (step, count) in &self.steps {
            seen += count;
            if wanted <= seen {
                return 1.1_f64.powi(*step as i32) / 1_000.0;
            }
        }
        0.0
    }

    fn tell(&self, block_bytes: u64) {
        let seconds = self.last_ns as f64 / 1e9;
        measured("acknowledged blocks", self.count as f64, "blocks");
        measured("throughput", self.count as f64 / seconds.max(1e-9), "blocks/s");
        measured("payload throughput", (self.count * block_bytes) as f64 / seconds.max(1e-9) / 1e6, "MB/s");
        measured("median latency", self.quantile_ms(0.5), "ms");
        measured("latency of 99 %", self.quantile_ms(0.99), "ms");
    }
}

fn measured(name: &str, value: f64, unit: &str) {
    Event::Measured { name: name.to_owned(), value, unit: unit.to_owned() }.tell();
}

/// The number of the first step of a tenth that holds this many microseconds.
fn step(took_us: u64) -> u32 {
    (took_us.max(1) as f64).log(1.1).ceil() as u32
}

/// Connections of one load at most.
const CONNECTIONS_MAX: u32 = 15;

/// Acknowledgements that wait to be counted; clients wait behind them.
const QUEUE_ACKNOWLEDGEMENTS: usize = 4_096;

const FAILED_PAUSE: Duration = Duration::from_millis(10);

/// How often progress is told.
const PROGRESS_NS: u64 = 200_000_000;

#[cfg(test)]
mod tests {
    use super::Took;

    #[test]
    fn quantiles_are_within_a_tenth() {
        let mut took = Took::default();
        for ms in 1..=100_u64 {
            took.add(0, ms * 1_000_000);
        }
        let median = took.quantile_ms(0.5);
        assert!((50.0..=55.1).contains(&median), "{median}");
        let most = took.quantile_ms(0.99);
        assert!((99.0..=109.0).contains(&most), "{most}");
        assert_eq!(Took::default().quantile_ms(0.5), 0.0);
    }
}
