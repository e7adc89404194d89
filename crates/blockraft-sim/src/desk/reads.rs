//! The way of a read: the steps of its course, and the read indexes that they need.

use blockraft_blocks::Multihash;
use blockraft_catalog::{AsOf, RowError};
use blockraft_exchange::Input;
use blockraft_node::Consistency;
use blockraft_node::batch_course::Step as BatchStep;
use blockraft_node::read_course::{Found as FoundBlock, ReadCourse, Step};
use blockraft_types::{LogIndex, Position, Role};
use blockraft_wire::node::{NodeMessage, ReadIndex, ReadIndexReply, ReadIndexResult};

use crate::desk::{
    At, Desk, Next, QUESTION_MICROS, READ_INDEX_PAUSE_MICROS, Repair, Request, Wanted, holds_whole, sight,
};
use crate::happening::{Frame, Poke, What};
use crate::history::ReadAnswer;
use crate::law::Law;
use crate::life::{Asker, GROUP, Life};
use crate::marks::Mark;
use crate::oracle::Presence;
use crate::stage::{End, Stage};
use crate::time::Time;

impl Desk {
    pub(super) fn follow(
        &mut self,
        stage: &mut Stage,
        life: &mut Life,
        id: u64,
        course: ReadCourse,
        step: Result<Step, RowError>,
    ) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        match step {
            Err(error) => stage.breach(Law::NoPanic, format!("node {} can't read a row: {error}", life.place + 1)),
            Ok(Step::ComeUp { at_least }) => self.come_up(stage, life, id, Next::Read(course, at_least)),
            Ok(Step::Copy) => {
                request.stage = At::Copying(course);
                let delay = stage.weather.store_read.draw(&mut life.chance);
                stage.after(delay, life.place, Some(life.boot), What::Request { id, poke: Poke::Copy });
            }
            Ok(Step::Repair { length }) => {
                let name = course.multihash();
                request.stage = At::Repairing(course);
                life.gate(stage, Input::Repair { name, length });
            }
            Ok(Step::Answer(AsOf { position, value })) => self.answer(stage, life, id, position, value),
        }
    }

    pub(super) fn answer(
        &mut self,
        stage: &mut Stage,
        life: &mut Life,
        id: u64,
        position: Position,
        value: Option<FoundBlock>,
    ) {
        let Some(request) = self.requests.get(&id) else { return };
        let Wanted::Read(name, consistency) = request.wanted else { return };
        let presence = if value.is_some() { Presence::Present } else { Presence::Absent };
        if let Some(block) = value.and_then(|found| found.block)
            && Multihash::of(name.hash_code(), block.bytes()) != name
        {
            stage.breach(Law::RightBytes, format!("node {} served other bytes than {name} names", life.place + 1));
        }
        match (consistency, presence) {
            (Consistency::Confirmed { .. }, Presence::Present) if position.index < request.floor => {
                stage.meet(Mark::ServedFresh);
            }
            (Consistency::Linearizable, Presence::Absent) => stage.meet(Mark::ReadAbsent),
            _ => {}
        }
        judge_read(stage, life, (name, consistency), (position, presence), request.floor);
        life.freshness.returned(position);
        // A local answer may be as old as it likes: later ones needn't be newer.
        let counts = consistency != Consistency::Local;
        self.end(stage, life, id, End::Answered(Some(position).filter(|_| counts)));
    }

    pub(super) fn repaired(&mut self, stage: &mut Stage, life: &mut Life, name: Multihash, repair: Repair) {
        let waits = |request: &Request| matches!(&request.stage, At::Repairing(course) if course.multihash() == name);
        let ids: Vec<u64> = self.requests.iter().filter(|(_, request)| waits(request)).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(request) = self.requests.get(&id) else { continue };
            let At::Repairing(course) = &request.stage else { continue };
            let course = course.clone();
            match repair {
                Repair::Done => self.follow(stage, life, id, course, Ok(Step::Copy)),
                Repair::Failed => self.undone(stage, life, id),
            }
        }
    }

    pub(super) fn come_up(&mut self, stage: &mut Stage, life: &mut Life, id: u64, next: Next) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let role = life.role;
        request.stage = At::Asking(next, life.moment(stage));
        match role.leader {
            _ if role.role == Role::Leader => life.read_index(stage, Asker::Request(id)),
            Some(leader) if leader != life.identity.node => {
                let ticket = life.ticket();
                let question = NodeMessage::ReadIndex(ReadIndex { group: GROUP, ticket });
                if life.send(stage, leader, Frame::Node(question)) {
                    self.questions.insert((ticket.counter, leader), id);
                    // An answer that is lost is asked for again.
                    stage.after(QUESTION_MICROS, life.place, Some(life.boot), What::Request { id, poke: Poke::Retry });
                } else {
                    self.read_index(stage, life, Asker::Request(id), None);
                }
            }
            _ => self.read_index(stage, life, Asker::Request(id), None),
        }
    }

    pub(super) fn read_index(&mut self, stage: &mut Stage, life: &mut Life, asker: Asker, index: Option<LogIndex>) {
        match asker {
            Asker::Peer { from, ticket } => {
                let result = index.map_or(ReadIndexResult::NotLeader { leader: life.role.leader }, |index| {
                    ReadIndexResult::Index { position: Position { term: life.role.term, index } }
                });
                let reply = ReadIndexReply { group: GROUP, ticket, result };
                life.send(stage, from, Frame::Node(NodeMessage::ReadIndexReply(reply)));
            }
            Asker::Request(id) => {
                let Some(request) = self.requests.get_mut(&id) else { return };
                let At::Asking(next, asked) = &request.stage else { return };
                let (next, asked) = (next.clone(), *asked);
                match index {
                    Some(index) => {
                        request.stage = At::Applying(next, index, asked);
                        self.applied(stage, life);
                    }
                    None => self.pause(stage, life, id, next, READ_INDEX_PAUSE_MICROS),
                }
            }
        }
    }

    /// More is applied: who waited for it goes on.
    pub(super) fn applied(&mut self, stage: &mut Stage, life: &mut Life) {
        let applied = life.applied;
        let waits = |request: &Request| matches!(&request.stage, At::Applying(_, index, _) if *index <= applied);
        let ids: Vec<u64> = self.requests.iter().filter(|(_, request)| waits(request)).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(request) = self.requests.get_mut(&id) else { continue };
            let At::Applying(next, _, asked) = &request.stage else { continue };
            let (next, asked) = (next.clone(), *asked);
            life.freshness.prove(asked);
            match next {
                next @ (Next::Read(_, at_least) | Next::Survey(at_least) | Next::Batch(_, at_least))
                    if applied < at_least =>
                {
                    request.stage = At::Applying(next, at_least, asked);
                }
                Next::Survey(_) => self.surveyed(stage, life, id),
                Next::Batch(batch, _) => self.follow_batch(stage, life, id, batch, BatchStep::Look),
                Next::Read(mut course, _) => {
                    let step = course.came_up(sight(stage, life));
                    self.follow(stage, life, id, course, step);
                }
                Next::Confirm => self.confirm(stage, life, id),
                Next::Submit(bytes) => self.submit(stage, life, id, bytes),
            }
        }
    }

    /// A put of a block that was visible: it is over if the block still is, and whole here.
    pub(super) fn confirm(&mut self, stage: &mut Stage, life: &mut Life, id: u64) {
        let Some(request) = self.requests.get(&id) else { return };
        let Wanted::Put(block, _) = &request.wanted else { return };
        let (name, floor) = (*block.multihash(), request.floor);
        let Ok(AsOf { position, value: Some(row) }) = life.rows.visible(&name) else {
            return self.put(stage, life, id);
        };
        if !holds_whole(stage, life, &name, row) {
            return self.put(stage, life, id);
        }
        if position.index < floor || stage.oracle.presence_at(&name, position.index) == Presence::Absent {
            let what = format!("a put of {name} was answered as present at {position}, which isn't so");
            stage.breach(Law::WritesAreTrue, what);
        }
        life.freshness.returned(position);
        self.end(stage, life, id, End::Answered(Some(position)));
    }
}

/// Judges what is said of one block.
pub(super) fn judge_read(
    stage: &mut Stage,
    life: &Life,
    (name, consistency): (Multihash, Consistency),
    (position, presence): (Position, Presence),
    floor: LogIndex,
) {
    let permille = stage.weather.clock_permille.get(life.place).copied().unwrap_or(1_000);
    let lifetime = stage.weather.freshness() * 1_000 / permille + 1;
    let not_before = Time(stage.now.0.saturating_sub(lifetime));
    let answer = ReadAnswer { name, consistency, position, presence, floor, not_before };
    let verdict = answer.judge(&stage.oracle);
    stage.judge(verdict);
}
