//! A state of the whole: members with their disks, the messages between them, and what may still happen.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use blockraft_core::{BodyHead, ChangeTicket, Config, Input, LogPoint, Options, ProposalTicket, ReadTicket};
use blockraft_types::{BodyDigest, ClusterId, GroupId, Incarnation, Membership, MembershipChange, NodeId, Role};
use xxhash_rust::xxh3::Xxh3;

use crate::explore::bounds::{Begin, Bounds, Change, Order};
use crate::explore::image::Image;
use crate::explore::law::{Broken, History};
use crate::explore::member::{Envelope, Member, Surroundings, logs_match};

/// What is the same in every state of one exploration.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) bounds: Bounds,
    pub(crate) config: Config,
    membership: Membership,
    genesis: LogPoint,
}

/// One state. Parts that a step leaves alone are shared with the state before.
#[derive(Clone, Debug)]
pub(crate) struct World {
    members: Vec<Marked<Member>>,
    /// In the order in which they left.
    network: Vec<Marked<Envelope>>,
    history: Marked<History>,
    left: Left,
}

/// Something with its fingerprint, so that a step hashes only what it changed.
#[derive(Clone, Debug)]
struct Marked<T> {
    value: Arc<T>,
    mark: u128,
}

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Left {
    timeouts: u8,
    beats: u8,
    proposals: u8,
    reads: u8,
    crashes: u8,
    forgets: u8,
    losses: u8,
    repeats: u8,
    transfers: u8,
    changes: u8,
    reverts: u8,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The message at this place arrives.
    Deliver(usize),
    /// It arrives and stays on its way.
    Repeat(usize),
    Lose(usize),
    /// A member that doesn't lead runs out of patience.
    Timeout(NodeId),
    /// A leader's tick.
    Beat(NodeId),
    Propose(NodeId),
    Read(NodeId),
    /// The oldest write becomes durable.
    Persist(NodeId),
    /// The power fails and comes back; so many of the oldest writes survive.
    Reboot(NodeId, usize),
    /// The same, with no survivors, and the disk forgets its last entry.
    Forget(NodeId),
    Transfer(NodeId, NodeId),
    /// A leader is asked for the change of members.
    Change(NodeId),
    /// A leader is asked to give it up.
    Revert(NodeId),
}

impl Setting {
    /// Timeouts as short as they may be, and equal: what the clock decides, the exploration decides instead.
    pub(crate) fn new(bounds: Bounds, choose: impl FnOnce(Config) -> Config) -> Self {
        let options = Options {
            heartbeat_ticks: 1,
            election_ticks_min: TIMEOUT_TICKS,
            election_ticks_max: TIMEOUT_TICKS,
            commit_stall_ticks: 1_000,
            ..Options::default()
        };
        let config = Config::new(options).expect("the options fit together");
        let ids = (1..=u64::from(bounds.members)).map(NodeId);
        let named = |id: NodeId| (id, Incarnation::from_bytes([id.0 as u8; 16]));
        let mut membership = Membership::of_voters(ids.map(named));
        let learners = u64::from(bounds.members) + 1..=u64::from(bounds.members) + u64::from(bounds.learners);
        membership.learners = learners.map(NodeId).map(named).collect();
        let genesis = LogPoint::genesis(ClusterId::from_bytes([1; 16]), GroupId(0), &membership);
        Self { bounds, config: choose(config), membership, genesis }
    }

    fn change(&self) -> MembershipChange {
        let learners = || self.membership.learners.keys().copied().collect();
        let lowest = || self.membership.voters.keys().next().copied().into_iter().collect();
        let (promote, remove) = match self.bounds.change {
            Change::Grow => (learners(), BTreeSet::new()),
            Change::Shrink => (BTreeSet::new(), lowest()),
            Change::Replace => (learners(), lowest()),
        };
        MembershipChange::Reconfigure { promote, remove }
    }
}

