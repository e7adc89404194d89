//! The program `blockraft`: form a cluster, run a node, and use a cluster from the command line.

mod cli;
mod commands;
mod connection;
mod escaped;
mod exit;
mod output;
mod panics;
mod size;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.trace();
    let mut output = Output::new(cli.format());
    let serves = matches!(cli.command, Command::Serve(_));
    let ended = run(cli, &mut output).and_then(|exit| output.flush().map(|()| exit));
    let exit = ended.unwrap_or_else(|failure| {
        output.report(&failure);
        failure.exit
    });
    if serves { exit.at_once() } else { exit.into() }
}

fn run(cli: Cli, output: &mut Output) -> Result<exit::Exit, Failure> {
    let command = match cli.command {
        Command::Init(arguments) => return commands::init::run(&arguments, output),
        Command::Join(arguments) => return commands::join::run(&arguments, output),
        command => command,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed("starting the runtime", &error))?;
    let waits = matches!(command, Command::Serve(_));
    let ended = runtime.block_on(async {
        match command {
            Command::Init(_) | Command::Join(_) => unreachable!("they have returned already"),
            Command::Serve(arguments) => commands::serve::run(arguments, output).await,
            Command::Put(arguments) => commands::put::run(arguments, output).await,
            Command::Get(arguments) => commands::get::run(arguments, output).await,
            Command::Has(arguments) => commands::has::run(arguments, output).await,
            Command::Stat(arguments) => commands::stat::run(arguments, output).await,
            Command::Rm(arguments) => commands::rm::run(arguments, output).await,
            Command::Ls(arguments) => commands::ls::run(arguments, output).await,
            Command::Status(arguments) => commands::status::run(arguments, output).await,
            Command::Recover(arguments) => commands::recover::run(&arguments, output).await,
            Command::Members(command) => commands::members::run(command, output).await,
        }
    });
    if waits {
        // The node's last tasks give their stores back before the process ends, unless a disk hangs.
        runtime.shutdown_timeout(STORES_CLOSE_TIME_MAX);
    } else {
        // A thread that reads standard input may wait for ever; nothing that matters does.
        runtime.shutdown_background();
    }
    ended
}

/// How long a node's stores may take to close. Nothing that was acknowledged depends on it.
const STORES_CLOSE_TIME_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
