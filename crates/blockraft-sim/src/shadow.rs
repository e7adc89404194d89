//! The log of each member as the world sees it: what was handed to the disk, and what the disk would keep.

use std::collections::BTreeMap;

use blockraft_blocks::Multihash;
use blockraft_catalog::{Command, batch};
use blockraft_log::{Batch, LogState};
use blockraft_node::witness::Past;
use blockraft_types::message::{AppendVerdict, Ballot, VoteVerdict};
use blockraft_types::{
    ChainDigest, Entry, EntryKind, HardState, LogIndex, Membership, Message, NodeId, Position, Term,
};

use crate::law::{Law, Verdict, demand};
use crate::place::node_at;

/// The logs of all members. None is ever compacted here.
#[derive(Debug)]
pub(crate) struct Shadows {
    members: Vec<Shadow>,
    /// Every entry that any member ever had.
    entries: BTreeMap<(LogIndex, Term), Known>,
    /// The configuration before any that stands in a log.
    genesis: Membership,
    /// Every configuration that any member ever went by, which may be before its entry is handed to the disk.
    announced: BTreeMap<LogIndex, Vec<Membership>>,
    leaders: BTreeMap<Term, usize>,
    /// A member's log as it once was, for the disk to go back to.
    remembered: Option<(usize, Shadow)>,
}

/// One member's log.
#[derive(Clone, Debug, Default)]
struct Shadow {
    handed: Vec<Link>,
    /// The configurations among what was handed.
    configurations: Vec<Position>,
    durable: Vec<Link>,
    /// What the disk has forgotten, until the member holds again all that it promised with it.
    forgotten: Vec<Link>,
    /// The last term in which it can have promised that.
    forgotten_in: Term,
    hard_state: HardState,
    /// What the log begins after.
    anchor: LogIndex,
    /// The snapshot that the state machine has taken last: the log will begin after it, if need be at the next start.
    installed: LogIndex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    position: Position,
    chain: ChainDigest,
}

#[derive(Clone, Debug)]
struct Known {
    chain: ChainDigest,
    /// The blocks that it names beside the log.
    beside: Vec<Multihash>,
    /// The blocks that ride in it.
    inlined: Vec<Multihash>,
    /// The configuration that it brings.
    membership: Option<Membership>,
}

/// What a batch changes, kept while the batch is on its way to the disk.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    hard_state: Option<HardState>,
    truncate_from: Option<LogIndex>,
    links: Vec<Link>,
}

impl Shadows {
    pub(crate) fn new(places: usize, genesis: Membership) -> Self {
        Self {
            members: vec![Shadow::default(); places],
            entries: BTreeMap::new(),
            genesis,
            announced: BTreeMap::new(),
            leaders: BTreeMap::new(),
            remembered: None,
        }
    }

    /// A batch is on its way to the disk. `has` tells whether the member's store has a durable copy.
    pub(crate) fn handed(
        &mut self,
        node: usize,
        batch: &Batch,
        has: impl Fn(&Multihash) -> bool,
    ) -> Result<(Change, Truncation), (Law, String)> {
        let mut links = Vec::with_capacity(batch.entries.len());
        for entry in &batch.entries {
            self.judge(node, entry, &has)?;
            links.push(Link { position: entry.head.position, chain: entry.head.chain });
        }
        let change = Change { hard_state: batch.hard_state, truncate_from: batch.truncate_from, links };
        let member = &mut self.members[node];
        let kept = change.truncate_from.map_or(member.handed.len(), |from| (from.0 as usize).saturating_sub(1));
        let dropped = member.handed.get(kept..).unwrap_or_default();
        let is_membership = |link: &Link| self.entries.get(&link.key()).is_some_and(|known| known.membership.is_some());
        let truncation = match dropped {
            [] => Truncation::Nothing,
            _ if dropped.iter().any(is_membership) => Truncation::DropsMembers,
            _ => Truncation::Drops,
        };
        change.apply(&mut member.handed);
        member.configurations.retain(|position| (position.index.0 as usize) <= kept);
        let brought = change.links.iter().filter(|link| is_membership(link)).map(|link| link.position);
        member.configurations.extend(brought);
        Ok((change, truncation))
    }

    fn judge(&mut self, node: usize, entry: &Entry, has: impl Fn(&Multihash) -> bool) -> Verdict {
        let position = entry.head.position;
        let known = self.entries.entry((position.index, position.term)).or_insert_with(|| Known::of(entry));
        demand(known.chain == entry.head.chain, Law::LogMatching, || {
            format!("node {} has another entry at {position} than others had", node + 1)
        })?;
        match known.beside.iter().find(|name| !has(name)) {
            None => Ok(()),
            Some(name) => Err((
                Law::PayloadFirst,
                format!("node {} takes {position} into its log, but {name} isn't durable there", node + 1),
            )),
        }
    }

