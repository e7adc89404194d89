//! What each step of a course cost those who wrote meanwhile.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cluster::course::Step;
use crate::live::event::Event;
use crate::live::words;

/// Steps, and how writes fared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chronicle {
    /// In the order in which they were taken.
    steps: Vec<Taken>,
    gaps: Vec<Gap>,
    unwritten: Vec<Unwritten>,
}

/// One step that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) step: Step,
    /// Whom it concerned.
    pub(crate) what: String,
    pub(crate) begun_unix_ms: u64,
    pub(crate) lasted: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    from_unix_ms: u64,
    ms: u64,
}

#[derive(Clone, Debug)]
struct Unwritten {
    from_unix_ms: u64,
    result: String,
}

/// How writes fared from the beginning of a step to the beginning of the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    longest_gap_ms: u64,
    refused: usize,
    unknown: usize,
}

impl Chronicle {
    pub(crate) fn took(&mut self, taken: Taken) {
        self.steps.push(taken);
    }

    pub(crate) fn see(&mut self, event: &Event) {
        match event {
            Event::Gap { client: None, from_unix_ms, ms } => {
                self.gaps.push(Gap { from_unix_ms: *from_unix_ms, ms: *ms });
            }
            Event::Unwritten { from_unix_ms, result, .. } => {
                self.unwritten.push(Unwritten { from_unix_ms: *from_unix_ms, result: result.clone() });
            }
            _ => {}
        }
    }

    /// A sentence for each step that no write should have failed in, and in which some did.
    pub(crate) fn broken(&self) -> Vec<String> {
        let quiet = self.costs().filter(|(taken, _)| !taken.step.kills());
        let failed = quiet.filter(|(_, cost)| 0 < cost.refused + cost.unknown);
        let sentence = |(taken, Cost { refused, unknown, .. }): (&Taken, Cost)| {
            format!("{refused} writes refused and {unknown} unknown though nobody was killed: {}", taken.words())
        };
        failed.map(sentence).collect()
    }

    pub(crate) fn render(&self) -> String {
        if self.steps.is_empty() {
            return String::new();
        }
        let mut text = String::new();
        let mut line = |cells: [&str; 5]| {
            let [step, took, gap, refused, unknown] = cells;
            writeln!(text, "  {step:<44} {took:>8} {gap:>18} {refused:>8} {unknown:>8}")
                .expect("a string takes any text");
        };
        line(["step", "took", "longest write gap", "refused", "unknown"]);
        for (taken, Cost { longest_gap_ms, refused, unknown }) in self.costs() {
            let gap = match longest_gap_ms {
                0 => "under 100 ms".to_owned(),
                ms => words::time(Duration::from_millis(ms)),
            };
            line([&taken.words(), &words::time(taken.lasted), &gap, &refused.to_string(), &unknown.to_string()]);
        }
        text
    }

    fn costs(&self) -> impl Iterator<Item = (&Taken, Cost)> {
        let ends = self.steps.iter().skip(1).map(|next| next.begun_unix_ms).chain([u64::MAX]);
        self.steps.iter().zip(ends).map(|(taken, end)| {
            let within = |at: u64| (taken.begun_unix_ms..end).contains(&at);
            let gaps = self.gaps.iter().filter(|gap| within(gap.from_unix_ms)).map(|gap| gap.ms);
            let failed = |result: &str| {
                let these = self.unwritten.iter().filter(|failed| within(failed.from_unix_ms));
                these.filter(|failed| failed.result == result).count()
            };
            let (refused, unknown) = (failed("refused"), failed("unknown"));
            (taken, Cost { longest_gap_ms: gaps.max().unwrap_or(0), refused, unknown })
        })
    }
}

impl Taken {
    fn words(&self) -> String {
        format!("{} ({})", self.step, self.what)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Chronicle, Cost, Taken};
    use crate::cluster::course::Step;
    use crate::live::event::Event;

    fn chronicle() -> Chronicle {
        let mut chronicle = Chronicle::default();
        for (step, begun_unix_ms) in [(Step::Election, 1_000), (Step::Add, 3_000)] {
            let (what, lasted) = ("node 1".to_owned(), Duration::from_secs(1));
            chronicle.took(Taken { step, what, begun_unix_ms, lasted });
        }
        chronicle
    }

    fn unwritten(from_unix_ms: u64, result: &str) -> Event {
        Event::Unwritten { from_unix_ms, ms: 5_000, result: result.to_owned() }
    }

    #[test]
    fn what_begins_before_the_next_step_is_the_cost_of_this_one() {
        let mut chronicle = chronicle();
        for (from_unix_ms, ms) in [(100, 9_000), (1_100, 300), (2_900, 700), (3_500, 200)] {
            chronicle.see(&Event::Gap { client: None, from_unix_ms, ms });
        }
        chronicle.see(&unwritten(2_900, "unknown"));
        chronicle.see(&unwritten(5_000, "refused"));
        let costs: Vec<Cost> = chronicle.costs().map(|(_, cost)| cost).collect();
        let election = Cost { longest_gap_ms: 700, refused: 0, unknown: 1 };
        assert_eq!(costs, [election, Cost { longest_gap_ms: 200, refused: 1, unknown: 0 }]);
        assert_eq!(chronicle.render().lines().count(), 3);
    }

    #[test]
    fn a_write_may_fail_when_a_node_is_killed_and_in_no_other_step() {
        let mut chronicle = chronicle();
        chronicle.see(&unwritten(2_900, "unknown"));
        assert!(chronicle.broken().is_empty());
        chronicle.see(&unwritten(3_100, "unknown"));
        assert!(chronicle.broken()[0].contains("add a node (node 1)"), "{:?}", chronicle.broken());
    }
}
