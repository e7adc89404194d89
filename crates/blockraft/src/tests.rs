use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn usage_outranks_what_happened_and_unknown_outranks_failed() {
    use crate::exit::Exit;
    let ranked = [Exit::Done, Exit::Absent, Exit::Failed, Exit::Unreachable, Exit::Unknown];
    assert!(ranked.is_sorted());
}

fn refused(line: &[&str]) -> String {
    Cli::try_parse_from(line).unwrap_err().to_string()
}

#[test]
fn bad_words_are_refused_with_the_reason() {
    assert!(refused(&["blockraft", "get"]).contains("<CID>"));
    assert!(refused(&["blockraft", "get", "hello"]).contains("not a CID"));
    let sha1 = format!("f01551114{}", "00".repeat(20));
    assert!(refused(&["blockraft", "get", &sha1]).contains("hash function 0x11"));
    assert!(refused(&["blockraft", "put", "--hash", "md5"]).contains("sha2-256, sha2-512, sha3-256, blake3"));
    assert!(refused(&["blockraft", "put", "--codec", "jpeg"]).contains("dag-cbor"));
    assert!(refused(&["blockraft", "put", "--chunk", "many"]).contains("256KiB"));
    assert!(refused(&["blockraft", "get", "--consistency", "eventual", "x"]).contains("linearizable"));
    assert!(refused(&["blockraft", "frobnicate"]).contains("unrecognized subcommand"));
}
