//! What all nodes of a world share: time, the network, chance, and the eyes that watch them.

use blockraft_catalog::{Outcome, RowPage, Settled};
use blockraft_exchange::message::Message as Exchange;
use blockraft_log::Anchor;
use blockraft_types::{LogIndex, Membership, Message, NodeId, Position, Term};

use crate::chance::Chance;
use crate::fault::Fault;
use crate::happening::{Frame, Happening, Queue, What};
use crate::law::{Breach, Law, Verdict};
use crate::marks::{Mark, Marks};
use crate::network::{Network, Way};
use crate::oracle::Oracle;
use crate::place::{genesis, node_at};
use crate::shadow::Shadows;
use crate::testimony::Testimony;
use crate::time::Time;
use crate::trace::{Lines, Trace};
use crate::weather::Weather;

/// A world without its nodes.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) now: Time,
    pub(crate) weather: Weather,
    pub(crate) queue: Queue,
    pub(crate) network: Network,
    pub(crate) shadows: Shadows,
    pub(crate) oracle: Oracle,
    pub(crate) testimony: Testimony,
    pub(crate) marks: Marks,
    pub(crate) trace: Trace,
    struck: Vec<u64>,
    /// The term in which each node leads at the moment.
    pub(crate) leading: Vec<Option<Term>>,
    /// What clients hear, to be carried to them.
    pub(crate) heard: Vec<Heard>,
    breach: Option<Breach>,
}

/// A client's request is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) client: usize,
    pub(crate) end: End,
    /// What a page of a listing held, if that was asked for and answered.
    pub(crate) page: Option<RowPage>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A read was answered, or a put of a block that was found: as of here, unless later answers may be older.
    Answered(Option<Position>),
    /// A command is committed, and came to this.
    Written(Settled),
    NothingHappened,
    Unknown,
    /// Nothing happened since the session has expired.
    Expired,
}

impl End {
    /// Where the answer stands, if there was one.
    pub(crate) const fn position(self) -> Option<Position> {
        match self {
            Self::Answered(position) => position,
            Self::Written(Settled { position, .. }) => Some(position),
            Self::NothingHappened | Self::Unknown | Self::Expired => None,
        }
    }

    pub(crate) const fn is_answer(self) -> bool {
        matches!(self, Self::Answered(_) | Self::Written(_))
    }

    /// A number for the trace.
    pub(crate) const fn kind(self) -> u64 {
        match self {
            Self::Answered(_) => 0,
            Self::NothingHappened => 1,
            Self::Unknown => 2,
            Self::Written(_) => 3,
            Self::Expired => 4,
        }
    }
}

impl Stage {
    pub(crate) fn new(seed: u64, weather: Weather, lines: Lines) -> Self {
        let places = weather.places();
        Self {
            now: Time::default(),
            queue: Queue::new(Chance::new(seed, 2)),
            network: Network::new(places, Chance::new(seed, 3)),
            shadows: Shadows::new(places, genesis(weather.nodes)),
            oracle: Oracle::new(genesis(weather.nodes), weather.sessions),
            testimony: Testimony::new(places),
            marks: Marks::default(),
            trace: Trace::new(lines),
            struck: vec![0; Fault::ALL.len()],
            leading: vec![None; places],
            heard: Vec::new(),
            breach: None,
            weather,
        }
    }

    pub(crate) fn after(&mut self, micros: u64, node: usize, boot: Option<u64>, what: What) {
        self.queue.push(self.now + micros, Happening { node, boot, what });
    }

    pub(crate) fn meet(&mut self, mark: Mark) {
        self.marks.meet(mark);
    }

    /// A client was told of this.
    pub(crate) fn meet_outcome(&mut self, outcome: Outcome) {
        let mark = match outcome {
            Outcome::Pinned => Mark::Pinned,
            Outcome::Incomplete => Mark::PinIncomplete,
            Outcome::Collected => Mark::Collected,
            Outcome::HeldByImport => Mark::HeldByImport,
            Outcome::HeldByPin => Mark::HeldByPin,
            Outcome::ImportExpired => Mark::ImportExpired,
            _ => return,
        };
        self.meet(mark);
    }

