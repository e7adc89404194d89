//! A checker that can't fail is no checker: tests and simulated worlds run against known bugs and must find them.

use std::time::Duration;

use anyhow::Result;

use crate::process;
use crate::seeded;
use crate::workspace::Workspace;

/// Runs these tests, and then the simulator, in a build whose bugs can be switched on.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut tests = workspace.cargo();
    tests.args(["test", "--locked"]);
    for package in PACKAGES {
        tests.args(["--package", package]);
    }
    seeded::build_with(&mut tests, workspace)?;
    process::run(&mut tests, Duration::from_secs(15 * 60))?;
    // Each mistake gets a minute; most need a tenth of a second.
    let mut worlds = workspace.cargo();
    process::run(worlds.args(["xtask", "sim", "--seeded-bugs", "--seconds", "60"]), Duration::from_secs(15 * 60))
}

/// Whose tests have to find mistakes.
const PACKAGES: [&str; 8] = [
    "blockraft-blocks",
    "blockraft-blocks-segment",
    "blockraft-catalog",
    "blockraft-core",
    "blockraft-exchange",
    "blockraft-log-rocksdb",
    "blockraft-sim",
    "blockraft-wire",
];
