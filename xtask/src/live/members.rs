//! A cluster of processes in one folder: formed, started, watched.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::live::event::{Event, NodeReport};
use crate::live::load::Loader;
use crate::live::node::{Launch, Lifetime, Node};
use crate::live::programs::Programs;
use crate::live::wait;
use crate::process;

/// The nodes of a cluster, by place: node 1 stands first.
#[derive(Debug)]
pub(crate) struct Members {
    programs: Programs,
    folder: PathBuf,
    lifetime: Lifetime,
    preload: Option<PathBuf>,
    nodes: Vec<Option<Node>>,
}

impl Members {
    /// Forms a cluster of `count` in `folder`, which must not exist yet. Nobody runs.
    pub(crate) fn form(programs: &Programs, folder: &Path, count: usize, lifetime: Lifetime) -> Result<Self> {
        let mut init = Command::new(&programs.blockraft);
        init.arg("init").arg("--dir").arg(folder).args(["--nodes", &count.to_string()]);
        for address in free_addresses(count)? {
            init.args(["--address", &address.to_string()]);
        }
        process::capture(&mut init).context("can't form a cluster")?;
        fs::create_dir_all(folder.join("logs")).context("can't make the folder for logs")?;
        let nodes = (0..count).map(|_| None).collect();
        Ok(Self { programs: programs.clone(), folder: folder.to_owned(), lifetime, preload: None, nodes })
    }

    /// Gives every node these settings, from its next start on.
    pub(crate) fn settings(&self, text: &str) -> Result<()> {
        let write = |place| fs::write(self.data(place).join("blockraft.toml"), text);
        (0..self.count()).try_for_each(write).context("can't write settings")
    }

    /// Takes in one more node as a learner, and makes its data directory. It doesn't run yet.
    pub(crate) fn join(&mut self) -> Result<usize> {
        let place = self.count();
        let token = self.folder.join(format!("node-{}.token", place + 1));
        let addresses = free_addresses(1)?;
        let address = addresses.first().context("one was asked for")?;
        let mut invite = self.change("invite");
        invite.args(["--address", &address.to_string(), "--ca"]).arg(&self.folder).arg("--out").arg(&token);
        process::capture(&mut invite).context("can't invite a node")?;
        let mut join = Command::new(&self.programs.blockraft);
        join.arg("join").arg("--token").arg(&token).arg("--data").arg(self.data(place));
        process::capture(&mut join).context("can't make the new node's data directory")?;
        self.nodes.push(None);
        Ok(place)
    }

    /// Makes a learner a voter: waits until it has caught up.
    pub(crate) fn promote(&self, place: usize, limit: Duration) -> Result<()> {
        let mut promote = self.change("promote");
        promote.arg((place + 1).to_string()).args(["--timeout", &limit.as_secs().to_string()]);
        process::capture(&mut promote).map(drop)
    }

    /// A change of the members, as far as its words are the same for all.
    fn change(&self, what: &str) -> Command {
        let mut command = Command::new(&self.programs.blockraft);
        command.args(["members", what, "--client"]).arg(self.folder.join("client"));
        command
    }

