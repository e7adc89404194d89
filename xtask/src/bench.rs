//! `cargo xtask bench`: what a cluster of processes on this machine does, beside what the machine itself can do.
//!
//! All numbers of one run come from one machine in the same minutes, and where there is a floor, it was measured before
//! and after each repetition of the row: a number without the machine's own, or without its spread, says little. Each
//! part has clusters of its own; one that fails doesn't cost the rows of the others.

mod catch_up;
mod floors;
mod leader_kills;
mod memory;
mod process_table;
mod puts;
mod row;
mod samples;
mod stage;
mod stall;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::bench::row::{Row, table};
use crate::bench::stage::Stage;
use crate::live::disk;
use crate::live::programs::{Choice, Profile, Programs};
use crate::live::scratch::Scratch;
use crate::workspace::Workspace;

/// Measure a cluster beside the machine's own limits
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Write the rows here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Measure these parts only
    #[arg(long = "only", value_enum, value_name = "PART")]
    only: Vec<Part>,

    /// How long each measurement of puts takes
    #[arg(long, default_value_t = 5)]
    seconds: u64,

    /// How often each measurement of puts is made
    #[arg(long, default_value_t = 3)]
    repeats: u32,

    /// How often the leader is killed
    #[arg(long, default_value_t = 20)]
    kills: u32,

    /// How much 64 clients put while the nodes' memory is watched, in MiB
    #[arg(long, default_value_t = 4096)]
    memory_mib: u64,

    /// How much a new node catches up on, in MiB
    #[arg(long, default_value_t = 1024)]
    catch_up_mib: u64,

    /// How long a node's segment disk stands still
    #[arg(long, default_value_t = 60)]
    stall_seconds: u64,

    /// Where the run's folder is made, instead of the system's folder for temporary files; it takes up to 30 GB
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    #[command(flatten)]
    choice: Choice,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Throughput, latency and device bytes of puts, beside the floors
    Puts,
    /// How long writes stand still when the leader is killed
    Kills,
    /// How much memory nodes hold, with all up, one follower dead, one paused
    Memory,
    /// How a new node gets a state that no log holds any more, killed on the way
    CatchUp,
    /// What a segment disk that stands still costs, a follower's and the leader's (as root, on Linux)
    Stall,
}

impl Bench {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let programs = Programs::find_or_build(workspace, &self.choice, Profile::Release)?;
        let scratch = Scratch::claim(self.dir.as_deref(), "bench")?;
        let mut stage = Stage::new(programs, scratch.path());
        let mut rows = Vec::new();
        let mut failed = Vec::new();
        for part in Part::value_variants().iter().filter(|part| self.only.is_empty() || self.only.contains(part)) {
            match self.measure(*part, &mut stage) {
                Ok(measured) => rows.extend(measured),
                Err(error) => failed.push(format!("{part:?}: {error:#}")),
            }
        }
        print!("\n{}", table(&rows));
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&rows)?;
            fs::write(file, text + "\n").with_context(|| format!("can't write {}", file.display()))?;
        }
        if !failed.is_empty() {
            bail!("not measured: {}", failed.join("; "));
        }
        Ok(())
    }

    fn measure(&self, part: Part, stage: &mut Stage) -> Result<Vec<Row>> {
        match part {
            Part::Puts => puts::measure(stage, self.seconds, self.repeats),
            Part::Kills => leader_kills::measure(stage, self.kills),
            Part::Memory => memory::measure(stage, self.memory_mib),
            Part::CatchUp => catch_up::measure(stage, self.catch_up_mib),
            Part::Stall => match disk::lacking() {
                None => stall::measure(stage, self.stall_seconds),
                Some(lacking) => {
                    eprintln!("no segment disk is stalled: {lacking}");
                    Ok(Vec::new())
                }
            },
        }
    }
}
