//! Paths of somebody's machine, which mean nothing on any other.

use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (line, text) in file.lines() {
            if let Some(folder) = FOLDERS.iter().find(|folder| begins_a_path(text, folder)) {
                findings.push(Finding::at_line(
                    &file.path,
                    line,
                    format!("`{folder}` is a folder of one machine"),
                    "write it relative to the repository, or ask the environment",
                ));
            }
        }
    }
    findings
}

/// Whether `folder` stands in `text` as the beginning of a path rather than inside one, as in an address on the web.
fn begins_a_path(text: &str, folder: &str) -> bool {
    text.match_indices(folder).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '.' | '-' | '_' | '}' | '/' | '*'))
    })
}

const FOLDERS: &[&str] = &[concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];

#[cfg(test)]
mod tests {
    use super::{FOLDERS, check};
    use crate::tidy::tree::Tree;

    #[test]
    fn each_folder_of_one_machine_is_found() {
        for folder in FOLDERS {
            let text = format!("see \"{folder}me/notes\"");
            assert_eq!(check(&Tree::of_files(&[("docs/a.md", &text)])).len(), 1, "{text}");
        }
    }

    #[test]
    fn relative_paths_and_addresses_pass() {
        let text = format!("https://example.org{}page and crates{}file", FOLDERS[1], FOLDERS[3]);
        assert!(check(&Tree::of_files(&[("docs/a.md", &text)])).is_empty());
    }
}
