//! Child processes: shown before they start, bounded in time, ended with all their descendants.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The cargo that runs this command, so that the pinned toolchain stays the same all the way down.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Shows and runs `command`; fails unless it exits 0 within `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<()> {
    eprintln!("$ {}", shown(command));
    let child = command.spawn().with_context(|| format!("can't start {}", shown(command)))?;
    judge(command, wait(child, limit)?)
}

/// Like [`run`], handing each line of standard output to `line` as well as to the terminal.
pub(crate) fn run_lines(command: &mut Command, limit: Duration, mut line: impl FnMut(&str) + Send) -> Result<()> {
    eprintln!("$ {}", shown(command));
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("can't start {}", shown(command)))?;
    let output = child.stdout.take().expect("standard output was piped above");
    let status = thread::scope(|scope| {
        scope.spawn(move || {
            for text in BufReader::new(output).lines().map_while(Result::ok) {
                println!("{text}");
                line(&text);
            }
        });
        wait(child, limit)
    })?;
    judge(command, status)
}

/// What `command` prints on standard output. It fails with what the command said on standard error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("can't start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", shown(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits for `child`; past `limit` it and all its descendants are killed and the result is an error.
pub(crate) fn wait(mut child: Child, limit: Duration) -> Result<ExitStatus> {
    let id = child.id();
    let (ended, end) = mpsc::channel();
    let waiter = thread::spawn(move || ended.send(child.wait()));
    let status = match end.recv_timeout(limit) {
        Ok(status) => status?,
        Err(RecvTimeoutError::Timeout) => {
            kill_tree(id);
            end.recv_timeout(Duration::from_secs(10)).ok();
            bail!("took longer than {} s and was ended", limit.as_secs());
        }
        Err(RecvTimeoutError::Disconnected) => bail!("lost track of process {id}"),
    };
    waiter.join().ok();
    Ok(status)
}

/// Ends process `root` and everything it started. `cargo` itself dies at a signal and leaves its tests running.
pub(crate) fn kill_tree(root: u32) {
    let table = capture(Command::new("ps").args(["-A", "-o", "pid=,ppid="])).unwrap_or_default();
    let pairs: Vec<(u32, u32)> = table
        .lines()
        .filter_map(|line| {
            let mut columns = line.split_whitespace().map(str::parse);
            Some((columns.next()?.ok()?, columns.next()?.ok()?))
        })
        .collect();
    let mut doomed = vec![root];
    let mut next = 0;
    while let Some(&parent) = doomed.get(next) {
        doomed.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    Command::new("kill").arg("-KILL").args(doomed.iter().map(u32::to_string)).stderr(Stdio::null()).status().ok();
}

/// Whether `program` can be started at all.
pub(crate) fn exists(program: impl AsRef<OsStr>) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn judge(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(program.as_os_str());
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={:?}", name.to_string_lossy(), value?.to_string_lossy())))
        .collect();
    words.push(program.to_string_lossy().into_owned());
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests;
