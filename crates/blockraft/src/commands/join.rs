//! `blockraft join`.

use std::fs;
use std::path::PathBuf;

use blockraft::token::Token;
use clap::Args;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Make the data directory of a node that was invited.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct JoinArguments {
    /// The file that `blockraft members invite` wrote
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
    /// The directory to make; it must not exist yet
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

pub(crate) fn run(arguments: &JoinArguments, output: &mut Output) -> Result<Exit, Failure> {
    let JoinArguments { token: file, data } = arguments;
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::failed(format_args!("joining with {}", file.display()), error)
    };
    let token = Token::read(file).map_err(|error| failed(&error))?;
    token.join(data).map_err(|error| failed(&error))?;
    // From here on the directory is that node. A second directory of the same identity would be one that forgot.
    if let Err(error) = fs::remove_file(file) {
        output.complain(format_args!("{} must be deleted, and couldn't be: {error}", file.display()));
    }
    output.line(
        format_args!("formatted {} for node {} at {}", data.display(), token.node, token.address),
        || json!({ "node": token.node.0, "address": token.address.to_string(), "data_dir": data.display().to_string() }),
    )?;
    output.remark(format_args!("next: blockraft serve --data {}", data.display()));
    Ok(Exit::Done)
}

const AFTER_HELP: &str = "\
Example:
  blockraft join --token node-4.token --data node-4 && blockraft serve --data node-4

A token is used once, and is deleted then: its identity belongs to the directory that is made from it, for ever.
JSON: {\"node\", \"address\", \"data_dir\"}";
