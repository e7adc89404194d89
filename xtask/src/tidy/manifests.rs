//! What each crate says of itself: its sentence, its floor, the shared lints; and no features.

use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;
use crate::workspace::Member;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.members.iter().flat_map(|member| of_member(tree, member)).collect()
}

fn of_member(tree: &Tree, member: &Member) -> Vec<Finding> {
    let path = format!("{}/Cargo.toml", member.folder.display());
    let text = tree.file(&path).map(|file| file.text.as_str()).unwrap_or_default();
    let mut findings = Vec::new();
    let mut expect = |holds: bool, what: &str, fix: &'static str| {
        if !holds {
            findings.push(Finding::in_file(&path, what, fix));
        }
    };
    let described = member.description.as_deref().is_some_and(|sentence| !sentence.trim().is_empty());
    expect(described, "no description", "say in one sentence what the crate is, for those who meet it on a registry");
    expect(member.floor.is_some(), "no floor", "add `[package.metadata.blockraft]` with `floor = N`");
    expect(
        inherits(text, "[lints]", "workspace = true"),
        "the workspace's lints don't apply",
        "add `[lints]` with `workspace = true`",
    );
    for key in ["version", "edition", "rust-version", "license", "repository"] {
        expect(
            inherits(text, "[package]", &format!("{key}.workspace = true")),
            &format!("`{key}` is its own"),
            "inherit it: `key.workspace = true`",
        );
    }
    expect(member.features.is_empty(), "it has features", "make what can be swapped a crate");
    let in_crates = member.folder.parent().is_some_and(|parent| parent.ends_with("crates"));
    expect(
        !in_crates || member.folder.ends_with(&member.name),
        "the folder has another name than the crate",
        "give both the same name",
    );
    findings
}

/// Whether `line` stands in the table that `header` opens.
fn inherits(text: &str, header: &str, line: &str) -> bool {
    let table = text.lines().skip_while(|text| text.trim() != header).skip(1);
    table.take_while(|text| !text.starts_with('[')).any(|text| text.trim() == line)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    const WHOLE: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\nrepository.workspace = true\n\n\
        [lints]\nworkspace = true\n";

    fn tree(manifest: &str) -> Tree {
        Tree::of_files(&[("crates/a/Cargo.toml", manifest)]).with_member("a", 1)
    }

    #[test]
    fn a_whole_manifest_passes() {
        assert!(check(&tree(WHOLE)).is_empty());
    }

    #[test]
    fn each_missing_piece_is_found() {
        for piece in ["workspace = true\n\n[lints]", "edition.workspace = true\n", "[lints]\nworkspace = true\n"] {
            assert!(!check(&tree(&WHOLE.replace(piece, ""))).is_empty(), "{piece}");
        }
        let mut undescribed = tree(WHOLE);
        undescribed.members[0].description = None;
        undescribed.members[0].floor = None;
        undescribed.members[0].features = vec!["fast".to_owned()];
        assert_eq!(check(&undescribed).len(), 3);
    }
}
