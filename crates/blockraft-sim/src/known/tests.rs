use std::collections::BTreeSet;

use super::*;

#[test]
fn every_mistake_stands_in_the_table_once() {
    let all = (Core::ALL.iter().map(|mistake| Bug::Core(*mistake)))
        .chain(Exchange::ALL.iter().map(|mistake| Bug::Exchange(*mistake)))
        .chain(Driver::ALL.iter().map(|mistake| Bug::Driver(*mistake)))
        .chain(Catalog::ALL.iter().map(|mistake| Bug::Catalog(*mistake)))
        .chain(Node::ALL.iter().map(|mistake| Bug::Node(*mistake)))
        .chain([Origin::Copy, Origin::Peer].map(Bug::Unverified));
    let all: BTreeSet<String> = all.map(Bug::name).collect();
    let mut told: Vec<String> = KNOWN.iter().map(|known| known.bug.name()).collect();
    told.sort();
    assert_eq!(told, all.into_iter().collect::<Vec<_>>());
}

/// Of the faults one is left: there are no sessions of clients yet (33).
#[test]
fn the_known_faults_and_ten_orders_of_events_are_covered() {
    let sources = || KNOWN.iter().map(|known| known.source).chain(BELOW.iter().map(|below| below.source));
    let faults: BTreeSet<u8> =
        sources().filter_map(|source| if let Source::Fault(number) = source { Some(number) } else { None }).collect();
    assert_eq!(faults, (1..=36).filter(|number| *number != 33).collect());
    assert!(10 <= sources().filter(|source| matches!(source, Source::Rule(_))).count());
}
