//! The log of each member as the world sees it: what was handed to the disk, and what the disk would keep.

use std::collections::BTreeMap;

use blockraft_blocks::Multihash;
use blockraft_catalog::{Command, batch};
use blockraft_log::{Batch, LogState};
use blockraft_types::message::{AppendVerdict, Ballot, VoteVerdict};
use blockraft_types::{ChainDigest, Entry, EntryKind, HardState, LogIndex, Message, NodeId, Position, Term};

use crate::law::{Law, Verdict, demand};

/// The logs of all members. None is ever compacted here.
#[derive(Debug)]
pub(crate) struct Shadows {
    members: Vec<Shadow>,
    /// Every entry that any member ever had.
    entries: BTreeMap<(LogIndex, Term), Known>,
    leaders: BTreeMap<Term, usize>,
}

/// One member's log.
#[derive(Clone, Debug, Default)]
struct Shadow {
    handed: Vec<Link>,
    durable: Vec<Link>,
    hard_state: HardState,
    /// What the log begins after.
    anchor: LogIndex,
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
}

/// What a batch changes, kept while the batch is on its way to the disk.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    hard_state: Option<HardState>,
    truncate_from: Option<LogIndex>,
    links: Vec<Link>,
}

impl Shadows {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { members: vec![Shadow::default(); nodes], entries: BTreeMap::new(), leaders: BTreeMap::new() }
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
        let truncates = change.truncate_from.is_some_and(|from| from.0 as usize <= member.handed.len());
        change.apply(&mut member.handed);
        Ok((change, if truncates { Truncation::Drops } else { Truncation::Nothing }))
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

    /// The log begins anew behind these entries, which are committed.
    pub(crate) fn reset(&mut self, node: usize, committed: &[(Position, ChainDigest)]) {
        let member = &mut self.members[node];
        member.durable =
            committed.iter().map(|(position, chain)| Link { position: *position, chain: *chain }).collect();
        member.handed.clone_from(&member.durable);
        member.anchor = LogIndex(committed.len() as u64);
    }

    /// The power went: only what is durable is left.
    pub(crate) fn cut(&mut self, node: usize) {
        let member = &mut self.members[node];
        member.handed.clone_from(&member.durable);
    }

    pub(crate) fn compacted(&mut self, node: usize, through: LogIndex) {
        let member = &mut self.members[node];
        member.anchor = member.anchor.max(through);
    }

    /// A member starts and finds this.
    pub(crate) fn found(&self, node: usize, state: &LogState) -> Verdict {
        let member = &self.members[node];
        let last = member.durable.last().map_or(Position::ZERO, |link| link.position);
        demand(state.hard_state == member.hard_state && state.last.position == last, Law::Recovery, || {
            format!(
                "node {} finds {:?} and {}, and had {:?} and {last}",
                node + 1,
                state.hard_state,
                state.last.position,
                member.hard_state
            )
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

    /// The member's last durable entry.
    pub(crate) fn durable_last(&self, node: usize) -> LogIndex {
        LogIndex(self.members[node].durable.len() as u64)
    }

    /// Whether the member's log has this entry, durable or not.
    pub(crate) fn holds(&self, node: usize, position: Position, chain: ChainDigest) -> bool {
        at(&self.members[node].handed, position.index) == Some(Link { position, chain })
    }

    /// How many members hold the entry durably.
    pub(crate) fn durable_copies(&self, position: Position, chain: ChainDigest) -> usize {
        let wanted = Some(Link { position, chain });
        self.members.iter().filter(|member| at(&member.durable, position.index) == wanted).count()
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
        let anchor = member.anchor.0 as usize;
        let logs = member.durable.iter().skip(anchor).chain(member.handed.iter().skip(anchor));
        logs.map(|link| link.position)
            .find(|position| self.entries.get(&(position.index, position.term)).is_some_and(&is_it))
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
                AppendVerdict::Matched { match_index } if member.durable.len() < match_index.0 as usize => {
                    Err(broken("those entries aren't durable"))
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
    Nothing,
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

fn at(log: &[Link], index: LogIndex) -> Option<Link> {
    (index.0 as usize).checked_sub(1).and_then(|place| log.get(place)).copied()
}

impl Known {
    fn of(entry: &Entry) -> Self {
        let mut known = Self { chain: entry.head.chain, beside: Vec::new(), inlined: Vec::new() };
        if entry.head.kind != EntryKind::Command {
            return known;
        }
        for command in batch::decode(&entry.body).unwrap_or_default() {
            match command {
                Command::Put { multihash, inline: None, .. } => known.beside.push(multihash),
                Command::Put { multihash, inline: Some(_), .. } => known.inlined.push(multihash),
                Command::Delete { .. } | Command::Noop => {}
            }
        }
        known
    }
}
