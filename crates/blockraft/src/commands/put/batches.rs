//! Pieces gathered into batches, apart from the tasks that send them: many small ones make one request.
//!
//! A batch leaves as soon as somebody takes it. While all requests are on their way the next one grows, up to its bounds;
//! so nothing waits for a batch to be full, and a folder of small files doesn't cost a round trip each.

use blockraft_blocks::HashCode;
use tokio::sync::mpsc;

use super::pieces::{self, Files, Piece, PieceError, Unwanted};

/// Pieces in their order, and failures to read where they stand among them.
pub(super) type Batch = Vec<Result<Piece, PieceError>>;

/// Batches, as they are read: one waits, one is being gathered.
#[derive(Debug)]
pub(super) struct Batches {
    batches: mpsc::Receiver<Batch>,
}

impl Batches {
    /// Begins to read, on a thread of its own.
    pub(super) fn read(files: Files, chunk: Option<u64>, hash: HashCode) -> Self {
        let (sender, batches) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let mut gathering = Gathering { sender, batch: Batch::new(), bytes: 0 };
            let read = pieces::read(files, chunk, hash, |piece| gathering.add(piece));
            // Either way nobody is left to be told: the reader has no more, or nobody wants more.
            let _ = read.and_then(|()| gathering.finish());
        });
        Self { batches }
    }

    /// The next batch, which isn't empty.
    pub(super) async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }
}

struct Gathering {
    sender: mpsc::Sender<Batch>,
    batch: Batch,
    bytes: usize,
}

impl Gathering {
    fn add(&mut self, piece: Result<Piece, PieceError>) -> Result<(), Unwanted> {
        self.bytes += piece.as_ref().map_or(0, |piece| piece.block.bytes().len());
        self.batch.push(piece);
        let full = BATCH_BYTES_MAX <= self.bytes || BATCH_PIECES_MAX <= self.batch.len();
        let wanted = 0 < self.sender.capacity() || self.sender.is_closed();
        if full || wanted { self.send() } else { Ok(()) }
    }

    fn finish(mut self) -> Result<(), Unwanted> {
        if self.batch.is_empty() { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> Result<(), Unwanted> {
        self.bytes = 0;
        self.sender.blocking_send(std::mem::take(&mut self.batch)).map_err(|_| Unwanted)
    }
}

/// A batch is full when it has reached this many bytes, so it is at most one block longer.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// A batch is full when it has this many pieces.
const BATCH_PIECES_MAX: usize = 256;

#[cfg(test)]
mod tests;
