//! Clients: each has one request at a time, at a node of its choice.

use blockraft_blocks::{Block, HashCode, Multihash};
use blockraft_catalog::{Outcome, Settled};
use blockraft_node::Consistency;
use blockraft_types::{Position, SessionId};

use crate::chance::Chance;
use crate::desk::Wanted;
use crate::happening::What;
use crate::importer::Importer;
use crate::law::Verdict;
use crate::listing::{Course, Listing};
use crate::marks::Mark;
use crate::member::Member;
use crate::oracle::Oracle;
use crate::place::place_of;
use crate::session::Session;
use crate::stage::{End, Heard, Stage};
use crate::weather::Weather;

/// All clients of a world.
#[derive(Debug)]
pub(crate) struct Clients {
    clients: Vec<Client>,
    /// Every block that anybody ever tried to put.
    blocks: Vec<Block>,
    newest_request: u64,
    chance: Chance,
    /// For answers that speak of many blocks at once.
    surveys: Chance,
    /// For those who import.
    importing: Chance,
    pub(crate) load: Load,
    /// How many requests were answered.
    pub(crate) answered: u64,
    /// Somebody who isn't a client and waits for one answer.
    listener: Option<usize>,
    heard: Option<End>,
}

#[derive(Clone, Debug, Default)]
struct Client {
    /// The node that it prefers.
    home: usize,
    /// The newest position that it was told.
    seen: Position,
    is_busy: bool,
    /// It only asks what needn't wait for a quorum, so that nodes which have none are asked too.
    is_reader: bool,
    habit: Habit,
    /// It lists the blocks.
    listing: Option<Listing>,
    /// It imports graphs, now and then.
    importer: Option<Importer>,
}

/// How a client writes.
#[derive(Clone, Debug, Default)]
enum Habit {
    /// It surfaces what is unknown.
    #[default]
    Plain,
    /// In a session, once it has one: what is unknown is asked for until it is known.
    InSession(Option<Session>),
}

/// Whether clients ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    On,
    Off,
}

impl Client {
    /// Whether it is going to find out what became of a write.
    fn is_open(&self) -> bool {
        matches!(&self.habit, Habit::InSession(Some(session)) if session.is_open())
    }
}

impl Clients {
    pub(crate) fn new(stage: &mut Stage, chance: Chance, surveys: Chance, importing: Chance) -> Self {
        let count = stage.weather.clients;
        let mut clients = Self {
            clients: vec![Client::default(); count],
            blocks: Vec::new(),
            newest_request: 0,
            chance,
            surveys,
            importing,
            load: Load::On,
            answered: 0,
            listener: None,
            heard: None,
        };
        for client in 0..count {
            clients.clients[client].is_reader = 0 < client && clients.chance.permille(400);
            if !clients.clients[client].is_reader && clients.chance.permille(600) {
                clients.clients[client].habit = Habit::InSession(None);
            }
            let imports = !clients.clients[client].is_reader && clients.importing.permille(350);
            clients.clients[client].importer = imports.then(Importer::default);
            clients.think(stage, client);
        }
        clients
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.clients.iter().all(|client| !client.is_busy && !client.is_open())
    }

    fn think(&mut self, stage: &mut Stage, client: usize) {
        let delay = stage.weather.think.draw(&mut self.chance);
        stage.after(delay, 0, None, What::Client { client });
    }

    /// It is this client's turn.
    pub(crate) fn act(&mut self, stage: &mut Stage, members: &mut [Member], client: usize) {
        let Some(Client { is_busy: false, .. }) = self.clients.get(client) else { return };
        if self.load == Load::Off && !self.clients[client].is_open() {
            return;
        }
        if self.chance.permille(250) {
            let home = self.chance.below(members.len() as u64) as usize;
            self.clients[client].home = home;
        }
        if self.load == Load::Off {
            // All is healed, and an open turn shall end: those who left the group answer nobody.
            let places: Vec<usize> = stage.oracle.membership().members().map(|(node, _)| place_of(node)).collect();
            if !places.contains(&self.clients[client].home) {
                self.clients[client].home = self.chance.pick(&places).unwrap_or_default();
            }
        }
        let wanted = self.choose(stage, client);
        let home = self.clients[client].home;
        self.newest_request += 1;
        let id = self.newest_request;
        let now = stage.now;
        stage.trace.say(now, format_args!("client {client} asks node {} for {id}: {wanted:?}", home + 1));
        self.clients[client].is_busy = true;
        if !members[home].ask(stage, id, client, wanted) {
            self.clients[client].is_busy = false;
            if let Habit::InSession(Some(session)) = &mut self.clients[client].habit {
                session.stand_by();
            }
            if let Some(importer) = &mut self.clients[client].importer {
                importer.stand_by();
            }
            let home = self.chance.below(members.len() as u64) as usize;
            self.clients[client].home = home;
            self.think(stage, client);
        }
    }

