//! What `Confirmed` promises: presence may be out of date with regard to deletes alone, and never with regard to what
//! this client has seen or this node has said.
//!
//! "Absent" is promised to be up to date and is judged with the linearizable answers. A "present" is judged against the
//! log: as of the answer's position, or a later moment, the block must have been there. And positions themselves may go
//! back neither for a client nor for a node, not even when the node was restarted in between. `Local` reads promise
//! neither.

use std::collections::BTreeMap;

use blockraft_types::Position;

use crate::history::{Action, Consistency, Effect, Key, Operation};
use crate::judge::finding::{Fault, Finding};

/// Finds answers from before what their client had seen or their node had said, and blocks that were not there at any
/// moment since.
#[must_use]
pub fn judge(history: &[Operation]) -> Vec<Finding> {
    let blocks = blocks(history);
    let mut findings = taken_back(history);
    findings.extend(restarted_in_the_past(history));
    for operation in history {
        let Some((position, effect)) = operation.done() else { continue };
        let shown = match (effect, operation.action.key()) {
            (Effect::Present, Some(key)) => core::slice::from_ref(key),
            (Effect::Listed { keys, .. }, _) => keys,
            _ => continue,
        };
        for key in shown {
            findings.extend(ghost(key, blocks.get(key), operation, position));
        }
    }
    findings
}

/// The writes of one block.
#[derive(Debug, Default)]
struct Block<'a> {
    /// Puts that made it visible, by position.
    created: Vec<(Position, &'a Operation)>,
    /// Deletes that made it invisible, by position.
    deleted: Vec<(Position, &'a Operation)>,
    /// Puts without an answer.
    unknown: Vec<&'a Operation>,
}

fn blocks(history: &[Operation]) -> BTreeMap<&Key, Block<'_>> {
    let mut blocks: BTreeMap<&Key, Block<'_>> = BTreeMap::new();
    for operation in history {
        let Some(key) = operation.action.key() else { continue };
        let block = blocks.entry(key).or_default();
        match (operation.done(), &operation.action) {
            (Some((position, Effect::Created)), _) => block.created.push((position, operation)),
            (Some((position, Effect::Deleted)), _) => block.deleted.push((position, operation)),
            (None, Action::Put { .. }) if operation.is_unknown() => block.unknown.push(operation),
            _ => {}
        }
    }
    for block in blocks.values_mut() {
        block.created.sort_by_key(|(position, _)| *position);
        block.deleted.sort_by_key(|(position, _)| *position);
    }
    blocks
}

/// A block that was shown although it was deleted as of the answer, and not put again before the client had it.
/// Without a delete at or before the position any earlier put explains it, for each kind of read.
fn ghost(key: &Key, block: Option<&Block<'_>>, shown: &Operation, position: Position) -> Option<Finding> {
    let before = |put: &&Operation| put.invoked <= shown.returned;
    let is_unknown = block.is_some_and(|block| block.unknown.iter().any(before));
    let last_delete = block.and_then(|block| block.deleted.iter().rev().find(|(at, _)| *at <= position));
    let not_before = last_delete.map_or(Position::ZERO, |(at, _)| *at);
    let put = |(at, put): &(Position, &Operation)| not_before <= *at && put.invoked <= shown.returned;
    if is_unknown || block.is_some_and(|block| block.created.iter().any(put)) {
        return None;
    }
    let what = match last_delete {
        Some((at, _)) => format!("shown as of {position}, though the delete at {at} was the last write before it"),
        None => "shown, though nobody had put it".to_owned(),
    };
    let evidence = last_delete.map(|(_, delete)| *delete).into_iter().chain([shown]).cloned().collect();
    Some(Finding { fault: Fault::Resurrected, key: Some(key.clone()), what, evidence })
}

/// Answers as of a position before the highest that their client had been told.
fn taken_back(history: &[Operation]) -> Vec<Finding> {
    let mut clients: BTreeMap<u32, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        clients.entry(operation.client).or_default().push(operation);
    }
    let mut findings = Vec::new();
    for operations in clients.values_mut() {
        operations.sort_by_key(|operation| operation.invoked);
        let mut highest: Option<(Position, &Operation)> = None;
        for operation in operations {
            let Some((position, _)) = operation.done() else { continue };
            let seen = highest.filter(|(seen, _)| position < *seen);
            let is_judged = operation.action.consistency() != Some(Consistency::Local);
            match seen {
                Some((seen, witness)) if is_judged => findings.push(Finding {
                    fault: Fault::Confirmed,
                    key: operation.action.key().cloned(),
                    what: format!("answered as of {position} to client {}, who had seen {seen}", operation.client),
                    evidence: vec![witness.clone(), (*operation).clone()],
                }),
                Some(_) => {}
                None => highest = Some((position, operation)),
            }
        }
    }
    findings
}

