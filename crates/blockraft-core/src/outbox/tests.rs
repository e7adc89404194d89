use blockraft_types::message::{AppendEntriesReply, AppendVerdict, HeartbeatReply, ReadRound, StreamEpoch};
use blockraft_types::{GroupId, LogIndex, Message, NodeId, PersistNumber, Term};

use super::Outbox;

fn matched(term: u64, match_index: u64) -> Message {
    let verdict = AppendVerdict::Matched { match_index: LogIndex(match_index) };
    Message::AppendEntriesReply(AppendEntriesReply { term: Term(term), stream: StreamEpoch(1), verdict })
}

fn heartbeat_reply(term: u64) -> Message {
    let (round, last_durable) = (ReadRound(1), LogIndex(0));
    Message::HeartbeatReply(HeartbeatReply { term: Term(term), round, waiting_for: None, last_durable })
}

/// Seals messages to node 1 under batch 3, which is not handed out yet, and gives what is sealed once it is.
fn sealed(messages: &[Message]) -> usize {
    let mut outbox = Outbox::default();
    for message in messages {
        outbox.seal(GroupId(0), PersistNumber(3), PersistNumber(2), NodeId(1), message.clone());
    }
    assert!(outbox.take_sealed(PersistNumber(2)).is_empty());
    outbox.take_sealed(PersistNumber(3)).len()
}

#[test]
fn what_waits_for_a_busy_disk_is_bounded_by_what_still_matters() {
    assert_eq!(sealed(&[matched(1, 1), matched(1, 2), matched(1, 3)]), 1, "acknowledgements are cumulative");
    assert_eq!(sealed(&[matched(1, 3), matched(1, 2)]), 2, "but an earlier one replaces no later one");
    assert_eq!(sealed(&[matched(1, 1), heartbeat_reply(1), heartbeat_reply(1)]), 2, "one answer of each kind");
    assert_eq!(sealed(&[matched(1, 1), heartbeat_reply(1), matched(2, 1)]), 1, "nobody waits for an older term");
}

#[test]
fn taking_the_effects_leaves_what_waits_for_a_batch() {
    let mut outbox = Outbox::default();
    outbox.send(NodeId(1), heartbeat_reply(1));
    outbox.seal(GroupId(0), PersistNumber(1), PersistNumber(0), NodeId(1), matched(1, 1));
    assert_eq!(outbox.take().messages.len(), 1);
    assert!(outbox.take().messages.is_empty());
    assert_eq!(outbox.take_sealed(PersistNumber(1)).len(), 1);
}
