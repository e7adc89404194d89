//! Histories on disk: lines of JSON, appended while clients run, read when they have ended.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use tokio::sync::mpsc::{self, Sender};

use crate::history::operation::Operation;

/// Writes operations as they end, on a thread of its own; they are all on file once [`finish`](Self::finish) returned.
#[derive(Debug)]
pub struct HistoryWriter {
    operations: Sender<Operation>,
    writer: JoinHandle<io::Result<()>>,
}

impl HistoryWriter {
    /// Writes behind what the file at `path` holds already; creates it if need be.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn append(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("can't open {}", path.display()))?;
        let (operations, mut queue) = mpsc::channel::<Operation>(QUEUE_OPERATIONS);
        let writer = thread::spawn(move || {
            let mut file = BufWriter::new(file);
            while let Some(operation) = queue.blocking_recv() {
                serde_json::to_writer(&mut file, &operation)?;
                file.write_all(b"\n")?;
            }
            file.flush()
        });
        Ok(Self { operations, writer })
    }

    /// A handle for one client. It waits while the disk is behind.
    #[must_use]
    pub fn sender(&self) -> Sender<Operation> {
        self.operations.clone()
    }

    /// Waits until all senders are gone and everything is written.
    ///
    /// # Errors
    /// Writing failed; the file is not complete.
    pub fn finish(self) -> Result<()> {
        drop(self.operations);
        let written = self.writer.join().ok().context("the history's writer panicked")?;
        written.context("can't write the history")
    }
}

/// Reads a history.
///
/// # Errors
/// The file can't be read, or a line of it is not an operation.
pub fn read(path: &Path) -> Result<Vec<Operation>> {
    let file = File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    let mut operations = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("can't read {}", path.display()))?;
        let operation = serde_json::from_str(&line)
            .with_context(|| format!("{}:{} is not an operation", path.display(), number + 1))?;
        operations.push(operation);
    }
    Ok(operations)
}

/// Where a history goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// Behind all times in it.
    pub begins_ns: u64,
    /// Behind all clients in it: whoever comes now has seen nothing.
    pub first_client: u32,
}

impl Continuation {
    /// Behind `history`.
    #[must_use]
    pub fn of(history: &[Operation]) -> Self {
        let begins_ns = history.iter().map(|operation| operation.returned + 1).max();
        let first_client = history.iter().map(|operation| operation.client + 1).max();
        Self { begins_ns: begins_ns.unwrap_or_default(), first_client: first_client.unwrap_or_default() }
    }

    /// Behind the history at `path`, or at the beginning if there is none.
    ///
    /// # Errors
    /// There is one that can't be read.
    pub fn behind(path: &Path) -> Result<Self> {
        if path.exists() { Ok(Self::of(&read(path)?)) } else { Ok(Self::of(&[])) }
    }
}

/// Operations that wait for the disk at most; clients wait behind them.
const QUEUE_OPERATIONS: usize = 4_096;
