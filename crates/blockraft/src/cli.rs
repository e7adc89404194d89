//! The words of the command line.

use std::io::IsTerminal;

use clap::{ArgAction, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::commands::get::GetArguments;
use crate::commands::has::HasArguments;
use crate::commands::init::InitArguments;
use crate::commands::join::JoinArguments;
use crate::commands::ls::LsArguments;
use crate::commands::members::MembersCommand;
use crate::commands::put::PutArguments;
use crate::commands::recover::RecoverArguments;
use crate::commands::rm::RmArguments;
use crate::commands::serve::ServeArguments;
use crate::commands::stat::StatArguments;
use crate::commands::status::StatusArguments;
use crate::output::Format;

/// A replicated, content-addressed block store: blocks named by their CID, kept by 1, 3, 5 or 7 nodes.
#[derive(Debug, Parser)]
#[command(name = "blockraft", version, max_term_width = 100, after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub(crate) struct Cli {
    /// Print one JSON object per line instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Trace more to standard error; twice for even more. RUST_LOG overrides it
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Form a new cluster: an identity and a data directory for each member, and a folder for clients
    Init(InitArguments),
    /// Run one node until it is told to stop; without a cluster, a lone one
    Serve(ServeArguments),
    /// Put files, or standard input, as blocks and print their CIDs
    Put(PutArguments),
    /// Get blocks and write their bytes to standard output or a file
    Get(GetArguments),
    /// Say whether blocks are there
    Has(HasArguments),
    /// Say how long blocks are
    Stat(StatArguments),
    /// Delete blocks
    Rm(RmArguments),
    /// List all blocks
    Ls(LsArguments),
    /// Show how every node of the cluster is doing
    Status(StatusArguments),
    /// Show and change who belongs to the cluster
    #[command(subcommand)]
    Members(MembersCommand),
    /// Make the data directory of a node that was invited, for `serve`
    Join(JoinArguments),
    /// Go on with one stopped node when a majority of the voters is lost for ever; may lose data
    Recover(RecoverArguments),
}

impl Cli {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }

    /// Begins to trace to standard error.
    pub(crate) fn trace(&self) {
        let quiet = match self.command {
            Command::Serve(_) => 1,
            _ => 0,
        };
        let filter = match self.verbose + quiet {
            0 => "error",
            1 => "warn,blockraft=info,blockraft_node=info,blockraft_driver=info,blockraft_client=info",
            2 => "info,quinn=warn",
            3 => "debug,quinn=info,rustls=info",
            _ => "trace",
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            // It would print to standard error that it can't print to standard error, which panics.
            .log_internal_errors(false)
            .with_ansi(std::io::stderr().is_terminal())
            .init();
    }
}

const AFTER_HELP: &str = "\
Examples:
  blockraft serve                        a lone node, in ./blockraft-data
  echo hello | blockraft put             put standard input as a block, print its CID
  blockraft get bafkrei… > hello.txt     get it back
  blockraft status                       how the cluster is doing";

const AFTER_LONG_HELP: &str = "\
Examples:
  blockraft serve                        a lone node, in ./blockraft-data
  echo hello | blockraft put             put standard input as a block, print its CID
  blockraft get bafkrei… > hello.txt     get it back
  blockraft put --recursive photos       every file below a folder, a block each
  blockraft put --chunk 1MiB movie.mkv   a long file, cut into blocks
  blockraft ls --json                    all blocks, an object per line
  blockraft status                       how the cluster is doing

A cluster of three on one machine:
  blockraft init --dir cluster
  blockraft serve --data cluster/node-1      (and node-2 and node-3, each in a terminal of its own)
  export BLOCKRAFT_CLIENT=cluster/client
  blockraft status

Exit codes:
  0    done
  1    failed: nothing was done, or not all of it
  2    the command line can't be understood
  3    absent: get, has or stat found at least one block missing
  4    outcome unknown: a put or rm was sent, and not answered in time by any node; it may have been done, or be done yet
  5    no member of the cluster can be reached
  6    serve: the node was removed from its cluster, for ever
  141  whoever read the output has gone away
Of several, the first of 4, 5, 1, 3 counts.

With --json, each line of standard output is one object with the fields that each command's --help names. Fields may
be added; none will change its meaning. Errors go to standard error, as text.";
