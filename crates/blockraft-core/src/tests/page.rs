//! The crate page leads through every file, so that nobody meets one unprepared.

use std::format;
use std::vec::Vec;

#[test]
fn the_crate_page_lists_every_file_in_the_groups_of_its_declarations() {
    let source = include_str!("../lib.rs");
    let mut listed: Vec<Vec<&str>> = Vec::new();
    let table = source.split("//! # Reading order").nth(1).expect("the page has a reading order");
    for row in table.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        if row.starts_with("**") || row.starts_with("file") {
            listed.push(Vec::new());
        } else if let Some((file, link)) = row.strip_prefix("[`").and_then(|row| row.split_once(".rs`](")) {
            let target = link.split(')').next();
            assert_eq!(target, Some(format!("../src/blockraft_core/{file}.rs.html").as_str()));
            listed.last_mut().expect("a group begins with a heading").push(file);
        }
    }
    let mut declared: Vec<Vec<&str>> = Vec::new();
    for paragraph in source.split("\n\n") {
        let mods = paragraph.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
        let mods: Vec<&str> = mods.map(|name| name.trim_end_matches(';')).filter(|name| *name != "tests").collect();
        declared.extend((!mods.is_empty()).then_some(mods));
    }
    // rustfmt sorts the declarations of a group.
    listed.iter_mut().for_each(|group| group.sort_unstable());
    declared.iter_mut().for_each(|group| group.sort_unstable());
    assert_eq!(listed, declared, "the reading order of the crate page, and the groups of `mod` below it");
}

#[test]
fn what_the_walks_name_is_there() {
    let files = [
        ("Raft", include_str!("../raft.rs")),
        ("Follower", include_str!("../follower.rs")),
        ("Candidate", include_str!("../candidate.rs")),
        ("Leader", include_str!("../leader.rs")),
        ("Progress", include_str!("../progress.rs")),
        ("reconfiguration", include_str!("../reconfiguration.rs")),
        ("Member", include_str!("../member.rs")),
    ];
    let page = include_str!("../lib.rs");
    let walks = page.split("//! # Three walks").nth(1).and_then(|rest| rest.split("//! # Reading order").next());
    let mut found = 0;
    for code in walks.expect("the page has walks").split('`').skip(1).step_by(2) {
        let Some((owner, name)) = code.split_once("::") else { continue };
        let Some((_, source)) = files.iter().find(|(file, _)| *file == owner) else { continue };
        assert!(source.contains(&format!("fn {name}(")), "the crate page names `{code}`, which isn't there");
        found += 1;
    }
    assert!(20 < found, "the walks name what they pass, not only {found} things");
}
