//! Builds in which known mistakes can be switched on.
//!
//! Our crates get `--cfg seeded_bugs`, dependencies don't, and are shared with every other build: cargo calls a script in front
//! of `rustc` for the members of the workspace alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Has `cargo` build with mistakes that can be switched on. Programs land in the folder that is returned, never where
/// those without mistakes are.
pub(crate) fn build_with(cargo: &mut Command, workspace: &Workspace) -> Result<PathBuf> {
    let target = workspace.root().join("target/seeded");
    let script = target.join("rustc");
    let write = || {
        fs::create_dir_all(&target)?;
        fs::write(&script, IN_FRONT_OF_RUSTC)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("can't write {}", script.display()))?;
    cargo
        .env("RUSTC_WORKSPACE_WRAPPER", script)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_BUILD_BUILD_DIR", workspace.root().join("target"));
    Ok(target)
}

const IN_FRONT_OF_RUSTC: &str = "#!/bin/sh\nexec \"$@\" --cfg seeded_bugs\n";
