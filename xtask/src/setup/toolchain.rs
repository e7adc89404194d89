//! The Rust toolchain: the pinned one or newer.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Fails, naming the remedy, when the compiler in use is older than the pinned one. With rustup it never is.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let pin = workspace.root().join("rust-toolchain.toml");
    let text = std::fs::read_to_string(&pin).with_context(|| format!("can't read {}", pin.display()))?;
    let pinned = text
        .lines()
        .find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'))
        .context("rust-toolchain.toml names no channel")?;
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = process::capture(Command::new(compiler).current_dir(workspace.root()).arg("--version"))?;
    let found = said.split_whitespace().nth(1).unwrap_or_default();
    if numbers(found) < numbers(pinned) {
        bail!(
            "Rust {pinned} or newer is needed, this is {found}\n\
             With rustup (https://rustup.rs) the pinned toolchain is used by itself: rustup toolchain install {pinned}"
        );
    }
    Ok(())
}

fn numbers(version: &str) -> Vec<u32> {
    let release = version.split('-').next().unwrap_or_default();
    release.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(numbers("1.100.0") > numbers("1.95.0"));
        assert!(numbers("1.96.0-nightly") > numbers("1.95.0"));
        assert!(numbers("1.94.1") < numbers("1.95.0"));
    }
}
