//! What `blockraft-load` tells on its standard output, one event per line.
//!
//! These are the events of its `report.rs`, as far as xtask reads them: xtask is built on every fresh machine before
//! anything else and must not depend on a crate that needs the network's.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    Started { bytes: u64 },
    Progress { blocks: u64, bytes: u64 },
    Gap { client: Option<u32>, from_unix_ms: u64, ms: u64 },
    Unwritten { from_unix_ms: u64, ms: u64, result: String },
    Done { done: u64, refused: u64, unknown: u64, bytes: u64, ms: u64 },
    Verified(Verified),
    Judged(Judged),
    Node(NodeReport),
    Measured { name: String, value: f64, unit: String },
}

/// What one node held at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Verified {
    pub(crate) node: u64,
    pub(crate) present: u64,
    pub(crate) absent: u64,
    pub(crate) either: u64,
    pub(crate) lost: u64,
    pub(crate) resurrected: u64,
    pub(crate) wrong: u64,
    pub(crate) unreadable: u64,
}

/// What the judges said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Judged {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
    pub(crate) blocks: u64,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) findings: Vec<serde_json::Value>,
    pub(crate) undecided: u64,
}

/// How a node sees itself; without a role it did not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct NodeReport {
    pub(crate) node: u64,
    pub(crate) role: Option<String>,
    pub(crate) term: u64,
    pub(crate) leader: Option<u64>,
    pub(crate) applied: u64,
    pub(crate) blocks: u64,
}

impl Verified {
    /// Whether the node held exactly what it must.
    pub(crate) const fn is_whole(&self) -> bool {
        self.lost == 0 && self.resurrected == 0 && self.wrong == 0 && self.unreadable == 0
    }
}

impl Judged {
    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty() && self.undecided == 0
    }

    /// The names of lost blocks, as far as the findings tell them.
    pub(crate) fn lost(&self) -> impl Iterator<Item = &str> {
        self.findings.iter().filter(|finding| finding["fault"] == "lost").filter_map(|finding| finding["key"].as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Verified};

    #[test]
    fn the_lines_of_the_load_generator_are_understood() {
        let lines = [
            r#"{"event":"started","bytes":7}"#,
            r#"{"event":"gap","client":null,"from_unix_ms":5,"ms":120}"#,
            r#"{"event":"judged","done":1,"refused":0,"unknown":0,"blocks":1,"faults":{"lost":1},"findings":[{}],"undecided":0}"#,
            r#"{"event":"node","node":2,"role":null,"term":0,"leader":null,"applied":0,"blocks":0}"#,
        ];
        let events: Vec<Event> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events[1], Event::Gap { client: None, from_unix_ms: 5, ms: 120 });
        assert!(matches!(&events[2], Event::Judged(judged) if !judged.is_clean()));
    }

    #[test]
    fn one_unreadable_block_is_not_whole() {
        assert!(Verified::default().is_whole());
        assert!(!Verified { unreadable: 1, ..Verified::default() }.is_whole());
    }
}
