//! The simulator's command line: many seeds, or one of them told as a story.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use blockraft_sim::campaign::{Campaign, Failure, Sum, Times, shrink};
use blockraft_sim::catch_up::{Backlog, CaughtUp, catch_up};
use blockraft_sim::explore::{Census, STATES_MAX, Space, explore};
use blockraft_sim::fault::{Fault, Faults};
#[cfg(seeded_bugs)]
use blockraft_sim::known::{BELOW, Judge, KNOWN};
use blockraft_sim::limits::Limits;
use blockraft_sim::marks::Mark;
use blockraft_sim::mistake::Planted;
use blockraft_sim::run::run;
#[cfg(seeded_bugs)]
use blockraft_sim::score::{Score, Verdict};
use blockraft_sim::trace::Lines;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Runs whole nodes in one thread with virtual time, one world for each seed, and judges what they do
#[derive(Debug, Parser)]
#[command(name = "blockraft-sim")]
struct Cli {
    /// Run this many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,

    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,

    /// The seed behind the last one, instead of --seeds
    #[arg(long)]
    to: Option<u64>,

    /// Begin no seed after so many seconds
    #[arg(long)]
    seconds: Option<u64>,

    /// Run each seed twice and compare
    #[arg(long)]
    twice: bool,

    /// Run this seed alone
    #[arg(long)]
    seed: Option<u64>,

    /// Tell what happens in it
    #[arg(long, requires = "seed")]
    trace: bool,

    /// Print the sum as JSON
    #[arg(long)]
    json: bool,

    /// Demand that every mark was reached
    #[arg(long)]
    all_marks: bool,

    /// Threads; all cores unless given
    #[arg(long)]
    threads: Option<usize>,

    /// Nodes at most
    #[arg(long)]
    nodes: Option<usize>,

    /// Clients at most
    #[arg(long)]
    clients: Option<usize>,

    /// How long the faults last, in milliseconds
    #[arg(long)]
    trouble_ms: Option<u64>,

    /// Leave a kind of fault out
    #[arg(long, value_name = "FAULT")]
    without: Vec<String>,

    /// Let a new node catch up on so many MiB of blocks, in virtual time and with the bandwidth of production; it loses its
    /// power when it has nine tenths
    #[arg(long, value_name = "MIB", conflicts_with = "seed")]
    catch_up: Option<u64>,

    /// Visit every state that the core reaches within each of the named bounds, instead of running seeds
    #[arg(long, conflicts_with_all = ["seed", "catch_up"])]
    explore: bool,

    /// Let all nodes make a known mistake, by name
    #[cfg(seeded_bugs)]
    #[arg(long)]
    bug: Option<String>,

    /// Show for each known mistake how long it takes until a law is broken, within --seconds (60 unless given) each
    #[cfg(seeded_bugs)]
    #[arg(long)]
    seeded_bugs: bool,
}

