use super::*;

fn says(node: u64, leader: Option<u64>, term: u64) -> (NodeId, Option<Known>) {
    (NodeId(node), Some((leader.map(NodeId), Term(term))))
}

#[test]
fn a_cluster_is_ready_once_all_name_one_leader_of_one_term() {
    let two = [says(1, Some(2), 7), says(2, Some(2), 7)];
    assert_eq!(lack(two), None);
    for (third, why) in [
        ((NodeId(3), None), "node 3 doesn't answer"),
        (says(3, None, 7), "node 3 knows no leader"),
        (says(3, Some(2), 6), "the nodes don't agree on a leader"),
        (says(3, Some(3), 7), "the nodes don't agree on a leader"),
    ] {
        assert_eq!(lack(two.into_iter().chain([third])).as_deref(), Some(why));
    }
}
