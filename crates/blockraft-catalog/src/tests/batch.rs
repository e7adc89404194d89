//! The bytes of a batch: bounds, damage, round trips.

use blockraft_blocks::limits::BLOCK_BYTES_MAX;
use blockraft_blocks::{HashCode, Multihash};
use bytes::Bytes;
use proptest::prelude::*;

use super::history::{delete, name, put, put_inline};
use crate::batch::{
    BATCH_BYTES_MAX, BatchBuilder, BatchLimits, COMMANDS_MAX, DecodeBatchError, INLINE_BYTES_MAX, PushError, decode,
    encode,
};
use crate::command::Command;
use crate::outcome::{DecodeOutcomesError, Outcome};

const FORMAT: BatchLimits =
    BatchLimits { commands_max: usize::MAX, inline_bytes_max: usize::MAX, batch_bytes_max: usize::MAX };

fn inline_of(bytes: usize) -> Command {
    let inline = Bytes::from(vec![7; bytes]);
    let multihash = Multihash::of(HashCode::Sha3_256, &inline);
    Command::Put { multihash, length: bytes as u32, inline: Some(inline) }
}

#[test]
fn a_batch_holds_so_many_commands_and_no_more() {
    for count in [0, 1, COMMANDS_MAX - 1, COMMANDS_MAX] {
        let body = encode(vec![delete(1); count], BatchLimits::default()).unwrap();
        assert_eq!(decode(&body).unwrap(), vec![delete(1); count]);
    }
    assert_eq!(encode(vec![delete(1); COMMANDS_MAX + 1], FORMAT), Err(PushError::Full));
}

#[test]
fn a_full_batch_is_unchanged_by_the_command_that_did_not_fit() {
    let limits = BatchLimits { batch_bytes_max: 200, ..BatchLimits::default() };
    let mut builder = BatchBuilder::new(limits);
    let mut taken = 0;
    while builder.push(put(taken)).is_ok() {
        taken += 1;
    }
    assert!(0 < taken && builder.encoded_bytes() <= 200);
    let body = builder.finish();
    assert!(body.len() <= 200);
    assert_eq!(decode(&body).unwrap(), (0..taken).map(put).collect::<Vec<_>>());
}

#[test]
fn a_command_that_is_alone_larger_than_a_batch_goes_alone() {
    let limits = BatchLimits { batch_bytes_max: 10, ..BatchLimits::default() };
    let mut builder = BatchBuilder::new(limits);
    builder.push(put(1)).unwrap();
    assert_eq!(builder.push(put(2)), Err(PushError::Full));
    assert_eq!(decode(&builder.finish()).unwrap(), [put(1)]);
}

#[test]
fn a_block_rides_in_the_log_up_to_the_makers_limit_and_the_formats() {
    let limits = BatchLimits::default();
    for bytes in [4095, 4096] {
        encode([inline_of(bytes)], limits).unwrap();
    }
    let refusal = PushError::InlineTooLong { bytes: 4097, bytes_max: 4096 };
    assert_eq!(encode([inline_of(4097)], limits), Err(refusal));
    let body = encode([inline_of(INLINE_BYTES_MAX)], FORMAT).unwrap();
    assert_eq!(decode(&body).unwrap(), [inline_of(INLINE_BYTES_MAX)]);
    assert!(matches!(encode([inline_of(INLINE_BYTES_MAX + 1)], FORMAT), Err(PushError::InlineTooLong { .. })));
}

#[test]
fn a_put_that_contradicts_itself_is_not_written() {
    let put = |length, inline| encode([Command::Put { multihash: name(1), length, inline }], FORMAT);
    let refusal = PushError::LengthMismatch { length: 4, inline_bytes: 5 };
    assert_eq!(put(4, Some(Bytes::from_static(b"bytes"))), Err(refusal));
    assert_eq!(put(BLOCK_BYTES_MAX + 1, None), Err(PushError::BlockTooLong { length: BLOCK_BYTES_MAX + 1 }));
    assert!(put(BLOCK_BYTES_MAX, None).is_ok());
}

#[test]
fn bytes_that_are_no_batch_are_refused_by_name() {
    let good = encode([put_inline(b"one"), delete(1), put_inline(b"three")], FORMAT).unwrap();
    for length in 0..good.len() {
        decode(&good.slice(..length)).unwrap_err();
    }
    let longer = Bytes::from([&good[..], b"!"].concat());
    assert_eq!(decode(&longer), Err(DecodeBatchError::Bodies { named: 8, found: 9 }));
    let mut newer = good.to_vec();
    newer[0] = 2;
    assert_eq!(decode(&newer.into()), Err(DecodeBatchError::Version { found: 2, supported: 1 }));
    assert_eq!(decode(&Bytes::from_static(&[1, 0x81, 0x20])), Err(DecodeBatchError::TooMany { found: 4097 }));
    let enormous = Bytes::from(vec![1; BATCH_BYTES_MAX + 1]);
    assert_eq!(decode(&enormous), Err(DecodeBatchError::TooLong { bytes: BATCH_BYTES_MAX + 1 }));
}

#[test]
fn inlined_blocks_are_slices_of_the_body() {
    let body = encode([put_inline(b"one"), put_inline(b"three")], FORMAT).unwrap();
    for command in decode(&body).unwrap() {
        let Command::Put { inline: Some(inline), .. } = command else { panic!("both were inlined") };
        assert!(body.as_ptr_range().contains(&inline.as_ptr()));
    }
}

#[test]
fn lists_of_outcomes_come_back_and_nothing_else_passes_for_one() {
    let all = [Outcome::Created, Outcome::AlreadyPresent, Outcome::Deleted, Outcome::Absent, Outcome::Nothing];
    let bytes = Outcome::encode_list(&all);
    assert_eq!(&bytes[..], [1, 1, 2, 3, 4, 5]);
    assert_eq!(Outcome::decode_list(&bytes).unwrap(), all);
    assert_eq!(Outcome::decode_list(&[]), Err(DecodeOutcomesError::Empty));
    assert_eq!(Outcome::decode_list(&[2]), Err(DecodeOutcomesError::Version { found: 2, supported: 1 }));
    assert_eq!(Outcome::decode_list(&[1, 6]), Err(DecodeOutcomesError::Unknown { found: 6 }));
    let longer = vec![1; COMMANDS_MAX + 2];
    assert_eq!(Outcome::decode_list(&longer), Err(DecodeOutcomesError::TooMany { found: COMMANDS_MAX + 1 }));
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::Noop),
        (0u64..50).prop_map(delete),
        (0u64..50).prop_map(put),
        (0usize..300).prop_map(inline_of),
    ]
}

proptest! {
    #[test]
    fn a_batch_comes_back_as_it_was(commands in prop::collection::vec(command(), 0..20)) {
        let mut builder = BatchBuilder::new(BatchLimits::default());
        for command in commands.clone() {
            builder.push(command).unwrap();
        }
        let bound = builder.encoded_bytes();
        let body = builder.finish();
        prop_assert!(body.len() <= bound);
        prop_assert_eq!(decode(&body).unwrap(), commands);
    }

    #[test]
    fn mutated_batches_never_panic(
        commands in prop::collection::vec(command(), 0..20),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = encode(commands, FORMAT).unwrap().to_vec();
        for (place, byte) in mutations {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if let Ok(read) = decode(&body.into()) {
            prop_assert_eq!(decode(&encode(read.clone(), FORMAT).unwrap()).unwrap(), read);
        }
    }
}
