//! The comparisons with the model, and of what took a snapshot with what gave it, notice known mistakes.

use blockraft_types::Entry;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::dag::{agrees_with_the_model, limits};
use super::history::{apply_all, choices, history, image, open};
use super::snapshot::take_over;
use crate::memory::MemoryTable;
use crate::mistake::Mistake;

/// How many of the same histories show that something is wrong.
fn found(mistake: Option<Mistake>) -> usize {
    Mistake::choose(mistake);
    let (mut chance, mut found) = (TestRunner::deterministic(), 0);
    for _ in 0..HISTORIES {
        let (choices, limits) = (choices(), limits()).new_tree(&mut chance).unwrap().current();
        let entries = history(&choices);
        let is_wrong = !agrees_with_the_model(&entries, limits) || !entries.is_empty() && !is_taken_over(&entries);
        found += usize::from(is_wrong);
    }
    Mistake::choose(None);
    found
}

/// Whether a snapshot makes of another catalog what these entries made of one.
fn is_taken_over(entries: &[Entry]) -> bool {
    let (mut source, mut target) = (open(&MemoryTable::new()), open(&MemoryTable::new()));
    apply_all(&mut source, entries);
    take_over(&mut target, &source);
    image(&target) == image(&source)
}

#[test]
fn mistakes_with_imports_links_and_pins_are_found_and_nothing_else_is() {
    assert_eq!(found(None), 0);
    let mistakes =
        [Mistake::ImportsHoldNothing, Mistake::PinnedUnchecked, Mistake::PinsIgnored, Mistake::PinsForgottenBySnapshot];
    for mistake in mistakes {
        let found = found(Some(mistake));
        println!("{mistake:?}: {found} of {HISTORIES}");
        assert!(0 < found, "{mistake:?}");
    }
}

const HISTORIES: usize = 1_000;
