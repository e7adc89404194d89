//! Licences, banned crates and sources of all dependencies, by cargo-deny under `deny.toml`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cache;
use crate::process;
use crate::workspace::Workspace;

/// Runs cargo-deny of the pinned version, installing it once per machine. The check itself needs no network.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let deny = find_or_install()?;
    process::run(workspace.cargo().args(["fetch", "--locked"]), LIMIT)
        .context("the sources of all dependencies are needed to read their licences")?;
    let mut check = Command::new(deny);
    check.current_dir(workspace.root()).args([
        "--offline",
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]);
    process::run(&mut check, LIMIT)
}

fn find_or_install() -> Result<PathBuf> {
    let on_path = PathBuf::from("cargo-deny");
    if has_version(&on_path) {
        return Ok(on_path);
    }
    let root = cache::folder()?.join("tools");
    let installed = root.join("bin/cargo-deny");
    let _lock = cache::lock("cargo-deny")?;
    if !has_version(&installed) {
        let mut cargo = process::cargo();
        cargo.args(["install", "--locked", "--debug", "--force", "--root"]).arg(&root);
        cargo.arg(format!("cargo-deny@{VERSION}"));
        process::run(&mut cargo, INSTALL_LIMIT).with_context(|| {
            format!("cargo-deny could not be installed; try: cargo install --locked cargo-deny@{VERSION}")
        })?;
    }
    Ok(installed)
}

fn has_version(program: &PathBuf) -> bool {
    process::capture(Command::new(program).arg("--version"))
        .is_ok_and(|said| said.split_whitespace().nth(1) == Some(VERSION))
}

const VERSION: &str = "0.20.2";
const LIMIT: Duration = Duration::from_secs(5 * 60);
const INSTALL_LIMIT: Duration = Duration::from_secs(15 * 60);
