//! `cargo xtask janitor`: cleans up after a run that was killed. The run itself starts it, see `live::scratch`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::live::leftovers::{self, Removal};
use crate::live::wait;
use crate::workspace::Workspace;

/// Wait for the end of a run, and remove what it left
#[derive(Debug, Args)]
pub(crate) struct Janitor {
    /// The run's folder
    folder: PathBuf,
}

impl Janitor {
    pub(crate) fn run(self, _workspace: &Workspace) -> Result<()> {
        clean_after(io::stdin(), &self.folder)
    }
}

/// The run holds the other end of `life` and says nothing: when it ends, the kernel closes it.
fn clean_after(mut life: impl Read, folder: &Path) -> Result<()> {
    let _ = life.read_to_end(&mut Vec::new());
    // The lock goes at about the same moment. A run that ended in order has left nothing, or what is to be kept.
    let removal = wait::until(DYING_TIME_MAX, || match leftovers::remove_if_dead(folder) {
        Ok(Removal::Alive) => None,
        ended => Some(ended),
    });
    removal.transpose().map(drop)
}

const DYING_TIME_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;

    use super::clean_after;
    use crate::live::leftovers::{claim, disclaim};

    #[test]
    fn the_janitor_removes_what_a_killed_run_left_and_nothing_that_it_kept() {
        let parent = tempfile::tempdir().unwrap();
        let [killed, kept] = ["killed", "kept"].map(|name| parent.path().join(name));
        for folder in [&killed, &kept] {
            fs::create_dir(folder).unwrap();
            drop(claim(folder).unwrap());
        }
        disclaim(&kept).unwrap();
        for folder in [&killed, &kept] {
            clean_after(io::empty(), folder).unwrap();
        }
        assert!(!killed.exists() && kept.exists());
    }
}
