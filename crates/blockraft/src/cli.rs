//! The words of the command line.

use clap::{Parser, Subcommand};

use crate::commands::init::InitArguments;
use crate::commands::serve::ServeArguments;

/// A replicated, content-addressed block store.
#[derive(Debug, Parser)]
#[command(name = "blockraft", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Form a new cluster: an identity and a data directory for each member, and a folder for clients
    Init(InitArguments),
    /// Run one node until it is told to stop
    Serve(ServeArguments),
}
