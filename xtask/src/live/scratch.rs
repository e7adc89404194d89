//! The folder of one run: its own while it lives, gone when it ends, however it ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::live::leftovers;

/// A new folder. Unless it is kept, everything in it goes with this value, mounted disks too; so nobody may run in it
/// any more when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: File,
    /// Sees the end of this process and cleans up after it. It needs no signal for that, so it sees SIGKILL too.
    janitor: Option<Child>,
}

impl Scratch {
    /// Makes the folder in `parent`, or where temporary files belong; what dead runs left there is removed first.
    pub(crate) fn claim(parent: Option<&Path>, name: &str) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let parent = parent.canonicalize().with_context(|| format!("can't find {}", parent.display()))?;
        let path = parent.join(format!("{}{name}-{}", leftovers::PREFIX, std::process::id()));
        fs::create_dir(&path).with_context(|| format!("can't create {}", path.display()))?;
        let lock = leftovers::claim(&path)?;
        for dead in leftovers::remove_beside(&path) {
            println!("removed {}, which a run that was killed had left", dead.display());
        }
        let janitor = hire(&path)?;
        Ok(Self { path, _lock: lock, janitor: Some(janitor) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder stays.
    pub(crate) fn keep(self) -> Result<PathBuf> {
        leftovers::disclaim(&self.path)?;
        Ok(self.path.clone())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that can't be removed is named by the next run that can't either; one that was kept has no lock file.
        if self.path.join(leftovers::LOCK).exists()
            && let Err(error) = leftovers::remove(&self.path)
        {
            eprintln!("{error:#}");
        }
        if let Some(mut janitor) = self.janitor.take() {
            drop(janitor.stdin.take());
            let _ = janitor.wait();
        }
    }
}

/// Starts `cargo xtask janitor`, out of reach of what a terminal sends to this process.
fn hire(folder: &Path) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;

    let own = std::env::current_exe().context("can't find this program")?;
    let mut janitor = Command::new(own);
    janitor.arg("janitor").arg(folder).process_group(0);
    janitor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    janitor.spawn().context("can't start the janitor")
}
