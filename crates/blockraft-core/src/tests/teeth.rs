//! Every seeded mistake must be noticed by an invariant, and the same seeds must be silent without it.
//!
//! `RUSTFLAGS="--cfg seeded_bugs" cargo test -p blockraft-core --target-dir target/seeded seeded -- --nocapture`;
//! `BLOCKRAFT_MISTAKE` chooses one by name, `BLOCKRAFT_SEEDS` sets how many seeds a mistake may survive.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, println};

use super::membership::the_leader_of_a_removal_dies;
use super::simulation::run;
use crate::{Config, Mistake};

const TICKS: u64 = 1200;

/// What a seed reveals, if anything.
fn verdict(seed: u64, mistake: Option<Mistake>) -> Option<String> {
    let run = AssertUnwindSafe(|| {
        run(seed, TICKS, |config| config.with_mistake(mistake));
        the_leader_of_a_removal_dies(seed, Config::default().with_mistake(mistake));
    });
    let panic = catch_unwind(run).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).or(Some("a panic without words".into()))
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn every_seeded_mistake_is_noticed_and_its_absence_is_silent() {
    std::panic::set_hook(std::boxed::Box::new(|_| {}));
    let seeds = number("BLOCKRAFT_SEEDS", 3000);
    let chosen = std::env::var("BLOCKRAFT_MISTAKE").ok();
    let mut survivors = Vec::new();
    let mut furthest = 0;
    for mistake in Mistake::ALL {
        let name = format!("{mistake:?}");
        if chosen.as_ref().is_some_and(|chosen| *chosen != name) {
            continue;
        }
        let caught = (1..=seeds).find_map(|seed| Some((seed, verdict(seed, Some(*mistake))?)));
        match caught {
            Some((seed, words)) => {
                furthest = furthest.max(seed);
                println!("{name:<28} seed {seed:>5}  {}", words.lines().next().unwrap_or_default());
            }
            None => {
                println!("{name:<28} survived {seeds} seeds");
                survivors.push(name);
            }
        }
    }
    let false_alarms: Vec<_> = (1..=furthest).filter_map(|seed| Some((seed, verdict(seed, None)?))).collect();
    let _ = std::panic::take_hook();
    println!("{} false alarms in {furthest} seeds without a mistake", false_alarms.len());
    assert!(survivors.is_empty(), "nobody noticed {survivors:?}");
    assert!(false_alarms.is_empty(), "without a mistake: {false_alarms:?}");
}