impl World {
    pub(crate) fn born(setting: &Setting) -> Result<Self, Broken> {
        let members = setting.membership.members().map(|(id, _)| {
            let member = Member::born(id, setting.config, &setting.membership, setting.genesis)?;
            Ok(Marked::new(member))
        });
        let newborn = Self {
            members: members.collect::<Result<_, Broken>>()?,
            network: Vec::new(),
            history: Marked::new(History::default()),
            left: Left::of(setting.bounds),
        };
        match setting.bounds.begin {
            Begin::Newborn => Ok(newborn),
            Begin::AmidChange => newborn.asked_to_change(setting),
        }
    }

    /// The first member was elected, all that it said arrived, and it is asked for the change.
    fn asked_to_change(mut self, setting: &Setting) -> Result<Self, Broken> {
        let Some(first) = self.members.first().map(|member| member.value.id) else { return Ok(self) };
        let left = self.left;
        self.left = Left { timeouts: 1, changes: 1, ..left };
        self = self.after(&Action::Timeout(first), setting)?;
        while let Some(action) = self.next_in_calm() {
            self = self.after(&action, setting)?;
        }
        self = self.after(&Action::Change(first), setting)?;
        self.left = left;
        Ok(self)
    }

    /// What disks and connections do next if nothing goes wrong.
    fn next_in_calm(&self) -> Option<Action> {
        let writing = self.members.iter().find(|member| !member.value.writes.is_empty());
        let persist = writing.map(|member| Action::Persist(member.value.id));
        persist.or((!self.network.is_empty()).then_some(Action::Deliver(0)))
    }

    /// Two states with the same fingerprint have the same future.
    pub(crate) fn fingerprint(&self, order: Order) -> u128 {
        let mut hasher = Xxh3::new();
        for member in &self.members {
            hasher.update(&member.mark.to_le_bytes());
        }
        let mut network = 0_u128;
        for (at, envelope) in self.network.iter().enumerate() {
            let rank = match order {
                Order::Any => 0,
                Order::PerPair => self.before(at).count() as u128,
            };
            // The sum doesn't care in which order messages of different pairs left.
            network = network.wrapping_add(fingerprint(&(envelope.mark, rank)));
        }
        hasher.update(&network.to_le_bytes());
        hasher.update(&self.history.mark.to_le_bytes());
        hasher.update(&fingerprint(&self.left).to_le_bytes());
        hasher.digest128()
    }

    /// Everything that can happen next. Members that are all newborn are alike, so the first of them begins.
    pub(crate) fn actions(&self, setting: &Setting) -> Vec<Action> {
        let mut actions = Vec::new();
        if let (true, Some(first)) = (self.is_newborn(setting), self.members.first()) {
            return vec![Action::Timeout(first.value.id)];
        }
        for at in 0..self.network.len() {
            if self.may_arrive(at, setting.bounds.order) {
                actions.push(Action::Deliver(at));
                if 0 < self.left.repeats {
                    actions.push(Action::Repeat(at));
                }
                if 0 < self.left.losses {
                    actions.push(Action::Lose(at));
                }
            }
        }
        for member in &self.members {
            let (id, leads) = (member.value.id, member.value.raft.role() == Role::Leader);
            let writes = member.value.writes.len();
            if 0 < writes {
                actions.push(Action::Persist(id));
            }
            if 0 < self.left.crashes {
                actions.extend((0..=writes).map(|survivors| Action::Reboot(id, survivors)));
            }
            if 0 < self.left.forgets && !member.value.disk.heads().is_empty() {
                actions.push(Action::Forget(id));
            }
            if leads {
                self.lead_actions(id, &mut actions);
            } else if 0 < self.left.timeouts {
                actions.push(Action::Timeout(id));
            }
        }
        actions
    }

    fn is_newborn(&self, setting: &Setting) -> bool {
        setting.bounds.begin == Begin::Newborn && self.left == Left::of(setting.bounds)
    }

    fn lead_actions(&self, id: NodeId, actions: &mut Vec<Action>) {
        let Left { beats, proposals, reads, transfers, changes, reverts, .. } = self.left;
        if 0 < changes {
            actions.push(Action::Change(id));
        }
        if 0 < reverts {
            actions.push(Action::Revert(id));
        }
        if 0 < beats {
            actions.push(Action::Beat(id));
        }
        if 0 < proposals {
            actions.push(Action::Propose(id));
        }
        if 0 < reads {
            actions.push(Action::Read(id));
        }
        if 0 < transfers {
            let others = self.members.iter().map(|member| member.value.id).filter(|other| *other != id);
            actions.extend(others.map(|other| Action::Transfer(id, other)));
        }
    }

