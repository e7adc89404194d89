//! The requests of a node's clients, and of its peers on behalf of theirs: what the node's writer, reader and forwarding
//! do, with virtual time instead of awaiting.

mod reads;
mod surveys;
mod writes;

use core::time::Duration;
use std::collections::BTreeMap;

use blockraft_blocks::{Block, Multihash};
use blockraft_catalog::reader::AsOf;
use blockraft_catalog::{Command, Row, RowPage, Settled};
use blockraft_exchange::{Input, PutId};
use blockraft_node::Consistency;
use blockraft_node::batch_course::BatchCourse;
use blockraft_node::freshness::Moment;
use blockraft_node::read_course::{ReadCourse, Sight, Step, Want};
use blockraft_types::{LogIndex, NodeId, Position, RemoteTicket, Role, Turn};
use blockraft_wire::node::{ForwardReply, ForwardResult, NodeMessage, NotProposed as WireNotProposed, ReadIndexResult};

use crate::happening::{Frame, Poke, What};
use crate::life::{Asker, Found, GROUP, Life, Said, Waiter};
use crate::marks::Mark;
use crate::stage::{End, Heard, Stage};
use crate::time::Time;

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// In a session or not.
    Put(Block, Option<Turn>),
    Delete(Multihash, Option<Turn>),
    OpenSession,
    /// Something of no session and without payload.
    Command(Command),
    Read(Multihash, Consistency),
    /// Blocks together.
    Batch(Vec<Multihash>, Consistency),
    /// A page of the listing.
    List {
        after: Option<Multihash>,
        limit: usize,
        consistency: Consistency,
    },
    /// How many blocks there are.
    Count(Consistency),
}

/// The open requests at one node in one life.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    requests: BTreeMap<u64, Request>,
    puts: BTreeMap<PutId, u64>,
    forwards: BTreeMap<(u64, NodeId), u64>,
    questions: BTreeMap<(u64, NodeId), u64>,
}

#[derive(Debug)]
struct Request {
    client: usize,
    wanted: Wanted,
    /// The highest index that any answer named before this was asked.
    floor: LogIndex,
    deadline: Time,
    stage: At,
    pause: u64,
    attempts: u64,
    /// An attempt may have been carried out.
    left_open: bool,
    /// What a page of the listing held.
    page: Option<RowPage>,
}

/// Where a request is.
#[derive(Debug)]
enum At {
    /// Waits to try again.
    Pausing(Next),
    /// A read index is being asked for.
    Asking(Next, Moment),
    /// The read index is being applied.
    Applying(Next, LogIndex, Moment),
    /// The bytes are on their way to a quorum.
    Spreading(PutId),
    /// An entry is on its way.
    Submitted {
        marker: Multihash,
        bytes: Bytes,
    },
    /// This node's copy is being read.
    Copying(ReadCourse),
    /// A good copy is being fetched.
    Repairing(ReadCourse),
    /// The same for blocks that were asked for together.
    ReadingBatch(Batch),
    MendingBatch(Batch),
}

/// What comes after a pause or a read index.
#[derive(Clone, Debug)]
enum Next {
    /// The read goes on once this and `at_least` are applied.
    Read(ReadCourse, LogIndex),
    /// A page is listed, or blocks are counted, once this is applied too.
    Survey(LogIndex),
    /// The same for blocks that were asked for together.
    Batch(Batch, LogIndex),
    /// Whether the block to be put is there.
    Confirm,
    /// The command is submitted.
    Submit(Bytes),
}

/// Blocks that are asked for together.
#[derive(Clone, Debug)]
struct Batch {
    course: BatchCourse,
    /// How many of them were read.
    read: usize,
}

/// How the bytes of a block get to where its entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    /// In the entry, if there are any.
    Along,
    /// Beside the log.
    Spread(PutId),
    /// The block is visible, and whole here: most likely everybody has them.
    Here,
}