    /// Loads `library` into each node that is started from now on.
    pub(crate) fn preload(&mut self, library: PathBuf) {
        self.preload = Some(library);
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn count(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn loader(&self) -> Loader {
        Loader { program: self.programs.load.clone(), cluster: self.folder.clone() }
    }

    /// The data directory of a node.
    pub(crate) fn data(&self, place: usize) -> PathBuf {
        self.folder.join(format!("node-{}", place + 1))
    }

    /// The file that a node's output goes to.
    pub(crate) fn log(&self, place: usize) -> PathBuf {
        self.folder.join("logs").join(format!("node-{}.log", place + 1))
    }

    /// Starts a node unless it runs.
    pub(crate) fn start(&mut self, place: usize) -> Result<()> {
        let launch = Launch {
            program: self.programs.blockraft.clone(),
            data: self.data(place),
            log: self.log(place),
            preload: self.preload.clone(),
            lifetime: self.lifetime,
        };
        let slot = self.nodes.get_mut(place).context("no such node")?;
        if slot.is_none() {
            *slot = Some(Node::start(&launch)?);
        }
        Ok(())
    }

    pub(crate) fn start_all(&mut self) -> Result<()> {
        (0..self.count()).try_for_each(|place| self.start(place))
    }

    /// A node that was started and not ended by us.
    pub(crate) fn node(&mut self, place: usize) -> Option<&mut Node> {
        self.nodes.get_mut(place)?.as_mut()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, place: usize) {
        if let Some(slot) = self.nodes.get_mut(place) {
            *slot = None;
        }
    }

    /// Process ids, by place.
    pub(crate) fn ids(&self) -> Vec<Option<u32>> {
        self.nodes.iter().map(|node| node.as_ref().and_then(Node::id)).collect()
    }

    /// A sentence for each node that ended without being asked to. It counts as not running from now on.
    pub(crate) fn fallen(&mut self) -> Vec<String> {
        let mut fallen = Vec::new();
        for place in 0..self.count() {
            let log = self.log(place);
            let Some(slot) = self.nodes.get_mut(place) else { continue };
            if let Some(status) = slot.as_mut().and_then(Node::ended) {
                *slot = None;
                let text = fs::read_to_string(&log).unwrap_or_default();
                let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
                fallen.push(format!("node {} ended by itself ({status}): {last}", place + 1));
            }
        }
        fallen
    }

    /// How each node sees itself.
    pub(crate) fn status(&self) -> Result<Vec<NodeReport>> {
        let events = self.loader().run("status", [] as [&str; 0], STATUS_TIME_MAX)?;
        Ok(events
            .into_iter()
            .filter_map(|event| if let Event::Node(report) = event { Some(report) } else { None })
            .collect())
    }

    /// The place of the node that leads, once one does and a majority agrees.
    pub(crate) fn leader(&mut self, limit: Duration) -> Result<usize> {
        let mut last = Vec::new();
        let leader = wait::until(limit, || {
            last = self.status().unwrap_or_default();
            elected(&last, self.count())
        });
        if let Some(leader) = leader {
            return Ok(leader);
        }
        let fallen = self.fallen();
        bail!(
            "no leader after {} s; {}{last:?}",
            limit.as_secs(),
            fallen.iter().map(|line| format!("{line}; ")).collect::<String>()
        )
    }

    /// Waits until every node answers and has applied as much as the one that has applied most.
    pub(crate) fn level(&mut self, limit: Duration) -> Result<Vec<NodeReport>> {
        let mut last = Vec::new();
        let level = wait::until(limit, || {
            last = self.status().unwrap_or_default();
            is_level(&last).then(|| last.clone())
        });
        if let Some(level) = level {
            return Ok(level);
        }
        let fallen = self.fallen();
        bail!(
            "the nodes are not level after {} s; {}{last:?}",
            limit.as_secs(),
            fallen.iter().map(|line| format!("{line}; ")).collect::<String>()
        )
    }

    /// Leaves all nodes running and tells their process ids.
    pub(crate) fn release(mut self) -> Vec<u32> {
        self.nodes.drain(..).flatten().filter_map(Node::release).collect()
    }
}

/// Who leads in the latest term that a node of a majority knows.
fn elected(reports: &[NodeReport], count: usize) -> Option<usize> {
    let leader =
        reports.iter().filter(|report| report.role.as_deref() == Some("leader")).max_by_key(|report| report.term)?;
    let followers = reports.iter().filter(|report| report.leader == Some(leader.node) && report.term == leader.term);
    (count < 2 * followers.count()).then_some(leader.node as usize - 1)
}

fn is_level(reports: &[NodeReport]) -> bool {
    let most = reports.iter().map(|report| report.applied).max().unwrap_or(0);
    let has_leader = elected(reports, reports.len()).is_some();
    has_leader && reports.iter().all(|report| report.role.is_some() && report.applied == most)
}

/// Ports that are free now and that the system gives to nobody by itself, so that a node which is dead for a while finds
/// its own again.
fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first_given = range.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(FIRST_GIVEN_PORT);
    let ours = FIRST_PORT..first_given.max(FIRST_PORT + 1);
    // Each run begins elsewhere, so that two of them don't try the same ports.
    let begin = RandomState::new().hash_one(std::process::id()) as usize % ours.len();
    let ports = ours.clone().cycle().skip(begin).take(ours.len());
    let free = ports.filter_map(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let sockets: Vec<UdpSocket> = free.take(count).collect();
    if sockets.len() < count {
        bail!("can't find {count} free UDP ports on loopback in {ours:?}");
    }
    sockets.iter().map(|socket| Ok(socket.local_addr()?)).collect()
}

/// Lower ones belong to well-known services.
const FIRST_PORT: u16 = 10_000;

/// Where the ports begin that Linux gives away, unless it is set up otherwise.
const FIRST_GIVEN_PORT: u16 = 32_768;

const STATUS_TIME_MAX: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{NodeReport, elected, free_addresses, is_level};

    fn report(node: u64, role: &str, term: u64, leader: Option<u64>) -> NodeReport {
        NodeReport { node, role: Some(role.to_owned()), term, leader, applied: 7, blocks: 0 }
    }

    #[test]
    fn a_leader_needs_a_majority_that_knows_it() {
        let mut reports =
            vec![report(1, "leader", 2, Some(1)), report(2, "leader", 3, Some(2)), report(3, "follower", 3, Some(2))];
        assert_eq!(elected(&reports, 3), Some(1));
        reports[2] = report(3, "candidate", 4, None);
        assert_eq!(elected(&reports, 3), None);
    }

    #[test]
    fn nodes_are_level_when_all_have_applied_the_same() {
        let mut reports =
            vec![report(1, "leader", 2, Some(1)), report(2, "follower", 2, Some(1)), report(3, "follower", 2, Some(1))];
        assert!(is_level(&reports));
        reports[2].applied = 6;
        assert!(!is_level(&reports));
        reports[2] = NodeReport { node: 3, ..NodeReport::default() };
        assert!(!is_level(&reports));
        assert!(!is_level(&[]));
    }

    #[test]
    fn free_addresses_differ() {
        let addresses: BTreeSet<_> = free_addresses(3).unwrap().into_iter().collect();
        assert_eq!(addresses.len(), 3);
    }
}