    /// The state after `action`.
    pub(crate) fn after(&self, action: &Action, setting: &Setting) -> Result<Self, Broken> {
        let mut next = self.clone();
        let Left { timeouts, beats, proposals, reads, crashes, forgets, losses, repeats, transfers, changes, reverts } =
            &mut next.left;
        match *action {
            Action::Deliver(at) => {
                let Envelope { from, to, message } = next.take(at);
                next.with(to, setting, |member, around| member.step(Input::Message { from, message }, around))?;
            }
            Action::Lose(at) => {
                *losses -= 1;
                next.take(at);
            }
            Action::Repeat(at) => {
                *repeats -= 1;
                let Envelope { from, to, message } = self.clone().take(at);
                next.with(to, setting, |member, around| member.step(Input::Message { from, message }, around))?;
            }
            Action::Timeout(id) => {
                *timeouts -= 1;
                next.with(id, setting, |member, around| {
                    let (role, term) = (member.raft.role(), member.raft.term());
                    for _ in 0..TIMEOUT_TICKS {
                        member.step(Input::Tick, around)?;
                        if (member.raft.role(), member.raft.term()) != (role, term) {
                            break;
                        }
                    }
                    Ok(())
                })?;
            }
            Action::Beat(id) => {
                *beats -= 1;
                next.with(id, setting, |member, around| member.step(Input::Tick, around))?;
            }
            Action::Propose(id) => {
                let ticket = u64::from(setting.bounds.proposals - *proposals);
                *proposals -= 1;
                let bodies = vec![BodyHead { bytes: 1, digest: BodyDigest::of(&ticket.to_le_bytes()) }];
                let input = Input::Propose { ticket: ProposalTicket(ticket), bodies };
                next.with(id, setting, |member, around| member.step(input, around))?;
            }
            Action::Read(id) => {
                let ticket = ReadTicket(u64::from(setting.bounds.reads - *reads));
                *reads -= 1;
                next.with(id, setting, |member, around| {
                    around.history.asked(ticket);
                    member.step(Input::Read { ticket }, around)
                })?;
            }
            Action::Persist(id) => next.with(id, setting, Member::persist)?,
            Action::Reboot(id, survivors) => {
                *crashes -= 1;
                next.with(id, setting, |member, around| member.reboot(survivors, setting.config, around))?;
            }
            Action::Forget(id) => {
                *forgets -= 1;
                next.with(id, setting, |member, around| {
                    member.disk.lose_last();
                    member.reboot(0, setting.config, around)
                })?;
            }
            Action::Transfer(id, to) => {
                *transfers -= 1;
                next.with(id, setting, |member, around| member.step(Input::TransferLeadership { to }, around))?;
            }
            Action::Change(id) => {
                *changes -= 1;
                next.change(id, setting, setting.change())?;
            }
            Action::Revert(id) => {
                *reverts -= 1;
                next.change(id, setting, MembershipChange::Revert)?;
            }
        }
        Ok(next)
    }

    fn change(&mut self, id: NodeId, setting: &Setting, change: MembershipChange) -> Result<(), Broken> {
        let ticket = ChangeTicket(0);
        self.with(id, setting, |member, around| member.step(Input::ChangeMembership { ticket, change }, around))
    }

    /// What `action` is, for a person.
    pub(crate) fn tell(&self, action: &Action) -> String {
        match *action {
            Action::Deliver(at) => format!("arrives: {}", self.letter(at)),
            Action::Repeat(at) => format!("arrives, and will again: {}", self.letter(at)),
            Action::Lose(at) => format!("is lost: {}", self.letter(at)),
            Action::Timeout(id) => format!("{id:?} runs out of patience"),
            Action::Beat(id) => format!("{id:?}, which leads, ticks"),
            Action::Propose(id) => format!("{id:?} is given a proposal"),
            Action::Read(id) => format!("{id:?} is asked for a read index"),
            Action::Persist(id) => format!("the oldest write of {id:?} is durable"),
            Action::Reboot(id, survivors) => format!("{id:?} loses power, {survivors} writes survive, and starts"),
            Action::Forget(id) => format!("{id:?} loses power and the last entry of its disk, and starts"),
            Action::Change(id) => format!("{id:?} is asked to change the members"),
            Action::Revert(id) => format!("{id:?} is asked to give up the change of members"),
            Action::Transfer(id, to) => format!("{id:?} is asked to hand over to {to:?}"),
        }
    }

