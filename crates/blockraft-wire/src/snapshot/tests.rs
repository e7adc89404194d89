use blockraft_blocks::{HashCode, Multihash};
use blockraft_types::{LogIndex, Position, Term};
use bytes::Bytes;
use proptest::prelude::*;

use super::{DecodeRowsError, SnapshotRow, decode_rows, encode_rows};

fn row(code: HashCode, number: u64) -> SnapshotRow {
    let created = Position { term: Term(number), index: LogIndex(number.wrapping_mul(7)) };
    let multihash = Multihash::of(code, &number.to_le_bytes());
    SnapshotRow { multihash, length: number as u32, created, bond: Bytes::new() }
}

#[test]
fn rows_of_version_1_are_read_and_written_as_ever() {
    let rows = [row(HashCode::Sha2_256, 300), row(HashCode::Sha2_512, u64::MAX)];
    let golden = include_str!("golden.v1.hex").trim_end();
    let hex: String = encode_rows(&rows, &[]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden);
    assert_eq!(decode_rows(&encode_rows(&rows, &[]).into()), Ok((rows.to_vec(), Bytes::new())));
}

#[test]
fn rows_of_version_2_are_read_and_written_as_ever() {
    let rows = [row(HashCode::Sha2_256, 300)];
    let bytes = encode_rows(&rows, b"sessions");
    let golden = include_str!("golden.v2.hex").trim_end();
    assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), golden);
    assert_eq!(decode_rows(&bytes.into()), Ok((rows.to_vec(), Bytes::from_static(b"sessions"))));
}

#[test]
fn rows_of_version_3_are_read_and_written_as_ever() {
    let bonded = SnapshotRow { bond: Bytes::from_static(b"bond"), ..row(HashCode::Sha2_512, 7) };
    let rows = [row(HashCode::Sha2_256, 300), bonded];
    for (clients, golden) in [(&b"sessions"[..], 0), (b"", 1)] {
        let bytes = encode_rows(&rows, clients);
        let golden = include_str!("golden.v3.hex").lines().nth(golden);
        assert_eq!(Some(&*bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()), golden);
        assert_eq!(decode_rows(&bytes.into()), Ok((rows.to_vec(), Bytes::copy_from_slice(clients))));
    }
}

#[test]
fn a_bond_that_is_cut_off_is_refused() {
    let bonded = SnapshotRow { bond: Bytes::from_static(b"bond"), ..row(HashCode::Blake3, 7) };
    let bytes = Bytes::from(encode_rows(&[bonded], &[]));
    for cut in 6..bytes.len() {
        assert_eq!(decode_rows(&bytes.slice(..cut)), Err(DecodeRowsError::Row { number: 0 }), "{cut} bytes");
    }
}

#[test]
fn what_is_cut_off_or_of_another_version_is_refused() {
    let bytes = Bytes::from(encode_rows(&[row(HashCode::Blake3, 1), row(HashCode::Blake3, 2)], &[]));
    let one = (bytes.len() - 1) / 2;
    for cut in 1..bytes.len() {
        let whole = cut == 1 || cut == 1 + one;
        assert_eq!(decode_rows(&bytes.slice(..cut)).is_ok(), whole, "{cut} bytes");
    }
    assert_eq!(decode_rows(&Bytes::new()), Err(DecodeRowsError::Version { found: 0, supported: 3 }));
    assert_eq!(decode_rows(&Bytes::from_static(&[4])), Err(DecodeRowsError::Version { found: 4, supported: 3 }));
    for bytes in [&[2][..], &[2, 1, 0, 0, 0], &[2, 0, 0, 0, 0]] {
        assert_eq!(decode_rows(&Bytes::from_static(bytes)), Err(DecodeRowsError::Clients), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_rows_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok((rows, clients)) = decode_rows(&bytes.into()) {
            prop_assert_eq!(decode_rows(&encode_rows(&rows, &clients).into()), Ok((rows, clients)));
        }
    }
}
