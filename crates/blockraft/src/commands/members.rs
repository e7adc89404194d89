//! `blockraft members`.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blockraft::birth::Birth;
use blockraft::token::Token;
use blockraft_client::status::furthest;
use blockraft_client::{ChangeMembersError, ChangeMembersOutcome, Client, Member};
use blockraft_transport_quic::Authority;
use blockraft_transport_quic::pki::files::{read_secret, write_secret};
use blockraft_types::{ChangeRefusal, Incarnation, MembershipChange, NodeId};
use blockraft_wire::client::{MemberKind, NodeStatus};
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::commands::status::asked::of_leader;
use crate::connection::ConnectionArguments;
use crate::exit::{Exit, Failure, causes, of_unavailable};
use crate::output::Output;
use crate::size;

/// Show and change who belongs to the cluster. Every change is safe to repeat.
#[derive(Debug, Subcommand)]
#[command(after_help = AFTER_HELP)]
pub(crate) enum MembersCommand {
    /// List the members
    List(ListArguments),
    /// Take in a node that doesn't exist yet, as a learner, and write the token with which it joins
    Invite(InviteArguments),
    /// Take in a node whose identity was made elsewhere, as a learner: it gets everything and isn't counted
    Add(AddArguments),
    /// Make a learner a voter, once it has caught up
    Promote(PromoteArguments),
    /// Let a member go, for ever
    Remove(RemoveArguments),
    /// Make a learner a voter and let a member go, in one step, once the learner has caught up
    Replace(ReplaceArguments),
    /// Give up the change that is under way, as long as it isn't committed
    Revert(RevertArguments),
    /// Write where the members listen now into the client folder, for clients that start later
    Save(SaveArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Args)]
