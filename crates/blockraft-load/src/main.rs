//! The command line of the load generator and judge. Each command prints lines of JSON.
#![expect(clippy::print_stderr, reason = "a command line tool says on its terminal why it failed")]

mod cli;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match runtime().and_then(|runtime| runtime.block_on(cli.run())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
