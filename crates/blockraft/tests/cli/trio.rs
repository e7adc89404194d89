//! Three nodes as processes, formed by `init`, and those that join them.

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blockraft_node::witness::{Past, Witness};
use blockraft_transport::Peer;
use blockraft_types::{BootNonce, NodeId};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Run, program, run_in};

/// A cluster in a folder of its own; its processes end with this value.
pub(crate) struct Trio {
    folder: TempDir,
    running: BTreeMap<u64, Child>,
}

impl Trio {
    /// Forms and starts nodes 1 to 3 and waits until they have a leader.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec!["init".to_owned()];
        for address in free_addresses(3) {
            arguments.extend(["--address".to_owned(), address]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let formed = run_in(folder.path(), &arguments, b"");
        assert_eq!(formed.code, 0, "{}", formed.stderr);
        let mut trio = Self { folder, running: BTreeMap::new() };
        (1..=3).for_each(|node| trio.serve(node));
        let ready = trio.run(&["status", "--wait", "60"]);
        assert_eq!(ready.code, 0, "{}", ready.stderr);
        trio
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the program as a client of the cluster.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        run_in(self.folder(), arguments, b"")
    }

    /// Runs the program, which has to succeed, and gives what it printed: an object per line.
    pub(crate) fn done(&self, arguments: &[&str]) -> Vec<Value> {
        let run = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(run.code, 0, "{arguments:?}: {}{}", run.text(), run.stderr);
        run.objects()
    }

    /// Puts bytes and returns their CID.
    pub(crate) fn put(&self, bytes: &[u8]) -> String {
        let put = run_in(self.folder(), &["put", "--quiet"], bytes);
        assert_eq!(put.code, 0, "{}", put.stderr);
        put.text().trim().to_owned()
    }

    /// Starts a node whose data directory is there.
    pub(crate) fn serve(&mut self, node: u64) {
        self.serve_with(node, node, &[]);
    }

    /// Starts the data directory of `node` as process `number`, with further arguments.
    pub(crate) fn serve_with(&mut self, number: u64, node: u64, arguments: &[&str]) {
        let data = if number == node { format!("blockraft-data/node-{node}") } else { copy_of(node) };
        // Elections that a busy machine doesn't cause, and room enough in a small file system.
        let settings = "election_min_ms = 600\nelection_max_ms = 1200\ndisk_reserve_bytes = 0\n";
        fs::write(self.folder().join(&data).join("blockraft.toml"), settings).unwrap();
        let log = fs::File::create(self.log(number)).unwrap();
        let mut command = program(self.folder());
        command.args(["serve", "--data", &data]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.running.insert(number, command.spawn().unwrap());
    }

    /// Stops a node, copies its data directory, and starts it again.
    pub(crate) fn back_up(&mut self, node: u64) {
        let process = self.running.get(&node).unwrap();
        assert!(Command::new("kill").arg(process.id().to_string()).status().unwrap().success());
        let (code, said) = self.end(node);
        assert_eq!(code, Some(0), "{said}");
        self.copy(&format!("blockraft-data/node-{node}"), &copy_of(node));
        self.serve(node);
        self.done(&["status", "--wait", "60"]);
    }

    /// Kills a node and puts the copy of its data directory in its place.
    pub(crate) fn restore(&mut self, node: u64) {
        self.kill(node);
        let data = format!("blockraft-data/node-{node}");
        fs::remove_dir_all(self.folder().join(&data)).unwrap();
        self.copy(&copy_of(node), &data);
    }

    fn copy(&self, from: &str, to: &str) {
        let copied = Command::new("cp").current_dir(self.folder()).args(["-a", from, to]).status().unwrap();
        assert!(copied.success());
    }

    /// Invites a node, which gets the next id; its token is at the path that is returned.
    pub(crate) fn invite(&self) -> (u64, String) {
        let address = free_addresses(1).remove(0);
        let invite = ["members", "invite", "--address", &address, "--out", "node.token"];
        let [invited] = self.done(&invite).try_into().unwrap();
        (invited["node"].as_u64().unwrap(), "node.token".to_owned())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, node: u64) {
        let mut process = self.running.remove(&node).unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Waits until `holds`.
    pub(crate) fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "{what} takes too long");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// What the data directory of `witness` keeps of `node`.
    pub(crate) fn kept_of(&self, witness: u64, node: u64) -> Past {
        let read = |node: u64, file: &str| fs::read(self.folder().join(format!("blockraft-data/node-{node}/{file}")));
        let text = String::from_utf8(read(node, "node.toml").unwrap()).unwrap();
        let incarnation = text.lines().find_map(|line| line.strip_prefix("incarnation = ")).unwrap();
        let incarnation = incarnation.trim_matches('"').parse().unwrap();
        let kept = read(witness, "witness").unwrap_or_default();
        let peer = Peer { node: NodeId(node), incarnation, boot: BootNonce(0) };
        Witness::decode(&kept).map_or(Past::default(), |witness| witness.recall(peer))
    }

    /// Waits until a node has ended by itself: its exit code, and what it said.
    pub(crate) fn end(&mut self, node: u64) -> (Option<i32>, String) {
        let process = self.running.get_mut(&node).unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = process.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "node {node} goes on: {}", fs::read_to_string(self.log(node)).unwrap());
            std::thread::park_timeout(Duration::from_millis(20));
        };
        self.running.remove(&node);
        (status.code(), fs::read_to_string(self.log(node)).unwrap())
    }

    fn log(&self, node: u64) -> std::path::PathBuf {
        self.folder().join(format!("node-{node}.log"))
    }
}

impl Drop for Trio {
    fn drop(&mut self) {
        for process in self.running.values_mut() {
            let _already_ended = process.kill();
            let _already_waited = process.wait();
        }
    }
}

fn copy_of(node: u64) -> String {
    format!("copy-of-node-{node}")
}

/// Addresses on loopback that were free a moment ago, all different.
pub(crate) fn free_addresses(count: usize) -> Vec<String> {
    let sockets: Vec<UdpSocket> = (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    sockets.iter().map(|socket| socket.local_addr().unwrap().to_string()).collect()
}

const PATIENCE: Duration = Duration::from_secs(60);
