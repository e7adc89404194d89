//! Data directories: none is served that isn't whole, ours, readable by us alone, and free.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::init::{InitOptions, run};

use super::{DataDir, DataDirError};

/// A formed cluster of three, and the data directory of its first node.
fn formed() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let addresses = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port))).to_vec();
    let formed = run(InitOptions { dir: parent.path().join("cluster"), addresses }).expect("formed");
    let first = formed.members[0].data_dir.clone();
    (parent, first)
}

/// Changes the text of `node.toml`.
fn rewrite(dir: &Path, change: impl FnOnce(&str) -> String) {
    let file = dir.join("node.toml");
    let text = fs::read_to_string(&file).expect("readable");
    let changed = change(&text);
    assert_ne!(changed, text, "nothing was changed");
    fs::write(&file, changed).expect("writable");
}

#[test]
fn a_missing_directory_is_never_made() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let missing = parent.path().join("node-1");
    assert!(matches!(DataDir::open(&missing), Err(DataDirError::Missing { path }) if path == missing));
    assert!(!missing.exists());
    // Wiped, but for the folder.
    fs::create_dir(&missing).expect("made");
    assert!(matches!(DataDir::open(&missing), Err(DataDirError::Missing { .. })));
    assert_eq!(fs::read_dir(&missing).expect("readable").count(), 0);
}

#[test]
fn a_lock_ends_with_its_value_even_if_a_child_process_got_a_copy_of_the_file() {
    let (_parent, dir) = formed();
    let first = DataDir::open(&dir).expect("opened");
    let copy = first.lock.try_clone().expect("what a fork does");
    drop(first);
    DataDir::open(&dir).expect("the lock ended with the value");
    drop(copy);
}

#[test]
fn a_directory_is_served_by_one_at_a_time() {
    let (_parent, dir) = formed();
    let first = DataDir::open(&dir).expect("opened");
    assert!(matches!(DataDir::open(&dir), Err(DataDirError::Locked { path }) if path == dir));
    drop(first);
    DataDir::open(&dir).expect("it is free again");
}

#[test]
fn a_newer_format_is_named_whatever_else_it_says() {
    let (_parent, dir) = formed();
    rewrite(&dir, |text| text.replace("format = 1", "format = 2\nshape = \"not of this release\""));
    assert!(matches!(DataDir::open(&dir), Err(DataDirError::Newer { found: 2, .. })));
}

#[test]
fn a_format_that_never_was_is_a_contradiction() {
    let (_parent, dir) = formed();
    rewrite(&dir, |text| text.replace("format = 1", "format = 0"));
    assert!(matches!(DataDir::open(&dir), Err(DataDirError::Contradiction { what: "unknown format", .. })));
}

#[test]
fn what_is_no_node_file_is_malformed() {
    for text in ["", "format", "format = 1", "format = -1", "format = 1\ncluster = \"xyz\""] {
        let (_parent, dir) = formed();
        rewrite(&dir, |_| text.to_owned());
        assert!(matches!(DataDir::open(&dir), Err(DataDirError::Malformed { .. })), "{text:?}");
    }
    let (_parent, dir) = formed();
    rewrite(&dir, |text| text.replacen("format = 1", "format = 1\nformatt = 1", 1));
    assert!(matches!(DataDir::open(&dir), Err(DataDirError::Malformed { .. })));
}

#[test]
fn a_node_file_that_contradicts_itself_is_refused() {
    let contradiction = |change: fn(&str) -> String| {
        let (_parent, dir) = formed();
        rewrite(&dir, change);
        match DataDir::open(&dir) {
            Err(DataDirError::Contradiction { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    };
    // The first line of that kind is the node's own, the others are the members'.
    assert_eq!(contradiction(|text| text.replacen("node = 1", "node = 9", 1)), "the node isn't among the members");
    let named_twice = contradiction(|text| text.replacen("node = 3", "node = 2", 1));
    assert_eq!(named_twice, "a member is named twice");
    assert_eq!(contradiction(|text| text.replacen("node = 3", "node = 0", 1)), "no member has the id 0");
    let other = contradiction(|text| text.replacen("node = 1", "node = 2", 1));
    assert_eq!(other, "the members name the node with another incarnation");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    for name in ["node.key", "reset.key"] {
        let (_parent, dir) = formed();
        fs::set_permissions(dir.join(name), Permissions::from_mode(0o644)).expect("changed");
        assert!(matches!(DataDir::open(&dir), Err(DataDirError::Secret(_))), "{name}");
    }
}

#[test]
fn a_missing_or_cut_key_is_refused() {
    for name in ["node.key", "node.pem", "ca.pem", "reset.key"] {
        let (_parent, dir) = formed();
        fs::remove_file(dir.join(name)).expect("removed");
        assert!(matches!(DataDir::open(&dir), Err(DataDirError::Secret(_))), "{name}");
    }
    let (_parent, dir) = formed();
    let key = fs::read_to_string(dir.join("reset.key")).expect("readable");
    for cut in [&key[..key.len() - 2], "", "zz"] {
        fs::write(dir.join("reset.key"), cut).expect("writable");
        assert!(matches!(DataDir::open(&dir), Err(DataDirError::Contradiction { .. })), "{cut:?}");
    }
}

#[test]
fn nothing_but_the_owner_reads_a_formed_directory() {
    let (parent, dir) = formed();
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&parent.path().join("cluster")), 0o700);
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("node.key")), 0o600);
    assert_eq!(mode(&parent.path().join("cluster/ca.key")), 0o600);
}
