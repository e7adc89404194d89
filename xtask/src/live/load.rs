//! A running `blockraft-load`, and the events that it tells.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::live::event::Event;
use crate::live::signal;

/// How to ask it for something.
#[derive(Clone, Debug)]
pub(crate) struct Loader {
    pub(crate) program: PathBuf,
    /// The cluster's folder.
    pub(crate) cluster: PathBuf,
}

/// A run under way; it is killed when its owner goes away.
#[derive(Debug)]
pub(crate) struct Run {
    name: String,
    child: Child,
    events: Receiver<Event>,
    complaints: JoinHandle<String>,
}

impl Loader {
    /// Starts `command` on the cluster.
    pub(crate) fn start<A: AsRef<OsStr>>(&self, command: &str, arguments: impl IntoIterator<Item = A>) -> Result<Run> {
        let cluster = [OsStr::new("--cluster"), self.cluster.as_os_str()].map(ToOwned::to_owned);
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        Run::start(&self.program, command, cluster.into_iter().chain(arguments))
    }

    /// Runs `command` on the cluster and returns all it told.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        command: &str,
        arguments: impl IntoIterator<Item = A>,
        limit: Duration,
    ) -> Result<Vec<Event>> {
        self.start(command, arguments)?.finish(limit)
    }
}

impl Run {
    /// Starts the load generator with `command`, whatever it is about.
    pub(crate) fn start<A: AsRef<OsStr>>(
        program: &Path,
        command: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut process = signal::bound_to_parent(program);
        process.arg(command).args(arguments);
        process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process.spawn().with_context(|| format!("can't start {}", program.display()))?;
        let output = child.stdout.take().expect("standard output was piped above");
        let mut errors = child.stderr.take().expect("standard error was piped above");
        let (told, events) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for event in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if told.send(event).is_err() {
                    return;
                }
            }
        });
        let complaints = thread::spawn(move || {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            text
        });
        Ok(Self { name: command.to_owned(), child, events, complaints })
    }

    /// The next event; `None` when there was none within `limit`, or there will never be one.
    pub(crate) fn next(&self, limit: Duration) -> Next {
        match self.events.recv_timeout(limit) {
            Ok(event) => Next::Event(event),
            Err(RecvTimeoutError::Timeout) => Next::Silence,
            Err(RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    /// Waits for the end and returns what was told and not taken yet; fails if it failed.
    pub(crate) fn finish(mut self, limit: Duration) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        let end = std::time::Instant::now() + limit;
        loop {
            match self.events.recv_timeout(end.saturating_duration_since(std::time::Instant::now())) {
                Ok(event) => events.push(event),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => bail!("`{}` took longer than {} s", self.name, limit.as_secs()),
            }
        }
        let status = self.child.wait().context("lost track of the load generator")?;
        if !status.success() {
            let complaints = std::mem::replace(&mut self.complaints, thread::spawn(String::new));
            let complaints = complaints.join().unwrap_or_default();
            bail!("`{}` failed: {}", self.name, complaints.trim().trim_start_matches("error: "));
        }
        Ok(events)
    }
}

/// What came next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    Event(Event),
    Silence,
    End,
}

impl Drop for Run {
    fn drop(&mut self) {
        // One that has ended takes no signal, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
