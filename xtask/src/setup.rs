//! `cargo xtask setup`: what a fresh machine lacks is found, installed or named exactly.
//!
//! Three things are needed beyond the toolchain: a C++ compiler, libclang (it writes the Rust side of RocksDB's C
//! interface) and RocksDB itself, whose C++ takes about ten minutes of two cores. The library is therefore built once
//! per machine, shared by all checkouts and profiles, and named in the untracked `.cargo/local.toml`. A plain
//! `cargo build` works without any of this; it compiles RocksDB again for each profile.

mod compiler;
mod libclang;
mod local_config;
mod rocksdb;
mod toolchain;

use anyhow::Result;
use clap::Args;

use crate::setup::local_config::LocalConfig;
use crate::workspace::Workspace;

/// Find or install what the build needs, and build RocksDB's library once for this machine
#[derive(Debug, Args)]
pub(crate) struct Setup {}

impl Setup {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let config = prepare(workspace)?;
        println!("This machine is ready. {} says:", config.path().display());
        for line in config.render().lines().filter(|line| !line.starts_with('#')) {
            println!("  {line}");
        }
        println!("Next: `cargo xtask test`, `cargo xtask demo`, or plain cargo commands.");
        Ok(())
    }
}

/// Makes sure that this machine can build; costs milliseconds when it can. Every command that builds calls it.
pub(crate) fn ensure(workspace: &Workspace) -> Result<()> {
    prepare(workspace).map(drop)
}

fn prepare(workspace: &Workspace) -> Result<LocalConfig> {
    toolchain::check(workspace)?;
    let compiler = compiler::find()?;
    let mut config = LocalConfig::of(workspace);
    config.extend(libclang::find_or_install(&config)?);
    config.extend(rocksdb::find_or_build(workspace, &config, &compiler)?);
    config.write()?;
    Ok(config)
}
