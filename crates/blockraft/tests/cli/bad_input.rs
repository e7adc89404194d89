use crate::harness::{LoneNode, run_in};

#[test]
fn what_is_no_cid_or_no_word_is_a_matter_of_usage() {
    let folder = tempfile::tempdir().unwrap();
    let sha1 = format!("f01551114{}", "00".repeat(20));
    for (arguments, said) in [
        (vec!["get", "hello"], "not a CID"),
        (vec!["get", &sha1], "hash function 0x11"),
        (vec!["put", "--hash", "md5"], "sha2-256"),
        (vec!["put", "--frobnicate"], "--frobnicate"),
        (vec!["put", "--chunk", "0"], "at least 1 byte"),
        (vec!["put", "--chunk", "1KiB", "--codec", "dag-pb"], "raw blocks"),
        (vec!["get", "--json", "bafkqaaa"], "--output"),
        (vec![], "Usage"),
    ] {
        let run = run_in(folder.path(), &arguments, b"");
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
        assert!(run.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_missing_folder_is_named_and_what_to_do_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_in(folder.path(), &["ls"], b"");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("blockraft-data/client") && run.stderr.contains("BLOCKRAFT_CLIENT"), "{}", run.stderr);
    let run = run_in(folder.path(), &["put", "/no/such/file"], b"");
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("/no/such/file"), "{}", run.stderr);
}

#[test]
fn a_dead_cluster_is_exit_code_5_and_soon() {
    let mut node = LoneNode::start();
    let address = node.announced["address"].as_str().unwrap().to_owned();
    node.kill();
    let begun = std::time::Instant::now();
    let run = node.run(&["status"]);
    assert_eq!(run.code, 5, "{}", run.stderr);
    assert!(run.stderr.contains(&address) && run.stderr.contains("nobody listens"), "{}", run.stderr);
    assert!(begun.elapsed().as_secs() < 5, "took {:?}", begun.elapsed());
}

#[test]
fn whether_a_node_runs_is_asked_only_when_nobody_answers() {
    let mut node = LoneNode::start();
    let address = node.announced["address"].as_str().unwrap().to_owned();
    let formed = node.run(&["init", "--dir", "other", "--address", &address]);
    assert_eq!(formed.code, 0, "{}", formed.stderr);
    let ask = ["ls", "--client", "other/client"];
    let stranger = node.run(&ask);
    assert_eq!(stranger.code, 5, "{}", stranger.stderr);
    assert!(!stranger.stderr.contains("is a node running?"), "{}", stranger.stderr);
    node.kill();
    let nobody = node.run(&ask);
    assert!(nobody.stderr.contains("is a node running?"), "{}", nobody.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let node = LoneNode::start();
    // More than a pipe holds.
    let chunked = node.run_with(&["put", "--chunk", "1", "--quiet"], &(0..=255u8).collect::<Vec<_>>());
    assert_eq!(chunked.code, 0, "{}", chunked.stderr);
    let cids: Vec<_> = chunked.text().lines().collect();
    let many: Vec<_> = std::iter::repeat_n(cids, 8).flatten().collect();
    let mut command = crate::harness::program(node.folder());
    command.arg("has").args(many).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ended = process.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap().as_str()), (Some(141), ""));
}
