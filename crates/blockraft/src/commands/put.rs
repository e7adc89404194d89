//! `blockraft put`.

mod batches;
mod pieces;
mod progress;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blockraft_blocks::{Block, Codec, HashCode};
use blockraft_client::{Client, OnUnknown, PutError, PutOutcome};
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::connection::{ConnectionArguments, parse_codec};
use crate::escaped::escaped;
use crate::exit::{Exit, Failure, causes, of_unavailable};
use crate::output::Output;
use crate::size;

use self::batches::{Batch, Batches};
use self::pieces::{Piece, PieceError};
use self::progress::Progress;

/// Put files, or standard input, as blocks and print their CIDs.
///
/// A file is one block, as it is; an empty one is the empty block, which IPFS keeps too. A file that is longer than a
/// block may be (2 MiB unless the cluster is set otherwise) is cut with --chunk: each piece is a raw block with a CID of
/// its own, and nothing keeps them together but the order in which they are printed.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct PutArguments {
    /// What to put; `-` or nothing is standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Put every file below the folders given
    #[arg(short, long)]
    recursive: bool,
    /// Cut into raw blocks of this size, such as 256KiB or 1MiB
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    chunk: Option<u64>,
    /// What the bytes are to be read as: raw, dag-pb, dag-cbor, dag-json, cbor, json or a number such as 0x55
    #[arg(long, default_value = "raw", value_parser = parse_codec)]
    codec: Codec,
    /// The hash function: sha2-256, sha2-512, sha3-256, blake3 or blake2b-256
    #[arg(long, default_value = "sha2-256", value_parser = parse_hash)]
    hash: HashCode,
    /// How many requests are on their way at once, each of one large block or of many small ones
    #[arg(short, long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Print CIDs alone
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) async fn run(arguments: PutArguments, output: &mut Output) -> Result<Exit, Failure> {
    check(&arguments)?;
    let files = pieces::find(&arguments.files, arguments.recursive)?;
    let client = arguments.connection.connect().await?;
    let progress = Arc::new(Progress::new(files.bytes, output.format()));
    let batches = Batches::read(files, arguments.chunk, arguments.hash);
    // A folder may hold a hundred thousand files, and each would be waited for in vain.
    let gone = AtomicBool::new(false);
    let next = |mut batches: Batches| async {
        if gone.load(Ordering::Relaxed) { None } else { batches.next().await.map(|batch| (batch, batches)) }
    };
    let puts =
        stream::unfold(batches, next).map(|batch| put(&client, batch, &progress)).buffered(arguments.jobs.into());
    let mut puts = std::pin::pin!(puts);
    let mut total = Total::default();
    while let Some(puts) = puts.next().await {
        progress.suspend(|| puts.iter().try_for_each(|put| total.print(put, &arguments, output)))?;
        gone.store(total.is_unreachable, Ordering::Relaxed);
    }
    progress.finish();
    if total.is_unreachable {
        output.complain("no member can be reached: what isn't listed above was not tried; put all of it again later");
    }
    client.close().await;
    if 1 < total.blocks {
        output.remark(&total);
    }
    Ok(total.exit)
}

/// A piece and what became of it.
struct Put {
    source: String,
    offset: u64,
    block: Option<Block>,
    outcome: Result<PutOutcome, NotPut>,
}

enum NotPut {
    Unread(PieceError),
    Unput(PutError),
}

#[derive(Default)]
struct Total {
    blocks: u64,
    bytes: u64,
    created: u64,
    present: u64,
    failed: u64,
    /// No member could be reached for one of them.
    is_unreachable: bool,
    exit: Exit,
}

/// Puts the pieces of a batch with one request, or a few if they are long.
async fn put(client: &Client, batch: Batch, progress: &Progress) -> Vec<Put> {
    let blocks = batch.iter().filter_map(|piece| piece.as_ref().ok()).map(|piece| piece.block.clone()).collect();
    let mut outcomes = client.put_many(blocks, OnUnknown::Resolve).await.into_iter();
    let mut put = |piece: Result<Piece, PieceError>| match piece {
        Err(error) => {
            Put { source: error.source_name().to_owned(), offset: 0, block: None, outcome: Err(NotPut::Unread(error)) }
        }
        Ok(Piece { source, offset, block }) => {
            let outcome = outcomes.next().expect("there is an outcome for each block");
            progress.advance(block.bytes().len() as u64);
            Put { source, offset, block: Some(block), outcome: outcome.map_err(NotPut::Unput) }
        }
    };
    batch.into_iter().map(&mut put).collect()
}

