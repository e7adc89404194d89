use std::vec::Vec;

use blockraft_types::{
    BodyDigest, ChainDigest, ClusterId, EntryHead, EntryKind, GroupId, LogIndex, Membership, Position, Term,
};
use proptest::prelude::*;

use super::LogView;
use crate::LogPoint;

#[derive(Clone, Debug)]
enum Change {
    Append { term_step: u64, body_bytes: u32 },
    TruncateTo(u64),
    ForgetThrough(u64),
    CompactThrough(u64),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (prop_oneof![3 => Just(0_u64), 1 => 1_u64..3], 0_u32..9)
            .prop_map(|(term_step, body_bytes)| Change::Append { term_step, body_bytes }),
        1 => (0_u64..30).prop_map(Change::TruncateTo),
        1 => (0_u64..30).prop_map(Change::ForgetThrough),
        1 => (0_u64..30).prop_map(Change::CompactThrough),
    ]
}

/// The log kept naively: every head since the beginning.
struct Model {
    genesis: ChainDigest,
    heads: Vec<EntryHead>,
    anchor: u64,
}

impl Model {
    fn point(&self, index: u64) -> LogPoint {
        match index.checked_sub(1).and_then(|at| self.heads.get(at as usize)) {
            Some(head) => LogPoint { position: head.position, chain: head.chain },
            None => LogPoint { position: Position::ZERO, chain: self.genesis },
        }
    }

    fn last(&self) -> u64 {
        self.heads.len() as u64
    }

    fn term(&self, index: u64) -> Option<Term> {
        (self.anchor <= index && index <= self.last()).then(|| self.point(index).position.term)
    }
}

proptest! {
    #[test]
    fn a_view_says_what_the_whole_log_would(
        changes in prop::collection::vec(change(), 1..60), tail_entries_max in 1_u64..9,
    ) {
        let genesis = ChainDigest::genesis(ClusterId::from_bytes([1; 16]), GroupId(0), &Membership::default());
        let mut model = Model { genesis, heads: Vec::new(), anchor: 0 };
        let (mut committed, mut held_from) = (0, 1);
        let mut view = LogView::new(model.point(0), model.point(0), Vec::new(), &[], tail_entries_max);
        for change in changes {
            match change {
                Change::Append { term_step, body_bytes } => {
                    let LogPoint { position, chain } = model.point(model.last());
                    let position = Position { term: Term(position.term.0.max(1) + term_step), index: position.index.next() };
                    let head =
                        EntryHead::chained(chain, position, EntryKind::Command, body_bytes, BodyDigest::of(&[]));
                    view.append(&head);
                    model.heads.push(head);
                }
                Change::TruncateTo(index) => {
                    let keep = index.max(committed).max(model.anchor);
                    if keep < model.last() {
                        view.truncate_from(LogIndex(keep + 1), model.point(keep).chain);
                        model.heads.truncate(keep as usize);
                    }
                }
                Change::ForgetThrough(index) => {
                    committed = index.min(model.last()).max(committed);
                    view.forget_through(LogIndex(committed));
                }
                Change::CompactThrough(index) => {
                    let index = index.min(committed);
                    if model.anchor < index {
                        view.compact(model.point(index));
                        model.anchor = index;
                    }
                }
            }
            prop_assert_eq!(view.last(), model.point(model.last()));
            prop_assert_eq!(view.anchor(), model.point(model.anchor));
            for index in 0..=model.last() + 1 {
                prop_assert_eq!(view.term_at(LogIndex(index)), model.term(index), "term at {}", index);
                if let Some(chain) = view.chain_at(LogIndex(index)) {
                    prop_assert_eq!(chain, model.point(index).chain, "chain at {}", index);
                }
            }
            // What was let go of stays gone, even if a truncation makes room.
            held_from = held_from
                .max(committed.max(model.anchor) + 1)
                .max((model.last() + 1).saturating_sub(tail_entries_max))
                .min(model.last() + 1);
            let newest = model.heads.iter().filter(|head| held_from <= head.position.index.0);
            prop_assert!(newest.clone().all(|head| view.chain_at(head.position.index) == Some(head.chain)));
            prop_assert_eq!(view.uncommitted_bytes(), newest.map(|head| u64::from(head.body_bytes)).sum::<u64>());
            let last_term = model.point(model.last()).position.term.0;
            for term in 0..=last_term + 1 {
                let within = (model.anchor..=model.last()).rev()
                    .find(|&index| index == model.anchor || model.term(index) <= Some(Term(term)));
                prop_assert_eq!(Some(view.newest_within(view.last_index(), Term(term)).0), within, "within {}", term);
            }
            for first in model.anchor + 1..=model.last() {
                let runs = view.runs(LogIndex(first), view.last_index());
                for index in first..=model.last() {
                    let run = runs.iter().rev().find(|run| run.index.0 <= index).map(|run| run.term);
                    prop_assert_eq!(run, model.term(index));
                }
            }
        }
    }
}
