use super::search_all;
use crate::history::story::Story;
use crate::history::{Consistency, Effect};
use crate::judge::{Fault, FinalState};

fn faults(story: &Story) -> Vec<Fault> {
    search_all(&story.operations).findings.into_iter().map(|finding| finding.fault).collect()
}

#[test]
fn a_stale_linearizable_read_is_flagged() {
    let stale = |consistency| {
        Story::default().put("a", Effect::Created).delete("a", Effect::Deleted).get("a", consistency, Effect::Present)
    };
    assert_eq!(faults(&stale(Consistency::Linearizable)), [Fault::NotLinearizable]);
    assert_eq!(faults(&stale(Consistency::Confirmed)), []);
    assert_eq!(faults(&stale(Consistency::Local)), []);
}

#[test]
fn an_absence_that_was_said_to_be_confirmed_is_held_to_it() {
    let absent = |consistency| Story::default().put("a", Effect::Created).get("a", consistency, Effect::Absent);
    assert_eq!(faults(&absent(Consistency::Confirmed)), [Fault::NotLinearizable]);
    assert_eq!(faults(&absent(Consistency::Local)), []);
}

#[test]
fn a_put_that_created_a_block_which_was_there_is_flagged() {
    assert_eq!(faults(&Story::default().put("a", Effect::Created).put("a", Effect::Created)), [Fault::NotLinearizable]);
}

#[test]
fn a_refused_put_that_shows_is_flagged() {
    let story =
        Story::default().put("a", Effect::Created).refused().get("a", Consistency::Linearizable, Effect::Present);
    assert_eq!(faults(&story), [Fault::NotLinearizable]);
}

#[test]
fn blocks_are_judged_one_by_one() {
    let story = Story::default()
        .put("a", Effect::Created)
        .put("b", Effect::Created)
        .unknown()
        .delete("a", Effect::Deleted)
        .put("c", Effect::Created);
    let searched = search_all(&story.operations);
    assert_eq!(searched.findings, []);
    let ends: Vec<(&str, FinalState)> = searched.ends.into_iter().collect();
    assert_eq!(ends, [("a", FinalState::Absent), ("b", FinalState::Either), ("c", FinalState::Present)]);
}
