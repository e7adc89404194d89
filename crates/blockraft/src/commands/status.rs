//! `blockraft status`.

pub(crate) mod asked;
mod table;
mod wait;

use core::time::Duration;

use blockraft_client::{Member, NodeStatus, StatusError};
use blockraft_types::{LogIndex, LostTail, NodeId};
use blockraft_wire::client::{Connection, GroupStatus, Reserve};
use clap::Args;
use serde_json::{Value, json};

use crate::connection::ConnectionArguments;
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};
use crate::size;

use self::asked::{Asked, ask, group, leads};
use self::table::Table;
use self::wait::until_ready;

/// Show how every node of the cluster is doing, each as it sees itself.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
    /// Wait until every node answers and all name the same leader, at most so long
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: Option<u64>,
}

pub(crate) async fn run(arguments: StatusArguments, output: &mut Output) -> Result<Exit, Failure> {
    let (nodes, lack) = match arguments.wait {
        Some(seconds) => until_ready(&arguments.connection, Duration::from_secs(seconds)).await?,
        None => (ask(&arguments.connection).await?, None),
    };
    let commit_max = nodes.iter().filter_map(|(_, status)| Some(group(status.as_ref().ok()?)?.commit_index.0)).max();
    let commit_max = commit_max.unwrap_or(0);
    match output.format() {
        Format::Text => print_table(&nodes, commit_max, output)?,
        Format::Json => {
            for (member, status) in &nodes {
                output.line("", || object(member, status, commit_max))?;
            }
        }
    }
    if 1 < nodes.iter().filter(|(_, status)| leads(status)).count() {
        output.remark("two nodes call themselves leader: the one of the lower term hasn't heard yet that it isn't");
    }
    if let Some(lack) = &lack {
        output.remark(format_args!("not ready: {lack}"));
    }
    let reached = nodes.iter().any(|(_, status)| status.is_ok());
    Ok(match lack {
        _ if !reached => Exit::Unreachable,
        Some(_) => Exit::Failed,
        None => Exit::Done,
    })
}

fn print_table(nodes: &[Asked], commit_max: u64, output: &mut Output) -> Result<(), Failure> {
    if let Some(status) = nodes.iter().find_map(|(_, status)| status.as_ref().ok()) {
        output.line(format_args!("cluster {}, release {}", status.cluster, status.release), || Value::Null)?;
    }
    let mut table = Table::new(&[
        "node", "address", "role", "term", "leader", "log", "commit", "applied", "lag", "blocks", "bytes", "reaches",
        "up",
    ]);
    for (member, status) in nodes {
        let id = vec![member.node.to_string(), member.address.to_string()];
        match status {
            Err(_) => table.row(id.into_iter().chain(["unreachable".to_owned()]).collect()),
            Ok(status) => {
                let cells = group(status).map(|group| cells(status, group, commit_max)).unwrap_or_default();
                table.row(id.into_iter().chain(cells).collect());
            }
        }
    }
    for line in table.lines() {
        output.line(line, || Value::Null)?;
    }
    for (member, status) in nodes {
        let node = member.node;
        match status {
            Err(StatusError::Unreachable(unreachable)) => {
                output.remark(format_args!("node {node}: {}", unreachable.trouble));
            }
            Err(_) => {}
            Ok(status) => {
                for remark in group(status).map(remarks).unwrap_or_default() {
                    output.remark(format_args!("node {node}: {remark}"));
                }
            }
        }
    }
    Ok(())
}

fn cells(status: &NodeStatus, group: &GroupStatus, commit_max: u64) -> Vec<String> {
    let leader = group.leader.map_or("none".to_owned(), |leader| leader.to_string());
    let log = match (group.log_first.0, group.log_last.index.0) {
        (first, last) if first <= last => format!("{first}-{last}"),
        _ => "empty".to_owned(),
    };
    vec![
        group.role.to_string(),
        group.term.to_string(),
        leader,
        log,
        group.commit_index.to_string(),
        group.last_applied.index.to_string(),
        lag(group, commit_max).to_string(),
        group.blocks.to_string(),
        size::human(group.block_bytes),
        reaches(group).iter().map(u64::to_string).collect::<Vec<_>>().join(","),
        uptime(status.uptime_ms),
    ]
}

