//! A checker that can't fail is no checker: the core's tests and the explorer run against known bugs and must find them.

use std::time::Duration;

use anyhow::Result;

use crate::process;
use crate::seeded;
use crate::workspace::Workspace;

/// Runs these tests in a build whose bugs can be switched on.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--locked", "--package", "blockraft-core", "--package", "blockraft-sim"]);
    seeded::build_with(&mut cargo, workspace)?;
    process::run(&mut cargo, Duration::from_secs(15 * 60))
}
