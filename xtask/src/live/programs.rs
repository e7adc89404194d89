//! The two programs that a live cluster needs, built.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process;
use crate::setup;
use crate::workspace::Workspace;

/// How much the compiler optimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Our crates hardly optimised and with their assertions on, all others optimised: as the tests are built.
    Dev,
    /// What users run: for everything that is measured.
    Release,
}

/// Which programs to run.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Choice {
    /// Run `blockraft` and `blockraft-load` from this folder, such as an older release's, instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The node and its command line.
    pub(crate) blockraft: PathBuf,
    /// The load generator and judge.
    pub(crate) load: PathBuf,
}

impl Programs {
    /// The chosen ones; otherwise sets up what is missing and builds both.
    pub(crate) fn find_or_build(workspace: &Workspace, choice: &Choice, profile: Profile) -> Result<Self> {
        match &choice.programs {
            Some(folder) => Self::inside(&folder.canonicalize().context("can't find the folder of --programs")?),
            None => Self::build(workspace, profile),
        }
    }

    fn inside(folder: &Path) -> Result<Self> {
        let programs = Self { blockraft: folder.join("blockraft"), load: folder.join("blockraft-load") };
        for program in [&programs.blockraft, &programs.load] {
            if !program.is_file() {
                bail!("{} is missing", program.display());
            }
        }
        Ok(programs)
    }

    fn build(workspace: &Workspace, profile: Profile) -> Result<Self> {
        setup::ensure(workspace)?;
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--locked", "-p", "blockraft", "-p", "blockraft-load", "--bins"]);
        let folder = match profile {
            Profile::Dev => "debug",
            Profile::Release => {
                cargo.arg("--release");
                "release"
            }
        };
        process::run(&mut cargo, BUILD_TIME_MAX)?;
        Self::inside(&target(workspace)?.join(folder))
    }
}

/// The folder that cargo builds into.
pub(crate) fn target(workspace: &Workspace) -> Result<PathBuf> {
    let text = process::capture(workspace.cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).context("can't understand `cargo metadata`")?;
    let folder = metadata["target_directory"].as_str().context("`cargo metadata` names no target folder")?;
    Ok(PathBuf::from(folder))
}

const BUILD_TIME_MAX: Duration = Duration::from_secs(45 * 60);
