//! `blockraft stat`, and what `has` shares with it.

use blockraft_blocks::Cid;
use blockraft_client::{Client, Consistency, StatError};
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::json;

use crate::connection::{ConnectionArguments, ConsistencyArgument, parse_cid};
use crate::exit::{Exit, Failure, causes, of_unavailable};
use crate::output::{Format, Output};

/// Say how long blocks are.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct StatArguments {
    /// The blocks
    #[arg(value_name = "CID", required = true, value_parser = parse_cid)]
    cids: Vec<Cid>,
    #[command(flatten)]
    consistency: ConsistencyArgument,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// What is known of one block.
pub(super) struct Looked<'a> {
    pub(super) cid: &'a Cid,
    pub(super) length: Option<u32>,
    pub(super) error: Option<String>,
}

pub(crate) async fn run(arguments: StatArguments, output: &mut Output) -> Result<Exit, Failure> {
    let client = arguments.connection.connect().await?;
    let exit = look(&client, &arguments.cids, arguments.consistency.get(), output, |looked, output| {
        let Looked { cid, length, error } = looked;
        let text = length.map_or("absent".to_owned(), |length| length.to_string());
        output.line(format_args!("{cid}  {text}"), || {
            let present = error.is_none().then_some(length.is_some());
            json!({ "cid": cid.to_string(), "present": present, "bytes": length, "error": error })
        })
    });
    let exit = exit.await?;
    client.close().await;
    Ok(exit)
}

/// Looks for blocks and hands on what is known of each, in order.
pub(super) async fn look(
    client: &Client,
    cids: &[Cid],
    consistency: Consistency,
    output: &mut Output,
    print: impl Fn(Looked<'_>, &mut Output) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let looking = stream::iter(cids).map(|cid| async move { (cid, client.stat(cid, consistency).await) });
    let mut looking = std::pin::pin!(looking.buffered(LOOKS_AHEAD));
    let mut exit = Exit::Done;
    while let Some((cid, found)) = looking.next().await {
        let (ended, length, error) = match found {
            Ok(Some(length)) => (Exit::Done, Some(length), None),
            Ok(None) => (Exit::Absent, None, None),
            Err(StatError::Unavailable(unavailable)) => {
                (of_unavailable(&unavailable), None, Some(unavailable.to_string()))
            }
            Err(error) => (Exit::Failed, None, Some(causes(&error))),
        };
        exit = exit.max(ended);
        if let Some(error) = &error {
            output.complain(format_args!("looking for {cid}: {error}"));
            if output.format() == Format::Text {
                continue;
            }
        }
        print(Looked { cid, length, error }, output)?;
    }
    Ok(exit)
}

/// How many questions are under way at once.
const LOOKS_AHEAD: usize = 16;

const AFTER_HELP: &str = "\
Example:
  blockraft stat bafkrei…

Prints `CID  bytes`, or `CID  absent`. Exit code 3: at least one block is absent.
JSON: {\"cid\", \"present\", \"bytes\", \"error\"}";
