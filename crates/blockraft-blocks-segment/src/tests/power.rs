//! Power cuts at every step of seeded histories: what was acknowledged is there, nothing is called damaged that was only
//! torn, and what one recovery found the next one finds too.

use std::collections::BTreeMap;

use blockraft_blocks::{Lookup, Multihash};

use super::{Chance, block, open};
use crate::disk::Syncs;
use crate::{MemoryDisk, MemoryTable, Segments, Thoroughness, Write, Written};

/// What may be seen of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Present,
    Absent,
    Either,
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The power goes off in the middle of this step.
    PowerCut(u64),
    /// The process dies after the workload: the disk keeps all, the table forgets.
    Kill,
}

struct World {
    disk: MemoryDisk,
    table: MemoryTable,
    chance: Chance,
    expected: BTreeMap<u64, Expected>,
}

impl World {
    fn new(seed: u64, syncs: Syncs) -> Self {
        let disk = MemoryDisk::new(seed);
        disk.set_syncs(syncs);
        let expected = (0..KEYS).map(|key| (key, Expected::Absent)).collect();
        Self { disk, table: MemoryTable::new(), chance: Chance(seed ^ 0x5eed), expected }
    }

    /// Opens the store, writes until the workload or the power ends, and crashes. Tells how many steps that took.
    fn live(&mut self, end: End) -> Result<u64, String> {
        let before = self.disk.steps();
        if let End::PowerCut(step) = end {
            self.disk.cut_power_after(step);
        }
        // Opening may be what the power fails in.
        if let Ok(mut segments) = open(&self.disk, &self.table) {
            self.work(&mut segments);
        } else if end == End::Kill {
            return Err("the store didn't open".to_owned());
        }
        let steps = self.disk.steps() - before;
        if let End::PowerCut(_) = end {
            self.disk.power_cycle();
        }
        let kept = self.chance.below(self.table.unflushed_batches() as u64 + 1);
        self.table.power_cycle(kept as usize);
        Ok(steps)
    }

    fn work(&mut self, segments: &mut Segments) {
        for _ in 0..ROUNDS {
            let keys: Vec<(u64, bool)> =
                (0..1 + self.chance.below(4)).map(|_| (self.chance.below(KEYS), self.chance.below(3) > 0)).collect();
            let write = |(key, put): &(u64, bool)| match put {
                true => Write::Put(block(*key)),
                false => Write::Delete(*block(*key).multihash()),
            };
            let writes: Vec<Write> = keys.iter().map(write).collect();
            let Ok(written) = segments.write(&writes) else {
                for (key, _) in &keys {
                    self.expected.insert(*key, Expected::Either);
                }
                return;
            };
            for ((key, _), written) in keys.iter().zip(written) {
                let expected = match written {
                    Written::Created | Written::AlreadyPresent => Expected::Present,
                    Written::Deleted | Written::Absent => Expected::Absent,
                    Written::Full { .. } | Written::TooLarge(_) => unreachable!("there is room for all"),
                };
                self.expected.insert(*key, expected);
            }
            if self.chance.below(3) == 0 {
                let _ = segments.compact(Thoroughness::Thorough);
            }
            if self.chance.below(10) == 0 {
                let _ = segments.flush();
            }
        }
    }

    /// Opens the store after a crash and compares; what was open is settled by what is seen.
    fn check(&mut self) -> Result<(), String> {
        let segments = open(&self.disk, &self.table).map_err(|error| format!("it didn't open: {error:?}"))?;
        let recovered = segments.recovered();
        if !(recovered.damaged.is_empty() && recovered.gaps.is_empty() && recovered.lost_segments.is_empty()) {
            return Err(format!("torn writes were called damage: {recovered:?}"));
        }
        let reader = segments.reader();
        let mut present: Vec<Multihash> = Vec::new();
        for (key, expected) in &mut self.expected {
            let lookup = reader.get(block(*key).multihash()).map_err(|error| error.to_string())?;
            *expected = match (&lookup, *expected) {
                (Lookup::Present(found), Expected::Present | Expected::Either) if *found == block(*key) => {
                    present.push(*found.multihash());
                    Expected::Present
                }
                (Lookup::Absent, Expected::Absent | Expected::Either) => Expected::Absent,
                (lookup, expected) => return Err(format!("block {key}: expected {expected:?}, found {lookup:?}")),
            };
        }
        present.sort_unstable();
        let page = reader.list(None, 1_000).map_err(|error| error.to_string())?;
        let listed: Vec<Multihash> = page.entries.iter().map(|entry| entry.multihash).collect();
        if listed != present || segments.status().blocks != present.len() as u64 {
            return Err(format!(
                "listed {} and counted {}, of {}",
                listed.len(),
                segments.status().blocks,
                present.len()
            ));
        }
        Ok(())
    }
}

/// Lives several times, with the power going off at the given step of the first life and at random in the others.
fn history(seed: u64, first: End, syncs: Syncs) -> Result<u64, String> {
    let mut world = World::new(seed, syncs);
    let steps = world.live(first)?;
    world.check()?;
    for _ in 0..2 {
        let end = match world.chance.below(4) {
            0 => End::Kill,
            _ => End::PowerCut(world.chance.below(steps.max(1))),
        };
        world.live(end)?;
        world.check()?;
        // A second cut right after recovery takes nothing that recovery showed.
        world.disk.power_cycle();
        world.table.power_cycle(0);
        world.check()?;
    }
    Ok(steps)
}

#[test]
fn a_power_cut_at_any_step_loses_nothing_acknowledged() {
    for seed in 0..seeds() / 100 {
        let steps = history(seed, End::Kill, Syncs::Honest).unwrap();
        assert!(steps > 100, "a history of {steps} steps is too short to mean anything");
        for step in 0..steps {
            let outcome = history(seed, End::PowerCut(step), Syncs::Honest);
            assert!(outcome.is_ok(), "seed {seed}, cut at step {step}: {}", outcome.unwrap_err());
        }
    }
}

#[test]
fn a_power_cut_in_any_of_many_histories_loses_nothing_acknowledged() {
    for seed in 100..100 + seeds() {
        let step = Chance(seed).below(250);
        let outcome = history(seed, End::PowerCut(step), Syncs::Honest);
        assert!(outcome.is_ok(), "seed {seed}, cut at step {step}: {}", outcome.unwrap_err());
    }
}

#[test]
fn with_syncs_swallowed_nearly_every_power_cut_is_flagged() {
    let flagged = (0..50).filter(|seed| history(*seed, End::PowerCut(150), Syncs::Swallowed).is_err()).count();
    assert!(flagged >= 45, "only {flagged} of 50 cuts were flagged");
}

/// How many histories to try, and 100 times the number of those that are cut at every step; a campaign asks for more.
fn seeds() -> u64 {
    std::env::var("BLOCKRAFT_POWER_CUT_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100)
}

const KEYS: u64 = 24;
const ROUNDS: u64 = 40;