pub(crate) struct InviteArguments {
    /// Where the new node will listen
    #[arg(long, value_name = "IP:PORT")]
    address: SocketAddr,
    /// The folder that `init` made, with the authority's key
    #[arg(long, value_name = "DIR", default_value = "blockraft-data")]
    ca: PathBuf,
    /// The file to write; it is as secret as the node's key
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// For how many hours the token may be used
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=8_760))]
    valid: u64,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// The node's id, which nobody ever had
    #[arg(value_name = "ID")]
    id: u64,
    /// Its data directory's incarnation
    #[arg(long, value_name = "HEX")]
    incarnation: Incarnation,
    /// Where it listens
    #[arg(long, value_name = "IP:PORT")]
    address: SocketAddr,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PromoteArguments {
    /// The learner
    #[arg(value_name = "ID")]
    id: u64,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArguments {
    /// The member
    #[arg(value_name = "ID")]
    id: u64,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ReplaceArguments {
    /// The member that goes; it may be dead
    #[arg(value_name = "ID")]
    old: u64,
    /// The learner that takes its place
    #[arg(long, value_name = "ID")]
    with: u64,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RevertArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SaveArguments {
    #[command(flatten)]
    connection: ConnectionArguments,
}

pub(crate) async fn run(command: MembersCommand, output: &mut Output) -> Result<Exit, Failure> {
    let reconfigure = |promote: Option<u64>, remove: Option<u64>| {
        let set = |id: Option<u64>| id.map(NodeId).into_iter().collect::<BTreeSet<_>>();
        MembershipChange::Reconfigure { promote: set(promote), remove: set(remove) }
    };
    match command {
        MembersCommand::List(ListArguments { connection }) => list(&connection, output).await,
        MembersCommand::Invite(arguments) => invite(&arguments, output).await,
        MembersCommand::Add(AddArguments { id, incarnation, address, connection }) => {
            let change = add(NodeId(id), incarnation, address);
            change_members(&connection, change, output).await
        }
        MembersCommand::Promote(PromoteArguments { id, connection }) => {
            change_members(&connection, reconfigure(Some(id), None), output).await
        }
        MembersCommand::Remove(RemoveArguments { id, connection }) => {
            change_members(&connection, reconfigure(None, Some(id)), output).await
        }
        MembersCommand::Replace(ReplaceArguments { old, with, connection }) => {
            change_members(&connection, reconfigure(Some(with), Some(old)), output).await
        }
        MembersCommand::Revert(RevertArguments { connection }) => {
            change_members(&connection, MembershipChange::Revert, output).await
        }
        MembersCommand::Save(SaveArguments { connection }) => save(&connection, output).await,
    }
}

fn add(node: NodeId, incarnation: Incarnation, address: SocketAddr) -> MembershipChange {
    MembershipChange::AddLearner { node, incarnation, address: Some(address.to_string()) }
}

/// What the node that is furthest ahead says of the cluster.
async fn newest_status(client: &Client) -> Result<NodeStatus, Failure> {
    furthest(&client.status_all().await).cloned().ok_or_else(nobody_says)
}

fn nobody_says() -> Failure {
    Failure { exit: Exit::Unreachable, message: "no node says who the members are".to_owned(), hint: None }
}

async fn list(connection: &ConnectionArguments, output: &mut Output) -> Result<Exit, Failure> {
    let client = connection.connect().await?;
    let nodes = client.status_all().await;
    let status = furthest(&nodes).ok_or_else(nobody_says)?;
    // Nobody else knows what the members lack.
    let lags = of_leader(&nodes).map_or(&[][..], |group| &group.members);
    for group in &status.groups {
        for member in &group.members {
            let kind = match member.kind {
                MemberKind::Voter => "voter",
                MemberKind::Learner => "learner",
                MemberKind::Joining => "joining",
                MemberKind::Leaving => "leaving",
            };
            let leads = group.leader == Some(member.node);
            let address = member.address.map(|address| address.to_string());
            let shown = address.as_deref().unwrap_or("-");
            let mark = if leads { "  leads" } else { "" };
            let lag = lags.iter().find(|lag| lag.node == member.node).and_then(|lag| lag.payload_lag_bytes);
            let lacks = lag.map_or_else(String::new, |bytes| format!("  lacks {}", size::human(bytes)));
            output.line(format_args!("{}  {kind}  {shown}{lacks}{mark}", member.node), || {
                let node = member.node.0;
                json!({ "node": node, "kind": kind, "address": address, "leads": leads, "payload_lag_bytes": lag })
            })?;
        }
    }
    client.close().await;
    Ok(Exit::Done)
}

async fn save(connection: &ConnectionArguments, output: &mut Output) -> Result<Exit, Failure> {
    let client = connection.connect().await?;
    let members = addresses(&newest_status(&client).await?);
    client.close().await;
    connection.save_members(&members)?;
    for Member { node, address } in &members {
        output.line(format_args!("{node}  {address}"), || json!({ "node": node.0, "address": address.to_string() }))?;
    }
    Ok(Exit::Done)
}

/// Where the members listen, those whose address is known.
fn addresses(status: &NodeStatus) -> Vec<Member> {
    let members = status.groups.iter().flat_map(|group| &group.members);
    members.filter_map(|member| Some(Member { node: member.node, address: member.address?.into() })).collect()
}

async fn invite(arguments: &InviteArguments, output: &mut Output) -> Result<Exit, Failure> {
    let InviteArguments { address, ca, out, valid, connection } = arguments;
    let birth = Birth::read(ca).map_err(|error| Failure::failed("finding the authority", &error))?;
    let authority = authority(ca, &birth)?;
    let client = connection.connect().await?;
    let members = newest_status(&client).await?.groups.into_iter().flat_map(|group| group.members);
    let mut node = NodeId(members.map(|member| member.node.0).max().unwrap_or(0) + 1);
    let lifetime = Duration::from_secs(valid * 3_600);
    loop {
        let token = Token::issue(&authority, &birth, node, *address, lifetime);
        let token = token.map_err(|error| Failure::failed("making an identity", &error))?;
        // The token is on disk before its id is given away: a command that breaks off leaves no learner that nobody can be.
        write_secret(out, token.to_text().as_bytes())
            .map_err(|error| Failure::failed(format_args!("writing {}", out.display()), &error))?;
        let outcome = ask(&client, connection, add(node, token.incarnation, *address)).await?;
        if let ChangeMembersOutcome::Refused { refusal: ChangeRefusal::IdUsed { next, .. } } = outcome {
            fs::remove_file(out).map_err(|error| Failure::failed(format_args!("writing {}", out.display()), &error))?;
            node = next;
            continue;
        }
        client.close().await;
        let exit = told(&outcome, Some(node), output)?;
        if exit == Exit::Done {
            output.remark(format_args!(
                "next, where node {node} shall run: blockraft join --token {} --data node-{node}, \
                 then blockraft serve --data node-{node}, then blockraft members promote {node}",
                out.display()
            ));
        }
        return Ok(exit);
    }
}

fn authority(dir: &Path, birth: &Birth) -> Result<Authority, Failure> {
    let read =
        |name: &str| read_secret(&dir.join(name)).map_err(|error| Failure::failed("reading the authority", &error));
    let (certificate, key) = (read("ca.pem")?, read("ca.key")?);
    Authority::from_pem(birth.cluster, &certificate, &key)
        .map_err(|error| Failure::failed("reading the authority", &error))
}

async fn change_members(
    connection: &ConnectionArguments,
    change: MembershipChange,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let client = connection.connect().await?;
    let outcome = ask(&client, connection, change).await?;
    client.close().await;
    let exit = told(&outcome, None, output)?;
    if outcome == ChangeMembersOutcome::Changed {
        output.remark("clients that run learn of it; for those that start later, see `blockraft members save`");
    }
    Ok(exit)
}

/// Asks until it is so, it never will be, or time is up.
async fn ask(
    client: &Client,
    connection: &ConnectionArguments,
    change: MembershipChange,
) -> Result<ChangeMembersOutcome, Failure> {
    let deadline = Instant::now() + connection.time_max();
    let mut changed = false;
    loop {
        match client.change_members(change.clone()).await {
            Ok(ChangeMembersOutcome::NotYet { .. }) if Instant::now() < deadline => {
                changed = true;
                sleep(PAUSE).await;
            }
            // What was begun by an earlier question of this command was changed by it.
            Ok(ChangeMembersOutcome::AlreadySo) if changed => return Ok(ChangeMembersOutcome::Changed),
            Ok(outcome) => return Ok(outcome),
            Err(error) => {
                let exit = match &error {
                    ChangeMembersError::Unknown { .. } => Exit::Unknown,
                    ChangeMembersError::Unavailable(unavailable) => of_unavailable(unavailable),
                    _ => Exit::Failed,
                };
                let message = format!("changing the members: {}", causes(&error));
                return Err(Failure { exit, message, hint: Some("it is safe to ask again".to_owned()) });
            }
        }
    }
}

/// `invited` is the node that was taken in by it.
fn told(outcome: &ChangeMembersOutcome, invited: Option<NodeId>, output: &mut Output) -> Result<Exit, Failure> {
    let (exit, word, reason) = match outcome {
        ChangeMembersOutcome::AlreadySo => (Exit::Done, "already so", None),
        ChangeMembersOutcome::Changed => (Exit::Done, "changed", None),
        ChangeMembersOutcome::NotYet { refusal } => {
            (Exit::Failed, "not yet", refusal.as_ref().map(ToString::to_string))
        }
        ChangeMembersOutcome::Refused { refusal } => (Exit::Failed, "refused", Some(refusal.to_string())),
    };
    let shown = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    output.line(format_args!("{word}{shown}"), || match invited {
        Some(node) => json!({ "outcome": word, "reason": reason, "node": node.0 }),
        None => json!({ "outcome": word, "reason": reason }),
    })?;
    Ok(exit)
}

/// Between two questions whether it is so.
const PAUSE: Duration = Duration::from_millis(300);

const AFTER_HELP: &str = "\
A fourth node:
  blockraft members invite --address 10.0.0.4:4001 --ca cluster --out node-4.token
  blockraft join --token node-4.token --data node-4      (on its machine, with the token)
  blockraft serve --data node-4
  blockraft members promote 4

Node 3 is dead, and node 4 was invited and runs:
  blockraft members replace 3 --with 4

Who shall become a voter stopped answering in the middle of the change, and `list` shows `joining` or `leaving`:
  blockraft members revert
The leader that began a change does so by itself when the change can't be committed for a while; `revert` doesn't wait for
that. Learners that were to be promoted stay learners. A change that is committed already is carried through instead:
`list` tells afterwards. With nothing under way, `revert` says `already so`. If it keeps saying `not yet`, a majority of the
voters before or after the change doesn't answer: bring them back.

Only the client called `admin`, which `init` makes, may change members. A change that says `not yet` goes on by itself as
far as it can: ask again. Ids are never given twice.
Clients learn from whoever answers them who the members are, and go on with those; the addresses in client.toml are those
that they begin with. Nothing but `save` changes that file.

`list` shows how many bytes of blocks each member lacks, as the leader knows it. Of one that lacks entries that the leader's
log doesn't hold any more, all blocks are counted, although it may have most of them.

JSON of list: {\"node\", \"kind\": \"voter\" | \"learner\" | \"joining\" | \"leaving\", \"address\", \"leads\",
\"payload_lag_bytes\": null if nobody says}
JSON of save: {\"node\", \"address\"}
JSON of the others: {\"outcome\": \"already so\" | \"changed\" | \"not yet\" | \"refused\", \"reason\"}, and \"node\" if invited";