    fn letter(&self, at: usize) -> String {
        self.network.get(at).map_or_else(String::new, |envelope| envelope.value.to_string())
    }

    /// Lets one member act, and judges what it did.
    fn with(
        &mut self,
        id: NodeId,
        setting: &Setting,
        act: impl FnOnce(&mut Member, &mut Surroundings<'_>) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let Some(at) = self.members.iter().position(|member| member.value.id == id) else { return Ok(()) };
        let mut member = self.members[at].copy();
        let mut history = self.history.copy();
        let mut sent = Vec::new();
        let others = self.members.iter().map(|member| (member.value.id, &member.value.disk));
        let others: Vec<(NodeId, &Image)> = others.filter(|(other, _)| *other != id).collect();
        let disk = setting.bounds.disk;
        let mut around = Surroundings {
            membership: &setting.membership,
            disk,
            history: &mut history,
            sent: &mut sent,
            others: &others,
        };
        act(&mut member, &mut around)?;
        for other in self.members.iter().filter(|other| other.value.id != id) {
            logs_match(&member.view, &other.value.view)?;
        }
        self.members[at] = Marked::new(member);
        self.history = Marked::new(history);
        self.network.extend(sent.into_iter().map(Marked::new));
        Ok(())
    }

    /// Takes a message off its way.
    fn take(&mut self, at: usize) -> Envelope {
        assert!(at < self.network.len(), "an action names a message that is on its way");
        self.network.remove(at).copy()
    }

    /// Earlier messages of the same pair.
    fn before(&self, at: usize) -> impl Iterator<Item = usize> {
        let pair = self.network.get(at).map(|envelope| envelope.value.pair());
        let earlier = self.network.iter().take(at).enumerate();
        earlier.filter(move |(_, other)| Some(other.value.pair()) == pair).map(|(place, _)| place)
    }

    fn may_arrive(&self, at: usize, order: Order) -> bool {
        match order {
            // Equal messages are one choice.
            Order::Any => {
                let mark = self.network.get(at).map(|envelope| envelope.mark);
                !self.network.iter().take(at).any(|earlier| Some(earlier.mark) == mark)
            }
            Order::PerPair => self.before(at).next().is_none(),
        }
    }
}

impl Left {
    const fn of(bounds: Bounds) -> Self {
        let Bounds { timeouts, beats, proposals, reads, crashes, forgets, losses, repeats, transfers, .. } = bounds;
        let Bounds { changes, reverts, .. } = bounds;
        Self { timeouts, beats, proposals, reads, crashes, forgets, losses, repeats, transfers, changes, reverts }
    }
}

impl<T: Hash + Clone> Marked<T> {
    fn new(value: T) -> Self {
        let mark = fingerprint(&value);
        Self { value: Arc::new(value), mark }
    }

    fn copy(&self) -> T {
        T::clone(&self.value)
    }
}

impl Envelope {
    const fn pair(&self) -> (NodeId, NodeId) {
        (self.from, self.to)
    }
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} to {:?}, {:?}", self.from, self.to, self.message)
    }
}

fn fingerprint(value: &impl Hash) -> u128 {
    let mut hasher = Wide(Xxh3::new());
    value.hash(&mut hasher);
    hasher.0.digest128()
}

/// All 128 bits: with 64 of them, among a billion states two would share a fingerprint with a probability of 3 percent.
struct Wide(Xxh3);

impl Hasher for Wide {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.digest()
    }
}

/// The shortest election timeout that a heartbeat in every tick allows.
const TIMEOUT_TICKS: u32 = 3;
