//! Links and pins.

use std::collections::BTreeSet;

use blockraft_blocks::Codec;
use blockraft_blocks::store::LIST_LIMIT_MAX;
use blockraft_types::{Entry, LogIndex};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::history::{Log, choices, delete, history, image, in_turn, name, open, outcomes, put, vertex};
use super::model::{Limits, Model};
use crate::applied::Effect;
use crate::bond::Bond;
use crate::command::Command;
use crate::imports::ImportLimits;
use crate::links::Links;
use crate::memory::MemoryTable;
use crate::outcome::Outcome;
use crate::pin::{PinLimits, PinMode};
use crate::reach::{Lack, Missing};
use crate::reader::Completeness;
use crate::sessions::SessionLimits;
use crate::vertex::Vertex;

const DAG_PB: Codec = Codec::DAG_PB;

fn node(block: u64) -> Vertex {
    vertex(block, DAG_PB)
}

fn leaf(block: u64) -> Vertex {
    vertex(block, Codec::RAW)
}

fn link(parent: Vertex, links: impl IntoIterator<Item = Vertex>) -> Command {
    Command::Link { parent, links: Links::new(links).unwrap() }
}

const fn pin(root: Vertex) -> Command {
    Command::Pin { root, mode: PinMode::Recursive }
}

const fn pin_directly(root: Vertex) -> Command {
    Command::Pin { root, mode: PinMode::Direct }
}

const fn unpin(root: Vertex) -> Command {
    Command::Unpin { root, mode: PinMode::Recursive }
}

fn collect(block: u64) -> Command {
    Command::Collect { multihash: name(block) }
}

/// What each of these came to, each in an entry of its own.
fn come_to(commands: impl IntoIterator<Item = Command>) -> Vec<Outcome> {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let apply = |command| outcomes(&catalog.apply(&log.commands([command])).unwrap());
    commands.into_iter().flat_map(apply).collect()
}

#[test]
fn a_recursive_pin_holds_everything_that_its_root_leads_to_and_nothing_else() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let graph = [link(node(1), [node(2), leaf(3)]), link(node(2), [leaf(3), leaf(4)]), pin(node(1))];
    catalog.apply(&log.commands((1..=5).map(put).chain(graph))).unwrap();
    let applied = catalog.apply(&log.commands((1..=5).map(delete))).unwrap();
    let held = [Outcome::HeldByPin; 4];
    assert_eq!(outcomes(&applied), [&held[..], &[Outcome::Deleted]].concat());
    assert_eq!(applied.effects, [Effect::Dead { multihash: name(5), length: 105 }]);
    let applied = catalog.apply(&log.commands((1..=5).map(collect))).unwrap();
    assert_eq!(outcomes(&applied), [&held[..], &[Outcome::Absent]].concat());
    assert_eq!(catalog.state().blocks, 4);

    let applied = catalog.apply(&log.commands([unpin(node(1)), collect(3), delete(1), unpin(node(1))])).unwrap();
    let expected = [Outcome::Unpinned, Outcome::Collected, Outcome::Deleted, Outcome::NotPinned];
    assert_eq!(outcomes(&applied), expected);
    assert_eq!(catalog.reader().bond(&name(1)).unwrap().value, None, "a bond goes with its row");
    assert_eq!(catalog.reader().links(&node(1)).unwrap().value, None, "and so do links");
    assert!(catalog.reader().links(&node(2)).unwrap().value.is_some());
}

#[test]
fn a_direct_pin_holds_its_root_alone_and_needs_no_links() {
    let commands = [put(1), put(2), link(node(1), [leaf(2)]), pin_directly(node(1)), delete(2), delete(1)];
    let expected =
        [Outcome::Created, Outcome::Created, Outcome::Linked, Outcome::Pinned, Outcome::Deleted, Outcome::HeldByPin];
    assert_eq!(come_to(commands), expected);
    let expected = [Outcome::Incomplete, Outcome::Created, Outcome::Pinned, Outcome::AlreadyPinned];
    assert_eq!(come_to([pin_directly(node(1)), put(1), pin_directly(node(1)), pin_directly(node(1))]), expected);
}

