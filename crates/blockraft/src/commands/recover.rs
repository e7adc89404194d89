//! `blockraft recover`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use blockraft::recover::{Recovered, Survey, recover, survey};
use blockraft_driver::forced_recovery::Plan;
use blockraft_types::{Membership, NodeId};
use clap::Args;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Go on with one stopped node when a majority of the voters is lost for ever; without further words, see what each holds.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RecoverArguments {
    /// The data directory of a stopped node; several to see which one is furthest, one to recover
    #[arg(long, value_name = "DIR", required = true)]
    data: Vec<PathBuf>,
    /// The ids of the nodes that never come back, such as 2,3
    #[arg(long, value_name = "IDS", value_delimiter = ',', requires = "accept_data_loss")]
    lost: Vec<u64>,
    /// Do it, knowing that what the lost nodes alone held is gone
    #[arg(long)]
    accept_data_loss: bool,
}

pub(crate) async fn run(arguments: &RecoverArguments, output: &mut Output) -> Result<Exit, Failure> {
    let RecoverArguments { data, lost, accept_data_loss } = arguments;
    match data.as_slice() {
        [survivor] if *accept_data_loss => go_on(survivor, &lost.iter().copied().map(NodeId).collect(), output).await,
        _ if *accept_data_loss => {
            Err(Failure::usage("one node goes on alone: name its data directory, and no other, with --data"))
        }
        directories => compare(directories, output),
    }
}

fn compare(directories: &[PathBuf], output: &mut Output) -> Result<Exit, Failure> {
    let mut surveys = Vec::with_capacity(directories.len());
    for path in directories {
        let surveyed = survey(path)
            .map_err(|error| Failure::failed(format_args!("looking into {}", path.display()), error.as_ref()))?;
        surveys.push((path, surveyed));
    }
    if surveys.iter().any(|(_, survey)| surveys.iter().any(|(_, other)| other.cluster != survey.cluster)) {
        return Err(Failure::usage("these are data directories of different clusters"));
    }
    // What makes a log the more up-to-date one in an election (Raft paper, section 5.4.1).
    let furthest = surveys.iter().map(|(_, survey)| survey.remnant.last).max();
    for (path, Survey { cluster, remnant }) in &surveys {
        let is_furthest = Some(remnant.last) == furthest;
        let (node, term, last) = (remnant.node, remnant.hard_state.term, remnant.last);
        let Membership { voters, outgoing, learners, .. } = remnant.membership();
        let mark = if is_furthest { "  furthest" } else { "" };
        let loss =
            remnant.lost_tail.map_or_else(String::new, |lost| format!("  lost its end: it reached {}", lost.index));
        output.line(
            format_args!(
                "{}  node {node}  term {term}  last entry {} of term {}  committed through {} at least  {}{loss}{mark}",
                path.display(),
                last.index,
                last.term,
                remnant.committed,
                described(remnant.membership()),
            ),
            || {
                json!({
                    "data_dir": path.display().to_string(),
                    "cluster": cluster.to_string(),
                    "node": node.0,
                    "term": term.0,
                    "last_index": last.index.0,
                    "last_term": last.term.0,
                    "committed": remnant.committed.0,
                    "lost_tail": remnant.lost_tail.map(|lost| lost.index.0),
                    "voters": ids(voters.keys().copied()),
                    "outgoing": ids(outgoing.keys().copied()),
                    "learners": ids(learners.keys().copied()),
                    "furthest": is_furthest,
                })
            },
        )?;
    }
    output.remark("nothing was changed; see `blockraft recover --help` before you go on with one of them");
    Ok(Exit::Done)
}

