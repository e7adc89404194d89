use std::net::SocketAddr;

use blockraft_types::NodeId;

use super::{Address, Admission, Handshakes, Place};
use crate::limits::QuicLimits;

fn at(host: u8, port: u16) -> SocketAddr {
    ([10, 0, 0, host], port).into()
}

fn begins(handshakes: &Handshakes, remote: SocketAddr) -> Option<Place> {
    match handshakes.admit(remote, Address::Proven) {
        Admission::Begin(place) => Some(place),
        Admission::Prove => panic!("a proven address has to prove itself"),
        Admission::Refuse => None,
    }
}

/// As many as one host gets, from ports of its own.
fn all_from(handshakes: &Handshakes, host: u8) -> Vec<Place> {
    (1..=320).map_while(|port| begins(handshakes, at(host, port))).collect()
}

#[test]
fn one_host_never_takes_the_places_of_another() {
    let limits = QuicLimits::default();
    let handshakes = Handshakes::new(&limits);
    let taken = all_from(&handshakes, 1);
    assert_eq!(taken.len(), limits.handshakes_per_address_max);
    assert!(begins(&handshakes, at(2, 1)).is_some());
    assert!(begins(&handshakes, at(1, 999)).is_none());
    drop(taken);
    assert!(begins(&handshakes, at(1, 999)).is_some());
}

#[test]
fn members_find_a_place_however_many_strangers_knock() {
    let limits = QuicLimits::default();
    let handshakes = Handshakes::new(&limits);
    handshakes.set_member(NodeId(2), &[at(9, 4001)]);
    let taken: Vec<_> = (1..=9).flat_map(|host| all_from(&handshakes, host)).collect();
    assert_eq!(taken.len(), limits.handshakes_max - limits.handshakes_of_members);
    assert!(begins(&handshakes, at(9, 4002)).is_none(), "another program on the member's host");
    let claimed = handshakes.admit(at(9, 4001), Address::Claimed);
    assert!(matches!(claimed, Admission::Prove), "anybody may claim an address: {claimed:?}");
    let mapped: SocketAddr = "[::ffff:10.0.0.9]:4001".parse().unwrap();
    let halves = [begins(&handshakes, at(9, 4001)), begins(&handshakes, mapped)];
    assert!(halves.iter().all(Option::is_some));
}

#[test]
fn an_address_has_to_prove_itself_once_many_handshakes_are_under_way() {
    let handshakes = Handshakes::new(&QuicLimits::default());
    let few = handshakes.admit(at(1, 1), Address::Claimed);
    assert!(matches!(few, Admission::Begin(_)), "{few:?}");
    let _taken = (all_from(&handshakes, 1), all_from(&handshakes, 2));
    let many = handshakes.admit(at(3, 1), Address::Claimed);
    assert!(matches!(many, Admission::Prove), "{many:?}");
}

#[test]
fn whoever_claims_an_address_takes_nothing_from_its_owner() {
    let handshakes = Handshakes::new(&QuicLimits::default());
    let claimed: Vec<_> = (1..=320).map(|port| handshakes.admit(at(1, port), Address::Claimed)).collect();
    assert!(matches!(claimed.last(), Some(Admission::Prove)));
    assert!(begins(&handshakes, at(1, 999)).is_some());
}
