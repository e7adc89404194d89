//! `blockraft serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use blockraft::serve::{self, ServeOptions};
use clap::Args;

/// Run one node.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The node's data directory, as `init` made it
    #[arg(long = "data", value_name = "DIR", default_value = "blockraft-data")]
    data_dir: PathBuf,
    /// A configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, instead of what the configuration says
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// The longest block to take from clients, in bytes
    #[arg(long, value_name = "BYTES")]
    block_bytes_max: Option<u64>,
}

pub(crate) fn run(arguments: ServeArguments) -> ExitCode {
    let options = ServeOptions {
        data_dir: arguments.data_dir,
        missing: serve::WhenMissing::FormLoneNode,
        config: arguments.config,
        listen: arguments.listen,
        block_bytes_max: arguments.block_bytes_max,
    };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    match runtime.block_on(serve::run(options, |_serving| {})) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_error) => ExitCode::FAILURE,
    }
}
