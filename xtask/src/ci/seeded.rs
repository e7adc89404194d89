//! A checker that can't fail is no checker: the core's tests run against known bugs and must find each.

use std::time::Duration;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Runs the core's tests in a build whose bugs can be switched on (`--cfg seeded_bugs`), in a target of its own.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    if !workspace.members()?.iter().any(|member| member.name == CORE) {
        println!("{CORE} is not here");
        return Ok(());
    }
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--locked", "--package", CORE])
        .env("RUSTFLAGS", "--cfg seeded_bugs")
        .env("CARGO_TARGET_DIR", workspace.root().join("target/seeded"));
    process::run(&mut cargo, Duration::from_secs(15 * 60))
}

const CORE: &str = "blockraft-core";