fn main() -> ExitCode {
    // A node that panics is a finding: it is told with its seed, not as a panic of this program.
    std::panic::set_hook(Box::new(|_| {}));
    match Cli::parse().act() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn act(self) -> Result<ExitCode> {
        let limits = self.limits()?;
        #[cfg(seeded_bugs)]
        if self.seeded_bugs {
            return Ok(self.score(limits));
        }
        if let Some(blocks) = self.catch_up {
            return self.let_catch_up(blocks);
        }
        if self.explore {
            return Ok(self.go_through_spaces());
        }
        if let Some(seed) = self.seed {
            return self.tell(seed, &limits);
        }
        let planted = self.planted()?;
        let campaign = Campaign {
            from: self.from,
            to: self.to.unwrap_or(self.from.saturating_add(self.seeds)),
            within: self.seconds.map(Duration::from_secs),
            threads: self.threads(),
            limits,
            planted,
            times: if self.twice { Times::Twice } else { Times::Once },
        };
        let bar = progress_bar(campaign.to.saturating_sub(campaign.from), "seeds");
        let sum = campaign.run(|ran| bar.set_position(ran));
        bar.finish_and_clear();
        if self.json {
            println!("{}", json(&sum));
        } else {
            print!("{}", text(&sum));
        }
        if let Some((seed, failure)) = sum.failures.first() {
            report(*seed, failure, limits, planted);
            return Ok(ExitCode::FAILURE);
        }
        let missing: Vec<&str> = sum.missing().map(Mark::name).collect();
        if self.all_marks && !missing.is_empty() {
            bail!("never met: {}", missing.join("; "));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn let_catch_up(&self, blocks: u64) -> Result<ExitCode> {
        if blocks < CATCH_UP_BLOCKS_MIN {
            bail!("--catch-up takes {CATCH_UP_BLOCKS_MIN} MiB or more: less fits into a log");
        }
        let bar = progress_bar(2 * blocks, "MiB put and sent");
        let result =
            catch_up(Backlog { blocks, block_bytes: 1 << 20, cut_permille: 900 }, |done| bar.set_position(done));
        bar.finish_and_clear();
        let caught = match result {
            Ok(caught) => caught,
            Err(breach) => {
                println!("{breach}");
                return Ok(ExitCode::FAILURE);
            }
        };
        let CaughtUp { state_bytes, sent_bytes, sent_before_cut, micros, held_bytes_max, events } = caught;
        let twice = sent_bytes.saturating_sub(state_bytes) as f64 / state_bytes as f64;
        if self.json {
            let value = serde_json::json!({
                "state_bytes": state_bytes,
                "sent_bytes": sent_bytes,
                "sent_before_cut": sent_before_cut,
                "simulated_seconds": micros as f64 / 1e6,
                "held_bytes_max": held_bytes_max,
                "events": events,
                "sent_beyond_state": twice,
            });
            println!("{value}");
            return Ok(ExitCode::SUCCESS);
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "a new node caught up on {:.0} MiB in {:.1} simulated seconds ({:.1} MiB/s), after a power cut at {:.0} MiB",
            mib(state_bytes),
            micros as f64 / 1e6,
            mib(state_bytes) / (micros as f64 / 1e6),
            mib(sent_before_cut),
        );
        println!(
            "sent to it: {:.1} MiB, {:.3} % beyond the blocks' own bytes; held outside of its store: {:.1} MiB at most",
            mib(sent_bytes),
            100.0 * twice,
            mib(held_bytes_max),
        );
        println!("{events} events");
        Ok(ExitCode::SUCCESS)
    }

    fn limits(&self) -> Result<Limits> {
        let mut without = Faults::NONE;
        for name in &self.without {
            let Some(fault) = Fault::of_name(name) else {
                let names: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
                bail!("there is no fault `{name}`; there are {}", names.join(", "));
            };
            without = without.with(fault);
        }
        Ok(Limits {
            nodes: self.nodes,
            clients: self.clients,
            trouble: self.trouble_ms.map(|milliseconds| milliseconds * 1_000),
            without,
        })
    }

    /// A row for each space.
    fn go_through_spaces(&self) -> ExitCode {
        let (mut rows, mut all_closed) = (Vec::new(), true);
        let begun = Instant::now();
        if !self.json {
            println!("{:>9} {:>9} {:>5} {:>6} {:>7}  space", "states", "steps", "depth", "closed", "seconds");
        }
        for Space { name, bounds, .. } in Space::ALL {
            let begun = Instant::now();
            let Census { states, steps, depth, closed } = match explore(*bounds, STATES_MAX, |config| config) {
                Ok(census) => census,
                Err(example) => {
                    println!("{name}: a law is broken\n{example}");
                    return ExitCode::FAILURE;
                }
            };
            let seconds = begun.elapsed().as_secs_f64();
            all_closed &= closed;
            if !self.json {
                let closed = if closed { "yes" } else { "NO" };
                println!("{states:>9} {steps:>9} {depth:>5} {closed:>6} {seconds:>7.1}  {name}");
            }
            rows.push(serde_json::json!({
                "space": name,
                "states": states,
                "steps": steps,
                "depth": depth,
                "closed": closed,
                "seconds": seconds,
            }));
        }
        if self.json {
            println!("{}", serde_json::json!({ "spaces": rows, "seconds": begun.elapsed().as_secs_f64() }));
        }
        if all_closed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from))
    }

    #[cfg(not(seeded_bugs))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same call as in a seeded build")]
    fn planted(&self) -> Result<Planted> {
        Ok(Planted::default())
    }

    #[cfg(seeded_bugs)]
    fn planted(&self) -> Result<Planted> {
        let Some(name) = &self.bug else { return Ok(Planted::default()) };
        let mut bugs = KNOWN.iter().map(|known| known.bug);
        bugs.find(|bug| bug.name() == *name).map(Planted::bug).ok_or_else(|| {
            let names: Vec<String> = KNOWN.iter().map(|known| known.bug.name()).collect();
            anyhow::anyhow!("there is no bug `{name}`; there are {}", names.join(", "))
        })
    }

    /// A row for each known mistake.
    #[cfg(seeded_bugs)]
    fn score(&self, limits: Limits) -> ExitCode {
        let within = Duration::from_secs(self.seconds.unwrap_or(60));
        let (mut took, mut missed, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for known in KNOWN {
            let (source, name) = (known.source.to_string(), known.bug.name());
            if let Judge::TestsOf(package) = known.judge {
                println!("{source:<8} {name:<28} by the tests of {package}");
                continue;
            }
            let campaign = Campaign {
                from: self.from,
                to: u64::MAX,
                within: Some(within),
                threads: self.threads(),
                limits,
                planted: Planted::default(),
                times: Times::Once,
            };
            let score = Score::of(*known, campaign);
            let seconds = score.took.as_secs_f64();
            let verdict = match &score.verdict {
                Verdict::Caught { seed, law } => format!("{law:?} in seed {seed}"),
                Verdict::FailsAnyway { seed, breach } => {
                    format!("NOT CAUGHT: seed {seed} fails without it too, {breach}")
                }
                Verdict::Missed if score.seeds < SEEDS_ENOUGH => "out of time".to_owned(),
                Verdict::Missed => "NOT CAUGHT".to_owned(),
            };
            println!("{source:<8} {name:<28} {:>6} seeds {seconds:>6.1} s  {verdict}", score.seeds);
            match score.verdict {
                Verdict::Caught { .. } => took.push(seconds),
                Verdict::Missed if score.seeds < SEEDS_ENOUGH => open.push(name),
                Verdict::FailsAnyway { .. } | Verdict::Missed => missed.push(name),
            }
        }
        for below in BELOW {
            println!("{:<8} {:<28} by the tests of {}", below.source.to_string(), below.name, below.tests_of);
        }
        took.sort_by(f64::total_cmp);
        let median = took.get(took.len() / 2).copied().unwrap_or(0.0);
        let worst = took.last().copied().unwrap_or(0.0);
        let (tried, all) = (took.len() + missed.len() + open.len(), KNOWN.len() + BELOW.len());
        println!(
            "\nworlds caught {} of {tried}: median {median:.1} s, worst {worst:.1} s; {} more of {all} are for tests: \
             cargo xtask ci --only seeded",
            took.len(),
            all - tried
        );
        if !open.is_empty() {
            println!(
                "this machine took too long for {SEEDS_ENOUGH} worlds with {}: give more --seconds",
                open.join(", ")
            );
        }
        if missed.is_empty() && open.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn tell(&self, seed: u64, limits: &Limits) -> Result<ExitCode> {
        let lines = if self.trace { Lines::Kept } else { Lines::Dropped };
        let report = run(seed, limits, self.planted()?, lines);
        for line in &report.lines {
            println!("{line}");
        }
        println!(
            "seed {seed}: {} nodes, {} events in {:.1} s, {} entries committed, {} requests answered, hash {:016x}",
            report.nodes,
            report.events,
            report.micros as f64 / 1e6,
            report.committed,
            report.answered,
            report.hash
        );
        Ok(match report.breach {
            None => ExitCode::SUCCESS,
            Some(breach) => {
                println!("{breach}");
                ExitCode::FAILURE
            }
        })
    }
}

fn progress_bar(length: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template = format!("{{elapsed_precise}} {{bar:40}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// So many worlds without a breach mean that a mistake isn't noticed; fewer, that the machine is slow.
#[cfg(seeded_bugs)]
const SEEDS_ENOUGH: u64 = 5_000;

/// Fewer blocks would come out of the log, not of a snapshot.
const CATCH_UP_BLOCKS_MIN: u64 = 1_000;

fn report(seed: u64, failure: &Failure, limits: Limits, planted: Planted) {
    println!("\nseed {seed} fails");
    match failure {
        Failure::Differs { hashes } => {
            println!("two runs of it differ: {:016x} and {:016x}", hashes.0, hashes.1);
        }
        Failure::Broke(breach) => {
            println!("{breach}");
            let (smaller, breach) = shrink(seed, limits, planted, breach);
            println!("made smaller: {breach}");
            println!("replay with: cargo xtask sim --seed {seed} --trace{smaller}");
        }
    }
}

fn text(sum: &Sum) -> String {
    let seconds = sum.took.as_secs_f64().max(1e-9);
    let mut text = format!(
        "{} seeds in {seconds:.1} s: {:.2} simulated hours, {} events ({:.0} per second), {} entries committed, {} requests \
         answered, hash {:016x}\n\nfaults\n",
        sum.seeds,
        sum.micros as f64 / 3.6e9,
        sum.events,
        sum.events as f64 / seconds,
        sum.committed,
        sum.answered,
        sum.hash,
    );
    for (fault, count) in Fault::ALL.into_iter().zip(&sum.struck) {
        text.push_str(&format!("{count:>12}  {fault}\n"));
    }
    text.push_str("\nmarks\n");
    for mark in Mark::ALL {
        text.push_str(&format!("{:>12}  {}\n", sum.marks.count(*mark), mark.name()));
    }
    text
}

fn json(sum: &Sum) -> serde_json::Value {
    let faults: serde_json::Map<_, _> = Fault::ALL
        .into_iter()
        .zip(&sum.struck)
        .map(|(fault, count)| (fault.name().to_owned(), serde_json::Value::from(*count)))
        .collect();
    let marks: serde_json::Map<_, _> = Mark::ALL
        .iter()
        .map(|mark| (mark.name().to_owned(), serde_json::Value::from(sum.marks.count(*mark))))
        .collect();
    serde_json::json!({
        "seeds": sum.seeds,
        "seconds": sum.took.as_secs_f64(),
        "simulated_hours": sum.micros as f64 / 3.6e9,
        "events": sum.events,
        "committed": sum.committed,
        "answered": sum.answered,
        "hash": format!("{:016x}", sum.hash),
        "failures": sum.failures.iter().map(|(seed, _)| *seed).collect::<Vec<_>>(),
        "faults": faults,
        "marks": marks,
    })
}
