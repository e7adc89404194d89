use std::process::Command;
use std::time::{Duration, Instant};

use super::{capture, run, run_lines};

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_failing_process_is_an_error_that_names_the_command() {
    let error = run(&mut Command::new("false"), LIMIT).unwrap_err();
    assert!(error.to_string().starts_with("false ended with"), "{error}");
}

#[test]
fn a_process_past_its_limit_is_ended_with_its_descendants() {
    let started = Instant::now();
    let script = "(exec tail -f /dev/null) & wait";
    let error = run(Command::new("sh").args(["-c", script]), Duration::from_millis(200)).unwrap_err();
    assert!(error.to_string().contains("took longer"), "{error}");
    assert!(started.elapsed() < LIMIT);
}

#[test]
fn lines_reach_the_caller_in_order() {
    let mut lines = Vec::new();
    run_lines(Command::new("sh").args(["-c", "echo one; echo two"]), LIMIT, |line| lines.push(line.to_owned()))
        .unwrap();
    assert_eq!(lines, ["one", "two"]);
}

#[test]
fn a_failed_capture_carries_standard_error() {
    let error = capture(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err();
    assert!(error.to_string().ends_with("failed: broken"), "{error}");
}
