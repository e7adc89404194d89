//! Up-to-date answers and writes, block by block: is there an order that explains them all?
//!
//! Judged are writes, `Linearizable` reads, and the "absent" of `Confirmed` reads, which is promised to be as good.
//! Operations on different blocks commute, so blocks are judged one by one.

use std::collections::BTreeMap;

use crate::history::{Action, Consistency, Effect, Operation, Outcome};
use crate::judge::finding::{Fault, Finding};
use crate::judge::register::{FinalState, Search, Step, Transition, search};

/// What the search made of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched<'a> {
    /// What each block that was ever put may be at the end; blocks with a finding or without a verdict are left out.
    pub ends: BTreeMap<&'a str, FinalState>,
    /// Blocks whose operations no order explains.
    pub findings: Vec<Finding>,
    /// Blocks that were too contended to be judged.
    pub undecided: Vec<&'a str>,
}

/// Searches an order for each block.
#[must_use]
pub fn search_all(history: &[Operation]) -> Searched<'_> {
    let mut by_key: BTreeMap<&str, Vec<(&Operation, Transition)>> = BTreeMap::new();
    for operation in history {
        let Some(key) = operation.action.key() else { continue };
        if let Some(transition) = transition(operation) {
            by_key.entry(key).or_default().push((operation, transition));
        }
    }
    let mut searched = Searched::default();
    for (key, operations) in by_key {
        let steps: Vec<Step> = operations
            .iter()
            .map(|(operation, transition)| Step {
                invoked: operation.invoked,
                returned: operation.returned,
                transition: *transition,
            })
            .collect();
        match search(&steps) {
            Search::Explained { end } => drop(searched.ends.insert(key, end)),
            Search::Undecided => searched.undecided.push(key),
            Search::Unexplained { step } => searched.findings.push(unexplained(key, &operations, step)),
        }
    }
    searched
}

/// What an operation says about presence at one moment between its invocation and its return, if it does.
fn transition(operation: &Operation) -> Option<Transition> {
    let effect = match (&operation.outcome, &operation.action) {
        (Outcome::Done { effect, .. }, _) => effect,
        (Outcome::Unknown { .. }, Action::Put { .. }) => return Some(Transition::MaybePut),
        (Outcome::Unknown { .. }, Action::Delete { .. }) => return Some(Transition::MaybeDelete),
        (Outcome::Unknown { .. } | Outcome::Refused { .. }, _) => return None,
    };
    match (operation.action.consistency(), effect) {
        (Some(Consistency::Local), _) | (Some(Consistency::Confirmed), Effect::Present) => None,
        (_, Effect::Created) => Some(Transition::Create),
        (_, Effect::Deleted) => Some(Transition::Remove),
        (_, Effect::AlreadyPresent | Effect::Present) => Some(Transition::SeePresent),
        (_, Effect::Absent) => Some(Transition::SeeAbsent),
        (_, Effect::Wrong | Effect::Listed { .. }) => None,
    }
}

fn unexplained(key: &str, operations: &[(&Operation, Transition)], step: usize) -> Finding {
    let culprit = operations[step].0;
    let before = operations.iter().map(|(operation, _)| *operation);
    let mut evidence: Vec<Operation> =
        before.filter(|operation| operation.invoked <= culprit.returned).cloned().collect();
    evidence.sort_by_key(|operation| operation.invoked);
    let cut = evidence.len().saturating_sub(EVIDENCE_MAX);
    Finding {
        fault: Fault::NotLinearizable,
        key: Some(key.to_owned()),
        what: format!(
            "client {} was told {:?} at {} ns, which no order of the operations explains",
            culprit.client, culprit.outcome, culprit.returned
        ),
        evidence: evidence.split_off(cut),
    }
}

/// Operations shown with a finding: the last ones before it.
const EVIDENCE_MAX: usize = 24;

#[cfg(test)]
mod tests;
