//! The way of a write: payload to a quorum, then a command into the log, here or at the leader.

use blockraft_blocks::{HashCode, Multihash};
use blockraft_catalog::batch::{self, BatchLimits};
use blockraft_catalog::{Command, Outcome, Request, Settled};
use blockraft_driver::gate::GateRefusal;
use blockraft_driver::proposal::{Committed, NotProposed, ProposeError};
use blockraft_exchange::{Input, PutId};
use blockraft_node::payload::BlockPayload;
use blockraft_types::{Position, Role};
use blockraft_wire::node::{Forward, ForwardResult, NodeMessage, NotProposed as WireNotProposed};

use crate::desk::{At, Bytes, Desk, Fate, Next, RETRY_MICROS_MAX, Wanted, reply_forward};
use crate::happening::Frame;
use crate::law::Law;
use crate::life::{GROUP, Life, Waiter};
use crate::marks::Mark;
use crate::stage::{End, Stage};

impl Desk {
    pub(super) fn put(&mut self, stage: &mut Stage, life: &mut Life, id: u64) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let Wanted::Put(block, _) = &request.wanted else { return };
        if block.bytes().len() as u64 <= u64::from(stage.weather.inline_bytes_max) {
            stage.meet(Mark::Inlined);
            return self.submit(stage, life, id, Bytes::Along);
        }
        let op = PutId(id);
        let payload = BlockPayload(block.clone());
        request.stage = At::Spreading(op);
        self.puts.insert(op, id);
        life.gate(stage, Input::Put { op, payload });
    }

    pub(super) fn submit(&mut self, stage: &mut Stage, life: &mut Life, id: u64, bytes: Bytes) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        request.attempts += 1;
        let name = [id.to_le_bytes(), request.attempts.to_le_bytes()].concat();
        let marker = Multihash::of(HashCode::Sha2_256, &name);
        let command = match &request.wanted {
            Wanted::Put(block, _) => Command::Put {
                multihash: *block.multihash(),
                length: block.bytes().len() as u32,
                inline: (bytes == Bytes::Along).then(|| block.bytes().clone()),
            },
            Wanted::Delete(multihash, _) => Command::Delete { multihash: *multihash },
            Wanted::OpenSession => Command::OpenSession,
            Wanted::Command(command) => command.clone(),
            Wanted::Read(..) | Wanted::Batch(..) | Wanted::List { .. } | Wanted::Count(_) => return,
        };
        // The delete of a block that never was: its name tells this attempt from all others, wherever it turns up.
        let request_of_client = Request { turn: request.wanted.turn(), command };
        let marker_alone = Command::Delete { multihash: marker }.into();
        let body = batch::encode([request_of_client, marker_alone], BatchLimits::default());
        let Ok(body) = body else {
            return stage.breach(Law::NoPanic, "a batch of two commands can't be made".to_owned());
        };
        stage.oracle.attempt(marker);
        request.stage = At::Submitted { marker, bytes };
        let role = life.role;
        match role.leader {
            _ if role.role == Role::Leader => life.propose(stage, Waiter::Request(id), role.term, body),
            Some(leader) if leader != life.identity.node => {
                let ticket = life.ticket();
                let forward = Forward { group: GROUP, ticket, term: role.term, commands: body };
                if life.send(stage, leader, Frame::Node(NodeMessage::Forward(forward))) {
                    self.forwards.insert((ticket.counter, leader), id);
                } else {
                    self.fate(stage, life, id, Fate::NotProposed);
                }
            }
            _ => self.fate(stage, life, id, Fate::NotProposed),
        }
    }

    pub(super) fn proposed(
        &mut self,
        stage: &mut Stage,
        life: &mut Life,
        waiter: Waiter,
        result: Result<Committed<Vec<Settled>>, ProposeError>,
    ) {
        match waiter {
            Waiter::Request(id) => {
                let fate = match result {
                    Ok(Committed { position, output }) => Fate::Committed(position, output),
                    Err(ProposeError::NotProposed { reason, .. }) => {
                        if reason == NotProposed::Gate(GateRefusal::NoRoom) {
                            stage.meet(Mark::RefusedFull);
                        }
                        Fate::NotProposed
                    }
                    Err(ProposeError::Stopped) => Fate::NotProposed,
                    Err(ProposeError::Unknown { .. }) => Fate::Unknown,
                };
                self.fate(stage, life, id, fate);
            }
            Waiter::Peer { from, ticket } => {
                let result = match result {
                    Ok(Committed { position, output }) => {
                        ForwardResult::Committed { position, outcomes: Settled::encode_list(&output, position) }
                    }
                    Err(ProposeError::NotProposed { reason, leader }) => {
                        let reason = match reason {
                            NotProposed::OtherTerm { term } => WireNotProposed::OtherTerm { term },
                            _ => WireNotProposed::NotLeader,
                        };
                        ForwardResult::NotProposed { reason, leader }
                    }
                    Err(ProposeError::Stopped) => {
                        ForwardResult::NotProposed { reason: WireNotProposed::Stopping, leader: None }
                    }
                    Err(ProposeError::Unknown { .. }) => ForwardResult::Unknown,
                };
                reply_forward(stage, life, from, ticket, result);
            }
        }
    }

    pub(super) fn fate(&mut self, stage: &mut Stage, life: &mut Life, id: u64, fate: Fate) {
        let Some(request) = self.requests.get_mut(&id) else { return };
        let At::Submitted { marker, bytes } = request.stage else { return };
        match fate {
            Fate::Committed(position, outcomes) => {
                let verdict = stage.oracle.judge_written(&marker, position, &outcomes);
                stage.judge(verdict);
                if position.index <= request.floor {
                    let what = format!("a write at {position} was asked for after {} was acknowledged", request.floor);
                    stage.breach(Law::WritesAreTrue, what);
                }
                if let Wanted::Put(block, _) = &request.wanted
                    && stage.oracle.is_back(block.multihash())
                {
                    stage.meet(Mark::Reput);
                }
                // A list that isn't what was judged is a breach already.
                let Some(settled) = outcomes.first() else { return self.end(stage, life, id, End::Unknown) };
                self.settled(stage, life, id, bytes, (position, *settled));
            }
            Fate::NotProposed => {
                let verdict = stage.oracle.void(&marker);
                stage.judge(verdict);
                self.once_more(stage, life, id, bytes);
            }
            Fate::Unknown => {
                stage.meet(Mark::Unknown);
                // A session that is opened twice leaves one that nobody uses.
                if request.wanted.turn().is_none() && request.wanted != Wanted::OpenSession {
                    return self.end(stage, life, id, End::Unknown);
                }
                request.left_open = true;
                self.once_more(stage, life, id, bytes);
            }
        }
    }

    /// What a command came to whose entry stands at `position`.
    fn settled(
        &mut self,
        stage: &mut Stage,
        life: &mut Life,
        id: u64,
        bytes: Bytes,
        (position, settled): (Position, Settled),
    ) {
        match settled.outcome {
            Outcome::SessionExpired => {
                stage.meet(Mark::SessionExpired);
                let left_open = self.requests.get(&id).is_some_and(|request| request.left_open);
                self.end(stage, life, id, if left_open { End::Unknown } else { End::Expired });
            }
            Outcome::Overtaken => self.end(stage, life, id, End::Unknown),
            Outcome::SessionFull => self.once_more(stage, life, id, bytes),
            Outcome::Created
            | Outcome::AlreadyPresent
            | Outcome::Deleted
            | Outcome::Absent
            | Outcome::Nothing
            | Outcome::SessionOpened
            | Outcome::ImportOpened
            | Outcome::ImportsFull
            | Outcome::ImportKept
            | Outcome::ImportEnded
            | Outcome::ImportExpired
            | Outcome::Linked
            | Outcome::TooManyCodecs
            | Outcome::Pinned
            | Outcome::AlreadyPinned
            | Outcome::Incomplete
            | Outcome::TooLarge
            | Outcome::Unpinned
            | Outcome::NotPinned
            | Outcome::Collected
            | Outcome::HeldByImport
            | Outcome::HeldByPin => {
                stage.meet_outcome(settled.outcome);
                if settled.position != position {
                    stage.meet(Mark::AnsweredFromTable);
                }
                life.freshness.returned(settled.position);
                self.end(stage, life, id, End::Written(settled));
            }
        }
    }

    /// Tries again a while from now, or in the usual way at once if the bytes weren't to be carried along.
    fn once_more(&mut self, stage: &mut Stage, life: &mut Life, id: u64, bytes: Bytes) {
        if bytes == Bytes::Here {
            return self.put(stage, life, id);
        }
        let Some(request) = self.requests.get_mut(&id) else { return };
        let pause = request.pause;
        request.pause = (pause * 2).min(RETRY_MICROS_MAX);
        self.pause(stage, life, id, Next::Submit(bytes), pause);
    }
}
