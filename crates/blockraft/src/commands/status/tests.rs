use blockraft_client::{Member, NodeStatus};
use blockraft_types::{ClusterId, GroupId, Incarnation, LogIndex, LostTail, NodeId, Position, Role, Term};
use blockraft_wire::client::GroupStatus;
use serde_json::json;

use super::{object, remarks};

fn follower() -> GroupStatus {
    GroupStatus {
        group: GroupId(0),
        role: Role::Follower,
        term: Term(5),
        leader: Some(NodeId(2)),
        log_first: LogIndex(1),
        log_last: Position { term: Term(4), index: LogIndex(30) },
        lost_tail: None,
        commit_index: LogIndex(30),
        last_applied: Position { term: Term(4), index: LogIndex(30) },
        blocks: 1,
        block_bytes: 300,
        members: Vec::new(),
    }
}

fn node(group: GroupStatus) -> NodeStatus {
    let (cluster, incarnation) = (ClusterId::from_bytes([1; 16]), Incarnation::from_bytes([1; 16]));
    NodeStatus { cluster, node: NodeId(1), incarnation, release: "test".to_owned(), uptime_ms: 1, groups: vec![group] }
}

#[test]
fn a_node_that_lost_the_end_of_its_log_is_said_to_give_no_vote() {
    let well = follower();
    assert_eq!(remarks(&well), [""; 0]);
    let lost = GroupStatus { lost_tail: Some(LostTail { term: Term(4), index: LogIndex(37) }), ..follower() };
    let said = remarks(&lost);
    assert!(said[0].contains("gives no vote") && said[0].contains("entry 37"), "{said:?}");

    let member = Member { node: NodeId(1), address: "127.0.0.1:4001".parse().unwrap() };
    assert_eq!(object(&member, &Ok(node(well)), 40)["lost_tail"], json!(null));
    assert_eq!(object(&member, &Ok(node(lost)), 40)["lost_tail"], json!({ "term": 4, "index": 37 }));
}
