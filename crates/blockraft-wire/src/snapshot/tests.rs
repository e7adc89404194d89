use blockraft_blocks::{HashCode, Multihash};
use blockraft_types::{LogIndex, Position, Term};
use proptest::prelude::*;

use super::{DecodeRowsError, SnapshotRow, decode_rows, encode_rows};

fn row(code: HashCode, number: u64) -> SnapshotRow {
    let created = Position { term: Term(number), index: LogIndex(number.wrapping_mul(7)) };
    SnapshotRow { multihash: Multihash::of(code, &number.to_le_bytes()), length: number as u32, created }
}

#[test]
fn rows_of_version_1_are_read_and_written_as_ever() {
    let rows = [row(HashCode::Sha2_256, 300), row(HashCode::Sha2_512, u64::MAX)];
    let golden = include_str!("golden.v1.hex").trim_end();
    let hex: String = encode_rows(&rows, &[]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden);
    assert_eq!(decode_rows(&encode_rows(&rows, &[])), Ok((rows.to_vec(), &[][..])));
}

#[test]
fn rows_of_version_2_are_read_and_written_as_ever() {
    let rows = [row(HashCode::Sha2_256, 300)];
    let bytes = encode_rows(&rows, b"sessions");
    let golden = include_str!("golden.v2.hex").trim_end();
    assert_eq!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), golden);
    assert_eq!(decode_rows(&bytes), Ok((rows.to_vec(), &b"sessions"[..])));
}

#[test]
fn what_is_cut_off_or_of_another_version_is_refused() {
    let bytes = encode_rows(&[row(HashCode::Blake3, 1), row(HashCode::Blake3, 2)], &[]);
    let one = (bytes.len() - 1) / 2;
    for cut in 1..bytes.len() {
        let whole = cut == 1 || cut == 1 + one;
        assert_eq!(decode_rows(&bytes[..cut]).is_ok(), whole, "{cut} bytes");
    }
    assert_eq!(decode_rows(&[]), Err(DecodeRowsError::Version { found: 0, supported: 2 }));
    assert_eq!(decode_rows(&[3]), Err(DecodeRowsError::Version { found: 3, supported: 2 }));
    for bytes in [&[2][..], &[2, 1, 0, 0, 0], &[2, 0, 0, 0, 0]] {
        assert_eq!(decode_rows(bytes), Err(DecodeRowsError::Sessions), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_rows_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok((rows, sessions)) = decode_rows(&bytes) {
            prop_assert_eq!(encode_rows(&rows, sessions), bytes);
        }
    }
}
