//! A lone node in a folder of its own, and the program run against it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A lone node; it ends with this value.
pub(crate) struct LoneNode {
    folder: TempDir,
    process: Child,
    pub(crate) announced: Value,
}

/// How one run of the program ended.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl LoneNode {
    pub(crate) fn start() -> Self {
        Self::start_with(Stdio::null(), &[])
    }

    /// With further arguments, and its standard error somewhere.
    pub(crate) fn start_with(stderr: Stdio, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (process, announced) = serve(folder.path(), stderr, arguments);
        Self { folder, process, announced }
    }

    /// Starts it again, after it has ended.
    pub(crate) fn start_again(&mut self) {
        (self.process, self.announced) = serve(self.folder(), Stdio::null(), &[]);
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the program in the node's folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run_in(self.folder(), arguments, b"")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], stdin: &[u8]) -> Run {
        run_in(self.folder(), arguments, stdin)
    }

    /// Puts bytes and returns their CID.
    pub(crate) fn put(&self, bytes: &[u8]) -> String {
        let put = self.run_with(&["put", "--quiet"], bytes);
        assert_eq!(put.code, 0, "{}", put.stderr);
        put.text().trim().to_owned()
    }

    /// Nobody reads its standard error from now on.
    pub(crate) fn close_stderr(&mut self) {
        drop(self.process.stderr.take());
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let told = Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        assert!(told.success());
        self.process.wait().unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn serve(folder: &Path, stderr: Stdio, arguments: &[&str]) -> (Child, Value) {
    let mut command = program(folder);
    command.args(["serve", "--json", "--listen", "127.0.0.1:0"]).args(arguments);
    let mut process = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (process, serde_json::from_str(&line).unwrap())
}

impl Drop for LoneNode {
    fn drop(&mut self) {
        let _already_ended = self.process.kill();
        let _already_waited = self.process.wait();
    }
}

impl Run {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Standard output, an object per line.
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn run_in(folder: &Path, arguments: &[&str], stdin: &[u8]) -> Run {
    let mut command = program(folder);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut input = process.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // A program that doesn't read its input closes it: that is no failure of the test.
    let writing = std::thread::spawn(move || drop(input.write_all(&stdin)));
    let Output { status, stdout, stderr } = process.wait_with_output().unwrap();
    writing.join().unwrap();
    Run { code: status.code().unwrap_or(-1), stdout, stderr: String::from_utf8(stderr).unwrap() }
}

pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blockraft"));
    command.current_dir(folder);
    for variable in ["BLOCKRAFT_CLIENT", "BLOCKRAFT_DATA", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
}