#[test]
fn a_pin_is_not_set_while_a_block_or_its_links_are_missing() {
    let commands = [
        pin(node(1)),
        put(1),
        pin(node(1)),
        link(node(1), [node(2), leaf(3)]),
        pin(node(1)),
        put(2),
        put(3),
        pin(node(1)),
        link(node(2), []),
        pin(node(1)),
        pin(node(1)),
    ];
    let expected = [
        Outcome::Incomplete,
        Outcome::Created,
        Outcome::Incomplete,
        Outcome::Linked,
        Outcome::Incomplete,
        Outcome::Created,
        Outcome::Created,
        Outcome::Incomplete,
        Outcome::Linked,
        Outcome::Pinned,
        Outcome::AlreadyPinned,
    ];
    assert_eq!(come_to(commands), expected);
}

#[test]
fn a_pin_that_was_not_set_holds_nothing() {
    let commands = [put(1), link(node(1), [leaf(2)]), pin(node(1)), delete(1), unpin(node(1))];
    let expected = [Outcome::Created, Outcome::Linked, Outcome::Incomplete, Outcome::Deleted, Outcome::NotPinned];
    assert_eq!(come_to(commands), expected);
}

#[test]
fn what_two_pins_cover_is_held_until_both_are_taken_away() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let graph = [link(node(1), [leaf(3)]), link(node(2), [leaf(3)]), pin(node(1)), pin(node(2)), pin_directly(leaf(3))];
    catalog.apply(&log.commands((1..=3).map(put).chain(graph))).unwrap();
    let bond = catalog.reader().bond(&name(3)).unwrap().value.unwrap();
    assert_eq!(bond, Bond { holders: 3, pins: [(Codec::RAW, PinMode::Direct)].into(), ..Bond::default() });
    let unpin_directly = Command::Unpin { root: leaf(3), mode: PinMode::Direct };
    let commands = [unpin(node(1)), delete(3), unpin_directly, delete(3), unpin(node(2)), delete(3)];
    let expected = [
        Outcome::Unpinned,
        Outcome::HeldByPin,
        Outcome::Unpinned,
        Outcome::HeldByPin,
        Outcome::Unpinned,
        Outcome::Deleted,
    ];
    assert_eq!(outcomes(&catalog.apply(&log.commands(commands)).unwrap()), expected);
}

/// Blocks are counted, not vertices or ways.
#[test]
fn a_pin_holds_a_block_once_however_often_it_leads_there() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let graph = [
        link(node(1), [node(2), leaf(2), leaf(3), node(4)]),
        link(node(2), [leaf(3)]),
        link(node(4), [leaf(3), node(1)]),
        pin(node(1)),
    ];
    let applied = catalog.apply(&log.commands((1..=4).map(put).chain(graph))).unwrap();
    assert_eq!(outcomes(&applied).last(), Some(&Outcome::Pinned), "a circle, which no hash allows, ends too");
    for block in 1..=4 {
        assert_eq!(catalog.reader().bond(&name(block)).unwrap().value.unwrap().holders, 1);
    }
    catalog.apply(&log.commands([unpin(node(1))])).unwrap();
    assert_eq!(catalog.reader().bond(&name(3)).unwrap().value, None, "no bond is kept of what nothing binds");
}

#[test]
fn the_first_word_on_what_a_block_links_to_stands_until_the_block_goes() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let commands = [
        link(node(1), [leaf(2)]),
        put(1),
        link(node(1), [leaf(2)]),
        link(node(1), [leaf(3)]),
        link(leaf(1), [leaf(2)]),
        delete(1),
        put(1),
        link(node(1), [leaf(4)]),
    ];
    let expected = [
        Outcome::Absent,
        Outcome::Created,
        Outcome::Linked,
        Outcome::AlreadyPresent,
        Outcome::AlreadyPresent,
        Outcome::Deleted,
        Outcome::Created,
        Outcome::Linked,
    ];
    assert_eq!(outcomes(&catalog.apply(&log.commands(commands)).unwrap()), expected);
    let links = catalog.reader().links(&node(1)).unwrap().value.unwrap();
    assert_eq!(links.as_slice(), [leaf(4)]);
}

