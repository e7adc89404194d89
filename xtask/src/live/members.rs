//! A cluster of processes in one folder: formed, started, watched.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
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
    settings: Option<String>,
    nodes: Vec<Option<Node>>,
    /// Places of nodes that are no members any more.
    gone: BTreeSet<usize>,
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
        Ok(Self {
            programs: programs.clone(),
            folder: folder.to_owned(),
            lifetime,
            preload: None,
            settings: None,
            nodes,
            gone: BTreeSet::new(),
        })
    }

    /// Gives every node these settings, from its next start on, and also those that join later.
    pub(crate) fn settings(&mut self, text: &str) -> Result<()> {
        self.settings = Some(text.to_owned());
        (0..self.count()).try_for_each(|place| self.settle(place))
    }

    fn settle(&self, place: usize) -> Result<()> {
        let Some(text) = &self.settings else { return Ok(()) };
        fs::write(self.data(place).join("blockraft.toml"), text).context("can't write settings")
    }

    /// Runs `blockraft` as a user of the cluster does, and returns what it prints.
    pub(crate) fn blockraft<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        let mut command = Command::new(&self.programs.blockraft);
        command.env("BLOCKRAFT_CLIENT", self.folder.join("client"));
        process::capture(command.args(arguments))
    }

    /// Takes in one more node as a learner, and makes its data directory. It doesn't run yet.
    pub(crate) fn join(&mut self) -> Result<usize> {
        let address = free_addresses(1)?.first().context("one was asked for")?.to_string();
        let token = self.folder.join("node.token").to_string_lossy().into_owned();
        let ca = self.folder.to_string_lossy().into_owned();
        let invited =
            self.blockraft(["members", "invite", "--json", "--address", &address, "--ca", &ca, "--out", &token])?;
        let invited: serde_json::Value = serde_json::from_str(&invited).context("`members invite` prints no JSON")?;
        let place = invited["node"].as_u64().and_then(|id| usize::try_from(id).ok()?.checked_sub(1));
        let place = place.context("`members invite` names no node")?;
        // Ids that nobody has got are nobody's place.
        self.gone.extend(self.nodes.len()..place);
        self.nodes.resize_with(self.nodes.len().max(place + 1), || None);
        let data = self.data(place).to_string_lossy().into_owned();
        self.blockraft(["join", "--token", &token, "--data", &data])?;
        self.settle(place)?;
        Ok(place)
    }

    /// Makes a learner a voter: waits until it has caught up.
    pub(crate) fn promote(&self, place: usize, limit: Duration) -> Result<()> {
        let (node, limit) = ((place + 1).to_string(), limit.as_secs().to_string());
        self.blockraft(["members", "promote", &node, "--timeout", &limit]).map(drop)
    }

    /// The node at `place` is no member any more, and never will be again.
    pub(crate) fn let_go(&mut self, place: usize) {
        self.kill(place);
        self.gone.insert(place);
    }

    /// The places of members.
    pub(crate) fn present(&self) -> Vec<usize> {
        (0..self.count()).filter(|place| !self.gone.contains(place)).collect()
    }

    /// Waits until a node has ended by itself: how, and the last that it said. It counts as not running from then on.
    pub(crate) fn end(&mut self, place: usize, limit: Duration) -> Result<(ExitStatus, String)> {
        let status = wait::until(limit, || self.nodes.get_mut(place)?.as_mut()?.ended());
        let status = status.with_context(|| format!("node {} goes on after {} s", place + 1, limit.as_secs()))?;
        self.kill(place);
        Ok((status, self.last_words(place)))
    }

    fn last_words(&self, place: usize) -> String {
        let text = fs::read_to_string(self.log(place)).unwrap_or_default();
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
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

    /// Starts every member that doesn't run.
    pub(crate) fn start_all(&mut self) -> Result<()> {
        self.present().into_iter().try_for_each(|place| self.start(place))
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
            let Some(slot) = self.nodes.get_mut(place) else { continue };
            if let Some(status) = slot.as_mut().and_then(Node::ended) {
                *slot = None;
                fallen.push(format!("node {} ended by itself ({status}): {}", place + 1, self.last_words(place)));
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
            elected(&last, self.present().len())
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
