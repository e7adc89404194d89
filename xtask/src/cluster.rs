//! `cargo xtask cluster`: concurrent clients on a cluster of processes that are killed, stopped and paused from a seed.
//!
//! While the clients work, faults follow a schedule that the seed decides. Then all is healed, every block is read from
//! every node, and the clients' history is judged. What was kept of a failed run is named, with the line that repeats
//! its schedule; processes and disks don't repeat themselves exactly, histories do.

mod disk;
mod faults;
mod nemesis;
mod outcome;
mod schedule;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::cluster::disk::Disks;
use crate::cluster::nemesis::Nemesis;
use crate::cluster::outcome::Outcome;
use crate::cluster::schedule::Schedule;
use crate::live::event::Event;
use crate::live::load::{Next, Run};
use crate::live::members::Members;
use crate::live::node::Lifetime;
use crate::live::programs::{Choice, Profile, Programs};
use crate::workspace::Workspace;

/// Hurt a cluster under load, heal it, and judge what its clients saw
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    /// How long clients work and faults happen
    #[arg(long, default_value_t = 120)]
    seconds: u64,

    /// Decides the load and the faults
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Concurrent clients
    #[arg(long, default_value_t = 16)]
    clients: u32,

    /// Nodes
    #[arg(long, default_value_t = 3)]
    nodes: usize,

    /// Cut the power of the nodes' disks too (as root, on Linux: each gets an ext4 of its own)
    #[arg(long)]
    power_cut: bool,

    /// What becomes of syncs; swallowed ones must be found out, or the run fails
    #[arg(long, value_enum, default_value_t = Syncs::Real)]
    syncs: Syncs,

    /// Build and run what users run, instead of what tests run
    #[arg(long)]
    release: bool,

    /// Where the cluster's folder is made, instead of the system's folder for temporary files
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    #[command(flatten)]
    choice: Choice,
}

/// What becomes of syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Syncs {
    /// They reach the disk.
    Real,
    /// libeatmydata makes them do nothing: the negative control.
    Swallowed,
}

