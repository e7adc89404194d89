//! `blockraft has`.

use blockraft_blocks::Cid;
use clap::Args;
use serde_json::json;

use crate::commands::stat::{self, Looked};
use crate::connection::{ConnectionArguments, ConsistencyArgument, parse_cid};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Say whether blocks are there.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct HasArguments {
    /// The blocks
    #[arg(value_name = "CID", required = true, value_parser = parse_cid)]
    cids: Vec<Cid>,
    #[command(flatten)]
    consistency: ConsistencyArgument,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) async fn run(arguments: HasArguments, output: &mut Output) -> Result<Exit, Failure> {
    let client = arguments.connection.connect().await?;
    let exit = stat::look(&client, &arguments.cids, arguments.consistency.get(), output, |looked, output| {
        let Looked { cid, length, error } = looked;
        let word = if length.is_some() { "present" } else { "absent" };
        output.line(format_args!("{cid}  {word}"), || {
            json!({ "cid": cid.to_string(), "present": error.is_none().then_some(length.is_some()), "error": error })
        })
    });
    let exit = exit.await?;
    client.close().await;
    Ok(exit)
}

const AFTER_HELP: &str = "\
Example:
  blockraft has bafkrei… && echo it is there

Prints `CID  present` or `CID  absent`. Exit code 3: at least one block is absent.
JSON: {\"cid\", \"present\", \"error\"}";
