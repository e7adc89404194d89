//! Many seeds: on every core, with a sum at the end, and a failure made small.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::law::Breach;
use crate::limits::Limits;
use crate::marks::{Mark, Marks};
use crate::mistake::Planted;
use crate::run::{Report, run};
use crate::trace::Lines;

/// Which seeds, and how.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first seed.
    pub from: u64,
    /// The seed behind the last one.
    pub to: u64,
    /// No seed is begun after so long.
    pub within: Option<Duration>,
    /// How many threads run them.
    pub threads: usize,
    /// What all of them are kept from.
    pub limits: Limits,
    /// The mistake that nodes make.
    pub planted: Planted,
    /// Whether each seed is run once more to compare the hashes.
    pub times: Times,
}

/// How often each seed runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Once.
    Once,
    /// Twice: both runs must take the same way.
    Twice,
}

/// What a campaign found.
#[derive(Clone, Debug)]
pub struct Sum {
    /// How many seeds ran.
    pub seeds: u64,
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
    /// What was met.
    pub marks: Marks,
    /// The hashes of all seeds, folded regardless of their order.
    pub hash: u64,
    /// The first failures, by seed.
    pub failures: Vec<(u64, Failure)>,
    /// How long it took.
    pub took: Duration,
}

/// How a seed failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A law was broken.
    Broke(Breach),
    /// Two runs of one seed took different ways.
    Differs {
        /// The hashes of the two.
        hashes: (u64, u64),
    },
}

impl Campaign {
    /// Runs all seeds, or until one fails; `progress` hears after each how many ran.
    #[must_use]
    pub fn run(&self, progress: impl Fn(u64) + Sync) -> Sum {
        let begun = Instant::now();
        let next = AtomicU64::new(self.from);
        let stop = AtomicBool::new(false);
        let sum = Mutex::new(Sum::empty());
        let ran = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    loop {
                        let is_late = self.within.is_some_and(|within| within <= begun.elapsed());
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if self.to <= seed || is_late || stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let (report, failure) = self.seed(seed);
                        if failure.is_some() {
                            stop.store(true, Ordering::Relaxed);
                        }
                        // A sum is whole between any two statements.
                        sum.lock().unwrap_or_else(PoisonError::into_inner).add(&report, failure);
                        progress(ran.fetch_add(1, Ordering::Relaxed) + 1);
                    }
                });
            }
        });
        let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        sum.took = begun.elapsed();
        sum.failures.sort_by_key(|(seed, _)| *seed);
        sum
    }

    fn seed(&self, seed: u64) -> (Report, Option<Failure>) {
        let report = run(seed, &self.limits, self.planted, Lines::Dropped);
        if let Some(breach) = report.breach.clone() {
            return (report, Some(Failure::Broke(breach)));
        }
        let differs = match self.times {
            Times::Once => None,
            Times::Twice => {
                let again = run(seed, &self.limits, self.planted, Lines::Dropped).hash;
                (again != report.hash).then_some(Failure::Differs { hashes: (report.hash, again) })
            }
        };
        (report, differs)
    }
}

impl Sum {
    fn empty() -> Self {
        Self {
            seeds: 0,
            events: 0,
            micros: 0,
            committed: 0,
            answered: 0,
            struck: vec![0; Fault::ALL.len()],
            marks: Marks::default(),
            hash: 0,
            failures: Vec::new(),
            took: Duration::ZERO,
        }
    }

    fn add(&mut self, report: &Report, failure: Option<Failure>) {
        self.seeds += 1;
        self.events += report.events;
        self.micros += report.micros;
        self.committed += report.committed;
        self.answered += report.answered;
        for (sum, struck) in self.struck.iter_mut().zip(&report.struck) {
            *sum += struck;
        }
        self.marks.add(&report.marks);
        self.hash ^= report.hash.rotate_left((report.seed % 64) as u32);
        self.failures.extend(failure.map(|failure| (report.seed, failure)));
    }

    /// Marks that weren't met.
    pub fn missing(&self) -> impl Iterator<Item = Mark> + '_ {
        Mark::ALL.iter().copied().filter(|mark| self.marks.count(*mark) == 0)
    }
}

/// Makes a failure smaller: without each kind of fault, with fewer nodes and clients, and shorter, as long as the same
/// law breaks.
#[must_use]
pub fn shrink(seed: u64, limits: Limits, planted: Planted, breach: &Breach) -> (Limits, Breach) {
    let still =
        |limits: &Limits| run(seed, limits, planted, Lines::Dropped).breach.filter(|found| found.law == breach.law);
    let mut best = (limits, breach.clone());
    let trouble = breach.at.0 + 1;
    let mut candidates = vec![Limits { trouble: Some(trouble), ..limits }];
    while let Some(candidate) = candidates.pop() {
        if let Some(found) = still(&candidate) {
            best = (candidate, found);
        }
    }
    for fault in Fault::ALL {
        let candidate = Limits { without: best.0.without.with(fault), ..best.0 };
        if let Some(found) = still(&candidate) {
            best = (candidate, found);
        }
    }
    for clients in 1..=2 {
        let candidate = Limits { clients: Some(clients), ..best.0 };
        if let Some(found) = still(&candidate) {
            best = (candidate, found);
            break;
        }
    }
    for nodes in 1..=5 {
        let candidate = Limits { nodes: Some(nodes), ..best.0 };
        if let Some(found) = still(&candidate) {
            best = (candidate, found);
            break;
        }
    }
    best
}
