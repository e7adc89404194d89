//! Builds in which known mistakes can be switched on.
//!
//! Our crates get `--cfg seeded_bugs`, dependencies don't, and are shared with every other build: cargo calls this program in
//! front of `rustc` for the members of the workspace alone.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Has `cargo` build with mistakes that can be switched on. Programs land in the folder that is returned, never where
/// those without mistakes are.
pub(crate) fn build_with(cargo: &mut Command, workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.root().join("target/seeded");
    let myself = std::env::current_exe().context("can't find this program's own file")?;
    cargo
        .env("RUSTC_WORKSPACE_WRAPPER", myself)
        .env(IN_FRONT_OF_RUSTC, "1")
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_BUILD_BUILD_DIR", workspace.root().join("target"));
    Ok(target)
}

/// What `rustc` said, if that is what this program was called for.
pub(crate) fn in_front_of_rustc() -> Option<ExitCode> {
    std::env::var_os(IN_FRONT_OF_RUSTC)?;
    let mut arguments = std::env::args_os().skip(1);
    let rustc = arguments.next()?;
    let status = Command::new(rustc).args(arguments).args(["--cfg", "seeded_bugs"]).status();
    let code = status.ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    Some(ExitCode::from(code.unwrap_or(u8::MAX)))
}

const IN_FRONT_OF_RUSTC: &str = "BLOCKRAFT_SEEDED_RUSTC";
