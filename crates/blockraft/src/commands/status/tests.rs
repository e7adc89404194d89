use blockraft_client::{Member, NodeStatus};
use blockraft_types::{ClusterId, GroupId, Incarnation, LogIndex, LostTail, NodeId, Position, Role, Term};
use blockraft_wire::client::{Connection, GroupStatus, MemberKind, MemberStatus, Reserve};
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
        reserve: None,
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

#[test]
fn a_leader_with_too_few_voters_close_says_who_lacks_how_much() {
    let member = MemberStatus {
        node: NodeId(3),
        kind: MemberKind::Voter,
        connection: Connection::Down,
        address: None,
        match_index: Some(LogIndex(10)),
        payload_lag_bytes: Some(5 << 30),
    };
    let leader = |reserve| GroupStatus { reserve, members: vec![member], ..follower() };
    let said = remarks(&leader(Some(Reserve::Short { far: vec![NodeId(3)] })));
    assert!(said[0].ends_with("node 3 (20 entries, 5.0 GiB at most)"), "{said:?}");
    for fine in [None, Some(Reserve::Enough), Some(Reserve::Impossible)] {
        assert_eq!(remarks(&leader(fine)), [""; 0]);
    }

    let node_1 = Member { node: NodeId(1), address: "127.0.0.1:4001".parse().unwrap() };
    let far = |reserve| object(&node_1, &Ok(node(leader(reserve))), 40)["far"].clone();
    assert_eq!(far(Some(Reserve::Short { far: vec![NodeId(3)] })), json!([3]));
    assert_eq!(far(Some(Reserve::Enough)), json!([]));
    assert_eq!(far(None), json!(null));
}
