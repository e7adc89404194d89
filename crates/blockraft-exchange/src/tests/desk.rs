//! One exchange whose shell is the test: it is told what happened and looks at what is asked for.

use blockraft_blocks::{HashCode, Multihash};
use blockraft_types::{BootNonce, Incarnation, LogIndex, Membership, NodeId, Position, RemoteTicket, Term};

use crate::message::{Message, PushBegun, Receipt, Verdict};
use crate::{BulkHeader, Config, Effect, EntryNames, Exchange, Identity, Input, Named};

pub(super) const ME: NodeId = NodeId(1);
pub(super) const B: NodeId = NodeId(2);
pub(super) const C: NodeId = NodeId(3);

#[derive(Debug)]
pub(super) struct Desk {
    pub(super) exchange: Exchange<Named>,
}

impl Desk {
    /// Node 1 of three voters that are all connected; replay is over and `leader` leads term 1.
    pub(super) fn led_by(leader: NodeId) -> Self {
        Self::with(leader, config())
    }

    pub(super) fn with(leader: NodeId, config: Config) -> Self {
        let mut desk = Self::starting(config);
        desk.step(Input::ReplayFinished { applied: LogIndex::ZERO });
        desk.step(Input::Leader { term: Term(1), leader: Some(leader) });
        // The sweep finds an empty store.
        desk.step(Input::Tick);
        desk.step(Input::StoreListed { entries: Vec::new(), next: None });
        desk.effects();
        desk
    }

    /// The same node before its replay.
    pub(super) fn starting(config: Config) -> Self {
        let identity = Identity { node: ME, incarnation: incarnation(ME), boot: BootNonce(7) };
        let exchange = Exchange::new(identity, config).expect("the bounds of the tests fit together");
        let mut desk = Self { exchange };
        desk.step(Input::Membership { membership: voters(&[ME, B, C]) });
        desk.step(Input::PeerConnected { peer: B });
        desk.step(Input::PeerConnected { peer: C });
        desk
    }

    pub(super) fn step(&mut self, input: Input<Named>) {
        self.exchange.step(input);
    }

    pub(super) fn effects(&mut self) -> Vec<Effect<Named>> {
        self.exchange.take_effects()
    }

    pub(super) fn ticks(&mut self, count: u64) {
        for _ in 0..count {
            self.step(Input::Tick);
        }
    }

    pub(super) fn stored(&mut self, block: Named) {
        self.step(Input::Stored { name: block.name, result: Ok(()) });
    }

    /// A push of `block` arrives from `from`, which calls it `counter`.
    pub(super) fn pushed(&mut self, from: NodeId, block: Named, counter: u64) {
        let header = BulkHeader::Push { ticket: ticket_of(from, counter), name: block.name };
        self.step(Input::Arrived { from, header, payload: block });
    }

    pub(super) fn announced(&mut self, from: NodeId, block: Named) {
        let push = PushBegun { ticket: ticket_of(from, 1), name: block.name, length: block.length };
        self.step(Input::Message { from, message: Message::PushBegun(push) });
    }

    /// Makes `block` a staged block of this node, silently.
    pub(super) fn staged(&mut self, block: Named) {
        self.pushed(B, block, 99);
        self.stored(block);
        self.effects();
    }

    pub(super) fn receipt(&mut self, from: NodeId, ticket: RemoteTicket, block: Named, verdict: Verdict) {
        let receipt = Receipt { ticket, name: block.name, length: block.length, verdict };
        self.step(Input::Message { from, message: Message::Receipt(receipt) });
    }

    pub(super) fn appended(&mut self, index: u64, names: &[Named]) {
        self.step(Input::Appended { position: at(1, index), names: names.to_vec() });
    }

    pub(super) fn applied(&mut self, index: u64, created: &[Named], deleted: &[Named]) {
        let names = |blocks: &[Named]| blocks.iter().map(|block| block.name).collect();
        let (created, deleted) = (names(created), names(deleted));
        self.step(Input::Applied { index: LogIndex(index), created, deleted });
    }

    pub(super) fn compacted(&mut self, through: u64) {
        self.step(Input::Compacted { through: LogIndex(through) });
    }

