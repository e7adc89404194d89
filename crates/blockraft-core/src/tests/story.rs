//! What happens, in one line each, for people who read scripts.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use blockraft_types::message::{AppendVerdict, CampaignReason};
use blockraft_types::{ChangeRefusal, EntryHead, EntryKind, HardState, LogIndex, Membership, Message, NodeId};

use crate::LogPoint;
use crate::ready::{ChangeOutcome, InForce, Standing, StateChange};

pub(super) fn state(id: NodeId, state: &StateChange) -> String {
    let leader = match state.leader {
        Some(leader) if leader != id => format!(", led by {leader:?}"),
        _ => String::new(),
    };
    format!("{id:?} is {} in {:?}{leader}", state.role, state.term)
}

pub(super) fn change(id: NodeId, outcome: &Result<ChangeOutcome, ChangeRefusal>) -> String {
    match outcome {
        Ok(ChangeOutcome::AlreadySo) => format!("{id:?} says that it is so already"),
        Ok(ChangeOutcome::Begun { position }) => format!("{id:?} begins the change at {position}"),
        Err(refusal) => format!("{id:?} refuses the change: {refusal}"),
    }
}

pub(super) fn in_force(id: NodeId, InForce { membership, index, standing }: &InForce) -> String {
    let standing = match standing {
        Standing::Appended => "appended",
        Standing::Committed => "committed",
    };
    format!("{id:?} has {} in force, {standing} at {index}", members(membership))
}

/// `{1,2,3}`, `{1,2,3}->{1,2,4}` while joint, `+{5}` for learners.
fn members(membership: &Membership) -> String {
    let half = |nodes: &std::collections::BTreeMap<NodeId, _>| {
        let ids: Vec<String> = nodes.keys().map(ToString::to_string).collect();
        format!("{{{}}}", ids.join(","))
    };
    let mut text = half(&membership.voters);
    if membership.is_joint() {
        text = format!("{}->{text}", half(&membership.outgoing));
    }
    if !membership.learners.is_empty() {
        text.push_str(&format!("+{}", half(&membership.learners)));
    }
    text
}

pub(super) fn batch(
    id: NodeId,
    reset: Option<LogPoint>,
    hard_state: Option<HardState>,
    truncate_from: Option<LogIndex>,
    heads: &[EntryHead],
) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(reset.map(|point| format!("a log that begins after {}", point.position)));
    if let Some(HardState { term, voted_for }) = hard_state {
        parts.push(format!("{term:?}"));
        parts.extend(voted_for.map(|candidate| format!("vote for {candidate:?}")));
    }
    parts.extend(truncate_from.map(|from| format!("truncation from {from:?}")));
    if let Some(entries) = entries(heads) {
        parts.push(entries);
    }
    format!("{id:?} writes {}", parts.join(", "))
}

pub(super) fn message(from: NodeId, to: NodeId, message: &Message) -> String {
    let (name, term) = (message.name(), message.term());
    let rest = match message {
        Message::RequestVote(request) => {
            let transfer = if request.reason == CampaignReason::Transfer { ", asked to" } else { "" };
            format!("{:?}, last {}{transfer}", request.ballot, request.last)
        }
        Message::RequestVoteReply(reply) => format!("{:?} {:?}", reply.ballot, reply.verdict),
        Message::AppendEntries(append) => {
            let entries = entries(&append.heads).unwrap_or_else(|| "nothing".to_string());
            format!("stream {}, after {}: {entries}; commit {}", append.stream.0, append.prev, append.leader_commit)
        }
        Message::AppendEntriesReply(reply) => match reply.verdict {
            AppendVerdict::Matched { match_index } => format!("stream {}, matched {match_index}", reply.stream.0),
            AppendVerdict::Conflict { prev_index, hint } => {
                let run = hint.term.map_or_else(String::new, |term| format!(" {term:?} from {}", hint.first_index));
                format!("stream {}, conflict at {prev_index}:{run} last {}", reply.stream.0, hint.last)
            }
        },
        Message::Heartbeat(heartbeat) => format!("round {}, commit {}", heartbeat.round.0, heartbeat.commit),
        Message::HeartbeatReply(reply) => {
            let waiting = reply.waiting_for.map_or_else(String::new, |index| format!(", waits for payload {index}"));
            format!("round {}, durable {}{waiting}", reply.round.0, reply.last_durable)
        }
        Message::TimeoutNow(timeout_now) => format!("last {}", timeout_now.last),
        Message::InstallSnapshot(offer) => format!("stream {}, at least {}", offer.stream.0, offer.least),
        Message::InstallSnapshotReply(reply) => format!("stream {}, has {}", reply.stream.0, reply.last),
    };
    format!("{from:?} -> {to:?} {name} {term:?}: {rest}")
}

fn entries(heads: &[EntryHead]) -> Option<String> {
    let positions = heads.iter().map(|head| match &head.kind {
        EntryKind::Blank => format!("{} blank", head.position),
        EntryKind::Command => head.position.to_string(),
        EntryKind::Membership(membership) => format!("{} members {}", head.position, members(membership)),
    });
    let positions: Vec<String> = positions.collect();
    (!positions.is_empty()).then(|| positions.join(" "))
}
