//! `blockraft ls`.

use blockraft_blocks::{Cid, Codec};
use blockraft_client::ListError;
use clap::Args;
use futures::StreamExt;
use serde_json::json;

use crate::connection::{ConnectionArguments, ConsistencyArgument, parse_codec};
use crate::exit::{Exit, Failure, causes, of_unavailable};
use crate::output::Output;

/// List all blocks.
///
/// Blocks are kept by their hash, whatever codec they were put with: the list names each with the codec of --codec.
/// Every block that is there all the time is listed once; one that comes or goes meanwhile may be.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct LsArguments {
    /// Stop after this many blocks
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// The codec to name blocks with
    #[arg(long, default_value = "raw", value_parser = parse_codec)]
    codec: Codec,
    /// Print CIDs alone
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    consistency: ConsistencyArgument,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) async fn run(arguments: LsArguments, output: &mut Output) -> Result<Exit, Failure> {
    let client = arguments.connection.connect().await?;
    let blocks = client.list_all(arguments.consistency.get()).take(arguments.limit.unwrap_or(usize::MAX));
    let mut blocks = std::pin::pin!(blocks);
    while let Some(listed) = blocks.next().await {
        let block = listed.map_err(|error| failure(&error))?;
        let cid = Cid::v1(arguments.codec, block.multihash);
        let object = || json!({ "cid": cid.to_string(), "bytes": block.length });
        if arguments.quiet {
            output.line(&cid, object)?;
        } else {
            output.line(format_args!("{cid}  {}", block.length), object)?;
        }
    }
    client.close().await;
    Ok(Exit::Done)
}

fn failure(error: &ListError) -> Failure {
    let exit = match error {
        ListError::Unavailable(unavailable) => of_unavailable(unavailable),
        _ => Exit::Failed,
    };
    let hint = Some("what was printed is the beginning of the list".to_owned());
    Failure { exit, message: causes(error), hint }
}

const AFTER_HELP: &str = "\
Examples:
  blockraft ls
  blockraft ls --quiet --limit 10
  blockraft ls --json | jq -s 'map(.bytes) | add'

Prints `CID  bytes`. JSON: {\"cid\", \"bytes\"}";
