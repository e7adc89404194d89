//! Which fault happens when, and for how long: drawn from a seed, before anything starts.

use std::time::Duration;

use crate::cluster::dice::Dice;
use crate::cluster::faults::{Fault, Victim};

/// Faults in the order of their beginnings. They may overlap; the last one ends before the time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) strokes: Vec<Stroke>,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stroke {
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
    pub(crate) fault: Fault,
    pub(crate) victim: Victim,
}

impl Schedule {
    pub(crate) fn draw(seed: u64, time: Duration, nodes: usize, with_power_cuts: bool) -> Self {
        let mut dice = Dice::new(seed);
        let mut strokes: Vec<Stroke> = Vec::new();
        let mut at = Duration::from_millis(1_000 + dice.below(1_500));
        loop {
            let is_first_cut = with_power_cuts && strokes.is_empty();
            let fault = match dice.below(100) {
                _ if is_first_cut => Fault::PowerCut,
                0..50 if with_power_cuts => Fault::PowerCut,
                0..65 => Fault::Kill,
                65..75 => Fault::Stop,
                _ => Fault::Pause,
            };
            let victim = match dice.below(100) {
                // Only when everybody's power fails at once does what was not synced surely go.
                _ if is_first_cut => Victim::All,
                0..45 => Victim::Leader,
                45..85 => Victim::Node(dice.below(nodes as u64) as usize),
                _ => Victim::All,
            };
            let lasts = Duration::from_millis(match fault {
                Fault::Pause => 100 + dice.below(3_000),
                Fault::Kill | Fault::Stop | Fault::PowerCut => 200 + dice.below(3_000),
            });
            if time < at + lasts + LAST_WORDS {
                return Self { strokes };
            }
            strokes.push(Stroke { at, lasts, fault, victim });
            // Some faults begin while another lasts, some only once writes flow again.
            at += Duration::from_millis(500 + dice.below(5_000));
        }
    }
}

impl Schedule {
    /// No faults.
    pub(crate) const fn nothing() -> Self {
        Self { strokes: Vec::new() }
    }

    /// Power is cut once, for all nodes at one moment in the middle: soon enough that nothing was written to the disks
    /// just because it had waited for long.
    pub(crate) fn one_cut(time: Duration) -> Self {
        let at = (time / 2).min(UNSYNCED_TIME_MAX);
        let lasts = Duration::from_millis(500);
        Self { strokes: vec![Stroke { at, lasts, fault: Fault::PowerCut, victim: Victim::All }] }
    }
}

/// Clients go on for at least so long after the last fault.
const LAST_WORDS: Duration = Duration::from_millis(1_500);

/// Linux writes what nobody synced after half a minute by default, and sooner when memory is short. A disk that holds a
/// part of it may be one that no node starts on, and then nothing can be read.
const UNSYNCED_TIME_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::Schedule;
    use crate::cluster::faults::Fault;

    fn draw(seed: u64, seconds: u64, with_power_cuts: bool) -> Schedule {
        Schedule::draw(seed, Duration::from_secs(seconds), 3, with_power_cuts)
    }

    #[test]
    fn a_seed_gives_the_same_schedule_again_and_another_seed_another() {
        assert_eq!(draw(7, 60, false), draw(7, 60, false));
        assert_ne!(draw(7, 60, false), draw(8, 60, false));
    }

    #[test]
    fn every_kind_of_fault_happens_in_two_minutes() {
        for seed in 0..20 {
            let kinds =
                |power| draw(seed, 120, power).strokes.iter().map(|stroke| stroke.fault).collect::<BTreeSet<_>>();
            assert!(kinds(false).is_superset(&[Fault::Kill, Fault::Pause].into()), "seed {seed}");
            assert!(!kinds(false).contains(&Fault::PowerCut));
            assert!(kinds(true).contains(&Fault::PowerCut), "seed {seed}");
        }
    }

    #[test]
    fn everything_is_over_before_the_time_is() {
        for stroke in draw(3, 30, true).strokes {
            assert!(stroke.at + stroke.lasts < Duration::from_secs(30));
        }
    }
}
