//! `blockraft get`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use blockraft_blocks::Cid;
use blockraft_client::{Client, GetError};
use clap::Args;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::connection::{ConnectionArguments, ConsistencyArgument, parse_cid};
use crate::escaped::escaped;
use crate::exit::{Exit, Failure, causes, of_unavailable};
use crate::output::{Format, Output};

/// Get blocks and write their bytes, one after the other, to standard output or a file.
///
/// Every block is verified against its CID. A file appears only when all blocks were got; into a pipe, a device or what a
/// link points to, bytes are written as they come.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct GetArguments {
    /// The blocks, in the order in which they are to be written
    #[arg(value_name = "CID", required = true, value_parser = parse_cid)]
    cids: Vec<Cid>,
    /// Where to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    #[command(flatten)]
    consistency: ConsistencyArgument,
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) async fn run(arguments: GetArguments, output: &mut Output) -> Result<Exit, Failure> {
    let to_stdout = arguments.output == Path::new("-");
    if to_stdout && output.format() == Format::Json {
        return Err(Failure::usage("--json needs --output FILE: objects and the blocks' bytes can't share one stream"));
    }
    let client = arguments.connection.connect().await?;
    let exit = if to_stdout {
        let mut printed = |bytes: &[u8], output: &mut Output| output.bytes(bytes);
        write_all(&client, &arguments, output, &mut printed).await?
    } else {
        write_file(&client, &arguments, output).await?
    };
    client.close().await;
    Ok(exit)
}

type Sink<'a> = dyn FnMut(&[u8], &mut Output) -> Result<(), Failure> + 'a;

async fn write_file(client: &Client, arguments: &GetArguments, output: &mut Output) -> Result<Exit, Failure> {
    let path = &arguments.output;
    let failed = |error: io::Error| Failure::failed(format_args!("writing {}", escaped(path.display())), &error);
    let unfinished = match target(path)? {
        Target::File => Some(unfinished(path)),
        Target::InPlace => None,
    };
    let mut file = File::create(unfinished.as_deref().unwrap_or(path)).map_err(failed)?;
    let mut written = |bytes: &[u8], _: &mut Output| file.write_all(bytes).map_err(failed);
    let mut result = write_all(client, arguments, output, &mut written).await;
    if let Some(unfinished) = unfinished {
        if matches!(result, Ok(Exit::Done)) {
            result = std::fs::rename(&unfinished, path).map_err(failed).map(|()| Exit::Done);
        }
        if !matches!(result, Ok(Exit::Done)) {
            // What is missing was reported; that its beginning can't be removed changes nothing.
            let _still_there = std::fs::remove_file(&unfinished);
        }
    }
    result
}

/// How a name is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// The whole file takes the name's place.
    File,
    /// The name is a device, a pipe or a link, and is to stay one: bytes go into it as they come.
    InPlace,
}

fn target(path: &Path) -> Result<Target, Failure> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(Failure::usage(format!("writing {}: it is a folder", escaped(path.display())))
                .hint("name a file in it"))
        }
        Ok(found) if !found.is_file() => Ok(Target::InPlace),
        // What is wrong with a name that can't be looked at is told when it is written to.
        Ok(_) | Err(_) => Ok(Target::File),
    }
}

async fn write_all(
    client: &Client,
    arguments: &GetArguments,
    output: &mut Output,
    sink: &mut Sink<'_>,
) -> Result<Exit, Failure> {
    let consistency = arguments.consistency.get();
    let getting = stream::iter(&arguments.cids).map(|cid| async move { (cid, client.get(cid, consistency).await) });
    let mut getting = std::pin::pin!(getting.buffered(BLOCKS_AHEAD));
    let mut exit = Exit::Done;
    while let Some((cid, got)) = getting.next().await {
        let (ended, error) = match got {
            Ok(Some(block)) => {
                // After a gap, further bytes would stand at a wrong place.
                if exit == Exit::Done {
                    sink(block.bytes(), output)?;
                }
                print(output, cid, Some(block.bytes().len()), None)?;
                continue;
            }
            Ok(None) => (Exit::Absent, "absent".to_owned()),
            Err(GetError::Unavailable(unavailable)) => (of_unavailable(&unavailable), unavailable.to_string()),
            Err(error) => (Exit::Failed, causes(&error)),
        };
        output.complain(format_args!("getting {cid}: {error}"));
        print(output, cid, None, (ended != Exit::Absent).then_some(error))?;
        exit = exit.max(ended);
    }
    Ok(exit)
}

fn print(output: &mut Output, cid: &Cid, bytes: Option<usize>, error: Option<String>) -> Result<(), Failure> {
    match output.format() {
        Format::Text => Ok(()),
        Format::Json => output.line("", || -> Value {
            json!({ "cid": cid.to_string(), "present": error.is_none().then_some(bytes.is_some()), "bytes": bytes, "error": error })
        }),
    }
}

/// A name beside the file, so that the finished one takes its place in one step.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

/// How many blocks are fetched ahead of the one that is written.
const BLOCKS_AHEAD: usize = 8;

const AFTER_HELP: &str = "\
Examples:
  blockraft get bafkrei… > hello.txt
  blockraft get bafkrei… bafkrei… --output both.bin
  blockraft get --consistency linearizable bafkrei…

JSON, with --output FILE: {\"cid\", \"present\", \"bytes\", \"error\"}. Exit code 3: at least one block is absent.";
