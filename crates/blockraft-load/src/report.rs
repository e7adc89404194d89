//! What a command tells its caller: one line of JSON on standard output for each event.

use std::io::{self, Write};

use serde::Serialize;

use crate::clock::Clock;
use crate::gaps::Gap;
use crate::history::{Operation, Outcome};
use crate::judge::Verdict;

/// Something worth telling while a command runs, or its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Clients are connected and at work.
    Started {
        /// How much there is to do, in bytes; 0 when time alone bounds it.
        bytes: u64,
    },
    /// So much is done.
    Progress {
        /// Blocks acknowledged, read or judged.
        blocks: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Writes stood still.
    Gap {
        /// For whom; nobody in particular when for all.
        client: Option<u32>,
        /// The last acknowledgement before it, in milliseconds since 1970.
        from_unix_ms: u64,
        /// How long it lasted, in milliseconds.
        ms: u64,
    },
    /// A write that wasn't acknowledged: it surely did not happen, or nobody knows.
    Unwritten {
        /// When it was asked for, in milliseconds since 1970.
        from_unix_ms: u64,
        /// When it was given up, in milliseconds after that.
        ms: u64,
        /// `refused` or `unknown`, as in the history.
        result: &'static str,
    },
    /// The command is done.
    Done {
        /// Operations that are known to have happened.
        done: u64,
        /// Operations that surely did not happen.
        refused: u64,
        /// Operations of which nobody knows.
        unknown: u64,
        /// Bytes of blocks acknowledged.
        bytes: u64,
        /// How long it took, in milliseconds.
        ms: u64,
    },
    /// Every block was read from a node.
    Verified {
        /// The node.
        node: u64,
        /// Blocks that must be there and were, with the right bytes.
        present: u64,
        /// Blocks that must not be there and were not.
        absent: u64,
        /// Blocks of which both was possible.
        either: u64,
        /// Blocks that must be there and were not.
        lost: u64,
        /// Blocks that must not be there and were.
        resurrected: u64,
        /// Blocks with other bytes than theirs.
        wrong: u64,
        /// Blocks that could not be read.
        unreadable: u64,
    },
    /// A history was judged.
    Judged(Verdict),
    /// How a node is doing.
    Node {
        /// The node.
        node: u64,
        /// Its role; `None` when it does not answer.
        role: Option<String>,
        /// Its term.
        term: u64,
        /// Whom it takes for the leader.
        leader: Option<u64>,
        /// The last index that it has applied.
        applied: u64,
        /// Blocks visible there.
        blocks: u64,
    },
    /// Something was measured.
    Measured {
        /// What, in plain words.
        name: String,
        /// How much.
        value: f64,
        /// Of what.
        unit: String,
    },
}

impl Event {
    /// A gap in the words of the calendar.
    #[must_use]
    pub fn gap(gap: Gap, clock: Clock) -> Self {
        Self::Gap {
            client: gap.client,
            from_unix_ms: clock.unix_ms(gap.from_ns),
            ms: gap.to_ns.saturating_sub(gap.from_ns) / 1_000_000,
        }
    }

    /// A write that failed, in the words of the calendar; `None` for everything else.
    #[must_use]
    pub fn unwritten(operation: &Operation, clock: Clock) -> Option<Self> {
        let result = match &operation.outcome {
            Outcome::Refused { .. } => "refused",
            Outcome::Unknown { .. } => "unknown",
            Outcome::Done { .. } => return None,
        };
        let is_write = operation.action.consistency().is_none();
        let ms = operation.returned.saturating_sub(operation.invoked) / 1_000_000;
        is_write.then(|| Self::Unwritten { from_unix_ms: clock.unix_ms(operation.invoked), ms, result })
    }

    /// Prints it on a line of its own. Nobody listening is no reason to fail: a parent that died needs no report.
    pub fn tell(&self) {
        let mut output = io::stdout().lock();
        if serde_json::to_writer(&mut output, self).is_ok() {
            let _ = output.write_all(b"\n").and_then(|()| output.flush());
        }
    }
}
