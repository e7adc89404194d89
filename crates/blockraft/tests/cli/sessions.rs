use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::program;
use crate::trio::Trio;

/// 32 MiB, no 256 KiB of which are the same.
fn long_file() -> Vec<u8> {
    (0..8_u32 << 20).flat_map(|number| number.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect()
}

#[test]
fn no_put_ends_unknown_when_the_leader_is_killed_in_the_middle() {
    let mut nodes = Trio::start();
    let [status, ..] = &nodes.done(&["status"])[..] else { panic!("every node is told of") };
    let leader = status["leader"].as_u64().unwrap();
    std::fs::write(nodes.folder().join("long"), long_file()).unwrap();
    let mut command = program(nodes.folder());
    command.args(["put", "--json", "--chunk", "256KiB", "--jobs", "2", "long"]);
    let mut putting = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(putting.stdout.take().unwrap()).lines();
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
