//! What the demo showed, in lines whose last ones say whether the promise was kept.

use std::fmt::Write as _;
use std::time::Duration;

use crate::live::event::{Judged, Verified};
use crate::live::words;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Bytes of the blocks that were acknowledged as new.
    pub(crate) bytes: u64,
    /// How long writing them took.
    pub(crate) writing: Duration,
    /// The node that was killed.
    pub(crate) killed: usize,
    /// How long nobody had an acknowledgement after that.
    pub(crate) gap: Duration,
    /// How long the dead node took to be level again.
    pub(crate) caught_up: Duration,
    /// What each node held at the end.
    pub(crate) verified: Vec<Verified>,
    /// What the judges said of the clients' history.
    pub(crate) judged: Judged,
}

impl Report {
    /// Whether the cluster kept its promise.
    pub(crate) fn is_whole(&self) -> bool {
        self.verified.len() == 3 && self.verified.iter().all(Verified::is_whole) && self.judged.is_clean()
    }

    /// Blocks that must be on every node.
    fn acknowledged(&self) -> u64 {
        let must = |node: &Verified| node.present + node.lost + node.wrong + node.unreadable;
        self.verified.iter().map(must).max().unwrap_or(0)
    }

    fn sum(&self, of: impl Fn(&Verified) -> u64) -> u64 {
        self.verified.iter().map(of).sum()
    }

    pub(crate) fn render(&self, next: &str) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            writeln!(text, "  {name:<28} {value}").expect("a string takes any text");
        };
        let rate = self.bytes as f64 / self.writing.as_secs_f64().max(1e-3);
        line(
            "written",
            format!("{} in {}, {}/s", words::bytes(self.bytes), words::time(self.writing), words::bytes(rate as u64)),
        );
        line("caught up after restart", format!("node {} in {}", self.killed + 1, words::time(self.caught_up)));
        for node in &self.verified {
            line(
                &format!("read from node {}", node.node),
                format!("{} blocks, all bytes compared with their hash", words::count(node.present)),
            );
        }
        if !self.judged.is_clean() {
            line("broken promises", format!("{:?}, {} blocks undecided", self.judged.faults, self.judged.undecided));
        }
        let unreadable = self.sum(|node| node.unreadable);
        if unreadable > 0 {
            line("unreadable", words::count(unreadable));
        }
        line("blocks acknowledged", words::count(self.acknowledged()));
        line("lost", words::count(self.sum(|node| node.lost)));
        line("wrong", words::count(self.sum(|node| node.wrong)));
        line("write gap after the kill", words::time(self.gap));
        writeln!(text, "\n{next}").expect("a string takes any text");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Judged, Report, Verified};

    #[test]
    fn three_whole_nodes_and_a_clean_verdict_make_a_whole_report() {
        let whole = Report { verified: vec![Verified::default(); 3], ..Report::default() };
        assert!(whole.is_whole());
        assert!(!Report { verified: vec![Verified::default(); 2], ..Report::default() }.is_whole());
        let mut lossy = whole.clone();
        lossy.verified[1].lost = 2;
        assert!(!lossy.is_whole());
        assert!(lossy.render("Next").contains("lost                         2\n"));
        let undecided = Report { judged: Judged { undecided: 1, ..Judged::default() }, ..whole };
        assert!(!undecided.is_whole());
    }
}
