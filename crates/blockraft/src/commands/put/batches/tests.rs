use std::fs;

use super::*;

/// The offsets of the pieces of a file of `bytes` bytes, batch by batch, when nobody takes a batch before the reader is
/// stuck or done.
fn batches_of(bytes: usize, chunk: u64) -> Vec<Vec<u64>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, vec![7; bytes]).unwrap();
    let files = pieces::find(&[path], false).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut reading = Batches::read(files, Some(chunk), HashCode::Blake3);
        let mut batches = Vec::new();
        while let Some(batch) = reading.next().await {
            batches.push(batch.into_iter().map(|piece| piece.ok().unwrap().offset).collect());
        }
        batches
    })
}

#[test]
fn pieces_keep_their_order_and_batches_their_bounds() {
    for (bytes, chunk) in [(3_000, 1), (8 << 20, 300 << 10), (5 << 20, 2 << 20)] {
        let batches = batches_of(bytes, chunk);
        let offsets: Vec<u64> = batches.iter().flatten().copied().collect();
        let expected: Vec<u64> = (0..bytes as u64).step_by(chunk as usize).collect();
        assert_eq!(offsets, expected);
        let pieces = batches.iter().map(Vec::len).max().unwrap();
        assert!(pieces <= BATCH_PIECES_MAX, "{pieces} pieces of {chunk} bytes");
        assert!(pieces * chunk as usize <= BATCH_BYTES_MAX + chunk as usize, "{pieces} pieces of {chunk} bytes");
        assert!(batches.iter().all(|batch| !batch.is_empty()));
    }
}

#[test]
fn a_piece_leaves_at_once_when_it_is_wanted_and_gathers_others_when_not() {
    let (sender, mut batches) = mpsc::channel(1);
    let mut gathering = Gathering { sender, batch: Batch::new(), bytes: 0 };
    let piece = |offset| {
        let block = blockraft_blocks::Block::hash(HashCode::Blake3, vec![1; 10]);
        Ok(Piece { source: "file".to_owned(), offset, block })
    };
    let mut taken = || batches.try_recv().ok().map(|batch| batch.len());
    assert!(gathering.add(piece(0)).is_ok());
    for offset in 1..4 {
        assert!(gathering.add(piece(offset)).is_ok());
    }
    assert_eq!(taken(), Some(1), "the first left alone");
    assert_eq!(taken(), None, "the others gather");
    assert!(gathering.add(piece(4)).is_ok());
    assert_eq!(taken(), Some(4), "they leave together");
    drop(batches);
    assert!(gathering.add(piece(5)).is_err(), "nobody wants it");
}
