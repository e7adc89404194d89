use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::harness::program;
use crate::trio::Trio;

/// 32 MiB, no 256 KiB of which are the same.
fn long_file() -> Vec<u8> {
    (0..8_u32 << 20).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect()
}

/// Begins to put it in 128 blocks.
fn put_long_file(nodes: &Trio, options: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    std::fs::write(nodes.folder().join("long"), long_file()).unwrap();
    let mut command = program(nodes.folder());
    command.args(["put", "--json", "--chunk", "256KiB", "long"]).args(options);
    let mut putting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(putting.stdout.take().unwrap()).lines();
    (putting, lines)
}

#[test]
fn no_put_ends_unknown_when_the_leader_is_killed_in_the_middle() {
    let mut nodes = Trio::start();
    let [status, ..] = &nodes.done(&["status"])[..] else { panic!("every node is told of") };
    let leader = status["leader"].as_u64().unwrap();
    // So many are under way that some lose their answer nearly every time.
    let (mut putting, mut lines) = put_long_file(&nodes, &["--jobs", "16"]);
    let first = lines.next().unwrap().unwrap();
    nodes.kill(leader);
    let outcomes = [first].into_iter().chain(lines.map(Result::unwrap));
    let outcomes: Vec<Value> = outcomes.map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert_eq!(outcomes.len(), 128);
    for outcome in &outcomes {
        // Each block is put once, and by nobody else.
        assert_eq!(outcome["outcome"], json!("created"), "{outcome}");
    }
    assert_eq!(putting.wait().unwrap().code(), Some(0));
}

#[test]
fn a_put_ends_soon_after_the_last_node_and_says_that_the_rest_was_not_tried() {
    let mut nodes = Trio::start();
    let (putting, mut lines) = put_long_file(&nodes, &["--jobs", "2", "--timeout", "2"]);
    lines.next().unwrap().unwrap();
    (1..=3).for_each(|node| nodes.kill(node));
    assert!(lines.count() < 100, "most of it isn't tried");
    let ended = putting.wait_with_output().unwrap();
    // What was on its way when they were killed ends unknown, and that outranks what wasn't done.
    assert!(matches!(ended.status.code(), Some(4 | 5)), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("was not tried"));
}
