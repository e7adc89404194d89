//! What a run showed: faults, operations, gaps, and what the judges say.

use std::collections::BTreeMap;
use std::fmt::Write as _;

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
    /// Nodes that ended by themselves.
    pub(crate) fallen: Vec<String>,
    /// Panics in the nodes' logs.
    pub(crate) panics: Vec<String>,
}

impl Outcome {
    pub(crate) fn struck(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub(crate) fn see(&mut self, event: &Event) {
        match event {
            Event::Gap { client: None, ms, .. } => self.gaps_ms.push(*ms),
            Event::Verified(node) => self.verified.push(*node),
            Event::Judged(judged) => self.judged = Some(judged.clone()),
            Event::Done { bytes, .. } => self.bytes += bytes,
            Event::Started { .. }
            | Event::Progress { .. }
            | Event::Gap { .. }
            | Event::Node(_)
            | Event::Measured { .. } => {}
        }
    }

    /// Whether everything was judged and nothing was found.
    pub(crate) fn is_clean(&self) -> bool {
        self.fallen.is_empty()
            && self.panics.is_empty()
            && !self.verified.is_empty()
            && self.verified.iter().all(Verified::is_whole)
            && self.judged.as_ref().is_some_and(Judged::is_clean)
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
        text
    }
}

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
        assert!(clean().is_clean());
        assert!(!Outcome::default().is_clean());
        assert!(!Outcome { judged: None, ..clean() }.is_clean());
        assert!(!Outcome { verified: Vec::new(), ..clean() }.is_clean());
    }

    #[test]
    fn each_kind_of_finding_spoils_it() {
        let resurrected = Verified { resurrected: 1, ..Verified::default() };
        assert!(!Outcome { verified: vec![resurrected], ..clean() }.is_clean());
        let faults = [("lost".to_owned(), 1)].into();
        assert!(!Outcome { judged: Some(Judged { faults, ..Judged::default() }), ..clean() }.is_clean());
        assert!(!Outcome { fallen: vec!["node 1 ended".to_owned()], ..clean() }.is_clean());
        assert!(!Outcome { panics: vec!["node 1: panicked at".to_owned()], ..clean() }.is_clean());
    }
}
