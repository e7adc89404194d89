//! Any bytes give a value or an error.

use blockraft_wire::frame::PRELUDE_BYTES;
use blockraft_wire::{DecodeError, Kind, Prelude, node};
use bytes::Bytes;
use proptest::prelude::*;

use crate::samples::{Dice, Sample, fixed, random};

#[test]
fn a_frame_cut_short_anywhere_is_refused() {
    for (name, sample) in fixed() {
        let frame = sample.encode().unwrap();
        for length in 0..frame.len() {
            let refusal = Sample::decode(sample.kind(), frame.slice(..length));
            assert!(matches!(refusal, Err(DecodeError::Short { .. })), "{name} cut to {length}: {refusal:?}");
        }
    }
}

#[test]
fn bytes_behind_a_frame_are_refused() {
    for (_, sample) in fixed() {
        let longer = Bytes::from([&sample.encode().unwrap()[..], &[0]].concat());
        let refusal = Sample::decode(sample.kind(), longer);
        assert_eq!(refusal, Err(DecodeError::Trailing { kind: sample.kind(), bytes: 1 }));
    }
}

#[test]
fn bytes_behind_the_value_of_a_header_are_refused() {
    for (name, sample) in fixed() {
        let frame = sample.encode().unwrap();
        let header_bytes = Prelude::decode(*frame.first_chunk().unwrap()).unwrap().header_bytes();
        let mut longer = frame.to_vec();
        longer.insert(PRELUDE_BYTES + header_bytes as usize, 0);
        longer[4..8].copy_from_slice(&(header_bytes + 1).to_le_bytes());
        let refusal = Sample::decode(sample.kind(), longer.into());
        let expected = DecodeError::HeaderTrailing { kind: sample.kind(), bytes: 1 };
        assert_eq!(refusal, Err(expected), "{name}");
    }
}

#[test]
fn bodies_that_no_header_names_are_refused() {
    for (name, sample) in fixed() {
        // Their whole tail is one body, of whatever length came.
        if matches!(name.as_str(), "node-forward" | "node-forward-reply-committed") {
            continue;
        }
        let mut longer = sample.encode().unwrap().to_vec();
        let body_bytes = u32::from_le_bytes(longer[8..12].try_into().unwrap());
        longer.push(0);
        longer[8..12].copy_from_slice(&(body_bytes + 1).to_le_bytes());
        let refusal = Sample::decode(sample.kind(), longer.into());
        assert_eq!(refusal, Err(DecodeError::Bodies { kind: sample.kind() }), "{name}");
    }
}

#[test]
fn another_version_is_refused_by_its_number() {
    for (_, sample) in fixed() {
        let kind = sample.kind();
        for found in (0..=u8::MAX).filter(|&found| found != kind.version()) {
            let mut frame = sample.encode().unwrap().to_vec();
            frame[3] = found;
            let refusal = Sample::decode(kind, frame.into());
            assert_eq!(refusal, Err(DecodeError::Version { kind, found, supported: kind.version() }));
        }
    }
}

#[test]
fn a_frame_of_another_kind_is_refused_by_both_names() {
    let (_, sample) = fixed().swap_remove(0);
    let refusal = node::decode(sample.encode().unwrap());
    assert_eq!(refusal, Err(DecodeError::WrongKind { expected: Kind::Node, found: Kind::Raft }));
    let mut frame = sample.encode().unwrap().to_vec();
    frame[2] = 99;
    assert_eq!(node::decode(frame.clone().into()), Err(DecodeError::UnknownKind { found: 99 }));
    frame[0] = b'H';
    assert_eq!(node::decode(frame.into()), Err(DecodeError::Magic { found: *b"HR" }));
}

#[test]
fn an_announced_length_beyond_the_limit_is_refused_from_the_prelude_alone() {
    for kind in Kind::ALL {
        let limits = kind.limits();
        let prelude = |header: u32, body: u32| {
            let mut prelude = [0; PRELUDE_BYTES];
            prelude[..4].copy_from_slice(&[b'b', b'R', kind.number(), kind.version()]);
            prelude[4..8].copy_from_slice(&header.to_le_bytes());
            prelude[8..].copy_from_slice(&body.to_le_bytes());
            Prelude::decode(prelude)
        };
        let header_max = limits.header_bytes_max.min(limits.frame_bytes_max - PRELUDE_BYTES as u32);
        let body_max = limits.body_bytes_max.min(limits.frame_bytes_max - PRELUDE_BYTES as u32);
        assert!(prelude(header_max, 0).is_ok() && prelude(0, body_max).is_ok());
        for (header_bytes, body_bytes) in [(header_max + 1, 0), (0, body_max + 1), (u32::MAX, u32::MAX)] {
            assert_eq!(
                prelude(header_bytes, body_bytes),
                Err(DecodeError::TooLarge { kind, header_bytes, body_bytes })
            );
        }
    }
}

#[test]
fn a_header_that_isnt_one_is_refused() {
    for kind in Kind::ALL {
        let junk = [0xff; 40];
        let framed = [&[b'b', b'R', kind.number(), kind.version(), 40, 0, 0, 0, 0, 0, 0, 0], &junk[..]].concat();
        assert!(Sample::decode(kind, framed.into()).is_err(), "{kind}");
    }
}

/// A control: the test above must notice a decoder that panics.
#[cfg(seeded_bugs)]
#[test]
fn a_decoder_that_panics_is_noticed() {
    use blockraft_wire::Mistake;
    Mistake::choose(Some(Mistake::ErrorsPanic));
    let noticed = std::panic::catch_unwind(a_header_that_isnt_one_is_refused);
    Mistake::choose(None);
    assert!(noticed.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>(), number in 0usize..4) {
        let kind = Kind::ALL[number];
        let _ = Sample::decode(kind, bytes.clone().into());
        // Behind a good prelude the header's decoder is reached.
        let length = (bytes.len() as u32).to_le_bytes();
        let framed = [&[b'b', b'R', kind.number(), kind.version()], &length[..], &[0; 4], &bytes].concat();
        let _ = Sample::decode(kind, framed.into());
    }

    #[test]
    fn mutated_frames_never_panic_and_what_is_read_can_be_written(seed in any::<u64>()) {
        let sample = random(seed);
        let mut frame = sample.encode().unwrap().to_vec();
        let mut dice = Dice(seed ^ 1);
        for _ in 0..=dice.below(3) {
            let place = dice.below(frame.len() as u64) as usize;
            frame[place] = if dice.below(2) == 0 { dice.any() as u8 } else { 0xff };
        }
        if let Ok(read) = Sample::decode(sample.kind(), frame.into()) {
            let written = read.encode().unwrap();
            prop_assert_eq!(Sample::decode(sample.kind(), written).unwrap(), read);
        }
    }
}
