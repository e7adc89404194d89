//! `cargo xtask cluster`: concurrent clients on a cluster of processes that are killed, stopped and paused from a seed.
//!
//! While the clients work, faults follow a schedule that the seed decides. Then all is healed, every block is read from
//! every node, and the clients' history is judged. What was kept of a failed run is named, with the line that repeats
//! its schedule; processes and disks don't repeat themselves exactly, histories do.
//!
//! With `--members`, an operator changes the members instead: nodes are added, removed and replaced by the commands that a
//! user has, and come back without their disks. What each step cost those who wrote stands beside what an election costs.
//!
//! A check that can't fail proves nothing, so there is a control: the same run on nodes whose syncs do nothing has to be
//! found out, by the blocks that it lost and not by any other failure.

mod chronicle;
mod course;
mod dice;
mod faults;
mod nemesis;
mod operator;
mod outcome;
mod schedule;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::cluster::course::Course;
use crate::cluster::nemesis::Nemesis;
use crate::cluster::outcome::Outcome;
use crate::cluster::schedule::Schedule;
use crate::live::disk::{self, Disk, Journal};
use crate::live::event::Event;
use crate::live::load::{Next, Run};
use crate::live::members::Members;
use crate::live::node::Lifetime;
use crate::live::programs::{Choice, Profile, Programs};
use crate::live::scratch::Scratch;
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

    /// Entries that a node's log may hold: few of them make nodes that were down for a moment need a snapshot. With
    /// --members it is 1,000 by default, so that whoever joins needs one
    #[arg(long, value_name = "COUNT")]
    log_entries: Option<u64>,

    /// Instead of faults, change the members: add nodes, remove the leader, replace nodes that lost their disks. It fails,
    /// too, when a write fails in a step in which nobody is killed
    #[arg(long, conflicts_with_all = ["power_cut", "control"])]
    members: bool,

    /// Cut the power of the nodes' disks too (as root, on Linux: each gets an ext4 of its own)
    #[arg(long)]
    power_cut: bool,

    /// Instead of the cluster, test the check itself: succeed only if it finds what is wrong
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "power_cut")]
    control: Option<Control>,

    /// Build and run what users run, instead of what tests run
    #[arg(long)]
    release: bool,

    /// Where the run's folder is made, instead of the system's folder for temporary files
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    #[command(flatten)]
    choice: Choice,
}

/// What is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Control {
    /// libeatmydata makes every sync of the nodes do nothing, and then the power of all of them is cut (as root, on
    /// Linux): acknowledged blocks are lost, and exit code 0 says that the reads from the nodes found them missing
    SwallowedSyncs,
}

