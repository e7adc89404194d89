//! The bytes of a batch: bounds, damage, round trips.

use blockraft_blocks::limits::BLOCK_BYTES_MAX;
use blockraft_blocks::{Codec, HashCode, Multihash};
use blockraft_types::{ImportId, LogIndex, Position, Term};
use bytes::Bytes;
use proptest::prelude::*;

use super::history::{delete, in_turn, name, put, put_inline, vertex};
use crate::batch::{
    BATCH_BYTES_MAX, BatchBuilder, BatchLimits, COMMANDS_MAX, DecodeBatchError, INLINE_BYTES_MAX, PushError, WALKS_MAX,
    decode, encode,
};
use crate::command::{Command, Request};
use crate::links::{LINKS_BYTES_MAX, LINKS_MAX, Links, LinksError};
use crate::outcome::{DecodeOutcomesError, Outcome, Settled};
use crate::pin::PinMode;

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
        assert_eq!(decode(&body).unwrap(), vec![Request::from(delete(1)); count]);
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
    assert_eq!(decode(&body).unwrap(), (0..taken).map(|block| put(block).into()).collect::<Vec<_>>());
}

#[test]
fn a_command_that_is_alone_larger_than_a_batch_goes_alone() {
    let limits = BatchLimits { batch_bytes_max: 10, ..BatchLimits::default() };
    let mut builder = BatchBuilder::new(limits);
    builder.push(put(1)).unwrap();
    assert_eq!(builder.push(put(2)), Err(PushError::Full));
    assert_eq!(decode(&builder.finish()).unwrap(), [put(1).into()]);
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
    assert_eq!(decode(&body).unwrap(), [inline_of(INLINE_BYTES_MAX).into()]);
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
    newer[0] = 4;
    assert_eq!(decode(&newer.into()), Err(DecodeBatchError::Version { found: 4, supported: 3 }));
    let opens = Bytes::from_static(&[1, 1, 4]);
    assert_eq!(decode(&opens), Err(DecodeBatchError::Newer { number: 0 }), "there were no sessions in version 1");
    assert_eq!(decode(&Bytes::from_static(&[1, 0x81, 0x20])), Err(DecodeBatchError::TooMany { found: 4097 }));
    let enormous = Bytes::from(vec![1; BATCH_BYTES_MAX + 1]);
    assert_eq!(decode(&enormous), Err(DecodeBatchError::TooLong { bytes: BATCH_BYTES_MAX + 1 }));
}

#[test]
fn a_batch_sets_so_many_recursive_pins_and_no_more() {
    let recursive = |block| Command::Pin { root: vertex(block, Codec::DAG_PB), mode: PinMode::Recursive };
    let direct = |block| Command::Pin { root: vertex(block, Codec::DAG_PB), mode: PinMode::Direct };
    let mut builder = BatchBuilder::new(FORMAT);
    for block in 0..WALKS_MAX as u64 {
        builder.push(recursive(block)).unwrap();
        builder.push(direct(block)).unwrap();
    }
    let unpin = Command::Unpin { root: vertex(1, Codec::DAG_PB), mode: PinMode::Recursive };
    assert_eq!(builder.push(recursive(99)), Err(PushError::Full));
    assert_eq!(builder.push(unpin), Err(PushError::Full));
    let body = builder.finish();
    assert_eq!(decode(&body).unwrap().len(), 2 * WALKS_MAX);
    // Another one behind them.
    let one = encode([recursive(1)], FORMAT).unwrap();
    let mut more = [&body[..], &one[2..]].concat();
    more[1] += 1;
    assert_eq!(decode(&more.into()), Err(DecodeBatchError::TooManyWalks));
}

#[test]
fn a_block_has_so_many_links_and_no_more() {
    let links = |count: u64, codec| (0..count).map(move |block| vertex(block, Codec(codec)));
    let most = Links::new(links(LINKS_MAX as u64, 1)).unwrap();
    let command = Command::Link { parent: vertex(1, Codec::DAG_PB), links: most.clone() };
    let body = encode([command.clone()], BatchLimits::default()).unwrap();
    assert!(body.len() <= LINKS_BYTES_MAX + 100);
    assert_eq!(decode(&body).unwrap(), [command.into()]);
    assert_eq!(Links::new(links(LINKS_MAX as u64 + 1, 1)), Err(LinksError::TooMany));
    let twice = links(LINKS_MAX as u64, 1).chain(links(LINKS_MAX as u64, 1));
    assert_eq!(Links::new(twice), Ok(most), "each counts once, and the first one's place is kept");

    // Every third name is 67 bytes long, the others are 35, and such a codec takes 10.
    let lengths = (0..).map(|block| if block % 3 == 0 { 67 + 10 } else { 35 + 10 });
    let fitting = lengths.scan(0, |bytes, length| {
        *bytes += length;
        Some(*bytes)
    });
    let fitting = fitting.take_while(|bytes| *bytes <= LINKS_BYTES_MAX).count() as u64;
    assert!(Links::new(links(fitting, u64::MAX)).is_ok());
    assert_eq!(Links::new(links(fitting + 1, u64::MAX)), Err(LinksError::TooLong));
}

#[test]
fn a_batch_of_an_older_version_has_no_command_of_a_newer_one() {
    let commands = [Command::OpenImport, Command::Collect { multihash: name(1) }];
    for command in commands {
        let mut body = encode([command], FORMAT).unwrap().to_vec();
        assert_eq!(body[0], 3);
        body[0] = 2;
        assert_eq!(decode(&body.into()), Err(DecodeBatchError::Newer { number: 0 }));
    }
}