/// Reads that a node answered as of a position before one that it had returned when the read was asked for.
fn restarted_in_the_past(history: &[Operation]) -> Vec<Finding> {
    let mut nodes: BTreeMap<u64, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        if let (Some(node), Some(_)) = (operation.node, operation.done()) {
            nodes.entry(node).or_default().push(operation);
        }
    }
    let mut findings = Vec::new();
    for (node, mut operations) in nodes {
        let mut returns = operations.clone();
        returns.sort_by_key(|operation| operation.returned);
        let mut returns = returns.into_iter().peekable();
        operations.sort_by_key(|operation| operation.invoked);
        let mut highest: Option<(Position, &Operation)> = None;
        for operation in operations {
            while let Some(said) = returns.next_if(|said| said.returned < operation.invoked) {
                let Some((position, _)) = said.done() else { continue };
                if highest.is_none_or(|(highest, _)| highest < position) {
                    highest = Some((position, said));
                }
            }
            let (Some((highest, witness)), Some((position, _))) = (highest, operation.done()) else { continue };
            let is_judged =
                matches!(operation.action.consistency(), Some(Consistency::Confirmed | Consistency::Linearizable));
            if is_judged && position < highest {
                findings.push(Finding {
                    fault: Fault::Confirmed,
                    key: operation.action.key().cloned(),
                    what: format!("node {node} answered as of {position}, and had said {highest} before it was asked"),
                    evidence: vec![witness.clone(), operation.clone()],
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::history::story::Story;
    use crate::history::{Consistency, Effect};
    use crate::judge::Fault;

    fn faults(story: &Story) -> Vec<Fault> {
        judge(&story.operations).into_iter().map(|finding| finding.fault).collect()
    }

    fn deleted() -> Story {
        Story::default().put("a", Effect::Created).delete("a", Effect::Deleted)
    }

    #[test]
    fn a_stale_present_from_before_the_delete_is_within_the_promise() {
        assert_eq!(faults(&deleted().get("a", Consistency::Confirmed, Effect::Present).at(1).by(2)), []);
    }

    #[test]
    fn a_resurrected_block_is_flagged() {
        for consistency in [Consistency::Local, Consistency::Confirmed, Consistency::Linearizable] {
            let back = deleted().get("a", consistency, Effect::Present).by(2);
            assert_eq!(faults(&back), [Fault::Resurrected], "{consistency:?}");
        }
        assert_eq!(faults(&deleted().list(&["a"])), [Fault::Resurrected]);
    }

    #[test]
    fn a_block_that_was_put_again_is_no_ghost() {
        let again = deleted().put("a", Effect::Created).get("a", Consistency::Confirmed, Effect::Present);
        assert_eq!(faults(&again), []);
        let perhaps = deleted().put("a", Effect::Created).unknown().get("a", Consistency::Confirmed, Effect::Present);
        assert_eq!(faults(&perhaps), []);
    }

    #[test]
    fn a_block_that_nobody_put_is_flagged() {
        let story = Story::default().get("a", Consistency::Local, Effect::Present);
        assert_eq!(faults(&story.put("a", Effect::Created)), [Fault::Resurrected]);
    }

    #[test]
    fn a_node_that_goes_back_in_time_is_flagged_even_for_another_client() {
        let back = |consistency, node| {
            let told = Story::default().put("a", Effect::Created).from(1).put("b", Effect::Created).from(1);
            faults(&told.get("a", consistency, Effect::Present).by(2).from(node).at(1))
        };
        assert_eq!(back(Consistency::Confirmed, 1), [Fault::Confirmed]);
        assert_eq!(back(Consistency::Confirmed, 2), [], "another node may be behind");
        assert_eq!(back(Consistency::Local, 1), []);
    }

    #[test]
    fn who_asked_before_the_node_said_it_may_be_answered_from_before() {
        let told = Story::default().put("a", Effect::Created).from(1).put("b", Effect::Created).from(1);
        let early = told.get("a", Consistency::Confirmed, Effect::Present).by(2).from(1).at(1).during(105, 300);
        assert_eq!(faults(&early), []);
    }

    #[test]
    fn a_client_that_saw_the_delete_may_not_be_taken_back() {
        let back = |consistency| faults(&deleted().get("a", consistency, Effect::Present).at(1));
        assert_eq!(back(Consistency::Confirmed), [Fault::Confirmed]);
        assert_eq!(back(Consistency::Local), []);
    }
}
