//! The one door to everything this repository does: `cargo xtask <command>`.
//!
//! A command is a file that holds its arguments and `run`, plus its line in the table below. CI calls these commands
//! and nothing else, so what passes here passes there. Commands that build call [`setup::ensure`] first; it costs
//! milliseconds once a machine is set up.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod arrows;
mod bench;
mod ci;
mod cluster;
mod demo;
mod janitor;
mod setup;
mod sim;
mod test;
mod tidy;

mod advice;
mod cache;
mod graph;
mod live;
mod process;
mod seeded;
mod source;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Everything this repository does, by name.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Door {
    #[command(subcommand)]
    command: Command,
}

/// Declares each command once: its name on the command line and the type that holds its arguments and `run`.
macro_rules! commands {
    ($($(#[$attribute:meta])* $name:ident($arguments:ty),)+) => {
        #[derive(Debug, Subcommand)]
        enum Command {
            $($(#[$attribute])* $name($arguments),)+
        }

        impl Command {
            fn run(self, workspace: &Workspace) -> anyhow::Result<()> {
                match self {
                    $(Self::$name(arguments) => arguments.run(workspace),)+
                }
            }
        }
    };
}

commands! {
    Setup(setup::Setup),
    Test(test::Test),
    Demo(demo::Demo),
    Cluster(cluster::Cluster),
    Sim(sim::Sim),
    Bench(bench::Bench),
    Ci(ci::Ci),
    Tidy(tidy::Tidy),
    Arrows(arrows::Arrows),
    #[command(hide = true)]
    Janitor(janitor::Janitor),
}

fn main() -> ExitCode {
    let door = Door::parse();
    match Workspace::find().and_then(|workspace| door.command.run(&workspace)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
