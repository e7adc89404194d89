use std::fs;
use std::process::Command;

use serde_json::json;

use crate::harness::{LoneNode, run_in};
use crate::trio::Trio;

/// Two of three are lost for ever: the third goes on with every acknowledged block, two new nodes join it, and a lost one
/// that comes back is told that it was removed.
#[test]
fn one_of_three_goes_on_alone_and_grows_again() {
    let mut trio = Trio::start();
    let blocks: Vec<(String, Vec<u8>)> = (0..6_u8)
        .map(|seed| {
            // Some ride in the log, the others beside it.
            let bytes = vec![seed; if seed % 2 == 0 { 10 } else { 20_000 }];
            (trio.put(&bytes), bytes)
        })
        .collect();
    let running = trio.run(&["recover", "--data", "blockraft-data/node-1", "--lost", "2,3", "--accept-data-loss"]);
    assert_eq!(running.code, 1);
    assert!(running.stderr.contains("is in use by another process"), "{}", running.stderr);

    (1..=3).for_each(|node| trio.kill(node));
    // Only what a majority held was acknowledged: the operator goes on with the node that is furthest.
    let directories = [1, 2, 3].map(|node| format!("blockraft-data/node-{node}"));
    let [one, two, three] = directories.each_ref().map(String::as_str);
    let surveys = trio.done(&["recover", "--data", one, "--data", two, "--data", three]);
    assert!(surveys.iter().all(|survey| survey["voters"] == json!([1, 2, 3])), "{surveys:?}");
    let furthest = surveys.iter().find(|survey| survey["furthest"] == json!(true)).unwrap();
    let survivor = furthest["node"].as_u64().unwrap();
    let (data, last) = (directories[survivor as usize - 1].as_str(), furthest["last_index"].as_u64().unwrap());
    let lost: Vec<u64> = (1..=3).filter(|node| *node != survivor).collect();
    let ids = format!("{},{}", lost[0], lost[1]);

    let missing = trio.run(&["recover", "--data", data, "--lost", &ids]);
    assert_eq!(missing.code, 2);
    assert!(missing.stderr.contains("--accept-data-loss"), "{}", missing.stderr);
    let refused = |arguments: &[&str], code: i32, said: &str| {
        let run = trio.run(&[&["recover", "--accept-data-loss"], arguments].concat());
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    };
    refused(&["--data", one, "--data", two, "--lost", &ids], 2, "one node goes on alone");
    refused(&["--data", data], 1, "the voters 1, 2, 3 are a quorum still");
    refused(&["--data", data, "--lost", &lost[0].to_string()], 1, "are a quorum still");
    refused(&["--data", data, "--lost", &format!("{ids},{survivor}")], 1, "is the survivor");
    refused(&["--data", data, "--lost", &format!("{ids},9999")], 1, "node 9999 can't be");
    let recover = ["recover", "--data", data, "--lost", &ids, "--accept-data-loss"];
    let [recovered] = trio.done(&recover).try_into().unwrap();
    assert_eq!((&recovered["outcome"], &recovered["node"]), (&json!("recovered"), &json!(survivor)));
    assert_eq!((&recovered["removed"], &recovered["index"]), (&json!(lost), &json!(last + 1)));
    let term = recovered["term"].as_u64().unwrap();
    assert!(surveys.iter().all(|survey| survey["term"].as_u64().unwrap() < term), "{surveys:?}");
    assert_eq!(trio.done(&recover)[0]["outcome"], json!("already so"));

    trio.serve(survivor);
    trio.done(&["status", "--wait", "60"]);
    for (cid, bytes) in &blocks {
        let got = trio.run(&["get", cid, "--consistency", "linearizable"]);
        assert_eq!((got.code, &got.stdout), (0, bytes), "{}", got.stderr);
    }

    for expected in [4, 5] {
        let (node, token) = trio.invite();
        assert_eq!(node, expected, "ids are never given twice");
        trio.done(&["join", "--token", &token, "--data", &format!("blockraft-data/node-{node}")]);
        trio.serve(node);
        trio.done(&["members", "promote", &node.to_string(), "--timeout", "60"]);
    }
    trio.done(&["members", "save"]);
    let voters: Vec<_> = trio.done(&["members", "list"]).iter().map(|member| member["node"].clone()).collect();
    assert_eq!(voters, [json!(survivor), json!(4), json!(5)]);

    // One of the lost ones wasn't.
    trio.serve(lost[0]);
    let (code, said) = trio.end(lost[0]);
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains(&format!("node {} was removed from the cluster, as node ", lost[0])), "{said}");

    // The new ones hold everything, without the survivor.
    trio.kill(survivor);
    for (cid, bytes) in &blocks {
        let got = trio.run(&["get", cid, "--timeout", "60"]);
        assert_eq!((got.code, &got.stdout), (0, bytes), "{}", got.stderr);
    }
}

#[test]
fn a_node_that_has_lost_nobody_is_not_recovered() {
    let mut node = LoneNode::start();
    node.put(b"as before");
    node.kill();
    let recover =
        |words: &[&str]| run_in(node.folder(), &[&["recover", "--data", "blockraft-data/node-1"], words].concat(), b"");
    let looked = recover(&["--json"]);
    assert_eq!((looked.code, looked.objects().len()), (0, 1), "{}", looked.stderr);
    let refused = recover(&["--accept-data-loss"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("nothing calls for it"), "{}", refused.stderr);
    let refused = recover(&["--lost", "2", "--accept-data-loss"]);
    assert_eq!(refused.code, 1, "a node that it has never heard of leaves it a quorum");
    assert_eq!(recover(&["--json"]).stdout, looked.stdout, "nothing was changed");
}

/// The database of its log goes back in time, while the watermark beside it and the catalog don't.
#[test]
fn a_lone_node_whose_log_lost_its_end_names_the_way_out_and_goes_on() {
    let mut node = LoneNode::start();
    let before = node.put(b"before");
    assert!(node.terminate().success());
    let log = node.folder().join("blockraft-data/node-1/log");
    let copy = |from: &str, to: &str| {
        let copied = Command::new("cp").current_dir(&log).args(["-a", from, to]).status().unwrap();
        assert!(copied.success());
    };
    copy("db", "older");
    node.start_again();
    let after = node.put(b"after");
    // It stops in order, so that its catalog holds what its log will have lost.
    assert!(node.terminate().success());
    fs::remove_dir_all(log.join("db")).unwrap();
    copy("older", "db");

    let refused = node.run(&["serve"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("see `blockraft recover --help`"), "{}", refused.stderr);
    let recover = ["recover", "--data", "blockraft-data/node-1", "--accept-data-loss", "--json"];
    let recovered = node.run(&recover);
    assert_eq!(recovered.code, 0, "{}", recovered.stderr);
    assert_eq!(recovered.objects()[0]["outcome"], json!("recovered"));
    assert_eq!(node.run(&recover).code, 1, "nothing calls for it any more");
    node.start_again();
    for (cid, bytes) in [(before, b"before".as_slice()), (after, b"after")] {
        let got = node.run(&["get", &cid]);
        assert_eq!((got.code, got.stdout.as_slice()), (0, bytes), "{}", got.stderr);
    }
}
