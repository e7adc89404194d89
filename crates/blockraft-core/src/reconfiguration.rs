//! Which configuration comes after which: the pure part of changing members (Raft paper, section 6).
//!
//! Voters change only through a joint configuration, in which both the old and the new ones have a say, so any two
//! configurations that can be in force at once have quorums that meet. Whether the moment is right for a change is the
//! leader's question, not this room's.

use alloc::collections::BTreeSet;

use blockraft_types::membership::{ADDRESS_BYTES_MAX, MEMBERS_MAX};
use blockraft_types::{ChangeRefusal, Membership, MembershipChange, NodeId};

use crate::config::Config;
use crate::mistake::Mistake;

/// What a change of a settled configuration comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    AlreadySo,
    Next(Membership),
}

/// The configuration that `change` leads to from `current`, which is not joint.
pub(crate) fn plan(current: &Membership, change: &MembershipChange, config: &Config) -> Result<Planned, ChangeRefusal> {
    assert!(!current.is_joint(), "one change at a time");
    match change {
        MembershipChange::AddLearner { node, incarnation, address } => {
            match current.incarnation(*node) {
                Some(known) if known == *incarnation => return Ok(Planned::AlreadySo),
                Some(_) => return Err(ChangeRefusal::OtherIncarnation { node: *node }),
                None => {}
            }
            if *node < current.next_id() && !config.errs(Mistake::UsedIdsGivenAgain) {
                return Err(ChangeRefusal::IdUsed { node: *node, next: current.next_id() });
            }
            if address.as_ref().is_some_and(|address| ADDRESS_BYTES_MAX < address.len()) {
                return Err(ChangeRefusal::AddressTooLong { node: *node });
            }
            if MEMBERS_MAX <= current.members().count() {
                return Err(ChangeRefusal::TooManyMembers);
            }
            let mut next = current.clone();
            next.learners.insert(*node, *incarnation);
            next.addresses.extend(address.clone().map(|address| (*node, address)));
            Ok(Planned::Next(next))
        }
        MembershipChange::Reconfigure { promote, remove } => reconfigure(current, promote, remove, config),
        MembershipChange::Revert => Err(ChangeRefusal::NothingToRevert),
    }
}

fn reconfigure(
    current: &Membership,
    promote: &BTreeSet<NodeId>,
    remove: &BTreeSet<NodeId>,
    config: &Config,
) -> Result<Planned, ChangeRefusal> {
    let mut next = current.clone();
    for node in promote {
        if remove.contains(node) {
            return Err(ChangeRefusal::Contradiction { node: *node });
        }
        if let Some(incarnation) = next.learners.remove(node) {
            next.voters.insert(*node, incarnation);
        } else if !next.voters.contains_key(node) {
            return Err(ChangeRefusal::NotAMember { node: *node });
        }
    }
    for node in remove {
        if current.next_id() <= *node {
            return Err(ChangeRefusal::NotAMember { node: *node });
        }
        next.voters.remove(node);
        next.learners.remove(node);
    }
    if next.voters.is_empty() {
        return Err(ChangeRefusal::NoVoters);
    }
    let single = current.voters.len().abs_diff(next.voters.len()) == 1;
    let in_one_step =
        config.errs(Mistake::VotersChangeInOneStep) || single && config.errs(Mistake::ChangesBeforeOwnTermCommits);
    if next.voters != current.voters && !in_one_step {
        next.outgoing.clone_from(&current.voters);
    }
    if next == *current {
        return Ok(Planned::AlreadySo);
    }
    Ok(Planned::Next(without_traces_of_the_removed(current, next)))
}

/// The configuration after a joint one: its incoming voters alone.
pub(crate) fn left(joint: &Membership) -> Membership {
    let mut next = joint.clone();
    next.outgoing.clear();
    without_traces_of_the_removed(joint, next)
}

/// The configuration before a joint one: its outgoing voters alone. Those who were to be promoted stay as learners.
pub(crate) fn reverted(joint: &Membership) -> Membership {
    let mut next = joint.clone();
    next.voters = core::mem::take(&mut next.outgoing);
    let promoted = joint.voters.iter().filter(|(node, _)| !joint.outgoing.contains_key(node));
    next.learners.extend(promoted);
    next
}

/// `after`, in which who is in `before` and no member any more counts as removed for ever.
fn without_traces_of_the_removed(before: &Membership, mut after: Membership) -> Membership {
    let gone = before.members().map(|(node, _)| node).filter(|node| after.incarnation(*node).is_none());
    after.removed_through = gone.max().max(after.removed_through);
    let members: BTreeSet<NodeId> = after.members().map(|(node, _)| node).collect();
    after.addresses.retain(|node, _| members.contains(node));
    after
}

#[cfg(test)]
mod tests;
