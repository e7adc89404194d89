//! Every bound, one below it, at it and one above it.

use blockraft_blocks::{HashCode, Multihash};
use blockraft_types::message::{AppendEntries, Heartbeat, ReadRound, StreamEpoch};
use blockraft_types::{BodyDigest, ChainDigest, EntryHead, EntryKind, GroupId, LogIndex, Message, Position, Term};
use blockraft_wire::client::{Answer, BLOCKS_MAX, Operation, PutOutcome, Request, Response};
use blockraft_wire::kind::CONTROL_FRAME_BYTES_MAX;
use blockraft_wire::raft::{self, HEADS_MAX, MESSAGES_MAX, RaftMessage};
use blockraft_wire::{DecodeError, EncodeError, Kind, frame};
use bytes::Bytes;

#[test]
fn a_frame_holds_so_many_messages_and_no_more() {
    let heartbeat = Message::Heartbeat(Heartbeat {
        term: Term(1),
        round: ReadRound(1),
        commit: LogIndex(1),
        held_by_all: LogIndex(1),
    });
    let messages = |count: usize| vec![RaftMessage::bare(GroupId(0), heartbeat.clone()); count];
    for count in [0, 1, MESSAGES_MAX - 1, MESSAGES_MAX] {
        let frame = raft::encode(&messages(count)).unwrap();
        assert_eq!(raft::decode(frame).unwrap().len(), count);
    }
    let refusal = raft::encode(&messages(MESSAGES_MAX + 1)).unwrap_err();
    assert!(matches!(refusal, EncodeError::TooMany { what: "messages", .. }), "{refusal}");
}

#[test]
fn a_frame_holds_so_many_heads_and_no_more() {
    for count in [HEADS_MAX - 1, HEADS_MAX] {
        let frame = raft::encode(&[append(count, 0)]).unwrap();
        assert_eq!(raft::decode(frame).unwrap()[0].bodies.len(), count);
    }
    let refusal = raft::encode(&[append(HEADS_MAX, 0), append(1, 0)]).unwrap_err();
    assert!(matches!(refusal, EncodeError::TooMany { what: "heads", .. }), "{refusal}");
}

#[test]
fn a_control_frame_has_room_for_4_mib_of_entries() {
    let frame = raft::encode(&[append(64, 64 * 1024)]).unwrap();
    assert!(4 << 20 < frame.len() && frame.len() <= CONTROL_FRAME_BYTES_MAX as usize);
    let refusal = raft::encode(&[append(65, 65 * 1024)]).unwrap_err();
    assert!(matches!(refusal, EncodeError::TooLarge { kind: Kind::Raft, .. }), "{refusal}");
}

#[test]
fn bodies_that_do_not_fit_their_heads_are_not_written() {
    let mut shorter = append(2, 10);
    shorter.bodies[1] = Bytes::from_static(b"short");
    let mut fewer = append(2, 10);
    fewer.bodies.pop();
    for message in [shorter, fewer] {
        assert!(matches!(raft::encode(&[message]), Err(EncodeError::Bodies { kind: Kind::Raft })));
    }
}

#[test]
fn a_request_names_so_many_blocks_and_no_more() {
    let request = |count: usize| {
        let multihashes = vec![Multihash::of(HashCode::Sha2_512, b"a block"); count];
        Request { position: Position::ZERO, operation: Operation::Delete { multihashes } }
    };
    for count in [0, 1, BLOCKS_MAX - 1, BLOCKS_MAX] {
        let frame = request(count).encode().unwrap().into_contiguous();
        assert_eq!(Request::decode(frame).unwrap(), request(count));
    }
    assert!(matches!(request(BLOCKS_MAX + 1).encode(), Err(EncodeError::TooMany { what: "blocks", .. })));
}

#[test]
fn a_reader_takes_no_more_blocks_than_a_writer_may_send() {
    let answer = |count: usize| {
        let answer = Answer::Put { outcomes: vec![PutOutcome::Created; count] };
        Response::Answered { position: Position::ZERO, answer }
    };
    assert!(matches!(answer(BLOCKS_MAX + 1).encode(), Err(EncodeError::TooMany { .. })));
    // The same header, written past the check: variant, position, variant, a sequence.
    let forged = |count: usize| (0u8, Position::ZERO, 0u8, vec![0u8; count]);
    let frame = |count| frame::encode(Kind::ClientResponse, &forged(count), vec![]).unwrap().into_contiguous();
    assert_eq!(Response::decode(frame(BLOCKS_MAX)).unwrap(), answer(BLOCKS_MAX));
    assert!(matches!(Response::decode(frame(BLOCKS_MAX + 1)), Err(DecodeError::Header { .. })));
}

fn append(entries: usize, body_bytes: usize) -> RaftMessage {
    let prev_chain = ChainDigest::from_bytes([0; 16]);
    let body = Bytes::from(vec![7; body_bytes]);
    let digest = BodyDigest::of(&body);
    let position = |number| Position { term: Term(1), index: LogIndex(number) };
    let heads = (1..=entries as u64)
        .map(|number| EntryHead::chained(prev_chain, position(number), EntryKind::Command, body_bytes as u32, digest));
    let message = Message::AppendEntries(AppendEntries {
        term: Term(1),
        stream: StreamEpoch(1),
        prev: Position::ZERO,
        prev_chain,
        heads: heads.collect(),
        leader_commit: LogIndex(0),
    });
    RaftMessage { group: GroupId(0), message, bodies: vec![body; entries] }
}
