//! Any bytes as a client's response: a value that is written and read again, or an error.
#![no_main]

use blockraft_wire::client::Response;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = Response::decode(Bytes::copy_from_slice(bytes)) else { return };
    let frame = value.encode().expect("what was read can be written").into_contiguous();
    assert_eq!(Response::decode(frame), Ok(value));
});
