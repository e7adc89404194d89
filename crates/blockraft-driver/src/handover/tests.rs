use std::collections::BTreeMap;

use blockraft_types::{HardState, LogIndex, Membership, Position, Role};

use super::*;
use crate::tests::cluster::membership;

const SILENCE_MAX: u32 = 15;

fn level(match_index: u64) -> ProgressStatus {
    ProgressStatus {
        state: ProgressState::Replicate,
        match_index: LogIndex(match_index),
        next_index: LogIndex(match_index + 1),
        inflight_messages: 0,
        inflight_bytes: 0,
        silent_ticks: 0,
        waiting_for: None,
    }
}

/// The leader `id` in a term, with everything up to index 5 committed.
fn leader(id: u64, term: u64, membership: Membership, progress: &[(u64, ProgressStatus)]) -> Status {
    let last = Position { term: Term(term), index: LogIndex(6) };
    Status {
        id: NodeId(id),
        role: Role::Leader,
        hard_state: HardState { term: Term(term), voted_for: Some(NodeId(id)) },
        leader: Some(NodeId(id)),
        anchor: Position::ZERO,
        last,
        durable_index: last.index,
        commit_index: LogIndex(5),
        applied_index: LogIndex(5),
        compactable_through: LogIndex::ZERO,
        held_by_all: LogIndex::ZERO,
        uncommitted_bytes: 0,
        membership,
        membership_index: LogIndex::ZERO,
        lost_tail: None,
        transferring_to: None,
        progress: progress.iter().map(|(node, progress)| (NodeId(*node), *progress)).collect(),
    }
}

fn others(id: u64) -> Vec<(u64, ProgressStatus)> {
    (1..=3).filter(|node| *node != id).map(|node| (node, level(5))).collect()
}

#[test]
fn it_goes_round_the_ring() {
    let next = |id| Handover::default().begin(0, &leader(id, 1, membership(3), &others(id)), SILENCE_MAX);
    assert_eq!([1, 2, 3].map(next), [2, 3, 1].map(|node| Some(NodeId(node))));
}

#[test]
fn who_is_silent_behind_waiting_probed_or_a_learner_is_passed_over() {
    let unable = [
        ProgressStatus { silent_ticks: SILENCE_MAX, ..level(5) },
        level(4),
        ProgressStatus { waiting_for: Some(LogIndex(6)), ..level(5) },
        ProgressStatus { state: ProgressState::Probe, ..level(5) },
        ProgressStatus { state: ProgressState::Fenced, ..level(5) },
    ];
    for unable in unable {
        let status = leader(1, 1, membership(3), &[(2, unable), (3, level(6))]);
        assert_eq!(Handover::default().begin(0, &status, SILENCE_MAX), Some(NodeId(3)), "{unable:?}");
    }
    let mut with_learner = membership(3);
    let learner = with_learner.voters.remove(&NodeId(2)).expect("there are three voters");
    with_learner.learners = BTreeMap::from([(NodeId(2), learner)]);
    let status = leader(1, 1, with_learner, &others(1));
    assert_eq!(Handover::default().begin(0, &status, SILENCE_MAX), Some(NodeId(3)));
}

#[test]
fn nobody_to_hand_over_to_is_no_attempt() {
    let mut handover = Handover::default();
    assert_eq!(handover.begin(7, &leader(1, 1, membership(3), &[(2, level(4)), (3, level(3))]), SILENCE_MAX), None);
    assert!(handover.is_due(8, Term(1)));
}

/// One that answers heartbeats may decline to lead, in silence: its own disk stands still, say.
#[test]
fn who_did_not_take_the_role_is_asked_again_only_after_the_others() {
    let mut handover = Handover::default();
    let status = leader(1, 1, membership(3), &others(1));
    let asked = [0, 100, 200].map(|tick| handover.begin(tick, &status, SILENCE_MAX));
    assert_eq!(asked, [2, 3, 2].map(|node| Some(NodeId(node))));
}

#[test]
fn it_is_tried_again_after_a_second_in_the_same_term_and_after_a_long_rest_in_another() {
    let mut handover = Handover::default();
    handover.begin(7, &leader(1, 4, membership(3), &others(1)), SILENCE_MAX).expect("two are level");
    assert_eq!([106, 107].map(|tick| handover.is_due(tick, Term(4))), [false, true]);
    assert_eq!([107, 3_006, 3_007].map(|tick| handover.is_due(tick, Term(9))), [false, false, true]);
}
