//! `blockraft init`.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use blockraft::init::{self, Formed, InitError, InitOptions};
use clap::Args;
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Form a new cluster: an identity and a data directory for each member, and a folder for clients.
///
/// Members on other machines get their folder by a copy, which must be the only one in use: a node's identity and its
/// data belong together for ever.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct InitArguments {
    /// The folder to make; it must not exist yet
    #[arg(long, default_value = "blockraft-data")]
    dir: PathBuf,
    /// How many members the cluster is born with: 1, 3, 5 or 7 [default: 3, or as many as there are addresses]
    #[arg(long)]
    nodes: Option<u16>,
    /// Where each member listens, once per member; instead of --host and --base-port
    #[arg(long = "address", value_name = "IP:PORT", conflicts_with_all = ["host", "base_port"])]
    addresses: Vec<SocketAddr>,
    /// The address that all members share
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port of node 1; the next members take the ports behind it
    #[arg(long, value_name = "PORT", default_value_t = 4001, value_parser = clap::value_parser!(u16).range(1..))]
    base_port: u16,
}

pub(crate) fn run(arguments: &InitArguments, output: &mut Output) -> Result<Exit, Failure> {
    let addresses = match (arguments.addresses.as_slice(), arguments.nodes) {
        ([], nodes) => successive(arguments, nodes.unwrap_or(3))?,
        (given, Some(nodes)) if given.len() != usize::from(nodes) => {
            let message = format!("--nodes {nodes} doesn't fit {} times --address", given.len());
            return Err(Failure::usage(message));
        }
        (given, _) => given.to_vec(),
    };
    let dir = arguments.dir.clone();
    let formed = init::run(InitOptions { dir, addresses }).map_err(|error| failure(arguments, &error))?;
    output.line(text(&formed), || object(&formed))?;
    Ok(Exit::Done)
}

fn successive(arguments: &InitArguments, nodes: u16) -> Result<Vec<SocketAddr>, Failure> {
    let port = |offset| arguments.base_port.checked_add(offset);
    let ports: Option<Vec<_>> = (0..nodes).map(port).collect();
    let ports = ports.ok_or_else(|| Failure::usage("--base-port leaves no ports for all members"))?;
    Ok(ports.into_iter().map(|port| SocketAddr::new(arguments.host, port)).collect())
}

fn failure(arguments: &InitArguments, error: &InitError) -> Failure {
    let failure = Failure::failed(format_args!("forming a cluster in {}", arguments.dir.display()), error);
    let usage = Failure { exit: Exit::Usage, ..failure };
    match error {
        InitError::Size { .. } | InitError::SharedAddress { .. } | InitError::NoPort { .. } => usage,
        InitError::NotOneHost { .. } => usage.hint(
            "name the address at which members and clients reach the node; `serve --listen 0.0.0.0:PORT` listens on all",
        ),
        _ => Failure { exit: Exit::Failed, ..usage },
    }
}

fn text(formed: &Formed) -> String {
    let mut text = format!("formed cluster {}\n", formed.cluster);
    let members = formed.members.iter().map(|member| (member.node, member.address, member.data_dir.display()));
    for (node, address, data_dir) in members {
        let _infallible = writeln!(text, "  node {node} on {address}: blockraft serve --data {data_dir}");
    }
    let _infallible = write!(text, "  clients: export BLOCKRAFT_CLIENT={}", formed.client_dir.display());
    text
}

fn object(formed: &Formed) -> Value {
    let members = formed.members.iter().map(
        |member| json!({ "node": member.node.0, "address": member.address.to_string(), "data_dir": member.data_dir }),
    );
    json!({
        "cluster": formed.cluster.to_string(),
        "client_dir": formed.client_dir,
        "members": members.collect::<Vec<_>>(),
    })
}

const AFTER_HELP: &str = "\
Examples:
  blockraft init                                    three nodes on ports 4001 to 4003 of this machine
  blockraft init --nodes 5 --base-port 5001
  blockraft init --address 10.0.0.1:4001 --address 10.0.0.2:4001 --address 10.0.0.3:4001

JSON: {\"cluster\", \"client_dir\", \"members\": [{\"node\", \"address\", \"data_dir\"}]}";
