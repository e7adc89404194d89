//! Crates that strangers take alone stay light: what `cargo tree` says of them.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Fails when a crate of the list below pulls in what it must never need.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let members = workspace.members()?;
    for name in BARE.iter().filter(|name| members.iter().any(|member| member.name == **name)) {
        let mut cargo = workspace.cargo();
        cargo.args(["tree", "--locked", "--package", name, "--edges", "normal", "--prefix", "none"]);
        let tree = process::capture(cargo.args(["--format", "{p} {f}"]))?;
        let heavy = heavy(&tree);
        if !heavy.is_empty() {
            bail!("{name} pulls in {}\n  Fix: what needs it belongs to a crate of floor 2 or above.", heavy.join(", "));
        }
        let packages: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        println!("{name}: {} packages with itself, none of them heavy", packages.len());
    }
    Ok(())
}

/// Lines of `cargo tree` that name storage, network or a runtime. Of tokio, `sync` and the I/O traits are allowed.
fn heavy(tree: &str) -> Vec<&str> {
    tree.lines()
        .filter(|line| {
            let mut words = line.split_whitespace();
            let package = words.next().unwrap_or_default();
            let features = words.next_back().unwrap_or_default();
            match package {
                "rocksdb" | "librocksdb-sys" | "quinn" | "quinn-proto" | "rustls" | "mio" => true,
                "tokio" => features.split(',').any(|feature| feature.starts_with("rt")),
                _ => false,
            }
        })
        .collect()
}

const BARE: &[&str] = &[
    "blockraft-types",
    "blockraft-core",
    "blockraft-wire",
    "blockraft-log",
    "blockraft-transport",
    "blockraft-blocks",
    "blockraft-catalog",
    "blockraft-exchange",
];

#[cfg(test)]
mod tests {
    use super::heavy;

    #[test]
    fn storage_network_and_runtimes_are_heavy() {
        let tree =
            "blockraft-core v0.1.0 (/w) \nrocksdb v0.25.0 bindgen-runtime\ntokio v1.48.0 rt,sync\nquinn v0.11.12 ";
        assert_eq!(heavy(tree).len(), 3);
    }

    #[test]
    fn tokios_channels_alone_are_not() {
        assert!(heavy("tokio v1.48.0 io-util,sync\nbytes v1.11.0 ").is_empty());
    }
}
