//! Whole data planes over a model of everything else: stores and logs with a volatile and a durable image, links that lose
//! and delay, and an all-knowing stand-in for consensus. One event at a time, chosen by a seeded generator; the
//! invariants are checked after each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use blockraft_blocks::{HashCode, Multihash};
use blockraft_types::{BootNonce, Incarnation, LogIndex, Membership, NodeId, Position, Term};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::input::{PushOutcome, ServeOutcome, StoreFailure};
use crate::message::Message;
use crate::mistake::Mistake;
use crate::status::SweepStatus;
use crate::ticket::{CheckTicket, ServeTicket};
use crate::{
    Admission, BulkHeader, Config, Effect, EntryNames, Exchange, Identity, Input, Named, ProposalTicket, PutId,
};

/// What a run did, so that a test can ask whether it met what it is about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Coverage {
    pub(super) committed: u64,
    pub(super) power_cuts: u64,
    pub(super) truncations: u64,
    pub(super) reclaimed: u64,
    pub(super) fetched: u64,
    pub(super) refused_pushes: u64,
    pub(super) held_appends: u64,
    pub(super) puts_failed: u64,
}

#[derive(Debug)]
pub(super) struct World {
    rng: ChaCha8Rng,
    nodes: Vec<Node>,
    term: u64,
    leader: Option<usize>,
    committed: Vec<Entry>,
    pending: Vec<Event>,
    /// Links that are up, by the smaller and the greater node, with the number of the connection.
    links: BTreeMap<(usize, usize), u64>,
    last_number: u64,
    blocks: Vec<Named>,
    mistake: Option<Mistake>,
    faults: Faults,
    pub(super) coverage: Coverage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    On,
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    term: u64,
    command: Command,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Command {
    Blank,
    Put(Vec<Named>),
    PutInline(Named),
    Delete(Multihash),
}

/// A log whose first entry stands at `base + 1`.
#[derive(Clone, Debug, Default)]
struct Log {
    base: usize,
    base_term: u64,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Default)]
struct Catalog {
    rows: BTreeSet<Multihash>,
    applied: usize,
}

#[derive(Debug)]
struct Node {
    id: NodeId,
    boot: u64,
    life: Option<Life>,
    store: BTreeMap<Multihash, u32>,
    log: Log,
    catalog: Catalog,
}

/// What a power cut takes away.
#[derive(Debug)]
struct Life {
    exchange: Exchange<Named>,
    log: Log,
    catalog: Catalog,
    believes_leader: bool,
    puts: BTreeMap<PutId, (Named, u64)>,
    proposals: BTreeMap<ProposalTicket, Vec<Named>>,
    /// Inlined bodies to be told again after the start; none once that is done.
    backlog: Option<VecDeque<(LogIndex, Named)>>,
    ticks: u64,
}

#[derive(Clone, Debug)]
struct Event {
    node: usize,
    boot: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Store(Named),
    Stat(Multihash),
    Delete(Multihash),
    List(Option<Multihash>, usize),
    Rows(CheckTicket, Vec<Multihash>),
    Serve {
        to: usize,
        serve: ServeTicket,
        ticket: blockraft_types::RemoteTicket,
        name: Multihash,
    },
    /// The sync of the log as it was when it began.
    Synced(Log),
    Compact(usize),
    Message {
        from: usize,
        link: u64,
        message: Message,
    },
    Bulk {
        from: usize,
        link: u64,
        header: BulkHeader,
        payload: Named,
    },
    Forward {
        from: usize,
        named: Named,
    },
    Lead(u64, usize),
    Enter(ProposalTicket, Vec<Named>),
}

