//! What is written is read back, and bodies are never copied on the way in.

use blockraft_wire::client::{Operation, Request};
use blockraft_wire::{Kind, frame};
use bytes::Bytes;
use proptest::prelude::*;

use crate::samples::{Sample, random};

proptest! {
    #[test]
    fn what_is_written_is_read(seed in any::<u64>()) {
        let sample = random(seed);
        let frame = sample.encode().unwrap();
        prop_assert_eq!(frame::kind(&frame).unwrap(), sample.kind());
        prop_assert_eq!(Sample::decode(sample.kind(), frame).unwrap(), sample);
    }

    #[test]
    fn a_frame_in_parts_is_the_frame_in_one_piece(seed in any::<u64>()) {
        if let Sample::Request(request) = random(seed) {
            let parts = request.encode().unwrap();
            let mut joined = parts.head.to_vec();
            parts.bodies.iter().for_each(|body| joined.extend_from_slice(body));
            prop_assert_eq!(joined.len(), parts.frame_bytes());
            prop_assert_eq!(Bytes::from(joined), parts.into_contiguous());
        }
    }

    #[test]
    fn a_header_of_another_crates_type_is_read_back(header in any::<(u64, String, Vec<u32>)>(), body in any::<Vec<u8>>()) {
        let frame = frame::encode(Kind::Exchange, &header, vec![body.clone().into()]).unwrap().into_contiguous();
        let (read, rest) = frame::decode::<(u64, String, Vec<u32>)>(Kind::Exchange, frame).unwrap();
        prop_assert_eq!((read, rest.to_vec()), (header, body));
    }
}

#[test]
fn decoded_blocks_are_slices_of_the_frame() {
    let block = blockraft_blocks::Block::hash(blockraft_blocks::HashCode::Blake3, vec![7; 4096]);
    let operation = Operation::Put { blocks: vec![block.into()] };
    let request = Request { position: blockraft_types::Position::ZERO, operation };
    let frame = request.encode().unwrap().into_contiguous();
    let Operation::Put { blocks } = Request::decode(frame.clone()).unwrap().operation else {
        panic!("a put was encoded");
    };
    assert!(frame.as_ptr_range().contains(&blocks[0].bytes.as_ptr()));
}