    /// Clients hear of what they asked.
    pub(crate) fn hear(&mut self, stage: &mut Stage) {
        for Heard { client, end, page } in core::mem::take(&mut stage.heard) {
            if self.listener == Some(client) {
                // Of several requests one answer is enough.
                self.heard = self.heard.filter(|heard| heard.is_answer()).or(Some(end));
            }
            let Some(listener) = self.clients.get_mut(client) else { continue };
            listener.is_busy = false;
            if let Some(position) = end.position() {
                listener.seen = listener.seen.max(position);
                self.answered += 1;
            }
            if let (Some(page), Some(position)) = (page, end.position()) {
                let mut listing = listener.listing.take().unwrap_or_default();
                match listing.take(page, position) {
                    Course::GoesOn => listener.listing = Some(listing),
                    course @ (Course::Over | Course::OverAmidChanges) => {
                        if course == Course::OverAmidChanges {
                            stage.meet(Mark::ListedAmidChanges);
                        }
                        let verdict = listing.judge(&stage.oracle);
                        stage.judge(verdict);
                    }
                }
            }
            let was_import = listener.importer.as_mut().is_some_and(|importer| importer.hear(end));
            if let Habit::InSession(session) = &mut listener.habit
                && !was_import
            {
                let writes_max = self.chance.between(1, 4) as usize;
                let verdict = hear_in_session(session, end, &stage.oracle, writes_max);
                stage.judge(verdict);
                // Some don't believe it at once.
                if session.as_ref().is_some_and(Session::is_expired) && self.chance.permille(500) {
                    *session = None;
                }
                if end == End::Unknown {
                    listener.home = self.chance.below(stage.weather.places() as u64) as usize;
                }
            }
            self.think(stage, client);
        }
    }

    /// From now on the answer to `listener` is remembered.
    pub(crate) const fn listen(&mut self, listener: usize) {
        self.listener = Some(listener);
        self.heard = None;
    }

    /// How the request of the listener ended.
    pub(crate) const fn heard(&self) -> Option<End> {
        self.heard
    }

    fn choose(&mut self, stage: &Stage, client: usize) -> Wanted {
        if let Some(wanted) = self.choose_survey(stage, client) {
            return wanted;
        }
        if let Some(wanted) = self.choose_in_import(stage, client) {
            return wanted;
        }
        if let Some(wanted) = self.choose_in_session(client) {
            return wanted;
        }
        let wanted = self.choose_anything(stage, client);
        match (&wanted, &mut self.clients[client].habit) {
            (Wanted::Put(..) | Wanted::Delete(..), Habit::InSession(Some(session))) if self.chance.permille(850) => {
                session.begin(wanted, stage.oracle.floor())
            }
            _ => wanted,
        }
    }

    /// Something about many blocks at once, or the next page of what it lists. Readers ask for nothing that has to wait for
    /// a quorum.
    fn choose_survey(&mut self, stage: &Stage, client: usize) -> Option<Wanted> {
        let Client { seen, is_reader, ref listing, .. } = self.clients[client];
        let often = if listing.is_some() { 500 } else { stage.weather.mix.surveys };
        if self.load == Load::Off || self.blocks.is_empty() || !self.surveys.permille(often) {
            return None;
        }
        let consistency = match self.surveys.below(5) {
            0 => Consistency::Local,
            1 | 2 => Consistency::Linearizable,
            _ => Consistency::Confirmed { at_least: seen },
        };
        if listing.is_some() || !is_reader && self.surveys.permille(500) {
            let (after, at_least) = listing.as_ref().map_or((None, seen), |of| (of.after(), of.at_least()));
            // What a listing promises rests on pages none of which is older than the one before.
            let confirmed = Consistency::Confirmed { at_least };
            let consistency = if consistency == Consistency::Linearizable { consistency } else { confirmed };
            return Some(Wanted::List { after, limit: self.surveys.between(1, 4) as usize, consistency });
        }
        if !is_reader && self.surveys.permille(300) {
            return Some(Wanted::Count(consistency));
        }
        let back = stage.weather.keys.min(self.blocks.len() as u64);
        let mut pick = || *self.blocks[self.blocks.len() - 1 - self.surveys.below(back) as usize].multihash();
        let names = (0..4).map(|_| pick()).collect();
        Some(Wanted::Batch(names, consistency))
    }

