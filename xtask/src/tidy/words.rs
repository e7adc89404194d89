//! Names that say nothing, and marks of unfinished work.

use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        let stems = file.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
        for stem in stems.filter(|stem| EMPTY_NAMES.contains(stem)) {
            findings.push(Finding::in_file(
                &file.path,
                format!("`{stem}` says nothing"),
                "name the noun that lives there, or move each piece to the noun that it serves",
            ));
        }
        if !MARKED.iter().any(|extension| file.path.ends_with(extension)) {
            continue;
        }
        for (line, text) in file.lines() {
            let mut words = text.split(|c: char| !c.is_alphanumeric());
            if let Some(mark) = words.find(|word| MARKS.contains(word)) {
                findings.push(Finding::at_line(
                    &file.path,
                    line,
                    format!("`{mark}` marks unfinished work"),
                    "finish it, or open an issue and leave nothing here",
                ));
            }
        }
    }
    findings
}

const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "misc", "common", "common_types", "part2"];
const MARKED: &[&str] = &[".rs", ".toml", ".md", ".sh", ".proto"];
const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("HA", "CK")];

#[cfg(test)]
mod tests {
    use super::{MARKS, check};
    use crate::tidy::tree::Tree;

    #[test]
    fn plain_names_and_words_pass() {
        assert!(check(&Tree::of_files(&[("src/segment.rs", "//! Segments: to do one thing well.\n")])).is_empty());
    }

    #[test]
    fn an_empty_name_is_found_in_files_and_folders() {
        assert_eq!(check(&Tree::of_files(&[("src/utils.rs", "")])).len(), 1);
        assert_eq!(check(&Tree::of_files(&[("src/helpers/a.rs", "")])).len(), 1);
    }

    #[test]
    fn each_mark_is_found_with_its_line() {
        for mark in MARKS {
            let text = format!("fn f() {{}}\n// {mark}: later\n");
            assert_eq!(check(&Tree::of_files(&[("src/a.rs", &text)])).first().unwrap().place, "src/a.rs:2");
        }
    }
}