impl World {
    pub(super) fn new(seed: u64, nodes: usize, mistake: Option<Mistake>) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let blocks = (0..24_u64)
            .map(|number| Named {
                name: Multihash::of(HashCode::Sha2_256, &number.to_le_bytes()),
                length: rng.random_range(40..160),
            })
            .collect();
        let nodes = (0..nodes).map(|index| Node {
            id: NodeId(index as u64 + 1),
            boot: 0,
            life: None,
            store: BTreeMap::new(),
            log: Log::default(),
            catalog: Catalog::default(),
        });
        let mut world = Self {
            rng,
            nodes: nodes.collect(),
            term: 0,
            leader: None,
            committed: Vec::new(),
            pending: Vec::new(),
            links: BTreeMap::new(),
            last_number: 0,
            blocks,
            mistake,
            faults: Faults::On,
            coverage: Coverage::default(),
        };
        for node in 0..world.nodes.len() {
            world.start(node);
        }
        world
    }

    /// Runs `events` events under faults, then heals everything and asks that all come to rest.
    ///
    /// # Errors
    ///
    /// The first invariant that broke, in words.
    pub(super) fn run(&mut self, events: usize) -> Result<(), String> {
        for _ in 0..events {
            self.happen()?;
            self.check()?;
        }
        self.faults = Faults::Off;
        self.heal();
        for _ in 0..60 {
            self.calm_round()?;
        }
        self.check_rest()
    }

    fn happen(&mut self) -> Result<(), String> {
        match self.rng.random_range(0..1000) {
            0..500 => self.perform_one(),
            500..640 => self.tick_one(),
            640..740 => self.client_put(),
            740..765 => self.client_inline(),
            765..790 => self.client_delete(),
            790..900 => self.replicate_one(),
            900..930 => self.sync_one(),
            930..945 => self.flush_one(),
            945..965 => self.compact_one(),
            965..972 => self.elect(),
            972..982 => {
                self.change_link();
                Ok(())
            }
            982..986 => self.power_cut(),
            986..996 => {
                let down: Vec<usize> = (0..self.nodes.len()).filter(|n| self.nodes[*n].life.is_none()).collect();
                if let Some(node) = self.choose(&down) {
                    self.start(node);
                }
                Ok(())
            }
            _ => self.drop_append(),
        }
    }

    // Consensus, all-knowing: what matters here is which entries stand in whose log.

    fn elect(&mut self) -> Result<(), String> {
        let up: Vec<usize> = self.up();
        if up.len() * 2 <= self.nodes.len() {
            return Ok(());
        }
        let last = |node: usize| self.nodes[node].life.as_ref().map(|life| life.log.last());
        let electable = |node: &usize| {
            let reachable: Vec<usize> = up.iter().copied().filter(|peer| self.linked(*node, *peer)).collect();
            let votes = reachable.iter().filter(|voter| last(**voter) <= last(*node)).count();
            votes * 2 > self.nodes.len()
        };
        let candidates: Vec<usize> = up.iter().copied().filter(electable).collect();
        let Some(leader) = self.choose(&candidates) else { return Ok(()) };
        self.term += 1;
        self.leader = Some(leader);
        for node in up {
            if node == leader {
                self.lead(node, self.term, leader)?;
            } else {
                let boot = self.nodes[node].boot;
                self.pending.push(Event { node, boot, what: What::Lead(self.term, leader) });
            }
        }
        self.append_at(leader, Entry { term: self.term, command: Command::Blank })
    }

    fn lead(&mut self, node: usize, term: u64, leader: usize) -> Result<(), String> {
        if term < self.term {
            return Ok(());
        }
        let leader_id = self.nodes[leader].id;
        if let Some(life) = &mut self.nodes[node].life {
            life.believes_leader = node == leader;
        }
        self.step(node, Input::AppendDropped { first: LogIndex(1), last: LogIndex(u64::MAX) })?;
        self.step(node, Input::Leader { term: Term(term), leader: Some(leader_id) })
    }

    /// The leader (or who still believes to be it) appends to its own log. Its term is that of its last belief, so that an
    /// old one's entries get truncated.
    fn append_at(&mut self, node: usize, entry: Entry) -> Result<(), String> {
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        life.log.entries.push(entry.clone());
        let position = life.log.last_position();
        self.step(node, Input::Appended { position, names: entry.all_names() })
    }

    fn replicate_one(&mut self) -> Result<(), String> {
        let Some(leader) = self.leader.filter(|leader| self.nodes[*leader].life.is_some()) else { return Ok(()) };
        let others: Vec<usize> = self.up().into_iter().filter(|n| *n != leader && self.linked(leader, *n)).collect();
        match self.choose(&others) {
            Some(follower) => self.replicate(leader, follower),
            None => Ok(()),
        }
    }

    fn replicate(&mut self, leader: usize, follower: usize) -> Result<(), String> {
        if self.nodes[follower].life.as_ref().is_some_and(|life| life.believes_leader) {
            self.lead(follower, self.term, leader)?;
        }
        let (Some(from), Some(to)) = (&self.nodes[leader].life, &self.nodes[follower].life) else { return Ok(()) };
        let common = from.log.common(&to.log);
        let count = self.rng.random_range(1..=6);
        let entries: Vec<(usize, Entry)> = from.log.after(common).take(count).collect();
        if entries.is_empty() {
            return Ok(());
        }
        let names: Vec<EntryNames> = entries
            .iter()
            .map(|(index, entry)| EntryNames { position: position(entry.term, *index), names: entry.payload_names() })
            .collect();
        let truncates = to.log.end() > common;
        let admitted = self.life(follower).exchange.reserve_append(&names);
        self.perform(follower)?;
        if admitted < entries.len() {
            self.coverage.held_appends += 1;
        }
        if admitted == 0 {
            return Ok(());
        }
        if truncates {
            self.coverage.truncations += 1;
            self.life(follower).log.truncate(common);
            self.step(follower, Input::Truncated { from: LogIndex(common as u64 + 1) })?;
        }
        for (_, entry) in entries.into_iter().take(admitted) {
            self.append_at(follower, entry)?;
        }
        Ok(())
    }

    /// A core refused what the gate admitted.
    fn drop_append(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        self.step(node, Input::AppendDropped { first: LogIndex(1), last: LogIndex(u64::MAX) })
    }

    fn sync_one(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        let boot = self.nodes[node].boot;
        let is_syncing =
            |event: &Event| event.node == node && event.boot == boot && matches!(event.what, What::Synced(_));
        if !self.pending.iter().any(is_syncing) {
            let log = self.life(node).log.clone();
            self.pending.push(Event { node, boot, what: What::Synced(log) });
        }
        Ok(())
    }

    fn commit_and_apply(&mut self) -> Result<(), String> {
        let Some(leader) = self.leader else { return Ok(()) };
        let Some(life) = &self.nodes[leader].life else { return Ok(()) };
        let mut matches: Vec<usize> = self.nodes.iter().map(|node| life.log.common(&node.log)).collect();
        matches.sort_unstable();
        let quorum = matches[(matches.len() - 1) / 2];
        if life.log.term_at(quorum) == Some(self.term) {
            let log = life.log.clone();
            while self.committed.len() < quorum {
                let index = self.committed.len() + 1;
                let entry = log.entry(index).ok_or("the leader lacks what it commits")?;
                self.committed.push(entry.clone());
                self.coverage.committed += 1;
            }
        }
        for node in self.up() {
            self.apply(node)?;
        }
        Ok(())
    }

    fn apply(&mut self, node: usize) -> Result<(), String> {
        loop {
            let life = self.life(node);
            let index = life.catalog.applied + 1;
            let (Some(entry), Some(own)) = (self.committed.get(index - 1).cloned(), self.life(node).log.entry(index))
            else {
                return Ok(());
            };
            // Nothing is applied before it is durable here: a flushed catalog must never be ahead of its log.
            if *own != entry || self.nodes[node].log.entry(index) != Some(&entry) {
                return Ok(());
            }
            if !self.life(node).exchange.has_room_for_inline() {
                return Ok(());
            }
            let life = self.life(node);
            life.catalog.applied = index;
            let log_index = LogIndex(index as u64);
            let (mut created, mut deleted) = (Vec::new(), Vec::new());
            for named in entry.all_names() {
                life.catalog.rows.insert(named.name);
                created.push(named.name);
            }
            if let Command::Delete(name) = entry.command {
                life.catalog.rows.remove(&name);
                deleted.push(name);
            }
            self.step(node, Input::Applied { index: log_index, created, deleted })?;
            if let Command::PutInline(named) = entry.command {
                self.step(node, Input::InlineApplied { index: log_index, payload: named })?;
            }
        }
    }

    fn flush_one(&mut self) -> Result<(), String> {
        if let Some(node) = self.any_up() {
            self.nodes[node].catalog = self.life(node).catalog.clone();
        }
        Ok(())
    }

    /// Compacts as far as everybody holds the log durably, the catalog is flushed and inlined bodies are stored.
    fn compact_one(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        let Some(leader) = self.leader.filter(|leader| self.nodes[*leader].life.is_some()) else { return Ok(()) };
        let log = &self.life(leader).log.clone();
        let held_by_all = self.nodes.iter().map(|other| log.common(&other.log)).min().unwrap_or(0);
        let floor = self.life(node).exchange.compaction_floor().0;
        let through = held_by_all.min(self.nodes[node].catalog.applied).min(floor as usize);
        if through > self.life(node).log.base && through <= self.nodes[node].log.end() {
            let boot = self.nodes[node].boot;
            self.pending.push(Event { node, boot, what: What::Compact(through) });
        }
        Ok(())
    }

    // Clients.

    fn client_put(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        let named = self.blocks[self.rng.random_range(0..self.blocks.len())];
        if !self.life(node).exchange.has_room_for_put(named.length) {
            return Ok(());
        }
        let op = PutId(self.number());
        let closes = self.life(node).ticks + self.rng.random_range(5..80);
        self.life(node).puts.insert(op, (named, closes));
        self.step(node, Input::Put { op, payload: named })
    }

    fn client_inline(&mut self) -> Result<(), String> {
        let named = self.blocks[self.rng.random_range(0..self.blocks.len())];
        self.propose(Command::PutInline(named))
    }

    fn client_delete(&mut self) -> Result<(), String> {
        let named = self.blocks[self.rng.random_range(0..self.blocks.len())];
        self.propose(Command::Delete(named.name))
    }

    fn propose(&mut self, command: Command) -> Result<(), String> {
        match self.leader.filter(|leader| self.nodes[*leader].life.is_some()) {
            Some(leader) => self.append_at(leader, Entry { term: self.term, command }),
            None => Ok(()),
        }
    }

    fn forwarded(&mut self, node: usize, named: Named, origin: Option<usize>) -> Result<(), String> {
        if !self.life(node).believes_leader {
            return Ok(());
        }
        let ticket = ProposalTicket(self.number());
        let origin = origin.map(|origin| self.nodes[origin].id);
        match self.life(node).exchange.reserve_proposal(ticket, &[named], origin) {
            Admission::Enter => self.enter_later(node, ticket, vec![named]),
            Admission::Wait => {
                self.life(node).proposals.insert(ticket, vec![named]);
            }
            Admission::Refuse(_) => {}
        }
        self.perform(node)
    }

    /// Proposals queue up for the core, and only their leases keep the payloads meanwhile.
    fn enter_later(&mut self, node: usize, ticket: ProposalTicket, names: Vec<Named>) {
        let boot = self.nodes[node].boot;
        self.pending.push(Event { node, boot, what: What::Enter(ticket, names) });
    }

    /// What the proposer's core does with an admitted proposal: an old leader's goes into its own log in its own term.
    fn enter(&mut self, node: usize, ticket: ProposalTicket, names: Vec<Named>) -> Result<(), String> {
        if self.life(node).believes_leader {
            let term = if self.leader == Some(node) { self.term } else { self.life(node).log.last().0 };
            self.append_at(node, Entry { term, command: Command::Put(names) })?;
        }
        self.step(node, Input::ProposalClosed { ticket })
    }

    // Time, links and power.

    fn tick_one(&mut self) -> Result<(), String> {
        match self.any_up() {
            Some(node) => self.tick(node),
            None => Ok(()),
        }
    }

    fn tick(&mut self, node: usize) -> Result<(), String> {
        self.life(node).ticks += 1;
        let now = self.life(node).ticks;
        self.step(node, Input::Tick)?;
        self.replay(node)?;
        let over: Vec<PutId> =
            self.life(node).puts.iter().filter(|(_, (_, closes))| *closes <= now).map(|(op, _)| *op).collect();
        for op in over {
            self.life(node).puts.remove(&op);
            self.step(node, Input::PutClosed { op })?;
        }
        Ok(())
    }

    /// Goes on with the replay as far as there is room.
    fn replay(&mut self, node: usize) -> Result<(), String> {
        while let Some(mut backlog) = self.life(node).backlog.take() {
            if backlog.is_empty() {
                return self.step(node, Input::ReplayFinished);
            }
            let has_room = self.life(node).exchange.has_room_for_inline();
            let body = if has_room { backlog.pop_front() } else { None };
            self.life(node).backlog = Some(backlog);
            match body {
                Some((index, payload)) => self.step(node, Input::InlineApplied { index, payload })?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn change_link(&mut self) {
        let (a, b) = (self.rng.random_range(0..self.nodes.len()), self.rng.random_range(0..self.nodes.len()));
        if a == b {
            return;
        }
        if self.linked(a, b) && self.rng.random_bool(0.4) {
            self.cut(a, b);
        } else {
            self.connect(a, b);
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        let number = self.number();
        if a != b
            && !self.linked(a, b)
            && let (Some(_), Some(_)) = (&self.nodes[a].life, &self.nodes[b].life)
        {
            self.links.insert((a.min(b), a.max(b)), number);
            for (node, peer) in [(a, b), (b, a)] {
                let peer = self.nodes[peer].id;
                self.life(node).exchange.step(Input::PeerConnected { peer });
            }
        }
    }

    fn cut(&mut self, a: usize, b: usize) {
        if self.links.remove(&(a.min(b), a.max(b))).is_some() {
            for (node, peer) in [(a, b), (b, a)] {
                let peer = self.nodes[peer].id;
                if let Some(life) = &mut self.nodes[node].life {
                    life.exchange.step(Input::PeerDisconnected { peer });
                }
            }
        }
    }

    fn power_cut(&mut self) -> Result<(), String> {
        let Some(node) = self.any_up() else { return Ok(()) };
        self.coverage.power_cuts += 1;
        // What the disk was doing may have happened or not.
        let boot = self.nodes[node].boot;
        for event in self.pending.clone() {
            if event.node == node && event.boot == boot && self.rng.random_bool(0.5) {
                match event.what {
                    What::Store(named) => {
                        self.nodes[node].store.insert(named.name, named.length);
                    }
                    What::Delete(name) => {
                        self.nodes[node].store.remove(&name);
                    }
                    What::Synced(log) => self.nodes[node].write_log(&log),
                    _ => {}
                }
            }
        }
        self.pending.retain(|event| event.node != node || event.boot != boot);
        for peer in 0..self.nodes.len() {
            self.cut(node, peer);
        }
        if let Some(life) = self.nodes[node].life.take() {
            self.coverage.reclaimed += life.exchange.status().reclaimed;
        }
        if self.leader == Some(node) {
            self.leader = None;
        }
        self.check_images(node)
    }

    fn start(&mut self, node: usize) {
        let number = self.number();
        let membership = Membership::of_voters(self.nodes.iter().map(|node| (node.id, incarnation(node.id))));
        let mistake = self.mistake;
        let config = Config {
            lane_bytes_max: 300,
            puts_max: 12,
            put_bytes_max: 1200,
            put_ticks_max: 30,
            push_ticks_max: 8,
            retry_ticks: 3,
            announced_max: 4,
            arriving_bytes_max: 400,
            staged_bytes_max: 450,
            staged_blocks_max: 5,
            evict_ticks_min: 4,
            grace_ticks: 45,
            reclaims_max: 4,
            gate_fetches_max: 2,
            gate_fetch_bytes_max: 250,
            other_fetches_max: 2,
            other_fetch_bytes_max: 250,
            fetch_ticks_max: 6,
            gate_names_max: 4,
            proposals_max: 6,
            proposal_ticks_max: 20,
            repairs_max: 4,
            repair_ticks_max: 30,
            serves_max: 3,
            inline_bytes_max: 300,
            sweep_page: 3,
            sweep_ticks: 2,
        };
        let here = &mut self.nodes[node];
        here.boot = number;
        let identity = Identity { node: here.id, incarnation: incarnation(here.id), boot: BootNonce(number) };
        let mut exchange = Exchange::new(identity, config).expect("the world's bounds fit together");
        if let Some(mistake) = mistake {
            exchange.seed_mistake(mistake);
        }
        exchange.step(Input::Membership { membership });
        let mut backlog = VecDeque::new();
        for (index, entry) in here.log.after(here.log.base) {
            let names = entry.all_names();
            exchange.step(Input::Replayed { position: position(entry.term, index), names });
            if let Command::PutInline(payload) = entry.command
                && index <= here.catalog.applied
            {
                backlog.push_back((LogIndex(index as u64), payload));
            }
        }
        here.life = Some(Life {
            exchange,
            log: here.log.clone(),
            catalog: here.catalog.clone(),
            believes_leader: false,
            puts: BTreeMap::new(),
            proposals: BTreeMap::new(),
            backlog: Some(backlog),
            ticks: 0,
        });
        for peer in 0..self.nodes.len() {
            self.connect(node, peer);
        }
    }

    fn heal(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].life.is_none() {
                self.start(node);
            }
            for peer in 0..node {
                self.connect(node, peer);
            }
        }
    }

    /// A bounded piece of quiet life: nothing new comes, and everything under way goes on.
    fn calm_round(&mut self) -> Result<(), String> {
        if self.leader.is_none() {
            self.elect()?;
        }
        for _ in 0..6 {
            for node in 0..self.nodes.len() {
                self.tick(node)?;
                for follower in 0..self.nodes.len() {
                    if let Some(leader) = self.leader.filter(|leader| *leader != follower) {
                        self.replicate(leader, follower)?;
                    }
                }
            }
            while !self.pending.is_empty() {
                self.perform_one()?;
            }
            for node in 0..self.nodes.len() {
                let log = self.life(node).log.clone();
                let boot = self.nodes[node].boot;
                self.pending.push(Event { node, boot, what: What::Synced(log) });
            }
            while !self.pending.is_empty() {
                self.perform_one()?;
            }
            self.commit_and_apply()?;
            for _ in 0..self.nodes.len() {
                self.flush_one()?;
                self.compact_one()?;
            }
            self.check()?;
        }
        Ok(())
    }

    // The shell.

    fn step(&mut self, node: usize, input: Input<Named>) -> Result<(), String> {
        self.life(node).exchange.step(input);
        self.perform(node)
    }

    fn perform(&mut self, node: usize) -> Result<(), String> {
        let boot = self.nodes[node].boot;
        for effect in self.life(node).exchange.take_effects() {
            let what = match effect {
                Effect::Store { payload, .. } => What::Store(payload),
                Effect::Stat { name } => What::Stat(name),
                Effect::Delete { name } => What::Delete(name),
                Effect::ListStore { after, limit } => What::List(after, limit),
                Effect::CheckRows { ticket, names } => What::Rows(ticket, names),
                Effect::Serve { to, serve, ticket, name } => What::Serve { to: index_of(to), serve, ticket, name },
                Effect::Send { to, message } => {
                    self.check_message(node, &message)?;
                    if matches!(message, Message::Receipt(receipt) if receipt.verdict != crate::message::Verdict::Durable)
                    {
                        self.coverage.refused_pushes += 1;
                    }
                    self.send(node, index_of(to), |from, link| What::Message { from, link, message });
                    continue;
                }
                Effect::Push { to, ticket, payload } => {
                    let header = BulkHeader::Push { ticket, name: payload.name };
                    self.send(node, index_of(to), |from, link| What::Bulk { from, link, header, payload });
                    continue;
                }
                Effect::PutReady { op, holders } => {
                    if holders.len() * 2 <= self.nodes.len() {
                        return Err(format!("{op:?} is ready with the holders {holders:?}"));
                    }
                    self.put_ready(node, op)?;
                    continue;
                }
                Effect::PutFailed { op, .. } => {
                    self.coverage.puts_failed += 1;
                    self.life(node).puts.remove(&op);
                    continue;
                }
                Effect::ProposalReady { ticket } => {
                    if let Some(names) = self.life(node).proposals.remove(&ticket) {
                        self.enter_later(node, ticket, names);
                    }
                    continue;
                }
                Effect::ProposalRefused { ticket, .. } => {
                    self.life(node).proposals.remove(&ticket);
                    continue;
                }
                Effect::GateMoved | Effect::Repaired { .. } | Effect::RepairFailed { .. } => continue,
            };
            self.pending.push(Event { node, boot, what });
        }
        Ok(())
    }

    fn put_ready(&mut self, node: usize, op: PutId) -> Result<(), String> {
        let Some((named, _)) = self.life(node).puts.get(&op).copied() else { return Ok(()) };
        if self.life(node).believes_leader {
            return self.forwarded(node, named, None);
        }
        if let Some(leader) = self.leader.filter(|leader| self.linked(node, *leader)) {
            let boot = self.nodes[leader].boot;
            self.pending.push(Event { node: leader, boot, what: What::Forward { from: node, named } });
        }
        Ok(())
    }

    fn send(&mut self, from: usize, to: usize, what: impl FnOnce(usize, u64) -> What) {
        if let Some(link) = self.links.get(&(from.min(to), from.max(to))).copied() {
            let boot = self.nodes[to].boot;
            self.pending.push(Event { node: to, boot, what: what(from, link) });
        }
    }

    fn perform_one(&mut self) -> Result<(), String> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let chosen = self.rng.random_range(0..self.pending.len());
        let Event { node, boot, what } = self.pending.swap_remove(chosen);
        if self.nodes[node].life.is_none() || self.nodes[node].boot != boot {
            return Ok(());
        }
        match what {
            What::Store(named) => {
                let result = if self.unlucky(0.02) { Err(StoreFailure::Full) } else { Ok(()) };
                if result.is_ok() {
                    self.nodes[node].store.insert(named.name, named.length);
                }
                self.step(node, Input::Stored { name: named.name, result })
            }
            What::Stat(name) => {
                let length = self.nodes[node].store.get(&name).copied();
                self.step(node, Input::Statted { name, length })
            }
            What::Delete(name) => {
                self.nodes[node].store.remove(&name);
                self.step(node, Input::Removed { name, result: Ok(()) })
            }
            What::List(after, limit) => {
                let listed = |(name, length): (&Multihash, &u32)| Named { name: *name, length: *length };
                let rest = self.nodes[node].store.iter().filter(|(name, _)| after.is_none_or(|after| **name > after));
                let entries: Vec<Named> = rest.map(listed).take(limit).collect();
                let next = (entries.len() == limit).then(|| entries.last().map(|named| named.name)).flatten();
                self.step(node, Input::StoreListed { entries, next })
            }
            What::Rows(ticket, names) => {
                let rows = &self.life(node).catalog.rows;
                let absent = names.into_iter().filter(|name| !rows.contains(name)).collect();
                self.step(node, Input::RowsChecked { ticket, absent })
            }
            What::Serve { to, serve, ticket, name } => {
                let held = self.nodes[node].store.get(&name).map(|length| Named { name, length: *length });
                let outcome = if held.is_some() { ServeOutcome::Sent } else { ServeOutcome::Absent };
                if let Some(payload) = held.filter(|_| !self.unlucky(0.1)) {
                    let header = BulkHeader::Fetched { ticket, name };
                    self.send(node, to, |from, link| What::Bulk { from, link, header, payload });
                }
                self.step(node, Input::Served { ticket: serve, outcome })
            }
            What::Synced(log) => {
                self.nodes[node].write_log(&log);
                let position = self.nodes[node].log.last_position();
                self.step(node, Input::Persisted { position })?;
                self.commit_and_apply()
            }
            What::Compact(through) => {
                self.nodes[node].log.compact(through);
                self.life(node).log.compact(through);
                self.step(node, Input::Compacted { through: LogIndex(through as u64) })
            }
            What::Message { from, link, message } => {
                if !self.is_link(from, node, link) || self.unlucky(0.04) {
                    return Ok(());
                }
                let from = self.nodes[from].id;
                self.step(node, Input::Message { from, message })
            }
            What::Bulk { from, link, header, payload } => self.deliver(node, (from, link), header, payload),
            What::Forward { from, named } => self.forwarded(node, named, Some(from)),
            What::Lead(term, leader) => self.lead(node, term, leader),
            What::Enter(ticket, names) => self.enter(node, ticket, names),
        }
    }

    fn deliver(
        &mut self,
        node: usize,
        (from, link): (usize, u64),
        header: BulkHeader,
        payload: Named,
    ) -> Result<(), String> {
        if !self.is_link(from, node, link) {
            return Ok(());
        }
        let is_lost = self.unlucky(0.05);
        if let BulkHeader::Push { ticket, .. } = header {
            let outcome = if is_lost { PushOutcome::Failed } else { PushOutcome::Sent };
            let to = self.nodes[node].id;
            self.step(from, Input::PushEnded { to, ticket, outcome })?;
        }
        if is_lost {
            return Ok(());
        }
        self.coverage.fetched += u64::from(matches!(header, BulkHeader::Fetched { .. }));
        let from = self.nodes[from].id;
        self.step(node, Input::Arrived { from, header, payload })
    }

    // What must always hold.

    fn check(&self) -> Result<(), String> {
        (0..self.nodes.len()).try_for_each(|node| self.check_node(node))
    }

    fn check_node(&self, node: usize) -> Result<(), String> {
        self.check_images(node)?;
        let here = &self.nodes[node];
        let Some(life) = &here.life else { return Ok(()) };
        here.has_payloads_of(&life.log, "its log")?;
        here.has_rows_of(&life.catalog, &life.log, "its catalog")?;

        let status = life.exchange.status();
        let bounds = &status.bounds;
        let one = 160;
        let holds = [
            ("puts", status.puts as u64, bounds.puts_max as u64),
            ("put bytes", status.put_bytes, bounds.put_bytes_max + one),
            ("lanes", status.lanes.iter().map(|lane| lane.bytes).max().unwrap_or(0), bounds.lane_bytes_max),
            ("gate fetches", status.gate_fetches as u64, bounds.gate_fetches_max as u64),
            ("gate fetch bytes", status.gate_fetch_bytes, bounds.gate_fetch_bytes_max),
            ("other fetches", status.other_fetches as u64, bounds.other_fetches_max as u64),
            ("other fetch bytes", status.other_fetch_bytes, bounds.other_fetch_bytes_max),
            ("proposals", status.proposals_waiting as u64, bounds.proposals_max as u64),
            ("serves", status.serves as u64, bounds.serves_max as u64),
            ("inline bytes", status.inline_bytes, bounds.inline_bytes_max + one),
            (
                "staged bytes",
                status.staged_bytes,
                bounds.staged_bytes_max + bounds.put_bytes_max + one * bounds.gate_names_max as u64,
            ),
            ("reclaims", status.reclaims as u64, (bounds.reclaims_max + bounds.sweep_page) as u64),
        ];
        match holds.into_iter().find(|(_, value, bound)| value > bound) {
            Some((what, value, bound)) => Err(format!("{}: {value} {what}, more than {bound}", here.id)),
            None => Ok(()),
        }
    }

    /// What a power cut at this moment would leave.
    fn check_images(&self, node: usize) -> Result<(), String> {
        let here = &self.nodes[node];
        here.has_payloads_of(&here.log, "its durable log")?;
        here.has_rows_of(&here.catalog, &here.log, "its durable catalog")
    }

    fn check_message(&self, node: usize, message: &Message) -> Result<(), String> {
        match message {
            Message::Receipt(receipt) if receipt.verdict == crate::message::Verdict::Durable => {
                let held = self.nodes[node].store.contains_key(&receipt.name);
                let id = self.nodes[node].id;
                if held { Ok(()) } else { Err(format!("{id} gave a receipt for {} that it hasn't", receipt.name)) }
            }
            _ => Ok(()),
        }
    }

    /// When nothing happens any more, everything has come to its end.
    fn check_rest(&mut self) -> Result<(), String> {
        for node in 0..self.nodes.len() {
            let id = self.nodes[node].id;
            let status = self.life(node).exchange.status();
            self.coverage.reclaimed += status.reclaimed;
            let open = [
                ("leases", status.leases.total()),
                ("puts", status.puts as u64),
                ("wanted blocks", status.wanted as u64),
                ("waiting proposals", status.proposals_waiting as u64),
                ("serves", status.serves as u64),
                ("inline bytes", status.inline_bytes),
                ("staged blocks", status.staged_blocks as u64),
                ("reclaims", status.reclaims as u64),
                ("bytes in lanes", status.lanes.iter().map(|lane| lane.bytes).sum()),
                ("sweeps", u64::from(status.sweep != SweepStatus::Done)),
            ];
            if let Some((what, count)) = open.into_iter().find(|(_, count)| *count > 0) {
                return Err(format!("{id} at rest still has {count} {what}: {status:?}"));
            }
            if self.life(node).catalog.applied != self.committed.len() {
                return Err(format!("{id} never got past {:?}", status.gate_waiting_for));
            }
            let life = self.nodes[node].life.as_ref().ok_or("everything was started")?;
            let named: BTreeSet<Multihash> =
                life.log.entries.iter().flat_map(Entry::all_names).map(|named| named.name).collect();
            for name in self.nodes[node].store.keys() {
                if !life.catalog.rows.contains(name) && !named.contains(name) && !life.log.deletes(*name) {
                    return Err(format!("{id} keeps the orphan {name}"));
                }
            }
        }
        Ok(())
    }

    // Small things.

    fn life(&mut self, node: usize) -> &mut Life {
        self.nodes[node].life.as_mut().expect("only nodes that are up are asked")
    }

    fn up(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].life.is_some()).collect()
    }

    fn any_up(&mut self) -> Option<usize> {
        let up = self.up();
        self.choose(&up)
    }

    fn choose(&mut self, among: &[usize]) -> Option<usize> {
        if among.is_empty() { None } else { Some(among[self.rng.random_range(0..among.len())]) }
    }

    fn unlucky(&mut self, chance: f64) -> bool {
        self.faults == Faults::On && self.rng.random_bool(chance)
    }

    fn linked(&self, a: usize, b: usize) -> bool {
        a == b || self.links.contains_key(&(a.min(b), a.max(b)))
    }

    fn is_link(&self, a: usize, b: usize, number: u64) -> bool {
        self.links.get(&(a.min(b), a.max(b))) == Some(&number)
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

impl Node {
    /// A sync never brings back what was compacted meanwhile.
    fn write_log(&mut self, log: &Log) {
        let base = self.log.base;
        self.log = log.clone();
        self.log.compact(base);
    }

    fn has_payloads_of(&self, log: &Log, whose: &str) -> Result<(), String> {
        for (index, entry) in log.after(log.base) {
            if let Some(named) = entry.payload_names().iter().find(|named| !self.store.contains_key(&named.name)) {
                return Err(format!("{}: {whose} names {} at {index} without its payload", self.id, named.name));
            }
        }
        Ok(())
    }

    /// A row's bytes are in the store, or still in the log.
    fn has_rows_of(&self, catalog: &Catalog, log: &Log, whose: &str) -> Result<(), String> {
        let inlined = |name: &Multihash| {
            log.entries.iter().any(|entry| matches!(&entry.command, Command::PutInline(named) if named.name == *name))
        };
        match catalog.rows.iter().find(|name| !self.store.contains_key(name) && !inlined(name)) {
            Some(name) => Err(format!("{}: {whose} has a row for {name}, which is gone", self.id)),
            None => Ok(()),
        }
    }
}

impl Entry {
    fn payload_names(&self) -> Vec<Named> {
        match &self.command {
            Command::Put(names) => names.clone(),
            Command::Blank | Command::PutInline(_) | Command::Delete(_) => Vec::new(),
        }
    }

    fn all_names(&self) -> Vec<Named> {
        match &self.command {
            Command::Put(names) => names.clone(),
            Command::PutInline(named) => vec![*named],
            Command::Blank | Command::Delete(_) => Vec::new(),
        }
    }
}

impl Log {
    fn end(&self) -> usize {
        self.base + self.entries.len()
    }

    fn entry(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index.checked_sub(self.base + 1)?)
    }

    fn term_at(&self, index: usize) -> Option<u64> {
        if index == self.base { Some(self.base_term) } else { self.entry(index).map(|entry| entry.term) }
    }

    fn last(&self) -> (u64, usize) {
        (self.term_at(self.end()).unwrap_or(0), self.end())
    }

    fn last_position(&self) -> Position {
        position(self.last().0, self.end())
    }

    /// The last index up to which both logs agree. What was compacted was committed, so it agrees.
    fn common(&self, other: &Self) -> usize {
        let mut index = self.base.max(other.base).min(self.end()).min(other.end());
        while index < self.end().min(other.end()) && self.entry(index + 1) == other.entry(index + 1) {
            index += 1;
        }
        index
    }

    fn after(&self, index: usize) -> impl Iterator<Item = (usize, Entry)> + '_ {
        (index + 1..=self.end()).filter_map(|index| Some((index, self.entry(index)?.clone())))
    }

    fn truncate(&mut self, last: usize) {
        self.entries.truncate(last.saturating_sub(self.base));
    }

    fn compact(&mut self, through: usize) {
        if through > self.base {
            self.base_term = self.term_at(through).unwrap_or(self.base_term);
            self.entries.drain(..(through - self.base).min(self.entries.len()));
            self.base = through;
        }
    }

    fn deletes(&self, name: Multihash) -> bool {
        self.entries.iter().any(|entry| entry.command == Command::Delete(name))
    }
}

fn position(term: u64, index: usize) -> Position {
    Position { term: Term(term), index: LogIndex(index as u64) }
}

fn index_of(node: NodeId) -> usize {
    node.0 as usize - 1
}

fn incarnation(node: NodeId) -> Incarnation {
    Incarnation::from_bytes([node.0 as u8; 16])
}
