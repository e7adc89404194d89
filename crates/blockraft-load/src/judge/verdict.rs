//! All judges together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::history::{Effect, Operation, Outcome};
use crate::judge::finding::{Fault, Finding};
use crate::judge::{confirmed, linearizable, never_deleted, positions};

/// What the judges say of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Operations that are known to have happened.
    pub done: u64,
    /// Operations that surely did not happen.
    pub refused: u64,
    /// Operations of which nobody knows.
    pub unknown: u64,
    /// Blocks whose operations were searched for an order.
    pub blocks: u64,
    /// Broken promises by kind; empty if none was broken.
    pub faults: BTreeMap<Fault, u64>,
    /// The first of them, with their evidence.
    pub findings: Vec<Finding>,
    /// Blocks that were too contended to be judged: the history proves nothing about them.
    pub undecided: u64,
}

impl Verdict {
    /// Whether every promise was kept and every block could be judged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty() && self.undecided == 0
    }

    /// Adds findings.
    pub fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            *self.faults.entry(finding.fault).or_default() += 1;
            if self.findings.len() < FINDINGS_MAX {
                self.findings.push(finding);
            }
        }
    }
}

/// Lets each judge look at `history`.
#[must_use]
pub fn judge(history: &[Operation]) -> Verdict {
    let mut verdict = Verdict::default();
    for operation in history {
        match operation.outcome {
            Outcome::Done { .. } => verdict.done += 1,
            Outcome::Refused { .. } => verdict.refused += 1,
            Outcome::Unknown { .. } => verdict.unknown += 1,
        }
    }
    verdict.add(history.iter().filter_map(wrong));
    verdict.add(never_deleted::scan(history));
    let searched = linearizable::search_all(history);
    verdict.blocks = (searched.ends.len() + searched.findings.len()) as u64;
    verdict.undecided = searched.undecided.len() as u64;
    verdict.add(searched.findings);
    verdict.add(positions::replay(history));
    verdict.add(confirmed::judge(history));
    verdict
}

fn wrong(operation: &Operation) -> Option<Finding> {
    let (_, effect) = operation.done()?;
    (*effect == Effect::Wrong).then(|| Finding {
        fault: Fault::Wrong,
        key: operation.action.key().cloned(),
        what: format!("client {} got bytes that are not the block's", operation.client),
        evidence: vec![operation.clone()],
    })
}

/// Findings kept with their evidence; the others are counted.
const FINDINGS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::history::story::Story;
    use crate::history::{Action, Consistency, Effect, Operation, Outcome};
    use crate::judge::Fault;

    /// What an honest cluster may have answered.
    fn honest() -> Vec<Operation> {
        Story::default()
            .put("a", Effect::Created)
            .put("b", Effect::Created)
            .get("a", Consistency::Linearizable, Effect::Present)
            .delete("b", Effect::Deleted)
            .get("b", Consistency::Linearizable, Effect::Absent)
            .get("a", Consistency::Confirmed, Effect::Present)
            .list(&["a"])
            .operations
    }

    fn edited(edit: impl FnOnce(&mut Vec<Operation>)) -> Vec<Fault> {
        let mut history = honest();
        edit(&mut history);
        judge(&history).faults.into_keys().collect()
    }

    fn answer(operation: &mut Operation, told: Effect) {
        let Outcome::Done { effect, .. } = &mut operation.outcome else { panic!("it was done") };
        *effect = told;
    }

    #[test]
    fn an_honest_history_is_clean() {
        let verdict = judge(&honest());
        assert!(verdict.is_clean(), "{verdict:#?}");
        assert_eq!((verdict.done, verdict.blocks), (7, 2));
    }

    #[test]
    fn each_edit_is_flagged_by_name() {
        let lost = edited(|history| answer(&mut history[2], Effect::Absent));
        assert_eq!(lost, [Fault::Lost, Fault::NotLinearizable]);
        let resurrected = edited(|history| answer(&mut history[4], Effect::Present));
        assert_eq!(resurrected, [Fault::Resurrected, Fault::NotLinearizable]);
        let wrong = edited(|history| answer(&mut history[5], Effect::Wrong));
        assert_eq!(wrong, [Fault::Wrong]);
        let unlisted = edited(|history| answer(&mut history[6], Effect::Listed { keys: Vec::new(), last: true }));
        assert_eq!(unlisted, [Fault::Lost]);
        let never_put = edited(|history| drop(history.remove(0)));
        assert_eq!(never_put, [Fault::Resurrected, Fault::NotLinearizable]);
    }

    #[test]
    fn each_position_that_was_moved_back_is_flagged_by_name() {
        let moved = |place: usize| {
            edited(|history| {
                let Outcome::Done { position, .. } = &mut history[place].outcome else { panic!("it was done") };
                position.index.0 -= 1;
            })
        };
        assert_eq!(moved(2), [Fault::Position, Fault::Confirmed], "a linearizable read");
        assert_eq!(moved(5), [Fault::Confirmed], "a confirmed read of a present block");
    }

    #[test]
    fn a_verdict_on_nothing_is_clean_and_empty() {
        assert!(judge(&[]).is_clean());
        let unknown = Action::Put { key: "a".into(), bytes: 0 };
        let outcome = Outcome::Unknown { why: String::new() };
        let operation = Operation { client: 0, node: None, action: unknown, invoked: 0, returned: 0, outcome };
        assert_eq!(judge(&[operation]).unknown, 1);
    }
}