#[test]
fn a_block_is_read_under_so_many_codecs_and_no_more() {
    let linked = [DAG_PB, Codec::DAG_CBOR, Codec::CBOR].map(|codec| link(vertex(1, codec), []));
    let at_bound = [pin_directly(leaf(1)), link(vertex(1, Codec::JSON), []), pin_directly(vertex(1, Codec::JSON))];
    let within = [pin(node(1)), pin(leaf(1)), Command::Unpin { root: leaf(1), mode: PinMode::Direct }, unpin(leaf(1))];
    let commands =
        [put(1)].into_iter().chain(linked).chain(at_bound).chain(within).chain([link(vertex(1, Codec::JSON), [])]);
    let expected = [
        &[Outcome::Created][..],
        &[Outcome::Linked; 3],
        &[Outcome::Pinned, Outcome::TooManyCodecs, Outcome::TooManyCodecs],
        &[Outcome::Pinned, Outcome::Pinned, Outcome::Unpinned, Outcome::Unpinned],
        &[Outcome::Linked],
    ];
    assert_eq!(come_to(commands), expected.concat());
}

#[test]
fn a_pin_covers_so_much_and_no_more() {
    let limits = PinLimits { vertices_max: 4, links_max: 5 };
    let graph = |children: u64| {
        let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
        catalog.limit_pins(limits);
        let first = link(node(0), (1..=children).map(node));
        let others = (1..=children).map(|child| link(node(child), [node(0)]));
        let pins = [pin(node(0)), pin_directly(node(0))];
        catalog.apply(&log.commands((0..=children).map(put).chain([first]).chain(others))).unwrap();
        let applied = catalog.apply(&log.commands(pins)).unwrap();
        (outcomes(&applied), catalog.reader().reach(node(0), 9).unwrap().value)
    };
    // Two children: three vertices with four links.
    assert_eq!(graph(2), (vec![Outcome::Pinned; 2], Completeness::Complete { blocks: 3 }));
    // Three: four vertices, and six links.
    assert_eq!(graph(3), (vec![Outcome::TooLarge, Outcome::Pinned], Completeness::TooLarge));

    let flat = |children: u64, visible: u64| {
        let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
        catalog.limit_pins(limits);
        let commands = (0..=visible).map(put).chain([link(node(0), (1..=children).map(leaf)), pin(node(0))]);
        outcomes(&catalog.apply(&log.commands(commands)).unwrap()).pop().unwrap()
    };
    assert_eq!((flat(3, 3), flat(4, 4)), (Outcome::Pinned, Outcome::TooLarge));
    assert_eq!((flat(3, 2), flat(4, 3)), (Outcome::Incomplete, Outcome::TooLarge), "too large is too large");
}

#[test]
fn what_is_missing_is_named_nearest_to_the_root_first() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let reach = |catalog: &crate::Catalog<MemoryTable>, limit| catalog.reader().reach(node(1), limit).unwrap();
    let missing = |missing: &[Missing]| Completeness::Incomplete { missing: missing.to_vec() };
    let no_block = |vertex| Missing { vertex, lack: Lack::Block };
    assert_eq!(reach(&catalog, 9).value, missing(&[no_block(node(1))]));
    let graph = [link(node(1), [node(2), leaf(3), node(4)]), link(node(2), [leaf(5)])];
    catalog.apply(&log.commands([put(1), put(2), put(4)].into_iter().chain(graph))).unwrap();
    let all = [no_block(leaf(3)), Missing { vertex: node(4), lack: Lack::Links }, no_block(leaf(5))];
    assert_eq!((reach(&catalog, 9).value, reach(&catalog, 9).position.index), (missing(&all), LogIndex(1)));
    assert_eq!(reach(&catalog, 2).value, missing(&all[..2]));
    assert_eq!(reach(&catalog, 0).value, missing(&all[..1]));
    catalog.apply(&log.commands([put(3), put(5), link(node(4), [])])).unwrap();
    assert_eq!(reach(&catalog, 9).value, Completeness::Complete { blocks: 5 });
}