impl Desk {
    /// A client asks.
    pub(crate) fn ask(&mut self, stage: &mut Stage, life: &mut Life, id: u64, client: usize, wanted: Wanted) {
        let deadline = stage.now + stage.weather.patience;
        let request = Request {
            client,
            wanted: wanted.clone(),
            floor: stage.oracle.floor(),
            deadline,
            stage: At::Pausing(Next::Confirm),
            pause: RETRY_MICROS_MIN,
            attempts: 0,
            left_open: false,
            page: None,
        };
        self.requests.insert(id, request);
        stage.after(stage.weather.patience, life.place, Some(life.boot), What::Request { id, poke: Poke::Deadline });
        match wanted {
            Wanted::Read(name, consistency) => {
                let mut course = ReadCourse::new(name, consistency, Want::Bytes);
                let step = course.begin(sight(stage, life));
                self.follow(stage, life, id, course, step);
            }
            Wanted::Batch(_, consistency) => self.batch(stage, life, id, consistency),
            Wanted::List { consistency, .. } | Wanted::Count(consistency) => self.survey(stage, life, id, consistency),
            Wanted::Put(block, turn) => match (life.rows.visible(block.multihash()), turn) {
                (Ok(AsOf { value: Some(_), .. }), None) => self.come_up(stage, life, id, Next::Confirm),
                (Ok(AsOf { value: Some(row), .. }), Some(_)) if holds_whole(stage, life, block.multihash(), row) => {
                    self.submit(stage, life, id, Bytes::Here);
                }
                _ => self.put(stage, life, id),
            },
            Wanted::Delete(..) | Wanted::OpenSession | Wanted::Command(_) => self.submit(stage, life, id, Bytes::Along),
        }
    }

    /// The life ends: nobody here learns what becomes of what was under way.
    pub(crate) fn close(self, stage: &mut Stage) {
        for request in self.requests.into_values() {
            stage.heard.push(Heard { client: request.client, end: request.undone(), page: None });
        }
    }

    /// Takes what the life says.
    pub(crate) fn hear(&mut self, stage: &mut Stage, life: &mut Life) {
        while let Some(said) = life.said.pop_front() {
            match said {
                Said::Proposed((waiter, result)) => self.proposed(stage, life, waiter, result),
                Said::ReadIndex(asker, index) => self.read_index(stage, life, asker, index),
                Said::PutReady(op) => {
                    if let Some(id) = self.puts.remove(&op) {
                        self.submit(stage, life, id, Bytes::Spread(op));
                    } else {
                        life.gate(stage, Input::PutClosed { op });
                    }
                }
                Said::PutFailed(op) => {
                    if let Some(id) = self.puts.remove(&op) {
                        stage.meet(Mark::RefusedFull);
                        self.undone(stage, life, id);
                    }
                }
                Said::Repaired(name) => {
                    self.repaired(stage, life, name, Repair::Done);
                    self.mended(stage, life, name, Repair::Done);
                }
                Said::RepairFailed(name) => {
                    self.repaired(stage, life, name, Repair::Failed);
                    self.mended(stage, life, name, Repair::Failed);
                }
                Said::RoleChanged => self.news(stage, life),
                Said::Applied => self.applied(stage, life),
            }
        }
    }

