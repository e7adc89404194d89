//! Real processes under kills and pauses, with the programs that the tests left in the target folder.

use std::time::Duration;

use anyhow::Result;

use crate::live::programs;
use crate::process;
use crate::workspace::Workspace;

/// Half a minute of `cargo xtask cluster` under faults, and a minute under changes of members, since a busy machine takes
/// its time for the planned ones; through the door itself, so that what a user types is what is checked. It needs no root:
/// nodes are killed, stopped and paused, and no disk loses its power.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut build = workspace.cargo();
    // With the tests' targets chosen too, features are those of the step `test`, and hardly anything is built again.
    build.args(["build", "--workspace", "--bins", "--tests", "--locked"]);
    process::run(&mut build, Duration::from_secs(45 * 60))?;
    let programs = programs::target(workspace)?.join("debug");
    for kind in [&["--seconds", "30"][..], &["--seconds", "60", "--members"]] {
        let mut cluster = workspace.cargo();
        cluster.args(["xtask", "cluster", "--seed", "1", "--programs"]).arg(&programs).args(kind);
        process::run(&mut cluster, Duration::from_secs(10 * 60))?;
    }
    Ok(())
}
