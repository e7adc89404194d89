//! `cargo xtask bench`: what a cluster of processes on this machine does, beside what the machine itself can do.
//!
//! All numbers of one run come from one machine in the same minutes, and where there is a floor, the row shows it: a
//! number without the machine's own says little.

mod leader_kills;
mod process_table;
mod row;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::bench::leader_kills::{Gaps, kill_leaders};
use crate::bench::process_table::{resident_bytes_max, written_bytes};
use crate::bench::row::{Row, table};
use crate::live::event::Event;
use crate::live::load::Run;
use crate::live::members::Members;
use crate::live::node::Lifetime;
use crate::live::programs::{Choice, Profile, Programs};
use crate::workspace::Workspace;

/// Measure a cluster beside the machine's own limits
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Write the rows here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// How long each measurement takes
    #[arg(long, default_value_t = 5)]
    seconds: u64,

    /// How often the leader is killed
    #[arg(long, default_value_t = 20)]
    kills: u32,

    /// How much 64 clients put while the nodes' memory is watched, in MiB; 4096 is the goal's measure
    #[arg(long, default_value_t = 1024)]
    memory_mib: u64,

    /// Where the cluster's folder is made, instead of the system's folder for temporary files
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    #[command(flatten)]
    choice: Choice,
}

impl Bench {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let programs = Programs::find_or_build(workspace, &self.choice, Profile::Release)?;
        let parent = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let folder = parent.join(format!("blockraft-bench-{}", std::process::id()));
        let members = Members::form(&programs, &folder, 3, Lifetime::Ours)?;
        let measured = self.measure(members, &programs);
        fs::remove_dir_all(&folder).with_context(|| format!("can't remove {}", folder.display()))?;
        let rows = measured?;
        print!("\n{}", table(&rows));
        if let Some(file) = &self.json {
            let text = serde_json::to_string_pretty(&rows)?;
            fs::write(file, text + "\n").with_context(|| format!("can't write {}", file.display()))?;
        }
        Ok(())
    }

    fn measure(&self, mut members: Members, programs: &Programs) -> Result<Vec<Row>> {
        members.start_all()?;
        members.leader(START_TIME_MAX)?;
        let seconds = self.seconds.to_string();
        let folder = members.folder().to_string_lossy().into_owned();
        eprintln!("floors");
        let floors = Run::start(&programs.load, "floors", ["--dir", &folder, "--seconds", &seconds])?;
        let floors = floors.finish(LIMIT)?;
        let mut rows: Vec<Row> = floors.iter().filter_map(Row::of_event).collect();
        let floor = |name: &str| {
            let row = floors.iter().filter_map(Row::of_event).find(|row| row.name.starts_with(name));
            row.map_or(0.0, |row| row.value)
        };
        let mut seed = 0;
        for (name, bytes) in [("1 KiB", 1_u64 << 10), ("256 KiB", 256 << 10)] {
            let synced = floor(&format!("sequential synced writes of {name}"));
            for clients in [1, 16, 64] {
                eprintln!("puts of {name}, {clients} clients");
                seed += 1;
                let before = written_bytes(&members)?;
                let put = puts(&members, seed, bytes, clients, &["--seconds", &seconds])?;
                let written = written_bytes(&members)?.saturating_sub(before) as f64;
                let replicas = members.count() as f64;
                let title = |what: &str| format!("{what}, {name}, {clients} clients");
                rows.push(Row::new(
                    title("device bytes per byte"),
                    written / (put.blocks * bytes as f64) / replicas,
                    "bytes",
                ));
                rows.push(Row::new(title("put throughput"), put.rate, "blocks/s").beside(synced));
                rows.push(Row::new(title("median put latency"), put.median_ms, "ms"));
            }
        }
        eprintln!("memory while 64 clients put {} MiB", self.memory_mib);
        let bytes_max = (self.memory_mib << 20).to_string();
        let load = start_puts(&members, 100, 256 << 10, 64, &["--seconds", "3600", "--bytes-max", &bytes_max])?;
        let peak = resident_bytes_max(&members, load)?;
        rows.push(Row::new(
            format!("resident memory, worst node, 64 clients put {} MiB", self.memory_mib),
            peak as f64 / 1_048_576.0,
            "MiB",
        ));
        eprintln!("{} leader kills under load", self.kills);
        let load = start_puts(&members, 200, 1 << 10, 16, &["--seconds", "3600"])?;
        let Gaps { median_ms, worst_ms } = kill_leaders(&mut members, load, self.kills)?;
        rows.push(Row::new(format!("write gap after a leader kill, median of {}", self.kills), median_ms, "ms"));
        rows.push(Row::new(format!("write gap after a leader kill, worst of {}", self.kills), worst_ms, "ms"));
        Ok(rows)
    }
}

/// What a load of puts told.
#[derive(Clone, Copy, Debug, Default)]
struct Puts {
    blocks: f64,
    rate: f64,
    median_ms: f64,
}

fn start_puts(members: &Members, seed: u64, bytes: u64, clients: u32, bounds: &[&str]) -> Result<Run> {
    let options = [("--seed", seed), ("--block-bytes", bytes), ("--clients", u64::from(clients))];
    let options = options.iter().flat_map(|(name, value)| [(*name).to_owned(), value.to_string()]);
    let bounds = bounds.iter().map(|&bound| bound.to_owned());
    members.loader().start("writes", options.chain(bounds))
}

fn puts(members: &Members, seed: u64, bytes: u64, clients: u32, bounds: &[&str]) -> Result<Puts> {
    let mut puts = Puts::default();
    for event in start_puts(members, seed, bytes, clients, bounds)?.finish(LIMIT)? {
        if let Event::Measured { name, value, .. } = event {
            match name.as_str() {
                "acknowledged blocks" => puts.blocks = value,
                "throughput" => puts.rate = value,
                "median latency" => puts.median_ms = value,
                _ => {}
            }
        }
    }
    Ok(puts)
}

const START_TIME_MAX: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(600);