    /// The disk has it.
    pub(crate) fn durable(&mut self, node: usize, change: &Change) -> Verdict {
        let member = &mut self.members[node];
        change.apply(&mut member.durable);
        if let Some(next) = change.hard_state {
            let HardState { term, voted_for } = member.hard_state;
            let kept = term < next.term || term == next.term && (voted_for.is_none() || voted_for == next.voted_for);
            demand(kept, Law::DurableVotes, || {
                format!("node {} writes {next:?} over {:?}", node + 1, member.hard_state)
            })?;
            member.hard_state = next;
        }
        Ok(())
    }

    /// The log is about to begin anew behind these entries, which are committed; what is handed to the disk from now on
    /// comes behind them.
    pub(crate) fn reset(&mut self, node: usize, committed: &[(Position, ChainDigest)]) {
        self.members[node].handed = links(committed);
        self.look_through(node);
    }

    /// The state machine has taken a snapshot.
    pub(crate) fn installed(&mut self, node: usize, index: LogIndex) {
        self.members[node].installed = index;
    }

    /// The disk has begun the log anew behind these entries.
    pub(crate) fn durably_reset(&mut self, node: usize, committed: &[(Position, ChainDigest)]) {
        let member = &mut self.members[node];
        member.durable = links(committed);
        member.anchor = LogIndex(committed.len() as u64);
    }

    /// The power went: only what is durable is left.
    pub(crate) fn cut(&mut self, node: usize) {
        let member = &mut self.members[node];
        member.handed.clone_from(&member.durable);
        self.look_through(node);
    }

    /// The disk may go back to what it holds now.
    pub(crate) fn remember(&mut self, node: usize) {
        self.remembered = Some((node, self.members[node].clone()));
    }

    /// Whose disk may go back to what it held once.
    pub(crate) fn remembered(&self) -> Option<usize> {
        self.remembered.as_ref().map(|(place, _)| *place)
    }

    /// This node's disk doesn't any more.
    pub(crate) fn forget_remembered(&mut self, node: usize) {
        self.remembered.take_if(|(place, _)| *place == node);
    }

    /// The disk goes back to what it held, but for term and vote. Says whether entries are gone by that.
    pub(crate) fn lose_tail(&mut self, node: usize) -> bool {
        let Some((_, older)) = self.remembered.take_if(|(place, _)| *place == node) else { return false };
        let member = &mut self.members[node];
        if older.durable.last() == member.durable.last() {
            return false;
        }
        // What was forgotten before and not made good since is no more there for it.
        if member.forgotten.len() <= member.durable.len() {
            member.forgotten.clone_from(&member.durable);
        }
        member.forgotten_in = member.hard_state.term;
        member.durable = older.durable;
        member.anchor = older.anchor;
        self.cut(node);
        true
    }

    /// Whether the member lost entries at the end of its log and doesn't hold again all that it promised with them.
    pub(crate) fn is_recovering(&self, node: usize) -> bool {
        !self.members[node].forgotten.is_empty()
    }

    /// It says that it does now.
    pub(crate) fn recovered(&mut self, node: usize, committed: &[(Position, ChainDigest)]) -> Verdict {
        let member = &mut self.members[node];
        let (forgotten, durable) = (core::mem::take(&mut member.forgotten), &member.durable);
        let is_later = durable.last().is_some_and(|link| member.forgotten_in < link.position.term);
        let committed = links(committed);
        let mut both = forgotten.iter().zip(&committed).filter(|(forgotten, committed)| forgotten == committed);
        let is_whole = both.all(|(_, link)| at(durable, link.position.index) == Some(*link));
        demand(forgotten.is_empty() || is_later && is_whole, Law::Recovery, || {
            format!("node {} says too early that it holds again what its log lost", node + 1)
        })
    }

    pub(crate) fn compacted(&mut self, node: usize, through: LogIndex) {
        let member = &mut self.members[node];
        member.anchor = member.anchor.max(through);
    }

    /// A member starts and finds this.
    pub(crate) fn found(&mut self, node: usize, state: &LogState, committed: &[(Position, ChainDigest)]) -> Verdict {
        demand(state.lost_tail.is_none() || self.is_recovering(node), Law::Recovery, || {
            format!("node {} misses {:?}, and had lost nothing", node + 1, state.lost_tail)
        })?;
        if state.lost_tail.is_none() {
            // Made good before the power went; nobody heard of it.
            self.recovered(node, committed)?;
        }
        let Shadow { durable, hard_state, anchor, .. } = &self.members[node];
        let last = durable.last().map_or(Position::ZERO, |link| link.position);
        let same = durable.last().is_none_or(|link| link.chain == state.last.chain)
            && (state.hard_state, state.last.position, state.anchor.position.index) == (*hard_state, last, *anchor);
        demand(same, Law::Recovery, || {
            format!("node {} finds {state:?}, and had {hard_state:?} and a log after {anchor} up to {last}", node + 1)
        })
    }

