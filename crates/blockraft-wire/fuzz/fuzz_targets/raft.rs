//! Any bytes as a frame of consensus: a value that is written and read again, or an error.
#![no_main]

use blockraft_wire::raft;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(messages) = raft::decode(Bytes::copy_from_slice(bytes)) else { return };
    // A frame with longer numbers than it needs may decode to what no frame of ours would hold.
    let Ok(frame) = raft::encode(&messages) else { return };
    assert_eq!(raft::decode(frame), Ok(messages));
});
