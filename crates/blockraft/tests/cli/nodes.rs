use std::process::Stdio;

use serde_json::json;

use crate::harness::{LoneNode, run_in};

#[test]
fn init_says_what_it_made_and_refuses_to_make_it_twice() {
    let folder = tempfile::tempdir().unwrap();
    let formed =
        run_in(folder.path(), &["init", "--dir", "cluster", "--nodes", "3", "--base-port", "4001", "--json"], b"");
    assert_eq!(formed.code, 0, "{}", formed.stderr);
    let [formed] = formed.objects().try_into().unwrap();
    assert_eq!(formed["members"][2]["node"], json!(3));
    assert_eq!(formed["members"][2]["address"], json!("127.0.0.1:4003"));
    let again = run_in(folder.path(), &["init", "--dir", "cluster"], b"");
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("cluster"), "{}", again.stderr);
}

#[test]
fn init_refuses_what_is_no_cluster() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (vec!["init", "--nodes", "2"], 2),
        (vec!["init", "--address", "127.0.0.1:4001", "--address", "127.0.0.1:4001", "--address", "127.0.0.1:4001"], 2),
        (vec!["init", "--host", "0.0.0.0"], 2),
        (vec!["init", "--host", "::"], 2),
        (vec!["init", "--host", "224.0.0.1"], 2),
        (vec!["init", "--address", "[ff02::1]:4001"], 2),
        (vec!["init", "--nodes", "3", "--base-port", "65534"], 2),
        (vec!["init", "--address", "127.0.0.1:4001", "--nodes", "3"], 2),
        (vec!["init", "--address", "localhost"], 2),
    ] {
        let run = run_in(folder.path(), &arguments, b"");
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "{arguments:?} left something");
    }
}

#[test]
fn serve_never_makes_a_directory_that_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_in(folder.path(), &["serve", "--data", "nowhere"], b"");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("nowhere"), "{}", run.stderr);
    assert!(!folder.path().join("nowhere").exists());
}

/// As in `blockraft serve 2>&1 | head`: its traces go nowhere, and it must not matter.
#[test]
fn a_node_whose_standard_error_is_closed_serves_and_stops_as_told() {
    let mut node = LoneNode::start_with(Stdio::piped(), &["-vv"]);
    node.close_stderr();
    let cid = node.put(b"unseen");
    assert_eq!(node.run(&["get", &cid]).stdout, b"unseen");
    assert_eq!(node.terminate().code(), Some(0));
}

#[test]
fn status_waits_for_a_leader_and_says_what_it_waited_for_in_vain() {
    let mut node = LoneNode::start();
    let ready = node.run(&["status", "--wait", "30", "--json"]);
    assert_eq!(ready.code, 0, "{}", ready.stderr);
    assert_eq!(ready.objects()[0]["leader"], json!(1));
    node.kill();
    let gone = node.run(&["status", "--wait", "1", "--timeout", "1"]);
    assert_eq!(gone.code, 5, "{}", gone.stderr);
}
