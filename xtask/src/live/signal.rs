//! Signals to single processes by id, and children that die with their parent.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;

/// A signal, by the name that `kill` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Stop gracefully.
    Terminate,
    /// Stand still.
    Stop,
    /// Go on.
    Continue,
}

/// Sends `signal` to process `id`.
pub(crate) fn send(signal: Signal, id: u32) -> Result<()> {
    let name = match signal {
        Signal::Terminate => "-TERM",
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
    };
    let status = Command::new("kill").args([name, &id.to_string()]).stderr(Stdio::null()).status();
    if !status.context("can't start kill")?.success() {
        bail!("process {id} took no {signal:?}");
    }
    Ok(())
}

/// A command that the kernel kills when the thread that spawned it ends, however it ends. Without `setpriv` (it is part
/// of util-linux) only an orderly end of this process ends it.
pub(crate) fn bound_to_parent(program: &std::path::Path) -> Command {
    if process::exists("setpriv") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program);
        return command;
    }
    Command::new(program)
}
