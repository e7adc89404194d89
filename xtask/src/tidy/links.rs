//! Links between our Markdown files: each leads to a file that exists and, behind `#`, to a heading in it.

use std::path::{Component, Path, PathBuf};

use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in links(&file.text) {
            if let Some(what) = broken(tree, &file.path, &target) {
                findings.push(Finding::at_line(&file.path, line, what, "mend the link, or remove it"));
            }
        }
    }
    findings
}

/// The targets of inline links outside code, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (line, text) in prose(text) {
        let text = text.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for (at, _) in text.match_indices("](") {
            let rest = &text[at + 2..];
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            links.push((line, target.to_owned()));
        }
    }
    links
}

/// Lines outside fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    let lines = text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    });
    lines.map(|(at, line)| (at + 1, line))
}

fn broken(tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let path = if path.is_empty() { from.to_owned() } else { resolve(from, path) };
    let is_folder = || tree.files.iter().any(|file| Path::new(&file.path).starts_with(&path));
    let Some(file) = tree.file(&path) else {
        return (!is_folder()).then(|| format!("`{target}` leads to nothing"));
    };
    let heading = heading?;
    (!headings(&file.text).any(|anchor| anchor == heading)).then(|| format!("`{path}` has no heading `#{heading}`"))
}

fn resolve(from: &str, target: &str) -> String {
    let mut path = Path::new(from).parent().map(PathBuf::from).unwrap_or_default();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path.to_string_lossy().into_owned()
}

/// The anchors that code forges give to headings.
fn headings(text: &str) -> impl Iterator<Item = String> + '_ {
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    #[test]
    fn links_to_files_folders_and_headings_pass() {
        let tree = Tree::of_files(&[
            (
                "docs/a.md",
                "# A\n[b](../B.md#the-second-one), [here](#a), [web](https://example.org/x), [code](../src)\n",
            ),
            ("B.md", "## The `second` one!\n"),
            ("src/lib.rs", ""),
        ]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        let findings = check(&Tree::of_files(&[("a.md", "text\n[b](missing.md)\n")]));
        assert_eq!(findings.first().unwrap().place, "a.md:2");
    }

    #[test]
    fn a_link_to_a_missing_heading_is_found() {
        assert_eq!(check(&Tree::of_files(&[("a.md", "# A\n[b](#b)\n")])).len(), 1);
    }

    #[test]
    fn code_is_not_prose() {
        assert_eq!(check(&Tree::of_files(&[("a.md", "`[x](y)`\n```\n[x](y)\n```\n")])), []);
    }
}
