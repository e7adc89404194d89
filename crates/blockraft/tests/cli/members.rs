use std::fs;

use serde_json::{Value, json};

use crate::trio::{Trio, free_addresses};

/// Ids and kinds of the members.
fn members(trio: &Trio) -> Vec<(u64, String)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let listed = trio.done(&["members", "list"]);
    listed.iter().map(|member| (member["node"].as_u64().unwrap(), word(&member["kind"]))).collect()
}

fn voters<const N: usize>(nodes: [u64; N]) -> Vec<(u64, String)> {
    nodes.map(|node| (node, "voter".to_owned())).to_vec()
}

#[test]
fn one_command_replaces_a_dead_node_by_one_that_joined_with_a_token() {
    let mut trio = Trio::start();
    let cid = trio.put(b"before");
    trio.kill(3);

    let (node, token) = trio.invite();
    assert_eq!(node, 4);
    trio.done(&["join", "--token", &token, "--data", "blockraft-data/node-4"]);
    assert!(!trio.folder().join(&token).exists(), "a token is used once");
    trio.serve(4);
    assert_eq!(
        trio.done(&["members", "replace", "3", "--with", "4", "--timeout", "60"])[0]["outcome"],
        json!("changed")
    );
    assert_eq!(trio.done(&["members", "replace", "3", "--with", "4"])[0]["outcome"], json!("already so"));
    assert_eq!(members(&trio), voters([1, 2, 4]));

    // The dead node is nobody's concern any more, and who was never told of node 4 finds it.
    trio.done(&["status", "--wait", "60"]);
    let nodes: Vec<Value> = trio.done(&["status"]).iter().map(|node| node["node"].clone()).collect();
    assert_eq!(nodes, [1, 2, 4]);
    assert!(fs::read_to_string(trio.folder().join("blockraft-data/client/client.toml")).unwrap().contains("node = 3"));
    let unknown = trio.run(&["get", &cid, "--node", "4"]);
    assert_eq!(unknown.code, 1, "node 4 stands in no file yet: {}", unknown.stderr);
    trio.done(&["members", "save"]);
    let got = trio.run(&["get", &cid, "--node", "4", "--consistency", "local"]);
    assert_eq!((got.code, got.stdout.as_slice()), (0, b"before".as_slice()), "{}", got.stderr);

    // It comes back, having missed its own removal.
    trio.serve(3);
    let (code, said) = trio.end(3);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("node 3 was removed from the cluster, as node "), "{said}");
    trio.put(b"after");
}

#[test]
fn the_list_says_what_each_member_lacks_as_the_leader_knows_it() {
    let trio = Trio::start();
    trio.put(&[1; 50_000]);
    let nobody_lacks_anything = |trio: &Trio| {
        let members = trio.done(&["members", "list"]);
        members.len() == 3 && members.iter().all(|member| member["payload_lag_bytes"] == json!(0))
    };
    trio.wait_until("telling what members lack", nobody_lacks_anything);
    assert!(trio.run(&["members", "list"]).text().contains("lacks 0 B"));
    let far: Vec<Value> = trio.done(&["status"]).iter().map(|node| node["far"].clone()).collect();
    assert!(far.contains(&json!([])) && far.contains(&json!(null)), "the leader alone knows: {far:?}");
}

#[test]
fn with_no_change_under_way_there_is_nothing_to_give_up_and_asking_again_is_safe() {
    let trio = Trio::start();
    for _ in 0..2 {
        assert_eq!(trio.done(&["members", "revert"])[0]["outcome"], json!("already so"));
    }
    assert_eq!(members(&trio), voters([1, 2, 3]));
}