impl Cluster {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let cuts_power = self.power_cut || self.control.is_some();
        if let Some(lacking) = cuts_power.then(disk::lacking).flatten() {
            bail!("can't cut power here: {lacking}");
        }
        let preload = match self.control {
            None => None,
            Some(Control::SwallowedSyncs) => match disk::sync_swallower() {
                Some(library) => Some(library),
                None => bail!("libeatmydata is not installed (`apt-get install libeatmydata1`)"),
            },
        };
        let programs = Programs::find_or_build(
            workspace,
            &self.choice,
            if self.release { Profile::Release } else { Profile::Dev },
        )?;
        let scratch = Scratch::claim(self.dir.as_deref(), &format!("cluster-{}", self.seed))?;
        let folder = scratch.path().join("cluster");
        println!(
            "{} nodes, {} clients, seed {}, {} s; {}",
            self.nodes,
            self.clients,
            self.seed,
            self.seconds,
            folder.display()
        );
        let mut members = Members::form(&programs, &folder, self.nodes, Lifetime::Ours)?;
        if let Some(entries) = self.log_entries() {
            members.settings(&format!("log_entries_max = {entries}\n"))?;
        }
        if let Some(library) = preload {
            members.preload(library);
        }
        let journal = if self.control.is_some() { Journal::Lazy } else { Journal::Usual };
        let mut disks = Vec::new();
        for place in (0..self.nodes).filter(|_| cuts_power) {
            let image = scratch.path().join(format!("disk-{}.img", place + 1));
            disks.push(Disk::in_place_of(&members.data(place), image, journal)?);
        }
        let judged = self.play(&mut members, &disks);
        let fallen = members.fallen();
        drop(members);
        if judged.is_err() {
            fallen.iter().for_each(|line| println!("{line}"));
        }
        let kept = self.conclude(judged);
        if kept.is_err() {
            // What the nodes left on their disks is worth a look, so the disks' files stay; the mounts go.
            drop(disks);
            println!("Kept: {} (history.jsonl, logs, data)\nAgain: {}", scratch.keep()?.display(), self.replay());
        }
        kept
    }

    fn play(&self, members: &mut Members, disks: &[Disk]) -> Result<Outcome> {
        members.start_all()?;
        members.leader(START_TIME_MAX)?;
        // Where the nodes' own syncs do nothing, at least the birth of the cluster is durable.
        disks.iter().try_for_each(Disk::sync)?;
        let history = members.folder().join("history.jsonl");
        let time = Duration::from_secs(self.seconds);
        let schedule = match self.control {
            None if self.members => Schedule::nothing(),
            None => Schedule::draw(self.seed, time, self.nodes, self.power_cut),
            Some(Control::SwallowedSyncs) => Schedule::one_cut(time),
        };
        let mut outcome = Outcome::default();
        let load = self.start_load(members, &history)?;
        if self.members {
            self.change_members(&load, members, &mut outcome)?;
        }
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
        let mut arguments = vec!["--history".to_owned(), history.clone()];
        // A node that fell is named as fallen; what the others hold is worth knowing all the same.
        for (_, node) in members.ids().iter().zip(1..).filter(|(id, _)| id.is_some()) {
            arguments.extend(["--node".to_owned(), node.to_string()]);
        }
        for event in members.loader().run("verify", arguments, VERIFY_TIME_MAX)? {
            outcome.see(&event);
        }
        let check = Run::start(&members.loader().program, "check", ["--history", &history])?;
        for event in check.finish(VERIFY_TIME_MAX)? {
            outcome.see(&event);
        }
        outcome.panics = said(members, "panicked at");
        outcome.snapshots = said(members, "installed_snapshot").len();
        if self.members && outcome.snapshots == 0 {
            outcome.fallen.push("whoever joined needed no snapshot: fewer --log-entries would change that".to_owned());
        }
        Ok(outcome)
    }

    fn log_entries(&self) -> Option<u64> {
        self.log_entries.or(self.members.then_some(MEMBERS_LOG_ENTRIES))
    }

    /// Takes the planned steps, and others while there is time.
    fn change_members(&self, load: &Run, members: &mut Members, outcome: &mut Outcome) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let mut course = Course::draw(self.seed, self.nodes);
        while course.is_planned() || Instant::now() + STEP_TIME_USUAL < end {
            operator::step(&mut course, members, &mut outcome.chronicle)?;
            outcome.fallen.extend(members.fallen());
            loop {
                match load.next(Duration::ZERO) {
                    Next::Event(event) => outcome.see(&event),
                    Next::Silence => break,
                    Next::End if course.is_planned() => {
                        bail!("the load ended before the course did: give it more than {} seconds", self.seconds)
                    }
                    Next::End => return Ok(()),
                }
            }
        }
        Ok(())
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

    fn conclude(&self, judged: Result<Outcome>) -> Result<()> {
        let outcome = judged?;
        print!("{}", outcome.render());
        match (self.control, outcome.broken()) {
            (None, None) => {
                println!("Nothing lost, nothing back, nothing wrong; every history explained.");
                Ok(())
            }
            (None, Some(broken)) => bail!("{broken}"),
            (Some(Control::SwallowedSyncs), Some(broken)) if 0 < outcome.lost() => {
                println!("Found out, as it must be: {broken}");
                Ok(())
            }
            (Some(Control::SwallowedSyncs), broken) => bail!(
                "syncs were swallowed and power was cut, and no lost block was found: the check has no teeth{}",
                broken.map(|broken| format!(" ({broken})")).unwrap_or_default()
            ),
        }
    }

    fn replay(&self) -> String {
        let mut line = format!(
            "cargo xtask cluster --seconds {} --seed {} --clients {} --nodes {}",
            self.seconds, self.seed, self.clients, self.nodes
        );
        if let Some(entries) = self.log_entries {
            line.push_str(&format!(" --log-entries {entries}"));
        }
        let is_swallowed = self.control == Some(Control::SwallowedSyncs);
        let flags = [
            (self.members, " --members"),
            (self.power_cut, " --power-cut"),
            (is_swallowed, " --control swallowed-syncs"),
            (self.release, " --release"),
        ];
        for (_, flag) in flags.iter().filter(|(is_set, _)| *is_set) {
            line.push_str(flag);
        }
        line
    }
}

/// Lines of the nodes' logs with these words.
fn said(members: &Members, words: &str) -> Vec<String> {
    let mut found = Vec::new();
    for place in 0..members.count() {
        let log = fs::read_to_string(members.log(place)).unwrap_or_default();
        let lines = log.lines().filter(|line| line.contains(words));
        found.extend(lines.map(|line| format!("node {}: {line}", place + 1)));
    }
    found
}

/// A step is begun only if so much time is left: what it does to writes is seen only while somebody writes.
const STEP_TIME_USUAL: Duration = Duration::from_secs(10);
/// So short a log makes snapshots of what a minute's writes leave behind.
const MEMBERS_LOG_ENTRIES: u64 = 1_000;
const START_TIME_MAX: Duration = Duration::from_secs(30);
const SILENCE_MAX: Duration = Duration::from_secs(60);
const HEAL_TIME_MAX: Duration = Duration::from_secs(60);
const VERIFY_TIME_MAX: Duration = Duration::from_secs(1_800);