#[test]
fn a_collector_is_shown_every_block_that_no_pin_covers() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    let graph = [link(node(1), (2..=9).map(leaf)), pin(node(1)), link(node(12), [])];
    catalog.apply(&log.commands((1..=20).map(put).chain(graph))).unwrap();
    let mut expected: Vec<_> = (10..=20).map(name).collect();
    expected.sort();
    for limit in [1, 3, LIST_LIMIT_MAX] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = catalog.reader().collectable(after, limit).unwrap();
            assert_eq!(page.position.index, LogIndex(1));
            assert!(page.value.rows.len() <= limit);
            found.extend(page.value.rows.iter().map(|(name, _)| *name));
            after = page.value.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
}

#[test]
fn a_pin_is_set_once_in_a_session() {
    let (mut catalog, mut log) = (open(&MemoryTable::new()), Log::new());
    catalog.apply(&log.commands([Command::OpenSession, put(1)])).unwrap();
    let first = catalog.apply(&log.commands([in_turn(1, 1, 1, pin(leaf(1)))])).unwrap();
    let second = catalog.apply(&log.commands([unpin(leaf(1)).into(), in_turn(1, 1, 1, pin(leaf(1)))])).unwrap();
    assert_eq!(second.outcomes[1], first.outcomes[0]);
    assert_eq!(catalog.reader().bond(&name(1)).unwrap().value, None, "it isn't set again");
}

pub(super) fn limits() -> impl Strategy<Value = Limits> {
    (1..4_usize, 1..7_usize, 0..9_usize).prop_map(|(imports_max, vertices_max, links_max)| Limits {
        sessions: SessionLimits::FORMAT,
        imports: ImportLimits { imports_max },
        pins: PinLimits { vertices_max, links_max },
    })
}

/// Whether a catalog does with these entries what the model does, however they are split over calls.
pub(super) fn agrees_with_the_model(entries: &[Entry], limits: Limits) -> bool {
    let model = Model::of(entries, limits);
    let limited = || {
        let mut catalog = open(&MemoryTable::new());
        catalog.limit_imports(limits.imports);
        catalog.limit_pins(limits.pins);
        catalog
    };
    let mut catalog = limited();
    let applied: Result<Vec<_>, _> = entries.iter().map(|entry| catalog.apply(entry)).collect();
    let mut at_once = limited();
    let (Ok(applied), Ok(_)) = (applied, at_once.apply_many(entries)) else { return false };
    let outcomes: Vec<_> = applied.into_iter().map(|applied| applied.outcomes).collect();
    if outcomes != model.outcomes {
        return false;
    }
    let image = image(&catalog);
    image.rows == model.rows
        && image.bonds == model.dag.bonds()
        && image.clients.imports.iter().eq(model.dag.imports)
        && super::history::image(&at_once) == image
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn imports_links_and_pins_mean_what_the_model_means(choices in choices(), limits in limits()) {
        prop_assert!(agrees_with_the_model(&history(&choices), limits));
    }
}

/// Otherwise the comparison with the model would prove less than it seems.
#[test]
fn histories_come_to_every_outcome_of_imports_links_and_pins() {
    let (mut chance, mut met) = (TestRunner::deterministic(), BTreeSet::new());
    for _ in 0..1_000 {
        let (choices, limits) = (choices(), limits()).new_tree(&mut chance).unwrap().current();
        met.extend(Model::of(&history(&choices), limits).outcomes.concat().into_iter().map(|settled| settled.outcome));
    }
    let never: Vec<Outcome> =
        (10..=25).map(|number| Outcome::try_from(number).unwrap()).filter(|outcome| !met.contains(outcome)).collect();
    assert_eq!(never, []);
}
