//! `blockraft serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::anyhow;
use blockraft::serve::{self, Removed, ServeOptions, Serving, WhenMissing};
use clap::Args;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::panics;
use crate::size;

/// Run one node until it is told to stop.
///
/// Without --data it is a lone node in ./blockraft-data, which is made if it is missing. With --data, the directory must
/// exist: `blockraft init` makes it. SIGINT and SIGTERM hand leadership over before the node stops.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ServeArguments {
    /// The node's data directory, as `init` made it
    #[arg(long = "data", value_name = "DIR", env = "BLOCKRAFT_DATA")]
    data_dir: Option<PathBuf>,
    /// A settings file; by default blockraft.toml in the data directory, if there is one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, instead of what the settings say
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// The longest block to take from clients, such as 4MiB; at most 64MiB
    #[arg(long = "block-max", value_name = "SIZE", value_parser = size::parse)]
    block_bytes_max: Option<u64>,
}

pub(crate) async fn run(arguments: ServeArguments, output: &mut Output) -> Result<Exit, Failure> {
    let (data_dir, missing) = match arguments.data_dir {
        Some(data_dir) => (data_dir, WhenMissing::Refuse),
        None => (PathBuf::from("blockraft-data"), WhenMissing::FormLoneNode),
    };
    let attempt = format!("serving {}", data_dir.display());
    let options = ServeOptions {
        data_dir,
        missing,
        config: arguments.config,
        listen: arguments.listen,
        block_bytes_max: arguments.block_bytes_max,
    };
    // Whoever started the node may not care for its output: a closed pipe must not stop it.
    let ready = |serving: &Serving| drop(announce(serving, output));
    let panicked = panics::first();
    let served = tokio::select! {
        served = serve::run(options, ready) => served,
        Ok(panicked) = panicked => Err(anyhow!("{panicked}, which is a bug; the node can't go on")),
    };
    let failed = |error: anyhow::Error| {
        let failure = Failure::failed(attempt, error.as_ref());
        if error.is::<Removed>() {
            return Failure { exit: Exit::Removed, ..failure };
        }
        if serve::is_irrecoverable(&error) { failure.hint(FORCED_RECOVERY) } else { failure }
    };
    served.map_err(failed)?;
    Ok(Exit::Done)
}

fn announce(serving: &Serving, output: &mut Output) -> Result<(), Failure> {
    let Serving { cluster, node, address, client_dir } = serving;
    let clients = match client_dir {
        Some(dir) => format!("; clients: --client {}", dir.display()),
        None => String::new(),
    };
    let text = format!("node {node} of cluster {cluster} serves on {address}{clients}");
    output.line(text, || {
        json!({
            "event": "serving",
            "cluster": cluster.to_string(),
            "node": node.0,
            "address": address.to_string(),
            "client_dir": client_dir,
        })
    })?;
    output.flush()
}

const FORCED_RECOVERY: &str = "\
where another node holds the log, replace this one; where none does, see `blockraft recover --help` for how to go on with \
what is left";

const AFTER_HELP: &str = "\
Examples:
  blockraft serve                                   a lone node
  blockraft serve --data blockraft-data/node-1      a member of a cluster

A node that was removed from its cluster ends with exit code 6, now and whenever it is started again: a supervisor that
starts nodes anew should leave it at that.

JSON, once the node listens: {\"event\": \"serving\", \"cluster\", \"node\", \"address\", \"client_dir\"}";
