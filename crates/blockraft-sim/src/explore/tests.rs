use super::*;
#[cfg(seeded_bugs)]
use blockraft_core::Mistake;

fn closes(bounds: Bounds) -> Census {
    let census = explore(bounds, 1_000_000, |config| config).unwrap_or_else(|example| panic!("{example}"));
    println!("{census:?} within {bounds:?}");
    assert!(census.closed, "the limit of states came first");
    census
}

#[test]
fn an_election_and_an_entry_break_no_law_wherever_the_power_fails() {
    let census = closes(Bounds { timeouts: 1, crashes: 1, disk: Disk::Late, ..Bounds::SMALL });
    assert!(10_000 < census.states, "that is too few to have gone through it");
}

#[test]
fn an_election_breaks_no_law_in_whatever_order_messages_arrive() {
    closes(Bounds { timeouts: 1, crashes: 0, proposals: 0, order: Order::Any, ..Bounds::SMALL });
}

#[test]
fn two_campaigns_at_once_break_no_law() {
    closes(Bounds { timeouts: 2, crashes: 0, proposals: 0, ..Bounds::SMALL });
}

#[test]
fn a_read_and_a_lost_message_break_no_law() {
    closes(Bounds { timeouts: 1, crashes: 0, proposals: 0, reads: 1, beats: 1, losses: 1, ..Bounds::SMALL });
}

/// One member that is replaced by another one: the smallest change there is, with the power failing anywhere.
#[test]
fn the_only_member_is_replaced_and_no_law_is_broken_wherever_the_power_fails() {
    let bounds = Bounds { members: 1, learners: 1, changes: 1, timeouts: 2, disk: Disk::Late, ..Bounds::SMALL };
    closes(bounds);
}

#[test]
fn a_leader_that_is_replaced_breaks_no_law() {
    let bounds = Bounds { members: 2, learners: 1, changes: 1, timeouts: 2, proposals: 0, crashes: 0, ..Bounds::SMALL };
    closes(bounds);
}

#[test]
fn a_group_that_shrinks_and_one_that_grows_break_no_law() {
    let once = Bounds { changes: 1, proposals: 0, crashes: 0, ..Bounds::SMALL };
    closes(Bounds { change: Change::Shrink, timeouts: 1, ..once });
    closes(Bounds { change: Change::Grow, members: 2, learners: 1, timeouts: 2, ..once });
    closes(Bounds { change: Change::Shrink, members: 2, timeouts: 2, crashes: 1, ..once });
}

/// A copy that was counted is forgotten, anywhere on the way.
#[test]
fn a_lost_tail_breaks_no_law() {
    closes(Bounds { timeouts: 1, crashes: 0, forgets: 1, ..Bounds::SMALL });
}

#[test]
fn the_same_bounds_give_the_same_census() {
    let bounds = Bounds { timeouts: 1, crashes: 1, ..Bounds::SMALL };
    assert_eq!(closes(bounds), closes(bounds));
}

#[test]
fn where_the_limit_comes_first_the_census_says_so() {
    let census = explore(Bounds::SMALL, 100, |config| config).expect("no law is broken");
    assert_eq!((census.states, census.closed), (100, false));
}

/// A control: the laws must notice members that trust such a disk.
#[test]
fn a_disk_that_lies_is_found_out() {
    let bounds = Bounds { disk: Disk::Lies, ..Bounds::SMALL };
    let example = explore(bounds, 1_000_000, |config| config).expect_err("somebody believed the disk");
    assert_eq!(example.broken.law, "persist before reply");
    assert!(!example.steps.is_empty());
}

/// Controls: mistakes of the core that these bounds must reveal, each soon.
#[cfg(seeded_bugs)]
#[test]
fn mistakes_that_small_bounds_reveal_are_found() {
    for mistake in REVEALED {
        let found = BOUNDS_WITH_TEETH.iter().find_map(|bounds| {
            let example = explore(*bounds, 20_000, |config| config.with_mistake(Some(mistake))).err()?;
            Some((example.states, example.broken.law))
        });
        let (states, law) = found.unwrap_or_else(|| panic!("nobody noticed {mistake:?}"));
        println!("{:<28} {states:>6} states  {law}", format!("{mistake:?}"));
    }
}

#[cfg(seeded_bugs)]
const REVEALED: [Mistake; 7] = [
    Mistake::VoteBeforePersist,
    Mistake::VoteForgotten,
    Mistake::AckBeforePersist,
    Mistake::OwnCopyBeforePersist,
    Mistake::CommitBeyondProof,
    Mistake::MatchOnSend,
    Mistake::PreVoteGrantsCountAsVotes,
];

#[cfg(seeded_bugs)]
const BOUNDS_WITH_TEETH: [Bounds; 3] = [
    Bounds { timeouts: 1, disk: Disk::Late, ..Bounds::SMALL },
    Bounds { timeouts: 1, reads: 1, beats: 2, crashes: 0, ..Bounds::SMALL },
    Bounds { timeouts: 2, crashes: 1, ..Bounds::SMALL },
];