    /// A member leads.
    pub(crate) fn leads(&mut self, node: usize, term: Term) -> Verdict {
        let leader = *self.leaders.entry(term).or_insert(node);
        demand(leader == node, Law::OneLeaderPerTerm, || {
            format!("nodes {} and {} both lead term {term}", leader + 1, node + 1)
        })
    }

    /// How many entries a member has handed to its disk.
    pub(crate) fn handed_len(&self, node: usize) -> usize {
        self.members[node].handed.len()
    }

    /// What the member's log begins after.
    pub(crate) fn anchor(&self, node: usize) -> LogIndex {
        self.members[node].anchor
    }

    /// Whether the member's log has this entry, durable or not.
    pub(crate) fn holds(&self, node: usize, position: Position, chain: ChainDigest) -> bool {
        at(&self.members[node].handed, position.index) == Some(Link { position, chain })
    }

    /// Which nodes hold the entry durably. What a disk forgot counts as long as its member gives nobody a vote.
    pub(crate) fn holders(&self, position: Position, chain: ChainDigest) -> Vec<NodeId> {
        let wanted = Some(Link { position, chain });
        let holds = |place: &usize| {
            let Shadow { durable, forgotten, .. } = &self.members[*place];
            at(durable, position.index) == wanted || at(forgotten, position.index) == wanted
        };
        (0..self.members.len()).filter(holds).map(|place| NodeId(place as u64 + 1)).collect()
    }

    /// Whether a quorum holds the entry durably: of the configuration that was in force where it stands in the log of
    /// `node`, or of a later one, since a leader counts by the newest that it has.
    pub(crate) fn is_on_quorum(&self, node: usize, position: Position, chain: ChainDigest) -> bool {
        let holders = self.holders(position, chain);
        let holds = |node: NodeId| holders.contains(&node);
        let later = self.announced.range(position.index.next()..).flat_map(|(_, memberships)| memberships);
        let mut in_force = later.chain([self.in_force(node, position.index)]);
        in_force.any(|membership| is_quorum(membership, holds))
    }

    /// A member goes by a configuration from now on.
    pub(crate) fn announced(&mut self, index: LogIndex, membership: &Membership) {
        let known = self.announced.entry(index).or_default();
        if !known.contains(membership) {
            known.push(membership.clone());
        }
    }

    /// Whether there was never a configuration in which the others were no quorum.
    pub(crate) fn others_always_elect(&self, node: usize) -> bool {
        let mut all = self.announced.values().flatten().chain([&self.genesis]);
        all.all(|membership| is_quorum(membership, |other| other != node_at(node)))
    }

    /// The configuration in force where a node's log ends.
    pub(crate) fn configuration(&self, node: usize) -> &Membership {
        self.in_force(node, LogIndex(u64::MAX))
    }

    /// How far a node's disk has come, and the configuration in force where it ends.
    pub(crate) fn on_disk(&self, node: usize) -> (Past, &Membership) {
        let Shadow { durable, hard_state, .. } = &self.members[node];
        let brought = |link: &Link| self.entries.get(&link.key()).and_then(|known| known.membership.as_ref());
        let membership = durable.iter().rev().find_map(brought).unwrap_or(&self.genesis);
        (Past::of_disk(*hard_state, LogIndex(durable.len() as u64)), membership)
    }

    fn in_force(&self, node: usize, index: LogIndex) -> &Membership {
        let newest = self.members[node].configurations.iter().rev().find(|position| position.index <= index);
        let known = newest.and_then(|position| self.entries.get(&(position.index, position.term)));
        known.and_then(|known| known.membership.as_ref()).unwrap_or(&self.genesis)
    }

    /// Finds the configurations anew in what is handed.
    fn look_through(&mut self, node: usize) {
        let member = &mut self.members[node];
        let brings = |link: &&Link| self.entries.get(&link.key()).is_some_and(|known| known.membership.is_some());
        member.configurations = member.handed.iter().filter(brings).map(|link| link.position).collect();
    }

    /// The entry of the member's un-compacted log that names the block beside it.
    pub(crate) fn names(&self, node: usize, name: &Multihash) -> Option<Position> {
        self.find(node, |known| known.beside.contains(name))
    }

    /// The entry of the member's un-compacted log in which the block rides.
    pub(crate) fn carries(&self, node: usize, name: &Multihash) -> Option<Position> {
        self.find(node, |known| known.inlined.contains(name))
    }

    fn find(&self, node: usize, is_it: impl Fn(&Known) -> bool) -> Option<Position> {
        let member = &self.members[node];
        let anchor = member.anchor.max(member.installed).0 as usize;
        let logs = member.durable.iter().skip(anchor).chain(member.handed.iter().skip(anchor));
        logs.map(|link| link.position)
            .find(|position| self.entries.get(&(position.index, position.term)).is_some_and(&is_it))
    }

