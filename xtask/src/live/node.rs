//! One node as a process: it is killed when its owner goes away.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::live::signal::{self, Signal};
use crate::live::wait;

/// A running `blockraft serve`.
#[derive(Debug)]
pub(crate) struct Node {
    child: Option<Child>,
}

/// What becomes of a node when this process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// It ends too.
    Ours,
    /// It goes on.
    ItsOwn,
}

/// How to start a node.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) program: PathBuf,
    /// The node's data directory.
    pub(crate) data: PathBuf,
    /// The file that its output is appended to.
    pub(crate) log: PathBuf,
    /// A library that is loaded into it first.
    pub(crate) preload: Option<PathBuf>,
    pub(crate) lifetime: Lifetime,
}

impl Node {
    /// Starts a node; it isn't ready yet.
    pub(crate) fn start(launch: &Launch) -> Result<Self> {
        let mut command = match launch.lifetime {
            Lifetime::Ours => signal::bound_to_parent(&launch.program),
            Lifetime::ItsOwn => Command::new(&launch.program),
        };
        command.arg("serve").arg("--data").arg(&launch.data);
        if let Some(library) = &launch.preload {
            command.env("LD_PRELOAD", library);
        }
        let child = command.stdin(Stdio::null()).stdout(append(&launch.log)?).stderr(append(&launch.log)?).spawn();
        let child = child.with_context(|| format!("can't start {}", launch.program.display()))?;
        Ok(Self { child: Some(child) })
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How it ended, if it did on its own.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    /// SIGKILL: it has no time for anything.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended before; either way it is gone after this.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and SIGKILL to one that doesn't follow it.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(id) = self.id() else { return Ok(()) };
        signal::send(Signal::Terminate, id)?;
        wait::until(STOP_TIME_MAX, || self.ended());
        self.kill();
        Ok(())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.id().map_or(Ok(()), |id| signal::send(signal, id))
    }

    /// Leaves it running for good.
    pub(crate) fn release(mut self) -> Option<u32> {
        self.child.take().map(|child| child.id())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn append(path: &Path) -> Result<Stdio> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    Ok(file.with_context(|| format!("can't open {}", path.display()))?.into())
}

const STOP_TIME_MAX: Duration = Duration::from_secs(15);