#[test]
fn the_leader_is_removed_and_ends_and_does_not_start_again() {
    let mut trio = Trio::start();
    let (node, token) = trio.invite();
    trio.done(&["join", "--token", &token, "--data", "blockraft-data/node-4"]);
    trio.serve(node);
    trio.done(&["members", "promote", "4", "--timeout", "60"]);
    let leads = |member: &Value| member["leads"] == json!(true);
    let leader = trio.done(&["members", "list"]).into_iter().find(leads).unwrap()["node"].as_u64().unwrap();

    trio.done(&["members", "remove", &leader.to_string(), "--timeout", "60"]);
    for again in [false, true] {
        if again {
            trio.serve(leader);
        }
        let (code, said) = trio.end(leader);
        assert_eq!(code, Some(6), "{said}");
        assert!(said.contains(&format!("node {leader} was removed from the cluster")), "{said}");
    }
    assert!(!members(&trio).iter().any(|(node, _)| *node == leader));
    let refused = trio.run(&["members", "promote", &leader.to_string()]);
    assert_eq!(refused.code, 1, "ids are never given twice");
    trio.put(b"after");
}

#[test]
fn a_node_that_lost_its_directory_is_refused_under_its_old_id() {
    let mut trio = Trio::start();
    let token = fs::read_to_string(trio.folder().join(trio.invite().1)).unwrap();
    trio.kill(2);
    fs::remove_dir_all(trio.folder().join("blockraft-data/node-2")).unwrap();
    let refused = trio.run(&["serve", "--data", "blockraft-data/node-2"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("must not come back under its old id"), "{}", refused.stderr);
    let refused = trio.run(&["join", "--token", "node.token", "--data", "blockraft-data/node-1"]);
    assert_eq!(refused.code, 1, "another node lives there");
    assert_eq!(fs::read_to_string(trio.folder().join("node.token")).unwrap(), token, "it can still be used");
    trio.put(b"two of three go on");
}

/// A member that doesn't lead.
fn follower(trio: &Trio) -> u64 {
    let follows = |member: &&Value| member["leads"] == json!(false);
    trio.done(&["members", "list"]).iter().find(follows).unwrap()["node"].as_u64().unwrap()
}

#[test]
fn a_node_restored_from_a_copy_that_lacks_what_it_promised_does_not_start() {
    let mut trio = Trio::start();
    let node = follower(&trio);
    trio.back_up(node);
    for bytes in [b"one", b"two", b"six"] {
        let cid = trio.put(bytes);
        trio.done(&["stat", &cid, "--node", &node.to_string(), "--consistency", "linearizable"]);
    }
    trio.restore(node);
    trio.serve(node);
    let (code, said) = trio.end(node);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("node {node} is behind its own past: node ")), "{said}");
    trio.put(b"two of three go on");
}

#[test]
fn a_restored_node_that_started_alone_ends_when_one_who_remembers_comes_later_and_restarted_too() {
    let mut trio = Trio::start();
    let node = follower(&trio);
    trio.back_up(node);
    let [_, _, cid] = [b"one", b"two", b"six"].map(|bytes| trio.put(bytes));
    trio.done(&["stat", &cid, "--node", &node.to_string(), "--consistency", "linearizable"]);
    let members = trio.done(&["members", "list"]);
    let leader = members.iter().find(|member| member["leads"] == json!(true)).unwrap()["node"].as_u64().unwrap();
    let last = row(&trio.done(&["status"]), node)["log_last"].as_u64().unwrap();
    trio.wait_until("keeping what was seen", |trio| last <= trio.kept_of(leader, node).index.0);
    (1..=3).filter(|other| *other != node).for_each(|other| trio.kill(other));
    trio.restore(node);

    trio.serve(node);
    let answers = |trio: &Trio| row(&trio.run(&["status", "--json"]).objects(), node)["reachable"] == json!(true);
    trio.wait_until("starting alone", answers);
    trio.serve(leader);
    let (code, said) = trio.end(node);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("node {node} is behind its own past: node {leader} has seen it")), "{said}");
}

fn row(status: &[Value], node: u64) -> Value {
    status.iter().find(|row| row["node"] == json!(node)).cloned().unwrap_or_default()
}

#[test]
fn of_two_processes_with_one_identity_the_earlier_ends_and_says_why() {
    let mut trio = Trio::start();
    let node = follower(&trio);
    trio.back_up(node);
    let listen = free_addresses(1).remove(0);
    trio.serve_with(9, node, &["--listen", &listen]);
    let (code, said) = trio.end(node);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("another process serves as node {node}, as node ")), "{said}");
    trio.put(b"the others go on");
}
