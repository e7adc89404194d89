use proptest::prelude::*;

use crate::frame::{PREAMBLE_BYTES_MAX, Preamble};

proptest! {
    #[test]
    fn a_preamble_reads_back_what_it_wrote(header_bytes: u32, body_bytes: u32) {
        let preamble = Preamble { header_bytes, body_bytes };
        let bytes = preamble.encode();
        prop_assert!(bytes.len() <= 1 + PREAMBLE_BYTES_MAX);
        prop_assert_eq!(usize::from(bytes[0]), bytes.len() - 1);
        prop_assert_eq!(Preamble::decode(&bytes[1..]), Some(preamble));
        prop_assert_eq!(Preamble::decode(&bytes[1..bytes.len() - 1]), None);
    }

    #[test]
    fn any_bytes_are_a_preamble_or_none(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
        if let Some(preamble) = Preamble::decode(&bytes) {
            prop_assert_eq!(Preamble::decode(&preamble.encode()[1..]), Some(preamble));
        }
    }
}
