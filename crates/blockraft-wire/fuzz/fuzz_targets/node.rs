//! Any bytes as a frame between nodes: a value that is written and read again, or an error.
#![no_main]

use blockraft_wire::node;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = node::decode(Bytes::copy_from_slice(bytes)) else { return };
    let frame = node::encode(&message).expect("what was read can be written");
    assert_eq!(node::decode(frame), Ok(message));
});
