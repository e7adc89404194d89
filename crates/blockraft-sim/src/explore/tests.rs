use super::*;
use crate::explore::law::History;
use blockraft_core::LogPoint;
#[cfg(seeded_bugs)]
use blockraft_core::Mistake;
use blockraft_types::{ChainDigest, LogIndex, Position, Term};

fn closes(bounds: Bounds) -> Census {
    let census = explore(bounds, STATES_MAX, |config| config).unwrap_or_else(|example| panic!("{example}"));
    assert!(census.closed, "the limit of states came first within {bounds:?}");
    census
}

#[test]
fn no_law_is_broken_in_any_state_of_the_small_spaces() {
    for Space { name, bounds, size } in Space::ALL {
        if *size == Size::Small {
            let census = closes(*bounds);
            println!("{name}: {census:?}");
            assert!(500 < census.states, "that is too few to have gone through {name}");
        }
    }
}

#[test]
fn only_an_open_change_of_ones_own_is_given_up() {
    let chain = ChainDigest::from_bytes([7; 16]);
    let position = Position { term: Term(2), index: LogIndex(1) };
    let (joint, mut history) = (LogPoint { position, chain }, History::default());
    assert!(history.gives_up(joint, Term(2)).is_ok());
    assert!(history.gives_up(joint, Term(3)).is_err(), "another leader may have left it");
    let mut later = history.clone();
    later.commit(position, chain, Term(3));
    assert!(later.gives_up(joint, Term(2)).is_ok(), "this leader's time is over");
    history.commit(position, chain, Term(2));
    assert!(history.gives_up(joint, Term(2)).is_err(), "it is left towards the new voters");
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
const REVEALED: [Mistake; 8] = [
    Mistake::VoteBeforePersist,
    Mistake::VoteForgotten,
    Mistake::AckBeforePersist,
    Mistake::OwnCopyBeforePersist,
    Mistake::CommitBeyondProof,
    Mistake::MatchOnSend,
    Mistake::PreVoteGrantsCountAsVotes,
    Mistake::RevertsInAnyTerm,
];

#[cfg(seeded_bugs)]
const BOUNDS_WITH_TEETH: [Bounds; 4] = [
    Bounds { timeouts: 1, disk: Disk::Late, ..Bounds::SMALL },
    Bounds { timeouts: 1, reads: 1, beats: 2, crashes: 0, ..Bounds::SMALL },
    Bounds { timeouts: 2, crashes: 1, ..Bounds::SMALL },
    space::ONE_IS_REPLACED_OR_NOT,
];