/// What an operator should know of a node besides the row of the table.
fn remarks(group: &GroupStatus) -> Vec<String> {
    let lost = group.lost_tail.map(|LostTail { term, index }| {
        format!(
            "its log lost its end, which had reached entry {index} or further, in term {term} at the latest: it gives no \
             vote until its log holds again what it lost"
        )
    });
    let short = match &group.reserve {
        Some(Reserve::Short { far }) => Some(format!(
            "too few voters are close to the end of its log for one of them to fail, until these have caught up: {}",
            far.iter().map(|node| lacking(group, *node)).collect::<Vec<_>>().join(", ")
        )),
        Some(Reserve::Impossible | Reserve::Enough) | None => None,
    };
    lost.into_iter().chain(short).collect()
}

/// A member that is far behind its leader.
fn lacking(group: &GroupStatus, node: NodeId) -> String {
    let Some(member) = group.members.iter().find(|member| member.node == node) else { return format!("node {node}") };
    let matched = member.match_index.unwrap_or(LogIndex::ZERO);
    let entries = group.log_last.index.0.saturating_sub(matched.0);
    let bytes = member.payload_lag_bytes.map_or("an unknown amount".to_owned(), size::human);
    format!("node {node} ({entries} entries, {bytes} at most)")
}

/// The voters that are far behind, if that leaves too few that aren't; none where nobody can tell.
fn far(group: &GroupStatus) -> Option<Vec<u64>> {
    group.reserve.as_ref().map(|reserve| match reserve {
        Reserve::Short { far } => far.iter().map(|node| node.0).collect(),
        Reserve::Impossible | Reserve::Enough => Vec::new(),
    })
}

fn object(member: &Member, status: &Result<NodeStatus, StatusError>, commit_max: u64) -> Value {
    let (node, address) = (member.node.0, member.address.to_string());
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            return json!({ "node": node, "address": address, "reachable": false, "error": error.to_string() });
        }
    };
    let Some(group) = group(status) else {
        return json!({ "node": node, "address": address, "reachable": true, "error": "the node has no group" });
    };
    json!({
        "node": node,
        "address": address,
        "reachable": true,
        "cluster": status.cluster.to_string(),
        "incarnation": status.incarnation.to_string(),
        "release": status.release,
        "uptime_ms": status.uptime_ms,
        "role": group.role.to_string(),
        "term": group.term.0,
        "leader": group.leader.map(|leader| leader.0),
        "log_first": group.log_first.0,
        "log_last": group.log_last.index.0,
        "lost_tail": group.lost_tail.map(|lost| json!({ "term": lost.term.0, "index": lost.index.0 })),
        "commit": group.commit_index.0,
        "applied": group.last_applied.index.0,
        "lag": lag(group, commit_max),
        "blocks": group.blocks,
        "bytes": group.block_bytes,
        "reaches": reaches(group),
        "far": far(group),
    })
}

/// How many entries that some node knows to be committed this one hasn't applied.
const fn lag(group: &GroupStatus, commit_max: u64) -> u64 {
    commit_max.saturating_sub(group.last_applied.index.0)
}

/// The other members that the node is connected with.
fn reaches(group: &GroupStatus) -> Vec<u64> {
    let up = group.members.iter().filter(|member| member.connection == Connection::Up);
    up.map(|member| member.node.0).collect()
}

fn uptime(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

const AFTER_HELP: &str = "\
The columns: `log` is the first and last entry that the node holds, `commit` the last that it knows to be committed,
`applied` the last that its blocks show, `lag` how many committed entries it has yet to apply, `reaches` the other
members that it is connected with.

A node whose log lost its end, which was durable, starts all the same if the others are a majority: it gives no vote until
its log holds again what it lost, and a remark says so. Let it run, and keep the others running. `lost_tail` is then where
its log had come at least, and the last term that it can have spoken of it in, else null.

When a voter fails that is level, nothing is written until another one has copied what it lacks. So the leader's row gets
a remark while fewer voters than a majority and one more are close: within 256 MiB and 10000 entries of the end of its log.
`far` then names the others; it is empty else, and null where nobody can tell, which is everywhere but at the leader.
`members list` shows what each member lacks. With one or two voters none can be spared, and nothing is said.

JSON, an object per node: {\"node\", \"address\", \"reachable\": true, \"cluster\", \"incarnation\", \"release\", \"uptime_ms\",
\"role\", \"term\", \"leader\", \"log_first\", \"log_last\", \"lost_tail\", \"commit\", \"applied\", \"lag\", \"blocks\", \"bytes\", \"reaches\",
\"far\"},
or {\"node\", \"address\", \"reachable\": false, \"error\"}. Exit code 5: no node was reached;
1: with --wait, the cluster wasn't ready in time.";

#[cfg(test)]
mod tests;
