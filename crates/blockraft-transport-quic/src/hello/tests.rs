use blockraft_transport::Peer;
use blockraft_types::{BootNonce, ClusterId, Incarnation, NodeId};
use proptest::prelude::*;

use crate::hello::{HELLO_BYTES_MAX, Hello, HelloError, Lane};

fn hello(node: u64) -> Hello {
    let peer = Peer { node: NodeId(node), incarnation: Incarnation::from_bytes([2; 16]), boot: BootNonce(u64::MAX) };
    Hello::new(ClusterId::from_bytes([1; 16]), peer, Lane::Bulk, u64::MAX, &(1..=u16::MAX))
}

#[test]
fn version_one_has_these_bytes_for_ever() {
    let peer = Peer { node: NodeId(7), incarnation: Incarnation::from_bytes([2; 16]), boot: BootNonce(3) };
    let hello = Hello::new(ClusterId::from_bytes([1; 16]), peer, Lane::Bulk, 4, &(5..=257));
    let golden = [&[1][..], b"brft", &[1; 16], &[7], &[2; 16], &[3], &[1], &[4], &[5], &[0x81, 0x02]].concat();
    assert_eq!(hello.encode(), golden);
    assert_eq!(Hello::decode(&golden), Ok(hello));
}

#[test]
fn the_largest_hello_fits_and_anything_behind_it_is_refused() {
    let mut bytes = hello(u64::MAX).encode();
    assert!(bytes.len() <= HELLO_BYTES_MAX);
    assert_eq!(Hello::decode(&bytes), Ok(hello(u64::MAX)));
    bytes.push(0);
    assert_eq!(Hello::decode(&bytes), Err(HelloError::Malformed));
    bytes[0] = 2;
    assert_eq!(Hello::decode(&bytes), Err(HelloError::UnknownVersion { version: 2 }));
}

#[test]
fn versions_are_shared_when_the_ranges_touch() {
    let speaks = |range| {
        let peer = hello(1).peer();
        Hello::new(ClusterId::from_bytes([1; 16]), peer, Lane::Control, 1, &range)
    };
    assert!(speaks(1..=3).shares_version(&(3..=9)));
    assert!(speaks(9..=9).shares_version(&(3..=9)));
    assert!(!speaks(1..=2).shares_version(&(3..=9)));
    assert!(!speaks(10..=12).shares_version(&(3..=9)));
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(hello) = Hello::decode(&bytes) {
            prop_assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        }
    }

    #[test]
    fn a_damaged_or_cut_hello_is_refused_or_says_something_else(at in 0usize..60, flip in 1u8.., cut in 0usize..60) {
        let mut bytes = hello(7).encode();
        prop_assert!(Hello::decode(&bytes[..cut.min(bytes.len() - 1)]).is_err());
        let at = at % bytes.len();
        bytes[at] ^= flip;
        prop_assert_ne!(Hello::decode(&bytes), Ok(hello(7)));
    }
}