    /// Time has come for a request.
    pub(crate) fn poke(&mut self, stage: &mut Stage, life: &mut Life, id: u64, poke: Poke) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        match poke {
            Poke::Deadline => {
                if matches!(request.stage, At::Submitted { .. }) {
                    stage.meet(Mark::Unknown);
                }
                self.undone(stage, life, id);
            }
            Poke::Retry => self.retry(stage, life, id),
            Poke::Copy if matches!(request.stage, At::ReadingBatch(_)) => self.read_of_batch(stage, life, id),
            Poke::Copy => {
                let At::Copying(course) = &request.stage else { return };
                let mut course = course.clone();
                let found = life.copy(stage, &course.multihash());
                let copy = match found {
                    Found::Whole(block) => Some(block),
                    Found::Absent | Found::Damaged => life.inline.get(&course.multihash()),
                };
                let step = course.copied(copy, sight(stage, life));
                if matches!(step, Ok(Step::ComeUp { .. })) {
                    stage.meet(Mark::Doubted);
                }
                self.follow(stage, life, id, course, step);
            }
        }
    }

    /// A message of a peer.
    pub(crate) fn receive(&mut self, stage: &mut Stage, life: &mut Life, from: NodeId, message: NodeMessage) {
        match message {
            // Nobody here asks for other members, and what is asked of memories concerns no client.
            NodeMessage::ChangeMembers(_)
            | NodeMessage::ChangeMembersReply(_)
            | NodeMessage::Recall(_)
            | NodeMessage::RecallReply(_) => {}
            NodeMessage::Forward(forward) => {
                let waiter = Waiter::Peer { from, ticket: forward.ticket };
                if life.role.role == Role::Leader {
                    life.propose(stage, waiter, forward.term, forward.commands);
                } else {
                    let result =
                        ForwardResult::NotProposed { reason: WireNotProposed::NotLeader, leader: life.role.leader };
                    reply_forward(stage, life, from, forward.ticket, result);
                }
            }
            NodeMessage::ReadIndex(question) => {
                life.read_index(stage, Asker::Peer { from, ticket: question.ticket });
            }
            NodeMessage::ForwardReply(reply) => {
                if !self.asked(stage, life, reply.ticket) {
                    return;
                }
                let Some(id) = self.forwards.remove(&(reply.ticket.counter, from)) else { return };
                let fate = match reply.result {
                    ForwardResult::Committed { position, outcomes } => {
                        stage.meet(Mark::Forwarded);
                        Settled::decode_list(&outcomes, position)
                            .map_or(Fate::Unknown, |outcomes| Fate::Committed(position, outcomes))
                    }
                    ForwardResult::NotProposed { reason, .. } => {
                        if matches!(reason, WireNotProposed::OtherTerm { .. }) {
                            stage.meet(Mark::OtherTerm);
                        }
                        Fate::NotProposed
                    }
                    ForwardResult::Unknown => Fate::Unknown,
                };
                self.fate(stage, life, id, fate);
            }
            NodeMessage::ReadIndexReply(reply) => {
                if !self.asked(stage, life, reply.ticket) {
                    return;
                }
                let Some(id) = self.questions.remove(&(reply.ticket.counter, from)) else { return };
                let index = match reply.result {
                    ReadIndexResult::Index { position } => Some(position.index),
                    ReadIndexResult::NoQuorum | ReadIndexResult::NotLeader { .. } | ReadIndexResult::Overloaded => None,
                };
                self.read_index(stage, life, Asker::Request(id), index);
            }
        }
    }

    /// A peer is gone, and what it was asked is answered by nobody.
    pub(crate) fn gone(&mut self, stage: &mut Stage, life: &mut Life, peer: NodeId) {
        let of_peer = |asked: &BTreeMap<(u64, NodeId), u64>| {
            asked.iter().filter(|((_, at), _)| *at == peer).map(|(key, id)| (*key, *id)).collect::<Vec<_>>()
        };
        for (key, id) in of_peer(&self.forwards) {
            self.forwards.remove(&key);
            self.fate(stage, life, id, Fate::Unknown);
        }
        for (key, id) in of_peer(&self.questions) {
            self.questions.remove(&key);
            self.read_index(stage, life, Asker::Request(id), None);
        }
    }

    fn asked(&self, stage: &mut Stage, life: &Life, ticket: RemoteTicket) -> bool {
        let mine = ticket.incarnation == life.identity.incarnation && ticket.boot == life.identity.boot;
        if !mine {
            stage.meet(Mark::StaleTicket);
        }
        mine
    }

    fn pause(&mut self, stage: &mut Stage, life: &mut Life, id: u64, next: Next, micros: u64) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        if request.deadline <= stage.now + micros {
            return self.undone(stage, life, id);
        }
        request.stage = At::Pausing(next);
        stage.after(micros, life.place, Some(life.boot), What::Request { id, poke: Poke::Retry });
    }

    /// Another role, term or leader: it is time to try again.
    fn news(&mut self, stage: &mut Stage, life: &mut Life) {
        let pausing = |request: &Request| matches!(request.stage, At::Pausing(_));
        let ids: Vec<u64> = self.requests.iter().filter(|(_, request)| pausing(request)).map(|(id, _)| *id).collect();
        for id in ids {
            self.retry(stage, life, id);
        }
    }

    fn retry(&mut self, stage: &mut Stage, life: &mut Life, id: u64) {
        let Some(request) = self.requests.get(&id) else { return };
        match &request.stage {
            At::Pausing(next) => match next.clone() {
                Next::Submit(bytes) => self.submit(stage, life, id, bytes),
                next @ (Next::Read(..) | Next::Survey(_) | Next::Batch(..) | Next::Confirm) => {
                    self.come_up(stage, life, id, next);
                }
            },
            // The question or its answer was lost.
            At::Asking(next, asked)
                if Moment(asked.0 + Duration::from_micros(QUESTION_MICROS / 2)) < life.moment(stage) =>
            {
                let next = next.clone();
                self.questions.retain(|_, asker| *asker != id);
                self.come_up(stage, life, id, next);
            }
            _ => {}
        }
    }

    /// It comes to nothing, as far as that can be said.
    fn undone(&mut self, stage: &mut Stage, life: &mut Life, id: u64) {
        if let Some(end) = self.requests.get(&id).map(Request::undone) {
            self.end(stage, life, id, end);
        }
    }

    fn end(&mut self, stage: &mut Stage, life: &mut Life, id: u64, end: End) {
        let Some(request) = self.requests.remove(&id) else { return };
        let op = match request.stage {
            At::Spreading(op)
            | At::Submitted { bytes: Bytes::Spread(op), .. }
            | At::Pausing(Next::Submit(Bytes::Spread(op))) => Some(op),
            _ => None,
        };
        if let Some(op) = op {
            self.puts.remove(&op);
            life.gate(stage, Input::PutClosed { op });
        }
        self.questions.retain(|_, asker| *asker != id);
        let position = end.position();
        if let Some(position) = position {
            let now = stage.now;
            stage.oracle.acknowledge(now, position.index);
        }
        let now = stage.now;
        stage.trace.take(&[43, id, position.map_or(0, |position| position.index.0), end.kind()]);
        stage.trace.say(now, format_args!("request {id} {:?} ends {end:?}", request.wanted));
        stage.heard.push(Heard { client: request.client, end, page: request.page });
    }
}

