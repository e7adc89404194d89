//! Many seeds of the world, and the proof that it notices known mistakes.

use super::world::{Coverage, World};
use crate::mistake::Mistake;

/// `EXCHANGE_SEEDS` raises the number of seeds for a campaign.
fn seeds(usual: u64) -> u64 {
    std::env::var("EXCHANGE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn run(seed: u64, mistake: Option<Mistake>) -> Result<Coverage, String> {
    let nodes = [3, 3, 5, 1][seed as usize % 4];
    let mut world = World::new(seed, nodes, mistake);
    world.run(2500).map_err(|broken| format!("seed {seed}: {broken}"))?;
    Ok(world.coverage)
}

#[test]
fn payloads_come_before_entries_and_leave_after_them_whatever_happens() {
    let mut all = Coverage::default();
    for seed in 0..seeds(24) {
        let coverage = run(seed, None).unwrap_or_else(|broken| panic!("{broken}"));
        all.committed += coverage.committed;
        all.power_cuts += coverage.power_cuts;
        all.truncations += coverage.truncations;
        all.reclaimed += coverage.reclaimed;
        all.fetched += coverage.fetched;
        all.refused_pushes += coverage.refused_pushes;
        all.held_appends += coverage.held_appends;
        all.puts_failed += coverage.puts_failed;
        all.snapshots_installed += coverage.snapshots_installed;
        all.snapshots_unneeded += coverage.snapshots_unneeded;
    }
    println!("{all:?}");
    let met = [
        all.committed,
        all.power_cuts,
        all.truncations,
        all.reclaimed,
        all.fetched,
        all.refused_pushes,
        all.held_appends,
        all.puts_failed,
        all.snapshots_installed,
    ];
    assert!(met.iter().all(|count| *count > 10), "the world is too quiet to prove anything: {all:?}");
}

#[test]
fn the_world_notices_every_seeded_mistake() {
    for &mistake in Mistake::ALL {
        let caught = (0..seeds(24)).find_map(|seed| run(seed, Some(mistake)).err());
        println!("{mistake:?}: {caught:?}");
        assert!(caught.is_some(), "{mistake:?} went unnoticed");
    }
}

#[test]
fn a_seed_replays_to_the_same_end() {
    let end = |seed| format!("{:?}", run(seed, None));
    assert_eq!(end(5), end(5));
}
