//! What a run showed: faults, operations, gaps, and what the judges say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZero;
use std::{fs, thread};

use crate::cluster::chronicle::Chronicle;
use crate::cluster::faults::Fault;
use crate::live::event::{Event, Judged, Verified};
use crate::live::words;

/// Everything seen in one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    faults: BTreeMap<Fault, u64>,
    /// Intervals without an acknowledged write, of all clients together, in milliseconds.
    gaps_ms: Vec<u64>,
    verified: Vec<Verified>,
    judged: Option<Judged>,
    bytes: u64,
    /// Changes of members, and what they cost.
    pub(crate) chronicle: Chronicle,
    /// Nodes that ended by themselves.
    pub(crate) fallen: Vec<String>,
    /// Snapshots that nodes installed.
    pub(crate) snapshots: usize,
    /// Panics in the nodes' logs.
    pub(crate) panics: Vec<String>,
}

impl Outcome {
    pub(crate) fn struck(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub(crate) fn see(&mut self, event: &Event) {
        self.chronicle.see(event);
        match event {
            Event::Gap { client: None, ms, .. } => self.gaps_ms.push(*ms),
            Event::Verified(node) => self.verified.push(*node),
            Event::Judged(judged) => self.judged = Some(judged.clone()),
            Event::Done { bytes, .. } => self.bytes += bytes,
            Event::Started { .. }
            | Event::Progress { .. }
            | Event::Gap { .. }
            | Event::Unwritten { .. }
            | Event::Node(_)
            | Event::Measured { .. } => {}
        }
    }

    /// Acknowledged blocks that the node which lacks most of them lacks.
    pub(crate) fn lost(&self) -> u64 {
        self.verified.iter().map(|node| node.lost).max().unwrap_or(0)
    }

    /// Which promises were broken, with the names of some lost blocks; `None` if all was judged and nothing was found.
    pub(crate) fn broken(&self) -> Option<String> {
        let mut broken = Vec::new();
        let most = |of: fn(&Verified) -> u64| self.verified.iter().map(of).max().unwrap_or(0);
        for (count, what) in [
            (self.lost(), "lost"),
            (most(|node| node.resurrected), "resurrected"),
            (most(|node| node.wrong), "wrong"),
            (most(|node| node.unreadable), "unreadable"),
        ] {
            if 0 < count {
                broken.push(format!("{} blocks {what}", words::count(count)));
            }
        }
        match &self.judged {
            Some(judged) if !judged.is_clean() => {
                let names: BTreeSet<&str> = judged.lost().collect();
                let names: Vec<&str> = names.into_iter().take(LOST_NAMES_MAX).collect();
                if !names.is_empty() {
                    broken.push(format!("lost are {}", names.join(", ")));
                }
                let faults = judged.faults.iter().map(|(fault, count)| format!("{fault} {}", words::count(*count)));
                broken.extend(faults);
                if 0 < judged.undecided {
                    broken.push(format!("{} blocks undecided", words::count(judged.undecided)));
                }
            }
            Some(_) => {}
            None => broken.push("nothing was judged".to_owned()),
        }
        if self.verified.is_empty() {
            broken.push("nothing was read back".to_owned());
        }
        broken.extend(self.chronicle.broken());
        broken.extend(self.fallen.iter().chain(&self.panics).cloned());
        (!broken.is_empty()).then(|| broken.join("; "))
    }

    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let mut line =
            |name: &str, value: String| writeln!(text, "  {name:<14} {value}").expect("a string takes any text");
        let faults: Vec<String> = self.faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        line("faults", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") });
        if let Some(judged) = &self.judged {
            line(
                "operations",
                format!(
                    "{} done, {} refused, {} unknown; {} written",
                    words::count(judged.done),
                    words::count(judged.refused),
                    words::count(judged.unknown),
                    words::bytes(self.bytes)
                ),
            );
        }
        line("snapshots", format!("{} installed", self.snapshots));
        let mut gaps = self.gaps_ms.clone();
        gaps.sort_unstable();
        if let (Some(median), Some(worst)) = (gaps.get(gaps.len() / 2), gaps.last()) {
            line("write gaps", format!("{} of 100 ms or more, median {median} ms, worst {worst} ms", gaps.len()));
        }
        for node in &self.verified {
            let Verified { present, absent, either, lost, resurrected, wrong, unreadable, .. } = node;
            line(
                &format!("node {}", node.node),
                format!(
                    "{} there, {absent} deleted, {either} unknown; {lost} lost, {resurrected} resurrected, {wrong} wrong, {unreadable} unreadable",
                    words::count(*present)
                ),
            );
        }
        match &self.judged {
            Some(judged) if judged.is_clean() => {
                line("judged", format!("{} blocks, every answer explained", words::count(judged.blocks)));
            }
            Some(judged) => {
                line("judged", format!("{:?}, {} undecided", judged.faults, judged.undecided));
                for finding in &judged.findings {
                    line("", format!("{}: {} ({})", finding["fault"], finding["what"], finding["key"]));
                }
            }
            None => {}
        }
        for sentence in self.fallen.iter().chain(&self.panics) {
            line("", sentence.clone());
        }
        line("machine", machine());
        text.push_str(&self.chronicle.render());
        text
    }
}

/// How busy the machine is: gaps that were seen on a busy one say little.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let average = average.split_whitespace().next().unwrap_or("unknown");
    format!("{cores} cores, load average {average}")
}

/// Lost blocks that are named; the others are counted.
const LOST_NAMES_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::{Event, Judged, Outcome, Verified};

    fn clean() -> Outcome {
        let mut outcome = Outcome::default();
        outcome.see(&Event::Verified(Verified::default()));
        outcome.see(&Event::Judged(Judged::default()));
        outcome
    }

    #[test]
    fn a_run_is_clean_only_if_everything_was_judged() {
        assert_eq!(clean().broken(), None);
        assert_eq!(Outcome { judged: None, ..clean() }.broken().unwrap(), "nothing was judged");
        assert_eq!(Outcome { verified: Vec::new(), ..clean() }.broken().unwrap(), "nothing was read back");
    }

    #[test]
    fn each_kind_of_finding_spoils_it() {
        let resurrected = Verified { resurrected: 1, ..Verified::default() };
        assert!(Outcome { verified: vec![resurrected], ..clean() }.broken().is_some());
        assert!(Outcome { fallen: vec!["node 1 ended".to_owned()], ..clean() }.broken().is_some());
        assert!(Outcome { panics: vec!["node 1: panicked at".to_owned()], ..clean() }.broken().is_some());
        let undecided = Judged { undecided: 1, ..Judged::default() };
        assert!(Outcome { judged: Some(undecided), ..clean() }.broken().is_some());
    }

    #[test]
    fn lost_blocks_are_counted_by_the_reads_and_named_by_the_judges() {
        let mut outcome = clean();
        for lost in [2, 1_200] {
            outcome.see(&Event::Verified(Verified { lost, ..Verified::default() }));
        }
        let findings = vec![serde_json::json!({"fault": "lost", "key": "1220ab", "what": "gone"})];
        let faults = [("lost".to_owned(), 1_202)].into();
        outcome.see(&Event::Judged(Judged { faults, findings, ..Judged::default() }));
        assert_eq!(outcome.lost(), 1_200);
        assert_eq!(outcome.broken().unwrap(), "1,200 blocks lost; lost are 1220ab; lost 1,202");
    }
}
