//! Blocks that nobody ever tried to delete: once there, there for good. A single pass over the history.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Action, Consistency, Effect, Key, Operation};
use crate::judge::finding::{Fault, Finding};

/// Finds each answer "absent", and each listing without the block, that was asked for after the block was there.
/// `Local` answers may be as old as they like and are passed by.
#[must_use]
pub fn scan(history: &[Operation]) -> Vec<Finding> {
    let deleted: BTreeSet<&Key> = history
        .iter()
        .filter(|operation| matches!(operation.action, Action::Delete { .. }))
        .filter_map(|operation| operation.action.key())
        .collect();
    let mut seen: BTreeMap<&Key, &Operation> = BTreeMap::new();
    for operation in history {
        for key in shown_present(operation).into_iter().filter(|key| !deleted.contains(key)) {
            let first = seen.entry(key).or_insert(operation);
            if operation.returned < first.returned {
                *first = operation;
            }
        }
    }
    let mut findings = Vec::new();
    for operation in history.iter().filter(|operation| operation.action.consistency() != Some(Consistency::Local)) {
        match (&operation.action, operation.done()) {
            (action, Some((_, Effect::Absent))) => {
                let Some(key) = action.key() else { continue };
                let there = seen.get(key).filter(|witness| witness.returned < operation.invoked);
                findings.extend(there.map(|witness| lost(key, witness, operation)));
            }
            (Action::List { after, .. }, Some((_, Effect::Listed { keys, last }))) => {
                let listed: BTreeSet<&Key> = keys.iter().collect();
                let begins = |key: &Key| after.as_ref().is_none_or(|after| after < key);
                let ends = |key: &Key| *last || keys.last().is_some_and(|end| key <= end);
                let missing = seen.iter().filter(|(key, witness)| {
                    witness.returned < operation.invoked && begins(key) && ends(key) && !listed.contains(*key)
                });
                findings.extend(missing.map(|(key, witness)| lost(key, witness, operation)));
            }
            _ => {}
        }
    }
    findings
}

/// The blocks that were there at a moment no later than the operation's return.
fn shown_present(operation: &Operation) -> Vec<&Key> {
    match operation.done() {
        Some((_, Effect::Created | Effect::AlreadyPresent | Effect::Present)) => {
            operation.action.key().into_iter().collect()
        }
        Some((_, Effect::Listed { keys, .. })) => keys.iter().collect(),
        _ => Vec::new(),
    }
}

fn lost(key: &Key, witness: &Operation, absent: &Operation) -> Finding {
    Finding {
        fault: Fault::Lost,
        key: Some(key.clone()),
        what: format!(
            "client {} was told absent at {} ns, though client {} knew it present at {} ns and nobody deleted it",
            absent.client, absent.returned, witness.client, witness.returned
        ),
        evidence: vec![witness.clone(), absent.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::scan;
    use crate::history::story::Story;
    use crate::history::{Consistency, Effect};

    #[test]
    fn a_lost_put_is_flagged_for_every_reader_but_a_local_one() {
        for (consistency, findings) in
            [(Consistency::Local, 0), (Consistency::Confirmed, 1), (Consistency::Linearizable, 1)]
        {
            let story = Story::default().put("a", Effect::Created).get("a", consistency, Effect::Absent);
            assert_eq!(scan(&story.operations).len(), findings, "{consistency:?}");
        }
    }

    #[test]
    fn an_unknown_put_that_was_seen_once_must_stay() {
        let story = Story::default().put("a", Effect::Created).unknown();
        let story = story.get("a", Consistency::Linearizable, Effect::Absent);
        assert_eq!(scan(&story.operations), []);
        let story = story.get("a", Consistency::Local, Effect::Present).put("b", Effect::Created);
        let story = story.get("a", Consistency::Confirmed, Effect::Absent);
        assert_eq!(scan(&story.operations).len(), 1);
    }

    #[test]
    fn a_listing_that_leaves_a_block_out_is_flagged() {
        let told = || Story::default().put("a", Effect::Created).put("b", Effect::Created);
        assert_eq!(scan(&told().list(&["a", "b"]).operations), []);
        assert_eq!(scan(&told().list(&["b"]).operations).len(), 1);
    }

    #[test]
    fn who_asked_before_the_answer_may_be_told_absent() {
        let story = Story::default().put("a", Effect::Created).during(0, 50);
        let story = story.get("a", Consistency::Confirmed, Effect::Absent).during(40, 60);
        assert_eq!(scan(&story.operations), []);
    }

    #[test]
    fn a_block_that_anybody_tried_to_delete_is_not_judged_here() {
        let story = Story::default().put("a", Effect::Created).delete("a", Effect::Deleted).refused();
        assert_eq!(scan(&story.get("a", Consistency::Confirmed, Effect::Absent).operations), []);
    }
}