impl Wanted {
    /// The same write in a session, whose turn it is.
    pub(crate) fn in_turn(self, turn: Turn) -> Self {
        match self {
            Self::Put(block, _) => Self::Put(block, Some(turn)),
            Self::Delete(name, _) => Self::Delete(name, Some(turn)),
            Self::OpenSession
            | Self::Command(_)
            | Self::Read(..)
            | Self::Batch(..)
            | Self::List { .. }
            | Self::Count(_) => self,
        }
    }

    const fn turn(&self) -> Option<Turn> {
        match self {
            Self::Put(_, turn) | Self::Delete(_, turn) => *turn,
            Self::OpenSession
            | Self::Command(_)
            | Self::Read(..)
            | Self::Batch(..)
            | Self::List { .. }
            | Self::Count(_) => None,
        }
    }
}

impl Request {
    /// How it ends when nothing more is done for it.
    const fn undone(&self) -> End {
        match self.stage {
            At::Submitted { .. } => End::Unknown,
            _ if self.left_open => End::Unknown,
            _ => End::NothingHappened,
        }
    }
}

/// What became of a submitted command.
#[derive(Debug)]
enum Fate {
    Committed(Position, Vec<Settled>),
    NotProposed,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repair {
    Done,
    Failed,
}

fn sight<'a>(stage: &Stage, life: &'a Life) -> Sight<'a> {
    Sight { rows: &life.rows, freshness: &life.freshness, now: life.moment(stage) }
}

/// Whether this node's copy of a visible block is whole; one that isn't is repaired.
fn holds_whole(stage: &mut Stage, life: &mut Life, name: &Multihash, row: Row) -> bool {
    let is_whole =
        life.copy(stage, name) != Found::Absent && (life.blocks.has_whole(name) || life.inline.get(name).is_some());
    if !is_whole {
        life.gate(stage, Input::Repair { name: *name, length: row.length });
    }
    is_whole
}

fn reply_forward(stage: &mut Stage, life: &Life, to: NodeId, ticket: RemoteTicket, result: ForwardResult) {
    let reply = ForwardReply { group: GROUP, ticket, result };
    life.send(stage, to, Frame::Node(NodeMessage::ForwardReply(reply)));
}

const RETRY_MICROS_MIN: u64 = 10_000;
const RETRY_MICROS_MAX: u64 = 200_000;

/// How long to wait before the leader is asked again for a read index, unless there is news.
const READ_INDEX_PAUSE_MICROS: u64 = 50_000;

/// How long an answer of the leader is waited for.
const QUESTION_MICROS: u64 = 300_000;
