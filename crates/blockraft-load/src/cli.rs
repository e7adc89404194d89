//! The words of the command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use blockraft_load::report::Event;
use blockraft_load::store::{CompareOptions, StoreOptions};
use blockraft_load::verify::VerifyOptions;
use blockraft_load::workload::WorkloadOptions;
use blockraft_load::writes::WritesOptions;
use blockraft_load::{floors, history, judge, session, status, store, verify, workload, writes};
use clap::{Args, Parser, Subcommand};

/// Drive a blockraft cluster, record what it answered, and judge it.
#[derive(Debug, Parser)]
#[command(name = "blockraft-load", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A recorded mix of puts, deletes and reads by concurrent clients
    Workload {
        #[command(flatten)]
        cluster: Cluster,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[arg(long, default_value_t = 16)]
        clients: u32,
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Once fresh blocks have so many bytes, only small ones are put
        #[arg(long, default_value_t = 512 << 20)]
        fresh_bytes_max: u64,
        #[arg(long)]
        history: PathBuf,
    },
    /// Read every block of a history from every node
    Verify {
        #[command(flatten)]
        cluster: Cluster,
        #[arg(long)]
        history: PathBuf,
        /// Ask these nodes only
        #[arg(long = "node")]
        nodes: Vec<u64>,
    },
    /// Judge a history
    Check {
        #[arg(long)]
        history: PathBuf,
    },
    /// Store a tree of files
    Store {
        #[command(flatten)]
        cluster: Cluster,
        #[command(flatten)]
        tree: TreeArguments,
        #[arg(long, default_value_t = 8)]
        clients: u32,
        #[arg(long)]
        history: PathBuf,
    },
    /// Read a stored tree of files from one node and compare
    Compare {
        #[command(flatten)]
        cluster: Cluster,
        #[command(flatten)]
        tree: TreeArguments,
        #[arg(long)]
        node: u64,
    },
    /// Put as fast as so many clients can
    Writes {
        #[command(flatten)]
        cluster: Cluster,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[arg(long, default_value_t = 16)]
        clients: u32,
        #[arg(long, default_value_t = 1 << 10)]
        block_bytes: usize,
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        #[arg(long, default_value_t = u64::MAX)]
        bytes_max: u64,
    },
    /// Measure what the machine can do without a cluster
    Floors {
        /// Where files may be written
        #[arg(long)]
        dir: PathBuf,
        #[arg(long, default_value_t = 2)]
        seconds: u64,
    },
    /// Ask each node how it is doing
    Status {
        #[command(flatten)]
        cluster: Cluster,
    },
}

#[derive(Debug, Args)]
struct Cluster {
    /// The folder that `blockraft init` made
    #[arg(long = "cluster", value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct TreeArguments {
    /// The folder with the files
    #[arg(long, value_name = "DIR")]
    tree: PathBuf,
    /// Files beyond so many bytes are left out
    #[arg(long, default_value_t = 128 << 20)]
    bytes_max: u64,
}

impl Cli {
    pub(crate) async fn run(self) -> Result<()> {
        match self.command {
            Command::Workload { cluster, seed, clients, seconds, fresh_bytes_max, history } => {
                let time = Duration::from_secs(seconds);
                let options = WorkloadOptions { seed, clients, time, fresh_bytes_max, history };
                workload::run(session::load(&cluster.dir)?, options).await
            }
            Command::Verify { cluster, history, nodes } => {
                let config = session::with_present_members(session::load(&cluster.dir)?).await?;
                verify::run(config, VerifyOptions { history, nodes }).await
            }
            Command::Check { history } => {
                Event::Judged(judge::judge(&history::read(&history)?)).tell();
                Ok(())
            }
            Command::Store { cluster, tree: TreeArguments { tree, bytes_max }, clients, history } => {
                let options = StoreOptions { tree, bytes_max, clients, history };
                store::store(session::load(&cluster.dir)?, options).await
            }
            Command::Compare { cluster, tree: TreeArguments { tree, bytes_max }, node } => {
                store::compare(session::load(&cluster.dir)?, CompareOptions { tree, bytes_max, node }).await
            }
            Command::Writes { cluster, seed, clients, block_bytes, seconds, bytes_max } => {
                let time = Duration::from_secs(seconds);
                let options = WritesOptions { seed, clients, block_bytes, time, bytes_max };
                writes::run(session::load(&cluster.dir)?, options).await
            }
            Command::Floors { dir, seconds } => floors::run(&dir, Duration::from_secs(seconds)).await,
            Command::Status { cluster } => status::run(session::load(&cluster.dir)?).await,
        }
    }
}