    /// Offers entries at consecutive places from `first` on, one block each.
    pub(super) fn offer(&mut self, first: u64, blocks: &[Named]) -> usize {
        let entries: Vec<EntryNames> = (first..)
            .zip(blocks)
            .map(|(index, block)| EntryNames { position: at(1, index), names: vec![*block] })
            .collect();
        self.exchange.reserve_append(&entries)
    }

    /// Answers every open look-up of the store with "no such block", and gives the other effects.
    pub(super) fn store_knows_nothing(&mut self) -> Vec<Effect<Named>> {
        let mut others = Vec::new();
        loop {
            let effects = self.effects();
            if effects.is_empty() {
                return others;
            }
            for effect in effects {
                match effect {
                    Effect::Stat { name } => self.step(Input::Statted { name, length: None }),
                    other => others.push(other),
                }
            }
        }
    }

    /// Ticks until the rows of due blocks are asked for, and answers that there are none.
    pub(super) fn rows_are_absent(&mut self, ticks: u64) -> Vec<Effect<Named>> {
        self.ticks(ticks);
        let mut others = Vec::new();
        for effect in self.effects() {
            match effect {
                Effect::CheckRows { ticket, names } => self.step(Input::RowsChecked { ticket, absent: names }),
                other => others.push(other),
            }
        }
        others.extend(self.effects());
        others
    }
}

pub(super) fn config() -> Config {
    Config { grace_ticks: 100, put_ticks_max: 40, push_ticks_max: 10, retry_ticks: 2, ..Config::for_ticks_of(100) }
}

/// A block of 100 bytes.
pub(super) fn block(number: u64) -> Named {
    Named { name: Multihash::of(HashCode::Sha2_256, &number.to_le_bytes()), length: 100 }
}

pub(super) fn at(term: u64, index: u64) -> Position {
    Position { term: Term(term), index: LogIndex(index) }
}

pub(super) fn voters(nodes: &[NodeId]) -> Membership {
    Membership::of_voters(nodes.iter().map(|node| (*node, incarnation(*node))))
}

pub(super) fn incarnation(node: NodeId) -> Incarnation {
    Incarnation::from_bytes([node.0 as u8; 16])
}

pub(super) fn ticket_of(node: NodeId, counter: u64) -> RemoteTicket {
    RemoteTicket { incarnation: incarnation(node), boot: BootNonce(7), counter }
}

/// The tickets of the pushes to `peer` among `effects`, in order.
pub(super) fn pushes(effects: &[Effect<Named>], peer: NodeId) -> Vec<(RemoteTicket, Named)> {
    let push = |effect: &Effect<Named>| match effect {
        Effect::Push { to, ticket, payload } if *to == peer => Some((*ticket, *payload)),
        _ => None,
    };
    effects.iter().filter_map(push).collect()
}

/// The fetches among `effects`: whom, and what.
pub(super) fn fetches(effects: &[Effect<Named>]) -> Vec<(NodeId, RemoteTicket, Multihash)> {
    let fetch = |effect: &Effect<Named>| match effect {
        Effect::Send { to, message: Message::Fetch(fetch) } => Some((*to, fetch.ticket, fetch.name)),
        _ => None,
    };
    effects.iter().filter_map(fetch).collect()
}

pub(super) fn receipts(effects: &[Effect<Named>]) -> Vec<(NodeId, Verdict)> {
    let receipt = |effect: &Effect<Named>| match effect {
        Effect::Send { to, message: Message::Receipt(receipt) } => Some((*to, receipt.verdict)),
        _ => None,
    };
    effects.iter().filter_map(receipt).collect()
}

pub(super) fn deletes(effects: &[Effect<Named>]) -> Vec<Multihash> {
    let delete = |effect: &Effect<Named>| match effect {
        Effect::Delete { name } => Some(*name),
        _ => None,
    };
    effects.iter().filter_map(delete).collect()
}

pub(super) fn stores(effects: &[Effect<Named>]) -> Vec<Named> {
    let store = |effect: &Effect<Named>| match effect {
        Effect::Store { payload, .. } => Some(*payload),
        _ => None,
    };
    effects.iter().filter_map(store).collect()
}
