//! `blockraft init`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use blockraft::init::{self, InitOptions};
use clap::Args;

/// Form a new cluster.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The folder to make; it must not exist yet
    #[arg(long, default_value = "blockraft-data")]
    dir: PathBuf,
    /// How many members the cluster is born with: 1, 3, 5 or 7
    #[arg(long, default_value_t = 3)]
    nodes: u16,
    /// Where each member listens, once per member; instead of --host and --base-port
    #[arg(long = "address", value_name = "IP:PORT")]
    addresses: Vec<SocketAddr>,
    /// The address that all members share
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port of node 1; the next members take the ports behind it
    #[arg(long, default_value_t = 4001)]
    base_port: u16,
}

pub(crate) fn run(arguments: &InitArguments) -> ExitCode {
    let ports = (0..arguments.nodes).map(|offset| arguments.base_port.saturating_add(offset));
    let addresses = match arguments.addresses.as_slice() {
        [] => ports.map(|port| SocketAddr::new(arguments.host, port)).collect(),
        given => given.to_vec(),
    };
    match init::run(InitOptions { dir: arguments.dir.clone(), addresses }) {
        Ok(_formed) => ExitCode::SUCCESS,
        Err(_error) => ExitCode::FAILURE,
    }
}