impl Total {
    fn print(&mut self, put: &Put, arguments: &PutArguments, output: &mut Output) -> Result<(), Failure> {
        self.blocks += 1;
        let bytes = put.block.as_ref().map(|block| block.bytes().len() as u64);
        let word = match &put.outcome {
            Ok(PutOutcome::Created) => {
                self.created += 1;
                "created"
            }
            Ok(PutOutcome::AlreadyPresent) => {
                self.present += 1;
                "already_present"
            }
            Err(NotPut::Unput(PutError::Unknown { .. })) => "unknown",
            Err(NotPut::Unput(_) | NotPut::Unread(_)) => "failed",
        };
        let cid = put.block.as_ref().map(|block| block.cid(arguments.codec).to_string());
        let error = put.outcome.as_ref().err().map(|error| self.complain(put, error, output));
        if error.is_none() {
            self.bytes += bytes.unwrap_or(0);
        }
        let object = || -> Value {
            json!({
                "source": put.source, "offset": put.offset, "cid": cid, "bytes": bytes, "outcome": word, "error": error,
            })
        };
        let text = match (&cid, &error) {
            (Some(cid), None) if arguments.quiet => cid.clone(),
            (Some(cid), None) if arguments.chunk.is_some() => {
                format!("{cid}  {}  {}", escaped(&put.source), put.offset)
            }
            (Some(cid), None) => format!("{cid}  {}", escaped(&put.source)),
            _ if output.format() == crate::output::Format::Text => return Ok(()),
            _ => String::new(),
        };
        output.line(text, object)
    }

    fn complain(&mut self, put: &Put, error: &NotPut, output: &Output) -> String {
        self.failed += 1;
        let (exit, message) = match error {
            NotPut::Unread(error) => (Exit::Failed, causes(error)),
            NotPut::Unput(error @ PutError::Unknown { .. }) => {
                let advice = "look with `blockraft has`, or put it again: that is harmless unless somebody deletes it";
                (Exit::Unknown, format!("{}; {advice}", causes(error)))
            }
            NotPut::Unput(PutError::BlockTooLong { bytes, bytes_max, .. }) => {
                let advice = "cut it with --chunk, or serve with a larger --block-max (at most 64MiB)";
                (Exit::Failed, format!("{bytes} bytes are over the cluster's limit of {bytes_max} per block; {advice}"))
            }
            NotPut::Unput(PutError::Unavailable(unavailable)) => {
                (of_unavailable(unavailable), format!("the block was not put: {unavailable}"))
            }
            NotPut::Unput(error) => (Exit::Failed, causes(error)),
        };
        self.exit = self.exit.max(exit);
        self.is_unreachable |= exit == Exit::Unreachable;
        output.complain(format_args!("putting {}: {message}", escaped(&put.source)));
        message
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { created, present, failed, .. } = self;
        write!(f, "{} in {} blocks: ", size::human(self.bytes), created + present)?;
        write!(f, "{created} created, {present} already present, {failed} failed")
    }
}

fn check(arguments: &PutArguments) -> Result<(), Failure> {
    match arguments.chunk {
        Some(0) => Err(Failure::usage("--chunk must be at least 1 byte")),
        Some(_) if arguments.codec != Codec::RAW => {
            Err(Failure::usage("--chunk makes raw blocks: a piece of a file isn't of its codec any more"))
        }
        Some(_) | None => Ok(()),
    }
}

fn parse_hash(text: &str) -> Result<HashCode, String> {
    text.parse().map_err(|error: blockraft_blocks::hash::ParseHashCodeError| error.to_string())
}

const AFTER_HELP: &str = "\
Examples:
  echo hello | blockraft put
  blockraft put --quiet --hash blake3 notes.txt
  blockraft put --codec dag-cbor node.cbor
  blockraft put --recursive --jobs 32 photos
  blockraft put --chunk 1MiB movie.mkv > movie.cids
  blockraft get $(cut -d' ' -f1 movie.cids) > movie.mkv

Prints `CID  file`, and with --chunk `CID  file  offset`.
JSON: {\"source\", \"offset\", \"cid\", \"bytes\", \"outcome\": \"created\" | \"already_present\" | \"unknown\" | \"failed\", \"error\"}";
