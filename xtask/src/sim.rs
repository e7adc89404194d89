//! `cargo xtask sim`: whole nodes in one thread with virtual time, seed after seed.
//!
//! The simulator is a program of its own, `blockraft-sim`, which takes the same arguments. With `--seeded-bugs` or `--bug` it
//! is built so that known mistakes can be switched on, in a target folder of its own.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::live::programs;
use crate::process;
use crate::seeded;
use crate::setup;
use crate::workspace::Workspace;

/// Simulate clusters under faults and judge them; `--help` tells what the simulator takes
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Sim {
    /// What the simulator is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Sim {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        setup::ensure(workspace)?;
        let plants = self.arguments.iter().any(|argument| argument == "--seeded-bugs" || argument == "--bug");
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--locked", "--package", "blockraft-sim", "--bins"]);
        let target = if plants { seeded::build_with(&mut cargo, workspace)? } else { programs::target(workspace)? };
        process::run(&mut cargo, BUILD_TIME_MAX)?;
        let mut simulator = std::process::Command::new(target.join("debug/blockraft-sim"));
        process::run(simulator.args(&self.arguments), RUN_TIME_MAX)
    }
}

const BUILD_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// A campaign may take a day.
const RUN_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
