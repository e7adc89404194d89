//! Positions alone: sorted by them, the writes of each block must make sense, and time must agree with them.
//!
//! Only writes that changed something are replayed, since only they surely stand in the log at the position that they
//! came with.

use std::collections::BTreeMap;

use blockraft_types::{LogIndex, Position, Term};

use crate::history::{Action, Consistency, Effect, Key, Operation};
use crate::judge::finding::{Fault, Finding};

/// Replays each block's writes in the order of the log, and compares the log with the clock.
#[must_use]
pub fn replay(history: &[Operation]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut by_key: BTreeMap<&Key, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        if let Some(key) = operation.action.key() {
            by_key.entry(key).or_default().push(operation);
        }
    }
    for (key, operations) in by_key {
        findings.extend(replay_block(key, &operations));
    }
    findings.extend(one_term_per_index(history));
    findings.extend(compare_with_time(history));
    findings
}

/// The position of a write that surely stands in the log.
fn logged(operation: &Operation) -> Option<Position> {
    match operation.done() {
        Some((position, Effect::Created | Effect::Deleted)) => Some(position),
        _ => None,
    }
}

fn replay_block(key: &Key, operations: &[&Operation]) -> Option<Finding> {
    let mut writes: Vec<(Position, &Operation)> =
        operations.iter().filter_map(|operation| Some((logged(operation)?, *operation))).collect();
    // Commands of one entry share its position: they may have been applied in either order, and alternate too.
    writes.sort_by_key(|(position, _)| *position);
    let mut is_present = false;
    let mut last: Option<&Operation> = None;
    while !writes.is_empty() {
        let position = writes[0].0;
        let entry = writes.iter().take_while(|(of, _)| *of == position).count();
        let fits = |(_, write): &(Position, &Operation)| needs_presence(write) == is_present;
        let next = writes[..entry].iter().position(fits).unwrap_or(0);
        let (_, write) = writes.remove(next);
        if needs_presence(write) != is_present && !excused(write, operations) {
            let evidence = last.into_iter().chain([write]).cloned().collect();
            let before = if is_present { "present" } else { "absent" };
            let what = format!("the write at {position} can't have done that: the log leaves the block {before}");
            return Some(Finding { fault: Fault::Position, key: Some(key.clone()), what, evidence });
        }
        is_present = !needs_presence(write);
        last = Some(write);
    }
    None
}

fn needs_presence(write: &Operation) -> bool {
    matches!(write.action, Action::Delete { .. })
}

/// Whether an operation without an answer may have prepared the ground.
fn excused(write: &Operation, operations: &[&Operation]) -> bool {
    operations.iter().any(|other| {
        other.is_unknown()
            && other.invoked <= write.returned
            && matches!(
                (&other.action, &write.action),
                (Action::Put { .. }, Action::Delete { .. }) | (Action::Delete { .. }, Action::Put { .. })
            )
    })
}

fn one_term_per_index(history: &[Operation]) -> Vec<Finding> {
    let mut terms: BTreeMap<LogIndex, (Term, &Operation)> = BTreeMap::new();
    let mut findings = Vec::new();
    for operation in history {
        let Some(position) = logged(operation) else { continue };
        let (term, first) = *terms.entry(position.index).or_insert((position.term, operation));
        if term != position.term {
            findings.push(Finding {
                fault: Fault::Position,
                key: operation.action.key().cloned(),
                what: format!(
                    "two acknowledged writes stand at index {}, in terms {term} and {}",
                    position.index, position.term
                ),
                evidence: vec![first.clone(), operation.clone()],
            });
        }
    }
    findings
}

/// Whoever asked after a write was acknowledged is answered as of that write or later.
fn compare_with_time(history: &[Operation]) -> Vec<Finding> {
    let mut returns: Vec<(u64, Position, &Operation)> =
        history.iter().filter_map(|operation| Some((operation.returned, logged(operation)?, operation))).collect();
    returns.sort_by_key(|(returned, ..)| *returned);
    let mut asked: Vec<&Operation> = history.iter().collect();
    asked.sort_by_key(|operation| operation.invoked);
    let mut returns = returns.into_iter().peekable();
    let mut latest: Option<(Position, &Operation)> = None;
    let mut findings = Vec::new();
    for operation in asked {
        while let Some((_, position, write)) = returns.next_if(|(returned, ..)| *returned < operation.invoked) {
            if latest.is_none_or(|(highest, _)| highest < position) {
                latest = Some((position, write));
            }
        }
        let (Some((highest, write)), Some((position, effect))) = (latest, operation.done()) else { continue };
        let is_behind = match (operation.action.consistency(), effect) {
            (None, Effect::Created | Effect::Deleted) => position <= highest,
            (Some(Consistency::Confirmed), Effect::Absent | Effect::Listed { .. })
            | (Some(Consistency::Linearizable) | None, _) => position < highest,
            (Some(Consistency::Local | Consistency::Confirmed), _) => false,
        };
        if is_behind {
            findings.push(Finding {
                fault: Fault::Position,
                key: operation.action.key().cloned(),
                what: format!("answered as of {position}, though {highest} was acknowledged before it was asked"),
                evidence: vec![write.clone(), operation.clone()],
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::replay;
    use crate::history::story::Story;
    use crate::history::{Consistency, Effect};
    use crate::judge::Fault;

    fn faults(story: &Story) -> Vec<Fault> {
        replay(&story.operations).into_iter().map(|finding| finding.fault).collect()
    }

    #[test]
    fn writes_that_alternate_in_the_log_pass() {
        let story = Story::default()
            .put("a", Effect::Created)
            .delete("a", Effect::Deleted)
            .put("a", Effect::Created)
            .get("a", Consistency::Linearizable, Effect::Present);
        assert_eq!(faults(&story), []);
    }

    #[test]
    fn a_block_that_the_log_creates_twice_is_flagged_unless_a_delete_is_unknown() {
        let twice = |unknown: bool| {
            let story = Story::default().put("a", Effect::Created).delete("a", Effect::Deleted);
            let story = if unknown { story.unknown() } else { story.refused() };
            story.put("a", Effect::Created)
        };
        assert_eq!(faults(&twice(false)), [Fault::Position]);
        assert_eq!(faults(&twice(true)), []);
    }

    #[test]
    fn commands_of_one_entry_may_stand_in_either_order() {
        let story = Story::default().put("a", Effect::Created).delete("a", Effect::Deleted);
        let story = story.during(0, 50).at(1).put("a", Effect::Created).during(0, 50).at(1);
        assert_eq!(faults(&story), []);
    }

    #[test]
    fn an_answer_from_before_an_acknowledged_write_is_flagged() {
        let late = |consistency| {
            Story::default()
                .put("a", Effect::Created)
                .put("b", Effect::Created)
                .get("a", consistency, Effect::Present)
                .at(1)
        };
        assert_eq!(faults(&late(Consistency::Linearizable)), [Fault::Position]);
        assert_eq!(faults(&late(Consistency::Confirmed)), []);
        assert_eq!(faults(&late(Consistency::Local)), []);
    }

    #[test]
    fn a_later_write_stands_later_in_the_log() {
        let story = Story::default().put("a", Effect::Created).at(7).put("b", Effect::Created).at(7);
        assert_eq!(faults(&story), [Fault::Position]);
    }
}