#[test]
fn inlined_blocks_are_slices_of_the_body() {
    let body = encode([put_inline(b"one"), put_inline(b"three")], FORMAT).unwrap();
    for request in decode(&body).unwrap() {
        let Command::Put { inline: Some(inline), .. } = request.command else { panic!("both were inlined") };
        assert!(body.as_ptr_range().contains(&inline.as_ptr()));
    }
}

#[test]
fn lists_of_outcomes_come_back_and_nothing_else_passes_for_one() {
    let here = Position { term: Term(3), index: LogIndex(9) };
    let settled = |number| Settled { outcome: Outcome::try_from(number).unwrap(), position: here };
    let all: Vec<Settled> = (1..=25).map(settled).collect();
    let bytes = Settled::encode_list(&all, here);
    assert_eq!(bytes[0], 1);
    assert_eq!(bytes[1..], (1..=25).collect::<Vec<u8>>());
    assert_eq!(Settled::decode_list(&bytes, here).unwrap(), all);
    assert_eq!(Settled::decode_list(&[], here), Err(DecodeOutcomesError::Empty));
    assert_eq!(Settled::decode_list(&[3], here), Err(DecodeOutcomesError::Version { found: 3, supported: 2 }));
    assert_eq!(Settled::decode_list(&[1, 26], here), Err(DecodeOutcomesError::Unknown { found: 26 }));
    assert_eq!(Settled::decode_list(&[1, 0x81], here), Err(DecodeOutcomesError::Unknown { found: 0x81 }));
    let longer = vec![1; COMMANDS_MAX + 2];
    assert_eq!(Settled::decode_list(&longer, here), Err(DecodeOutcomesError::TooMany { found: COMMANDS_MAX + 1 }));
}

#[test]
fn an_outcome_of_an_earlier_entry_travels_with_its_position() {
    let here = Position { term: Term(3), index: LogIndex(9) };
    let earlier = Position { term: Term(2), index: LogIndex(258) };
    let list = [here, earlier, here].map(|position| Settled { outcome: Outcome::Deleted, position });
    let bytes = Settled::encode_list(&list, here);
    assert_eq!(&bytes[..], [2, 3, 0x83, 2, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 3]);
    assert_eq!(Settled::decode_list(&bytes, here).unwrap(), list);
    for cut in 3..19 {
        assert_eq!(Settled::decode_list(&bytes[..cut], here), Err(DecodeOutcomesError::Short { outcomes: 1 }));
    }
}

fn graph_command() -> impl Strategy<Value = Command> {
    let vertex = || (0u64..50, any::<u64>()).prop_map(|(block, codec)| vertex(block, Codec(codec)));
    let mode = || prop_oneof![Just(PinMode::Direct), Just(PinMode::Recursive)];
    let import = || any::<(u64, u32)>().prop_map(|(opened, number)| ImportId { opened: LogIndex(opened), number });
    let links = || prop::collection::vec(vertex(), 0..5).prop_map(|links| Links::new(links).unwrap());
    prop_oneof![
        Just(Command::OpenImport),
        import().prop_map(|import| Command::KeepImport { import }),
        import().prop_map(|import| Command::EndImport { import }),
        (import(), any::<u64>()).prop_map(|(import, kept)| Command::ExpireImport { import, last_kept: LogIndex(kept) }),
        (vertex(), links()).prop_map(|(parent, links)| Command::Link { parent, links }),
        (vertex(), Just(PinMode::Direct)).prop_map(|(root, mode)| Command::Pin { root, mode }),
        (vertex(), mode()).prop_map(|(root, mode)| Command::Unpin { root, mode }).prop_filter(
            "a batch takes few walks",
            |command| !matches!(command, Command::Unpin { mode: PinMode::Recursive, .. }),
        ),
        (0u64..50).prop_map(|block| Command::Collect { multihash: name(block) }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let command = prop_oneof![
        Just(Command::Noop),
        Just(Command::OpenSession),
        (0u64..50).prop_map(delete),
        (0u64..50).prop_map(put),
        (0usize..300).prop_map(inline_of),
        graph_command(),
    ];
    (command, prop::option::weighted(0.1, any::<(u64, u64, u64)>())).prop_map(|(command, turn)| match turn {
        Some((opened, sequence, first_unanswered)) => in_turn(opened, sequence, first_unanswered, command),
        None => command.into(),
    })
}

proptest! {
    #[test]
    fn a_batch_comes_back_as_it_was(requests in prop::collection::vec(request(), 0..20)) {
        let mut builder = BatchBuilder::new(BatchLimits::default());
        for request in requests.clone() {
            builder.push(request).unwrap();
        }
        let bound = builder.encoded_bytes();
        let body = builder.finish();
        prop_assert!(body.len() <= bound);
        prop_assert_eq!(decode(&body).unwrap(), requests);
    }

    #[test]
    fn mutated_batches_never_panic(
        requests in prop::collection::vec(request(), 0..20),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = encode(requests, FORMAT).unwrap().to_vec();
        for (place, byte) in mutations {
            let place = place.index(body.len());
            body[place] = byte;
        }
        if let Ok(read) = decode(&body.into()) {
            prop_assert_eq!(decode(&encode(read.clone(), FORMAT).unwrap()).unwrap(), read);
        }
    }
}