impl Cluster {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        if self.syncs == Syncs::Swallowed && !self.power_cut {
            bail!("without a power cut nobody notices swallowed syncs: add --power-cut");
        }
        let preload = match self.syncs {
            Syncs::Real => None,
            Syncs::Swallowed => match disk::sync_swallower() {
                Some(library) => Some(library),
                None => return skip("libeatmydata is not installed (`apt-get install libeatmydata1`)"),
            },
        };
        if let Some(lacking) = self.power_cut.then(disk::lacking).flatten() {
            return skip(&lacking);
        }
        let programs = Programs::find_or_build(
            workspace,
            &self.choice,
            if self.release { Profile::Release } else { Profile::Dev },
        )?;
        let parent = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let folder = parent.join(format!("blockraft-cluster-{}-{}", self.seed, std::process::id()));
        println!(
            "{} nodes, {} clients, seed {}, {} s; {}",
            self.nodes,
            self.clients,
            self.seed,
            self.seconds,
            folder.display()
        );
        let mut members = Members::form(&programs, &folder, self.nodes, Lifetime::Ours)?;
        if let Some(library) = preload {
            members.preload(library);
        }
        let disks = if self.power_cut { Some(Disks::mount(&folder, self.nodes)?) } else { None };
        let judged = self.play(&mut members, disks.as_ref());
        let fallen = members.fallen();
        drop(members);
        self.conclude(judged, fallen, disks, &folder)
    }

    fn play(&self, members: &mut Members, disks: Option<&Disks>) -> Result<Outcome> {
        members.start_all()?;
        members.leader(START_TIME_MAX)?;
        let history = members.folder().join("history.jsonl");
        let schedule = Schedule::draw(self.seed, Duration::from_secs(self.seconds), self.nodes, self.power_cut);
        let mut outcome = Outcome::default();
        let load = self.start_load(members, &history)?;
        let mut nemesis = Nemesis::new(schedule);
        loop {
            match load.next(nemesis.until_next().unwrap_or(SILENCE_MAX)) {
                Next::Event(event) => outcome.see(&event),
                Next::End => break,
                Next::Silence if nemesis.is_over() => bail!("the load generator hangs"),
                Next::Silence => {}
            }
            nemesis.act(members, disks, &mut outcome)?;
        }
        for event in load.finish(SILENCE_MAX)? {
            outcome.see(&event);
        }
        nemesis.heal(members)?;
        outcome.fallen.extend(members.fallen());
        println!("healed; every node must become level");
        if let Err(error) = members.level(HEAL_TIME_MAX) {
            outcome.fallen.push(format!("{error:#}"));
        }
        let history = history.to_string_lossy().into_owned();
        for event in members.loader().run("verify", ["--history", &history], VERIFY_TIME_MAX)? {
            outcome.see(&event);
        }
        let check = Run::start(&members.loader().program, "check", ["--history", &history])?;
        for event in check.finish(VERIFY_TIME_MAX)? {
            outcome.see(&event);
        }
        outcome.panics = panics(members);
        Ok(outcome)
    }

    fn start_load(&self, members: &Members, history: &Path) -> Result<Run> {
        let options = [
            ("--seed", self.seed.to_string()),
            ("--clients", self.clients.to_string()),
            ("--seconds", self.seconds.to_string()),
            ("--history", history.to_string_lossy().into_owned()),
        ];
        let load = members
            .loader()
            .start("workload", options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]))?;
        match load.next(SILENCE_MAX) {
            Next::Event(Event::Started { .. }) => Ok(load),
            _ => {
                load.finish(SILENCE_MAX)?;
                bail!("the load generator did not start")
            }
        }
    }

    fn conclude(
        &self,
        judged: Result<Outcome>,
        fallen: Vec<String>,
        disks: Option<Disks>,
        folder: &Path,
    ) -> Result<()> {
        let (is_clean, what) = match &judged {
            Ok(outcome) => {
                print!("{}", outcome.render());
                (outcome.is_clean(), "a promise was broken".to_owned())
            }
            Err(error) => (false, format!("{error:#}")),
        };
        for line in &fallen {
            println!("{line}");
        }
        drop(disks);
        match (self.syncs, is_clean) {
            (Syncs::Real, true) => {
                fs::remove_dir_all(folder).with_context(|| format!("can't remove {}", folder.display()))?;
                println!("Nothing lost, nothing back, nothing wrong; every history explained.");
                Ok(())
            }
            (Syncs::Real, false) => {
                println!("Kept: {} (history.jsonl, logs, data)\nAgain: {}", folder.display(), self.replay());
                bail!("{what}")
            }
            (Syncs::Swallowed, false) => {
                println!("Flagged, as it must be with syncs swallowed: {what}");
                fs::remove_dir_all(folder).with_context(|| format!("can't remove {}", folder.display()))
            }
            (Syncs::Swallowed, true) => bail!(
                "syncs were swallowed, power was cut, and nothing was flagged: the check has no teeth (or this seed cut no power at a bad moment: try another)"
            ),
        }
    }

    fn replay(&self) -> String {
        let mut line = format!(
            "cargo xtask cluster --seconds {} --seed {} --clients {} --nodes {}",
            self.seconds, self.seed, self.clients, self.nodes
        );
        for (is_set, flag) in [(self.power_cut, " --power-cut"), (self.release, " --release")] {
            if is_set {
                line.push_str(flag);
            }
        }
        line
    }
}

fn skip(why: &str) -> Result<()> {
    println!("skipped 1: {why}");
    Ok(())
}

/// Lines of the nodes' logs that tell of a panic.
fn panics(members: &Members) -> Vec<String> {
    let mut found = Vec::new();
    for place in 0..members.count() {
        let log = fs::read_to_string(members.log(place)).unwrap_or_default();
        let lines = log.lines().filter(|line| line.contains("panicked at"));
        found.extend(lines.map(|line| format!("node {}: {line}", place + 1)));
    }
    found
}

const START_TIME_MAX: Duration = Duration::from_secs(30);
const SILENCE_MAX: Duration = Duration::from_secs(60);
const HEAL_TIME_MAX: Duration = Duration::from_secs(60);
const VERIFY_TIME_MAX: Duration = Duration::from_secs(1_800);