    /// The durable entry of the leader of `term`, as long as it is in that term.
    fn of_leader(&self, term: Term, leader: NodeId, index: LogIndex) -> Option<Link> {
        let place = self.leaders.get(&term).copied().filter(|place| *place as u64 + 1 == leader.0)?;
        let member = self.members.get(place).filter(|member| member.hard_state.term == term)?;
        at(&member.durable, index)
    }

    /// What a message promises must be durable.
    pub(crate) fn sent(&self, node: usize, to: NodeId, message: &Message) -> Verdict {
        let member = &self.members[node];
        let HardState { term: durable_term, voted_for } = member.hard_state;
        let me = NodeId(node as u64 + 1);
        let is_prevote = match message {
            Message::RequestVote(vote) => vote.ballot == Ballot::PreVote,
            Message::RequestVoteReply(reply) => {
                reply.ballot == Ballot::PreVote && reply.verdict == VoteVerdict::Granted
            }
            _ => false,
        };
        let broken = |what: &str| (Law::PromisesAreDurable, format!("node {me} sends {message:?} to {to}, but {what}"));
        if !is_prevote && durable_term < message.term() {
            return Err(broken("its durable term is lower"));
        }
        let voted = |candidate: NodeId| durable_term != message.term() || voted_for == Some(candidate);
        // A promise of an earlier term was kept until a later batch ended that term. One sync may make both durable, and what
        // is said then is as good as what was said in between and was long on its way.
        let is_of_this_term = durable_term == message.term();
        match message {
            Message::RequestVote(vote) if vote.ballot == Ballot::Vote && !voted(me) => {
                Err(broken("its own vote isn't durable"))
            }
            Message::RequestVoteReply(reply)
                if reply.ballot == Ballot::Vote && reply.verdict == VoteVerdict::Granted && !voted(to) =>
            {
                Err(broken("that vote isn't durable"))
            }
            Message::AppendEntriesReply(reply) => match reply.verdict {
                AppendVerdict::Matched { match_index }
                    if is_of_this_term && member.durable.len() < match_index.0 as usize =>
                {
                    Err(broken("those entries aren't durable"))
                }
                // A leader's log only grows in its term; the end of it may not be durable yet.
                AppendVerdict::Matched { match_index }
                    if is_of_this_term
                        && self
                            .of_leader(reply.term, to, match_index)
                            .is_some_and(|link| at(&member.durable, match_index) != Some(link)) =>
                {
                    Err(broken("its entry there is another one"))
                }
                AppendVerdict::Matched { .. } | AppendVerdict::Conflict { .. } => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// Whether a batch drops entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truncation {
    Drops,
    /// A configuration among them.
    DropsMembers,
    Nothing,
}

impl Link {
    const fn key(&self) -> (LogIndex, Term) {
        (self.position.index, self.position.term)
    }
}

impl Change {
    fn apply(&self, log: &mut Vec<Link>) {
        if let Some(from) = self.truncate_from {
            log.truncate((from.0 as usize).saturating_sub(1));
        }
        for link in &self.links {
            log.truncate((link.position.index.0 as usize).saturating_sub(1));
            log.push(*link);
        }
    }
}

/// Whether those of whom it `holds` are a quorum: a majority of each half.
pub(crate) fn is_quorum(membership: &Membership, holds: impl Fn(NodeId) -> bool) -> bool {
    [&membership.voters, &membership.outgoing].into_iter().all(|half| {
        let count = half.keys().filter(|node| holds(**node)).count();
        half.is_empty() || half.len() < 2 * count
    })
}

fn links(committed: &[(Position, ChainDigest)]) -> Vec<Link> {
    committed.iter().map(|(position, chain)| Link { position: *position, chain: *chain }).collect()
}

fn at(log: &[Link], index: LogIndex) -> Option<Link> {
    (index.0 as usize).checked_sub(1).and_then(|place| log.get(place)).copied()
}

impl Known {
    fn of(entry: &Entry) -> Self {
        let mut known = Self { chain: entry.head.chain, beside: Vec::new(), inlined: Vec::new(), membership: None };
        match &entry.head.kind {
            EntryKind::Command => {}
            EntryKind::Membership(membership) => {
                known.membership = Some((**membership).clone());
                return known;
            }
            EntryKind::Blank => return known,
        }
        for request in batch::decode(&entry.body).unwrap_or_default() {
            match request.command {
                Command::Put { multihash, inline: None, .. } => known.beside.push(multihash),
                Command::Put { multihash, inline: Some(_), .. } => known.inlined.push(multihash),
                _ => {}
            }
        }
        known
    }
}
