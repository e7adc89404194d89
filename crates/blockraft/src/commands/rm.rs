//! `blockraft rm`.

use blockraft_blocks::Cid;
use blockraft_client::{DeleteError, DeleteOutcome};
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::json;

use crate::connection::{ConnectionArguments, parse_cid};
use crate::exit::{Exit, Failure, causes, of_unavailable};
use crate::output::{Format, Output};

/// Delete blocks.
///
/// A block is its bytes: deleting it under one codec deletes it under all.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RmArguments {
    /// The blocks
    #[arg(value_name = "CID", required = true, value_parser = parse_cid)]
    cids: Vec<Cid>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) async fn run(arguments: RmArguments, output: &mut Output) -> Result<Exit, Failure> {
    let client = arguments.connection.connect().await?;
    let asked = &client;
    let deleting = stream::iter(&arguments.cids).map(|cid| async move { (cid, asked.delete(cid).await) });
    let mut deleting = std::pin::pin!(deleting.buffered(DELETES_AHEAD));
    let mut exit = Exit::Done;
    while let Some((cid, deleted)) = deleting.next().await {
        let (ended, word, error) = match deleted {
            Ok(DeleteOutcome::Deleted) => (Exit::Done, "deleted", None),
            Ok(DeleteOutcome::Absent) => (Exit::Done, "absent", None),
            Err(error) => {
                let ended = match &error {
                    DeleteError::Unknown { .. } => Exit::Unknown,
                    DeleteError::Unavailable(unavailable) => of_unavailable(unavailable),
                    _ => Exit::Failed,
                };
                let word = match &error {
                    DeleteError::HeldByPin => "held",
                    _ if ended == Exit::Unknown => "unknown",
                    _ => "failed",
                };
                (ended, word, Some(causes(&error)))
            }
        };
        exit = exit.max(ended);
        if let Some(error) = &error {
            output.complain(format_args!("deleting {cid}: {error}"));
            if output.format() == Format::Text {
                continue;
            }
        }
        output.line(
            format_args!("{cid}  {word}"),
            || json!({ "cid": cid.to_string(), "outcome": word, "error": error }),
        )?;
    }
    client.close().await;
    Ok(exit)
}

/// How many deletes are under way at once.
const DELETES_AHEAD: usize = 16;

const AFTER_HELP: &str = "\
Example:
  blockraft rm bafkrei…

Prints `CID  deleted`, or `CID  absent` if it was not there, which is no failure. A block that a pin
holds stays, and that is one.
JSON: {\"cid\", \"outcome\": \"deleted\" | \"absent\" | \"held\" | \"unknown\" | \"failed\", \"error\"}";
