//! Decoding allocates at most four times what it was given and 64 KiB, whatever that is.
//!
//! A binary of its own with a single test: the allocator counts for the whole process.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "wire/samples.rs"]
mod samples;

use blockraft_types::message::{AppendEntries, StreamEpoch, TimeoutNow};
use blockraft_types::{
    BodyDigest, ChainDigest, EntryHead, EntryKind, GroupId, Incarnation, LogIndex, Membership, Message, NodeId,
    Position, Term,
};
use blockraft_wire::frame::PRELUDE_BYTES;
use blockraft_wire::raft::{self, HEADS_MAX, MESSAGES_MAX, RaftMessage};
use blockraft_wire::{DecodeError, EncodeError, Kind};
use bytes::Bytes;
use peak_alloc::PeakAlloc;
use samples::{Dice, Sample, fixed, random};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[test]
fn decoding_allocates_in_proportion_to_its_input() {
    a_greedy_decoder_would_be_found();
    for (_, sample) in fixed() {
        let frame = sample.encode().unwrap();
        judge(sample.kind(), frame.to_vec());
        claims_of_enormous_lengths(sample.kind(), &frame);
    }
    for seed in 0..3_000 {
        let sample = random(seed);
        let mut frame = sample.encode().unwrap().to_vec();
        let mut dice = Dice(!seed);
        for _ in 0..dice.below(4) {
            let place = dice.below(frame.len() as u64) as usize;
            frame[place] = dice.any() as u8;
        }
        judge(sample.kind(), frame);
    }
    the_densest_frames();
}

/// The negative control: the measurement sees a decoder that trusts a length of 1 MiB.
fn a_greedy_decoder_would_be_found() {
    let input = vec![0; 100];
    let found = std::panic::catch_unwind(|| measure(&input, |_| drop(Vec::<u8>::with_capacity(1 << 20))));
    assert!(found.is_err(), "the measurement finds nothing");
}

/// Each byte of the header in turn becomes a length of 2^28.
fn claims_of_enormous_lengths(kind: Kind, frame: &Bytes) {
    for place in PRELUDE_BYTES..frame.len() {
        let mut claim = frame.to_vec();
        claim.splice(place..=place, [0xff, 0xff, 0xff, 0x7f]);
        let header_bytes = u32::from_le_bytes(claim[4..8].try_into().unwrap()) + 3;
        claim[4..8].copy_from_slice(&header_bytes.to_le_bytes());
        judge(kind, claim);
    }
}

/// Frames whose content is as much larger than themselves as can be.
fn the_densest_frames() {
    let bare = RaftMessage::bare(GroupId(0), Message::TimeoutNow(TimeoutNow { term: Term(0), last: Position::ZERO }));
    let frame = raft::encode(&vec![bare; MESSAGES_MAX]).unwrap();
    assert!(raft::decode(frame.clone()).is_ok());
    judge(Kind::Raft, frame.to_vec());
    // A peer that does not keep to our encoder can forge the number of heads.
    for count in [1, 50, 90, 200, 1000, HEADS_MAX as u64] {
        let frame = memberships_forged(count);
        judge(Kind::Raft, frame.clone());
        let decoded = raft::decode(frame.into());
        match count {
            ..=90 => assert_eq!(decoded.unwrap(), [of_memberships(count as usize)]),
            _ => assert!(matches!(decoded, Err(DecodeError::Memory { .. })), "{count} of the densest memberships"),
        }
    }
    assert!(raft::encode(&[of_memberships(90)]).is_ok());
    assert!(matches!(raft::encode(&[of_memberships(200)]), Err(EncodeError::Memory { .. })));
}

/// A frame of one AppendEntries: its header is copied from one with a single head, and the head repeated.
fn memberships_forged(count: u64) -> Vec<u8> {
    let none = raft::encode(&[of_memberships(0)]).unwrap();
    let one = raft::encode(&[of_memberships(1)]).unwrap();
    let head = &one[none.len()..];
    let start = &none[PRELUDE_BYTES..none.len() - 1];
    let mut length = Vec::new();
    let mut rest = count;
    while 0x7f < rest {
        length.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    length.push(rest as u8);
    let header = [start, &length, &head.repeat(count as usize)].concat();
    let header_bytes = (header.len() as u32).to_le_bytes();
    [&none[..4], &header_bytes, &[0; 4], &header].concat()
}

fn of_memberships(count: usize) -> RaftMessage {
    let member = |id| (NodeId(id), Incarnation::from_bytes([0; 16]));
    let mut membership = Membership::of_voters([member(1)]);
    membership.outgoing.extend([member(1)]);
    membership.learners.extend([member(2)]);
    let chain = ChainDigest::from_bytes([0; 16]);
    let kind = EntryKind::Membership(Box::new(membership));
    let head = EntryHead::chained(chain, Position::ZERO, kind, 0, BodyDigest::of(&[]));
    let message = Message::AppendEntries(AppendEntries {
        term: Term(0),
        stream: StreamEpoch(0),
        prev: Position::ZERO,
        prev_chain: chain,
        heads: vec![head; count],
        leader_commit: LogIndex(0),
    });
    RaftMessage { group: GroupId(0), message, bodies: vec![Bytes::new(); count] }
}

fn judge(kind: Kind, frame: Vec<u8>) {
    measure(&frame, |frame| drop(Sample::decode(kind, frame)));
}

fn measure(input: &[u8], decode: impl FnOnce(Bytes)) {
    let bytes = Bytes::copy_from_slice(input);
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    decode(bytes);
    let used = ALLOCATOR.peak_usage() - before;
    assert!(used <= 4 * input.len() + 64 * 1024, "{used} bytes for an input of {}", input.len());
}