async fn go_on(path: &Path, lost: &BTreeSet<NodeId>, output: &mut Output) -> Result<Exit, Failure> {
    let recovered = recover(path, lost)
        .await
        .map_err(|error| Failure::failed(format_args!("recovering {}", path.display()), error.as_ref()))?;
    let Recovered { before: remnant, plan } = recovered;
    let node = remnant.node;
    let succession = match plan {
        Plan::AlreadySo => {
            output.line("already so", || json!({ "outcome": "already so", "node": node.0 }))?;
            return Ok(Exit::Done);
        }
        Plan::Append(succession) => succession,
    };
    let position = succession.entry.head.position;
    let removed = ids(succession.removed);
    let (last, committed) = (position.index.previous(), remnant.committed.min(position.index.previous()));
    output.line(
        format_args!(
            "recovered: node {node} alone votes, from entry {} of term {} on; removed for ever: {}",
            position.index,
            position.term,
            if removed.is_empty() { "nobody".to_owned() } else { shown(&removed) },
        ),
        || {
            json!({
                "outcome": "recovered",
                "node": node.0,
                "index": position.index.0,
                "term": position.term.0,
                "removed": removed,
                "committed": committed.0,
                "lost_tail": remnant.lost_tail.map(|lost| lost.index.0),
            })
        },
    )?;
    output.remark(format_args!(
        "lost: all that the others committed and node {node} had not got: its log ends at entry {last}"
    ));
    if committed < last {
        output.remark(format_args!(
            "kept: entries {} to {last}, of which nobody knows here whether they were committed",
            committed.next()
        ));
    }
    if let Some(lost) = remnant.lost_tail {
        output.remark(format_args!(
            "lost as well: the end of its own log, which had reached entry {} at least",
            lost.index
        ));
    }
    output.remark(format_args!(
        "next: blockraft serve --data {}; then invite new nodes. Never start the removed ones again, and start clients anew",
        path.display()
    ));
    Ok(Exit::Done)
}

fn described(membership: &Membership) -> String {
    let Membership { voters, outgoing, learners, .. } = membership;
    let parts = [("voters", voters), ("outgoing voters", outgoing), ("learners", learners)];
    let parts = parts.into_iter().filter(|(_, half)| !half.is_empty());
    let parts = parts.map(|(kind, half)| format!("{kind} {}", shown(&ids(half.keys().copied()))));
    parts.collect::<Vec<_>>().join("  ")
}

fn ids(nodes: impl IntoIterator<Item = NodeId>) -> Vec<u64> {
    nodes.into_iter().map(|node| node.0).collect()
}

fn shown(ids: &[u64]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

const AFTER_HELP: &str = "\
Only when so many voters are lost for ever that the others are no majority. As long as they are, replace the lost ones with
`blockraft members replace`.
  1. Stop all nodes that are left, and see which one is furthest:
       blockraft recover --data node-1 --data node-4
  2. Let that one go on alone, naming the nodes whose disks are gone:
       blockraft recover --data node-1 --lost 2,3,5 --accept-data-loss
       blockraft serve --data node-1
  3. Invite new nodes, also in place of others that are left, whose data directories are of no use any more:
     see `blockraft members --help`. Write their addresses into the client folder with `blockraft members save`.

What the lost nodes had committed and the survivor hadn't got is gone, although it was acknowledged. All that stands in the
survivor's log is kept, also what was never committed: a put or rm that seemed to fail may turn out to be done.
All other members are removed for ever, and end when the survivor tells them. If a majority of the old voters ever runs again,
it goes on as a cluster of its own and takes what clients send it: destroy their disks. Clients that ran meanwhile may wait for
entries that are gone: start them anew.
In a group of one or two, a node whose log lost its end refuses to start; if nobody else has the log, recover that node,
without --lost if it was alone.
A running node is refused. It is safe to repeat, and says `already so`.

JSON of what is held: {\"data_dir\", \"cluster\", \"node\", \"term\", \"last_index\", \"last_term\", \"committed\", \"lost_tail\",
  \"voters\", \"outgoing\", \"learners\", \"furthest\"}
JSON of a recovery: {\"outcome\": \"recovered\" | \"already so\", \"node\"}, and if recovered \"index\", \"term\", \"removed\",
  \"committed\", \"lost_tail\"";