    /// What a client wants that imports.
    fn choose_in_import(&mut self, stage: &Stage, client: usize) -> Option<Wanted> {
        let is_open = self.clients[client].is_open();
        if self.load == Load::Off || is_open || self.clients[client].importer.is_none() || !self.importing.permille(700)
        {
            return None;
        }
        let near = stage.weather.keys.min(self.blocks.len() as u64);
        let places: Vec<usize> =
            (0..3).filter(|_| 0 < near).map(|_| self.blocks.len() - 1 - self.importing.below(near) as usize).collect();
        let known = places.first().and_then(|place| self.blocks.get(*place)).map(|block| *block.multihash());
        let mut importer = self.clients[client].importer.take()?;
        if importer.wants_blocks() {
            let leaves = places.iter().filter_map(|place| self.blocks.get(*place).cloned()).collect();
            let root = self.make(stage);
            importer.bring(&mut self.importing, leaves, root);
        }
        let wanted = importer.ask(&mut self.importing, &stage.oracle, known);
        self.clients[client].importer = Some(importer);
        Some(wanted)
    }

    /// What a client wants of its session alone: to have one, to know what became of a write, or to hear it again.
    fn choose_in_session(&mut self, client: usize) -> Option<Wanted> {
        let Habit::InSession(session) = &mut self.clients[client].habit else { return None };
        let Some(session) = session else { return Some(Wanted::OpenSession) };
        if self.chance.permille(60) {
            session.give_up();
        }
        (session.is_open() || self.chance.permille(150)).then(|| session.again(&mut self.chance)).flatten()
    }

    fn choose_anything(&mut self, stage: &Stage, client: usize) -> Wanted {
        if self.clients[client].is_reader && !self.blocks.is_empty() {
            let name = *self.known(stage).multihash();
            let consistency = if self.chance.permille(150) { Consistency::Local } else { Consistency::default() };
            return Wanted::Read(name, consistency);
        }
        let mix = stage.weather.mix;
        let drawn = self.chance.below(1_000);
        if self.blocks.is_empty() || drawn < mix.fresh_puts {
            return Wanted::Put(self.make(stage), None);
        }
        let block = self.known(stage);
        let name = *block.multihash();
        if drawn < mix.fresh_puts + mix.puts {
            return Wanted::Put(block, None);
        }
        if drawn < mix.fresh_puts + mix.puts + mix.deletes {
            return Wanted::Delete(name, None);
        }
        Wanted::Read(name, self.consistency(client))
    }

    fn consistency(&mut self, client: usize) -> Consistency {
        let seen = if self.chance.permille(500) { self.clients[client].seen } else { Position::ZERO };
        match self.chance.below(5) {
            0 => Consistency::Local,
            1 | 2 => Consistency::Linearizable,
            _ => Consistency::Confirmed { at_least: seen },
        }
    }

    /// One of the newest blocks.
    fn known(&mut self, stage: &Stage) -> Block {
        let back = self.chance.below(stage.weather.keys.min(self.blocks.len() as u64)) as usize;
        self.blocks[self.blocks.len() - 1 - back].clone()
    }

    fn make(&mut self, stage: &Stage) -> Block {
        if self.chance.permille(stage.weather.mix.inline) {
            let length = self.chance.between(9, u64::from(stage.weather.inline_bytes_max));
            return self.make_of(length);
        }
        self.fresh(stage)
    }

    fn make_of(&mut self, length: u64) -> Block {
        let mut bytes = vec![0_u8; length as usize];
        bytes[..8].copy_from_slice(&(self.blocks.len() as u64).to_le_bytes());
        let block = Block::hash(HashCode::Sha2_256, bytes);
        self.blocks.push(block.clone());
        block
    }

    /// The number of a request that nobody drew yet, and the place of a client that isn't among the clients.
    pub(crate) fn probe(&mut self) -> (u64, usize) {
        self.newest_request += 1;
        (self.newest_request, usize::MAX)
    }

    /// A block that nobody put yet, too long to ride in the log.
    pub(crate) fn fresh(&mut self, stage: &Stage) -> Block {
        let Weather { inline_bytes_max, block_bytes_max, .. } = stage.weather;
        let length = self.chance.between(u64::from(inline_bytes_max) + 1, block_bytes_max);
        self.make_of(length)
    }

    /// The block of that name.
    pub(crate) fn block(&self, name: &Multihash) -> Option<&Block> {
        self.blocks.iter().find(|block| block.multihash() == name)
    }
}

/// A client hears how a request ended, which may have been for a session.
fn hear_in_session(session: &mut Option<Session>, end: End, oracle: &Oracle, writes_max: usize) -> Verdict {
    match (session.as_mut(), end) {
        (Some(session), _) => session.hear(end, oracle),
        (None, End::Written(Settled { outcome: Outcome::SessionOpened, position })) => {
            // It is the first command of its entry.
            *session = Some(Session::new(SessionId { opened: position.index, number: 0 }, writes_max));
            Ok(())
        }
        (None, _) => Ok(()),
    }
}
