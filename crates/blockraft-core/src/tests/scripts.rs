//! Stories: text files of commands and what they bring about, with prose between.
//!
//! A line that begins with `> ` is a command; the lines under it, up to an empty one, are what must happen. Everything
//! else is prose. `BLESS=1 cargo test -p blockraft-core scripts` writes what happens now into the files: read the
//! difference before you commit it. Commands are listed at [`Stage::perform`].

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, fs};

use blockraft_types::message::{HeartbeatReply, ReadRound};
use blockraft_types::{LogIndex, MembershipChange, Message, NodeId, Role, Term};

use super::cluster::{Cluster, Envelope, incarnation, voters};
use crate::{Config, Input, Options, Snapshot};

#[test]
#[expect(clippy::disallowed_methods, reason = "blessing rewrites the scripts themselves")]
fn scripts_tell_what_happens() {
    let folder = format!("{}/tests/scripts", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> =
        fs::read_dir(&folder).expect("the folder exists").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are stories");
    let bless = std::env::var_os("BLESS").is_some();
    for path in paths {
        let expected = fs::read_to_string(&path).expect("a script is text");
        let actual = perform(&expected);
        if bless {
            fs::write(&path, &actual).expect("the script can be written");
            continue;
        }
        for (number, (expected, actual)) in expected.lines().zip(actual.lines()).enumerate() {
            assert_eq!(actual, expected, "{}:{} (BLESS=1 rewrites)", path.display(), number + 1);
        }
        assert_eq!(actual.len(), expected.len(), "{} (BLESS=1 rewrites)", path.display());
    }
}

/// Runs a script and gives its text with what really happens.
fn perform(script: &str) -> String {
    let mut stage = Stage::new();
    let mut text = String::new();
    let mut skipping = false;
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            text.push_str(line);
            text.push('\n');
            for line in stage.command(command) {
                text.push_str(&line);
                text.push('\n');
            }
            skipping = true;
            continue;
        }
        skipping &= !line.is_empty();
        if !skipping {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

struct Stage {
    cluster: Cluster,
    config: Config,
    logs: BTreeMap<NodeId, (Term, Vec<u64>)>,
    network: Vec<Envelope>,
    kept: Vec<Envelope>,
    fetched: BTreeMap<NodeId, Snapshot>,
    writes: Writes,
}

/// When batches become durable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    AtOnce,
    OnCommand,
}

impl Stage {
    fn new() -> Self {
        let config = Config::default();
        Self {
            cluster: Cluster::new(voters([1]), config, 1),
            config,
            logs: BTreeMap::new(),
            network: Vec::new(),
            kept: Vec::new(),
            fetched: BTreeMap::new(),
            writes: Writes::AtOnce,
        }
    }

    /// Performs a command and gives the lines of what happened. `quietly` before it keeps only roles and applied
    /// entries.
    fn command(&mut self, command: &str) -> Vec<String> {
        let (quietly, command) = match command.strip_prefix("quietly ") {
            Some(rest) => (true, rest),
            None => (false, command),
        };
        self.cluster.story = Some(Vec::new());
        let words: Vec<&str> = command.split_whitespace().collect();
        let mut lines = self.perform(&words);
        self.settle();
        lines.extend(self.cluster.story.take().unwrap_or_default());
        if quietly {
            lines.retain(|line| !line.contains(" -> ") && !line.contains(" writes "));
        }
        lines
    }

    /// The commands: `log NODE term=T entries=T,T,..` before `cluster voters=N,.. learners=N,.. append_entries=N ..` ·
    /// `timeout NODE` · `tick NODE [TIMES]` · `deliver [FROM|* TO|*]` · `lose [FROM|* TO|*]` ·
    /// `keep FROM TO` (copies of what is on the way) · `replay` (the copies arrive) ·
    /// `writes at-once|on-command` · `persist NODE [BATCHES]` ·
    /// `propose NODE BYTES..` · `read NODE` · `transfer FROM TO` · `join NODE` (with an empty log) ·
    /// `change LEADER add=N` · `change LEADER promote=N,.. remove=N,..` · `change LEADER revert` ·
    /// `crash NODE [SURVIVING-BATCHES]` · `forget NODE INDEX` (its disk loses all after it) · `restart NODE` · `unreachable NODE PEER` · `stalled NODE` ·
    /// `compact NODE` (as far as it may) · `fetch NODE` (takes the snapshot that it is offered as it is now) ·
    /// `install NODE` (what it fetched, or is offered, is complete there) · `waiting NODE INDEX|-` ·
    /// `repeat-heartbeat-reply FROM TO round=N` · `status` · `progress NODE`.
    fn perform(&mut self, words: &[&str]) -> Vec<String> {
        let node = |at: usize| NodeId(words[at].parse().expect("a node"));
        match words[0] {
            "log" => {
                let term = Term(option(words, "term").expect("a term").parse().expect("a term"));
                let entries = numbers(option(words, "entries").unwrap_or_default());
                self.logs.insert(node(1), (term, entries));
            }
            "cluster" => self.begin(words),
            "timeout" => {
                let role = self.cluster.raft(node(1)).role();
                let ticked = (0..1_000).find(|_| {
                    self.cluster.tick(node(1));
                    self.cluster.raft(node(1)).role() != role
                });
                assert!(ticked.is_some(), "{:?} has endless patience", node(1));
            }
            "tick" => {
                for _ in 0..words.get(2).map_or(1, |times| times.parse().expect("a number")) {
                    self.cluster.tick(node(1));
                }
            }
            "deliver" => self.deliver(words.get(1).copied().unwrap_or("*"), words.get(2).copied().unwrap_or("*")),
            "lose" => {
                let (from, to) = (words.get(1).copied().unwrap_or("*"), words.get(2).copied().unwrap_or("*"));
                self.collect();
                self.network.retain(|envelope| !runs(envelope, from, to));
            }
            "keep" => {
                self.collect();
                let kept = self.network.iter().filter(|envelope| runs(envelope, words[1], words[2]));
                self.kept = kept.cloned().collect();
            }
            "replay" => self.kept.clone().into_iter().for_each(|envelope| self.cluster.deliver(envelope)),
            "writes" => {
                self.writes = if words[1] == "at-once" { Writes::AtOnce } else { Writes::OnCommand };
            }
            "persist" => {
                let count = words.get(2).map_or(usize::MAX, |count| count.parse().expect("a number"));
                self.cluster.persist(node(1), count);
            }
            "propose" => {
                let sizes: Vec<u32> = words[2..].iter().map(|size| size.parse().expect("a size")).collect();
                self.cluster.propose(node(1), &sizes);
            }
            "read" => {
                self.cluster.read(node(1));
            }
            "transfer" => self.cluster.step(node(1), Input::TransferLeadership { to: node(2) }),
            "join" => {
                self.cluster.join(node(1), self.config);
            }
            "change" => {
                let change = change(words);
                self.cluster.change(node(1), change);
            }
            "crash" => {
                let survivors = words.get(2).map_or(0, |count| count.parse().expect("a number"));
                self.cluster.crash(node(1), survivors);
                self.collect();
                self.network.retain(|envelope| envelope.to != node(1));
            }
            "forget" => self.cluster.lose_tail(node(1), LogIndex(words[2].parse().expect("an index"))),
            "restart" => self.cluster.restart(node(1)),
            "unreachable" => self.cluster.step(node(1), Input::Unreachable { peer: node(2) }),
            "compact" => {
                self.cluster.flush_applied(node(1));
                self.cluster.compact(node(1));
            }
            "fetch" => {
                let snapshot = self.cluster.take_offered(node(1)).expect("a snapshot is offered");
                self.fetched.insert(node(1), snapshot);
            }
            "install" => {
                let fetched = self.fetched.remove(&node(1)).or_else(|| self.cluster.take_offered(node(1)));
                self.cluster.install(node(1), fetched.expect("a snapshot is offered"));
            }
            "stalled" => self.cluster.step(node(1), Input::StorageStalled),
            "waiting" => {
                let index = words[2].parse().ok().map(LogIndex);
                self.cluster.step(node(1), Input::PayloadWaiting { index });
            }
            "repeat-heartbeat-reply" => {
                // An answer from the past: the sender repeats one of an earlier round.
                let round = ReadRound(option(words, "round").expect("a round").parse().expect("a number"));
                let term = self.cluster.raft(node(2)).term();
                let last_durable = self.cluster.raft(node(1)).status().durable_index;
                let reply = HeartbeatReply { term, round, waiting_for: None, last_durable };
                self.cluster.deliver(Envelope { from: node(1), to: node(2), message: Message::HeartbeatReply(reply) });
            }
            "status" => return self.status(),
            "progress" => return self.progress(node(1)),
            other => panic!("no such command: {other}"),
        }
        Vec::new()
    }

    fn begin(&mut self, words: &[&str]) {
        let mut membership = voters(numbers(option(words, "voters").expect("voters")));
        for id in numbers(option(words, "learners").unwrap_or_default()) {
            membership.learners.insert(NodeId(id), incarnation(NodeId(id)));
        }
        let default = Options::default();
        let size = |name, default| option(words, name).map_or(default, |text| text.parse().expect("a number"));
        let options = Options {
            append_entries_max: size("append_entries", default.append_entries_max),
            inflight_messages_max: size("inflight", default.inflight_messages_max as u64) as usize,
            ..default
        };
        let config = Config::new(options).expect("options that fit together");
        self.config = config;
        self.cluster = Cluster::with_logs(membership, config, 1, &self.logs);
        self.cluster.story = Some(Vec::new());
    }

    /// Lets messages on the way from `from` to `to` arrive, and those that they bring about, until there are none.
    fn deliver(&mut self, from: &str, to: &str) {
        for _ in 0..10_000 {
            self.settle();
            self.collect();
            let Some(at) = self.network.iter().position(|envelope| runs(envelope, from, to)) else { return };
            let envelope = self.network.remove(at);
            self.cluster.deliver(envelope);
        }
        panic!("messages breed messages without end");
    }

    fn collect(&mut self) {
        self.network.append(&mut self.cluster.sent);
    }

    fn settle(&mut self) {
        if self.writes == Writes::OnCommand {
            return;
        }
        for id in self.cluster.ids() {
            while self.cluster.is_up(id) && self.cluster.has_writes(id) {
                self.cluster.persist(id, usize::MAX);
            }
        }
    }

    fn status(&self) -> Vec<String> {
        let line = |id: NodeId| {
            if !self.cluster.is_up(id) {
                return format!("{id:?} down");
            }
            let status = self.cluster.raft(id).status();
            let role = if status.role == Role::Leader { "LEADER".to_string() } else { status.role.to_string() };
            format!(
                "{id:?} {role} {:?} last {} durable {} commit {} applied {}",
                status.hard_state.term, status.last, status.durable_index, status.commit_index, status.applied_index
            )
        };
        self.cluster.ids().into_iter().map(line).collect()
    }

    fn progress(&self, id: NodeId) -> Vec<String> {
        let progress = self.cluster.raft(id).status().progress;
        let line = |(peer, progress): (NodeId, crate::status::ProgressStatus)| {
            format!(
                "{peer:?} {:?} match {} next {} inflight {} messages, {} bytes",
                progress.state,
                progress.match_index,
                progress.next_index,
                progress.inflight_messages,
                progress.inflight_bytes
            )
        };
        progress.into_iter().map(line).collect()
    }
}

fn runs(envelope: &Envelope, from: &str, to: &str) -> bool {
    let is = |node: NodeId, word: &str| word == "*" || word.parse() == Ok(node.0);
    is(envelope.from, from) && is(envelope.to, to)
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn change(words: &[&str]) -> MembershipChange {
    if words.contains(&"revert") {
        return MembershipChange::Revert;
    }
    let ids = |name| numbers(option(words, name).unwrap_or_default()).into_iter().map(NodeId);
    match ids("add").next() {
        Some(node) => MembershipChange::AddLearner { node, incarnation: incarnation(node), address: None },
        None => MembershipChange::Reconfigure { promote: ids("promote").collect(), remove: ids("remove").collect() },
    }
}

fn numbers(text: &str) -> Vec<u64> {
    text.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().expect("a number")).collect()
}
