//! Who changes the members of a group, and knows how many disks it can bear to lose.

use std::collections::BTreeSet;

use blockraft_types::{Membership, MembershipChange, NodeId};

use crate::chance::Chance;
use crate::fault::Fault;
use crate::marks::Mark;
use crate::member::{Disks, Member};
use crate::place::{incarnation, node_at, place_of};
use crate::shadow::is_quorum;
use crate::stage::Stage;

/// Takes nodes in, promotes, replaces and removes them; and takes disks away, as many as every configuration can bear.
#[derive(Debug)]
pub(crate) struct Admin {
    /// What was asked for, as it would be once it is done.
    asked: Vec<Membership>,
}

impl Admin {
    pub(crate) const fn new() -> Self {
        Self { asked: Vec::new() }
    }

    /// Whether those of whom it `holds` are a quorum, whichever configuration is in force on any node or may come into force.
    pub(crate) fn is_quorum(&self, stage: &Stage, members: &[Member], holds: impl Fn(usize) -> bool) -> bool {
        let living = (0..members.len()).filter(|place| members[*place].is_living());
        let in_force = living.map(|place| stage.shadows.configuration(place));
        in_force.chain(&self.asked).all(|membership| is_quorum(membership, |node| holds(place_of(node))))
    }

    /// Asks `leader` for a change that leaves a quorum without the nodes in `bad`.
    pub(crate) fn change(
        &mut self,
        stage: &mut Stage,
        members: &mut [Member],
        (chance, leader): (&mut Chance, usize),
        bad: &BTreeSet<usize>,
    ) {
        let current = stage.shadows.configuration(leader).clone();
        let Some(change) = draw(stage, members, chance, &current) else { return };
        let after = after(&current, &change);
        if after.voters.is_empty() || !is_quorum(&after, |node| !bad.contains(&place_of(node))) {
            return;
        }
        if let MembershipChange::AddLearner { node, .. } = &change {
            let joining = &mut members[place_of(*node)];
            joining.format();
            joining.start_after(stage, chance.between(0, 100_000));
        }
        if !self.asked.contains(&after) {
            self.asked.push(after);
        }
        let now = stage.now;
        stage.trace.say(now, format_args!("node {} is asked for {change:?}", leader + 1));
        stage.strike(Fault::Members);
        members[leader].change(stage, change);
    }

    /// Takes the disks of a member, if all others than those in `bad` are a quorum without it.
    pub(crate) fn wipe(&self, stage: &mut Stage, members: &mut [Member], node: usize, bad: &BTreeSet<usize>) {
        let is_left = |place: usize| place != node && !bad.contains(&place);
        if !members[node].is_living() || !self.is_quorum(stage, members, is_left) {
            return;
        }
        stage.strike(Fault::Wipe);
        stage.meet(Mark::Wiped);
        members[node].wipe(stage);
    }
}

/// What to ask of who goes by `current`.
fn draw(stage: &Stage, members: &[Member], chance: &mut Chance, current: &Membership) -> Option<MembershipChange> {
    let learners: Vec<NodeId> = current.learners.keys().copied().collect();
    let voters: Vec<NodeId> = current.voters.keys().copied().collect();
    // Who lost its disks is replaced first.
    let lost: Vec<NodeId> =
        voters.iter().copied().filter(|node| members[place_of(*node)].disks == Disks::Wiped).collect();
    let leaving = if lost.is_empty() { &voters } else { &lost };
    let kind = chance.below(1_000);
    let learner = chance.pick(&learners);
    let voter = chance.pick(leaving);
    let one = |node: Option<NodeId>| node.map(|node| BTreeSet::from([node]));
    match kind {
        0..300 => {
            // Ids are given in order.
            let place = (stage.weather.nodes..members.len()).find(|place| {
                let node = node_at(*place);
                current.next_id() <= node && matches!(members[*place].disks, Disks::Unformatted | Disks::Formatted)
            })?;
            let node = node_at(place);
            Some(MembershipChange::AddLearner { node, incarnation: incarnation(place), address: None })
        }
        300..550 => Some(MembershipChange::Reconfigure { promote: one(learner)?, remove: BTreeSet::new() }),
        550..750 => Some(MembershipChange::Reconfigure { promote: one(learner)?, remove: one(voter)? }),
        750..850 => Some(MembershipChange::Reconfigure { promote: BTreeSet::new(), remove: one(voter)? }),
        850..900 => Some(MembershipChange::Reconfigure { promote: BTreeSet::new(), remove: one(learner)? }),
        _ => Some(MembershipChange::Revert),
    }
}

/// The voters that `change` leads to, with the present ones as long as both have a say.
fn after(current: &Membership, change: &MembershipChange) -> Membership {
    let mut after = Membership { voters: current.voters.clone(), ..Membership::default() };
    match change {
        MembershipChange::AddLearner { .. } => {}
        MembershipChange::Reconfigure { promote, remove } => {
            let promoted = current.learners.iter().filter(|(node, _)| promote.contains(node));
            after.voters.extend(promoted);
            after.voters.retain(|node, _| !remove.contains(node));
            after.outgoing.clone_from(&current.voters);
        }
        MembershipChange::Revert if current.is_joint() => after.voters.clone_from(&current.outgoing),
        MembershipChange::Revert => {}
    }
    after
}