    pub(crate) fn strike(&mut self, fault: Fault) {
        if let Some(count) = self.struck.get_mut(fault as usize) {
            *count += 1;
        }
    }

    /// Remembers the first breach.
    pub(crate) fn judge(&mut self, verdict: Verdict) {
        if let Err((law, what)) = verdict {
            self.breach(law, what);
        }
    }

    pub(crate) fn breach(&mut self, law: Law, what: String) {
        let now = self.now;
        self.trace.say(now, format_args!("BREACH of {law:?}: {what}"));
        self.breach.get_or_insert(Breach { law, at: now, what });
    }

    pub(crate) const fn broken(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    /// Sends over the control lane. Says no if there is no connection, as a transport would.
    pub(crate) fn send(&mut self, from: usize, to: NodeId, frame: Frame) -> bool {
        let Some(to) = self.place(to).filter(|to| *to != from) else { return false };
        let Some(session) = self.network.session(from, to) else { return false };
        if let Frame::Raft { message, .. } = &frame {
            if self.testimony.is_on_trial(from) {
                let what = format!("node {} says {message:?} to node {}", from + 1, to + 1);
                self.breach(Law::BehindItsPastIsSilent, what);
            }
            let verdict = self.shadows.sent(from, NodeId(to as u64 + 1), message);
            self.judge(verdict);
            if matches!(message, Message::TimeoutNow(_)) {
                self.meet(Mark::Transferred);
            }
            if matches!(message, Message::InstallSnapshot(_)) {
                self.meet(Mark::NeededSnapshot);
            }
        }
        if let Frame::Exchange(message) = &frame
            && !matches!(
                message,
                Exchange::PushBegun(_) | Exchange::Receipt(_) | Exchange::Fetch(_) | Exchange::Missing(_)
            )
        {
            let now = self.now;
            self.trace.say(now, format_args!("node {} says to node {}: {message:?}", from + 1, to + 1));
        }
        // Only consensus must bear that: the others have an ordered stream.
        let is_raft = matches!(frame, Frame::Raft { .. });
        match self.network.control(&self.weather, from, to) {
            Way::Through(micros) => {
                if let Some(late) = self.network.repeats(&self.weather).filter(|_| is_raft) {
                    self.strike(Fault::Duplication);
                    self.after(late, to, None, What::Deliver { from, session, frame: frame.clone() });
                }
                self.after(micros, to, None, What::Deliver { from, session, frame });
            }
            Way::Lost => self.strike(Fault::Loss),
            Way::Cut => {}
        }
        true
    }

    /// Sends over the bulk lane; says after how many microseconds the lane is done with it, or that it failed.
    pub(crate) fn bulk(&mut self, from: usize, to: usize, frame: Frame, bytes: u64) -> Option<u64> {
        let session = self.network.session(from, to)?;
        match self.network.bulk(&self.weather, self.now.0, from, to, bytes) {
            Way::Through(micros) => {
                let frame = self.garble(frame);
                self.after(micros, to, None, What::Deliver { from, session, frame });
                Some(micros)
            }
            Way::Lost => {
                self.strike(Fault::BulkLoss);
                None
            }
            Way::Cut => None,
        }
    }

    /// A member's log is about to begin anew behind the state at `anchor`.
    pub(crate) fn reset(&mut self, node: usize, anchor: Anchor) {
        let verdict = self.oracle.judge_installed(node, anchor.position, anchor.chain);
        self.judge(verdict);
        let links = self.oracle.links(anchor.position.index);
        self.shadows.reset(node, &links);
    }

    /// A member's log begins durably behind `anchor`.
    pub(crate) fn durably_reset(&mut self, node: usize, anchor: Anchor) {
        let links = self.oracle.links(anchor.position.index);
        self.shadows.durably_reset(node, &links);
    }

    /// A payload as it comes out of the bulk lane.
    fn garble(&mut self, frame: Frame) -> Frame {
        match frame {
            Frame::Bulk { header, body } if !body.is_empty() && self.network.garbles(&self.weather) => {
                self.strike(Fault::Garbling);
                let mut bytes = body.to_vec();
                bytes[0] ^= 1;
                Frame::Bulk { header, body: bytes.into() }
            }
            frame => frame,
        }
    }

    /// How often each fault struck, as in [`Fault::ALL`].
    pub(crate) fn struck(&self) -> Vec<u64> {
        let mut struck = self.struck.clone();
        if let Some(count) = struck.get_mut(Fault::Straggling as usize) {
            *count = self.network.stragglers();
        }
        struck
    }

    /// Tells both ends what became of their connection, a while from now.
    pub(crate) fn review_sessions(&mut self, node: usize, chance: &mut Chance) {
        for other in (0..self.weather.places()).filter(|other| *other != node) {
            let delay = self.weather.session.draw(chance);
            self.after(delay, node, None, What::Session { other });
        }
    }

    /// Whether two nodes may be connected: one whose disks went back in time meets only those who can tell, since nobody
    /// promises that others find out.
    pub(crate) fn may_meet(&self, a: usize, b: usize) -> bool {
        let tells = |witness: usize, other: usize| {
            !self.shadows.configuration(witness).is_removed(node_at(other))
                && self.testimony.tells(self.now, witness, other)
        };
        (!self.testimony.is_on_trial(a) || tells(b, a)) && (!self.testimony.is_on_trial(b) || tells(a, b))
    }

    /// The place of a node.
    pub(crate) fn place(&self, node: NodeId) -> Option<usize> {
        let place = usize::try_from(node.0).ok()?.checked_sub(1)?;
        (place < self.weather.places()).then_some(place)
    }

    /// The first time that anybody applied this entry: it must be on a quorum, and in the log of every later leader.
    pub(crate) fn committed(
        &mut self,
        node: usize,
        term: Term,
        position: Position,
        chain: blockraft_types::ChainDigest,
    ) {
        if !self.shadows.is_on_quorum(node, position, chain) {
            let holders = self.shadows.holders(position, chain);
            let what = format!("node {} applies {position}, which only {holders:?} hold durably", node + 1);
            self.breach(Law::CommitQuorum, what);
        }
        for leader in 0..self.leading.len() {
            if self.leading[leader].is_some_and(|leading| term < leading)
                && !self.shadows.holds(leader, position, chain)
            {
                let what =
                    format!("{position} is committed, and node {}, which leads a later term, lacks it", leader + 1);
                self.breach(Law::LeaderCompleteness, what);
            }
        }
    }

    /// A configuration was committed after `before`, if it is another one.
    pub(crate) fn changed(&mut self, before: &Membership) {
        let after = self.oracle.membership().clone();
        if after == *before {
            return;
        }
        if before.learners.len() < after.learners.len() && !before.is_joint() {
            self.meet(Mark::LearnerAdded);
        }
        if before.is_joint() && before.voters == after.voters {
            self.meet(Mark::VotersChanged);
        }
        if before.is_joint() && before.outgoing == after.voters {
            self.meet(Mark::ChangeReverted);
        }
        let mut leaders = (0..self.leading.len()).filter(|place| self.leading[*place].is_some()).map(node_at);
        if leaders.any(|leader| after.is_joint() && !after.voters.contains_key(&leader)) {
            self.meet(Mark::LeaderRemoved);
        }
    }

    /// A leader holds all that is committed.
    pub(crate) fn judge_leader(&mut self, node: usize) {
        let Some(term) = self.leading.get(node).copied().flatten() else { return };
        let Some((position, chain)) = self.oracle.last_before(term) else { return };
        if !self.shadows.holds(node, position, chain) {
            let index = LogIndex(self.shadows.handed_len(node) as u64);
            let what =
                format!("node {} leads with a log up to {index}, and lacks {position}, which is committed", node + 1);
            self.breach(Law::LeaderCompleteness, what);
        }
    }
}
