use std::collections::BTreeMap;

use blockraft_types::{Incarnation, LogIndex, NodeId, Term};

use super::DecodeWitnessError;
use crate::witness::{Past, Witness};

/// Node 2 voted for node 1 in term 9, node 3 acknowledged entry 40 in term 7.
fn some() -> Witness {
    let incarnation = |node: u64| Incarnation::from_bytes([node as u8; 16]);
    let two = Past { term: Term(9), voted_for: Some(NodeId(1)), index: LogIndex::ZERO };
    let three = Past { term: Term(7), voted_for: None, index: LogIndex(40) };
    Witness { seen: BTreeMap::from([(NodeId(2), (incarnation(2), two)), (NodeId(3), (incarnation(3), three))]) }
}

#[test]
fn what_was_remembered_is_read_back() {
    for witness in [some(), Witness::default()] {
        assert_eq!(Witness::decode(&witness.encode()), Ok(witness));
    }
}

#[test]
fn the_bytes_of_version_1_never_change() {
    let bytes: Vec<String> = some().encode().chunks(8).map(hex).collect();
    assert_eq!(bytes.join("\n") + "\n", include_str!("golden/witness.v1.hex"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_torn_or_changed_witness_is_none_and_never_another_one() {
    let bytes = some().encode();
    for length in 0..bytes.len() {
        assert_eq!(Witness::decode(&bytes[..length]), Err(DecodeWitnessError::Damaged), "{length} bytes");
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        assert_eq!(Witness::decode(&bytes), Err(DecodeWitnessError::Damaged), "byte {at}");
    }
}

#[test]
fn a_later_release_is_named() {
    let mut bytes = some().encode();
    bytes.truncate(bytes.len() - 4);
    bytes[8] = 2;
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    assert_eq!(Witness::decode(&bytes), Err(DecodeWitnessError::Newer { found: 2 }));
}
