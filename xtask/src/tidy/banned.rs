//! What crates below floor 2 must never name: clocks, chance, threads, files, sockets. They are given, not taken.
//!
//! Importing is naming, so a path is enough to find a call. Tests are free, and so are conformance suites, which are
//! tests that others run. The same bans stand in
//! `clippy-below-floor-2.toml`, which each of these crates links as its `clippy.toml`, so that editors tell them too.

use crate::source::Part;
use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;
use crate::workspace::Member;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let low = |member: &&Member| member.floor.is_some_and(|floor| floor < 2);
    for member in tree.members.iter().filter(low) {
        findings.extend(clippy_configuration(tree, member));
        let sources = member.folder.join("src");
        let shipped = tree.rust_files().filter(|file| !file.is_test() && !is_suite(&file.path));
        for file in shipped.filter(|file| std::path::Path::new(&file.path).starts_with(&sources)) {
            let Some(source) = file.source() else { continue };
            for path in source.paths(Part::Shipped) {
                let ban = BANS.iter().find(|ban| ban.covers(&path.segments, &member.name));
                findings.extend(ban.map(|ban| {
                    let what = format!("`{}` below floor 2: {}", path.segments.join("::"), ban.reason);
                    Finding::at_line(&file.path, path.line, what, ban.instead)
                }));
            }
        }
    }
    findings
}

fn is_suite(path: &str) -> bool {
    path.ends_with("/suite.rs") || path.contains("/suite/")
}

fn clippy_configuration(tree: &Tree, member: &Member) -> Option<Finding> {
    let shared = tree.file("clippy-below-floor-2.toml")?;
    let own = tree.file(&format!("{}/clippy.toml", member.folder.display()));
    (own.map(|file| &file.text) != Some(&shared.text)).then(|| {
        Finding::in_file(
            &member.folder.display().to_string(),
            "clippy does not know the bans below floor 2 here",
            "ln -s ../../clippy-below-floor-2.toml clippy.toml in that folder",
        )
    })
}

struct Ban {
    /// A path is banned when it begins so.
    begins: &'static [&'static [&'static str]],
    /// The crates that it concerns; empty for all below floor 2.
    crates: &'static [&'static str],
    reason: &'static str,
    instead: &'static str,
}

impl Ban {
    fn covers(&self, path: &[String], member: &str) -> bool {
        let begins = |start: &&[&str]| path.len() >= start.len() && start.iter().zip(path).all(|(want, is)| want == is);
        (self.crates.is_empty() || self.crates.contains(&member)) && self.begins.iter().any(begins)
    }
}

const BANS: &[Ban] = &[
    Ban {
        begins: &[
            &["std", "time", "Instant"],
            &["std", "time", "SystemTime"],
            &["Instant", "now"],
            &["SystemTime", "now"],
            &["tokio", "time"],
        ],
        crates: &[],
        reason: "a clock of its own can't be simulated",
        instead: "count ticks, or take the time as an argument",
    },
    Ban {
        begins: &[&["rand", "rng"], &["rand", "random"], &["rand", "thread_rng"], &["getrandom"]],
        crates: &[],
        reason: "chance that nobody seeded can't be replayed",
        instead: "take a seed or a generator as an argument",
    },
    Ban {
        begins: &[
            &["std", "thread"],
            &["tokio", "spawn"],
            &["tokio", "task"],
            &["tokio", "runtime"],
            &["std", "process"],
            &["std", "env"],
        ],
        crates: &[],
        reason: "tasks and threads belong to the driver and the node, which list theirs",
        instead: "return an effect and let the driver perform it",
    },
    Ban {
        begins: &[
            &["std", "fs"],
            &["std", "net", "TcpListener"],
            &["std", "net", "TcpStream"],
            &["std", "net", "UdpSocket"],
            &["tokio", "fs"],
            &["tokio", "net"],
        ],
        crates: &[],
        reason: "files and sockets belong to adapters",
        instead: "put it behind the seam, in an adapter crate of floor 2",
    },
    Ban {
        begins: &[&["std", "collections", "HashMap"], &["std", "collections", "HashSet"]],
        crates: &["blockraft-core", "blockraft-catalog", "blockraft-exchange"],
        reason: "its iteration order differs between two runs and two replicas",
        instead: "use a BTreeMap or BTreeSet",
    },
];

#[cfg(test)]
mod tests {
    use super::{BANS, check};
    use crate::tidy::tree::Tree;

    fn found(floor: u8, text: &str) -> usize {
        check(&Tree::of_files(&[("crates/blockraft-core/src/a.rs", text)]).with_member("blockraft-core", floor)).len()
    }

    #[test]
    fn every_ban_is_found_below_floor_2_and_lifted_above() {
        for ban in BANS {
            for path in ban.begins {
                let text = format!("fn f() {{ {}::x(); }}", path.join("::"));
                assert_eq!(found(1, &text), 1, "{text}");
                assert_eq!(found(2, &text), 0, "{text}");
            }
        }
    }

    #[test]
    fn an_import_is_enough() {
        assert_eq!(found(1, "use std::{time::{Duration, Instant}, fmt};"), 1);
        assert_eq!(found(1, "use std::{time::Duration, fmt};"), 0);
    }

    #[test]
    fn tests_are_free() {
        assert_eq!(found(1, "#[cfg(test)] mod tests { use std::fs; }"), 0);
    }

    #[test]
    fn a_crate_that_does_not_link_the_bans_is_found() {
        let tree = |own: &str| {
            let files = [("clippy-below-floor-2.toml", "bans"), ("crates/blockraft-core/clippy.toml", own)];
            Tree::of_files(&files).with_member("blockraft-core", 1)
        };
        assert_eq!(check(&tree("bans")).len(), 0);
        assert_eq!(check(&tree("others")).len(), 1);
    }
}
