//! The shape of files: a first line that fits a map, a size that fits a head, declarations apart from logic.

use crate::tidy::finding::Finding;
use crate::tidy::tree::{TextFile, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust_files() {
        findings.extend(first_line(file));
        findings.extend(size(file));
        findings.extend(logic_in_declarations(file));
        if let Err(error) = crate::source::Source::parse(&file.text) {
            findings.push(Finding::in_file(&file.path, format!("not Rust: {error}"), "make it compile"));
        }
    }
    findings
}

/// Tests are named by the file that they test.
fn first_line(file: &TextFile) -> Option<Finding> {
    let is_map_line = file.text.lines().next().is_some_and(|line| line.starts_with("//! "));
    (!is_map_line && !file.is_test()).then(|| {
        Finding::at_line(
            &file.path,
            1,
            "does not begin with `//!`",
            "say in one sentence what this file is, as on a map",
        )
    })
}

fn size(file: &TextFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    let excepted = EXCEPTED_SIZES.iter().any(|(path, _)| *path == file.path);
    (lines > LINES_MAX && !excepted).then(|| {
        Finding::in_file(
            &file.path,
            format!("{lines} lines, more than {LINES_MAX}"),
            "ask which two nouns share the file and part them; a reasoned exception goes into tidy/shapes.rs",
        )
    })
}

fn logic_in_declarations(file: &TextFile) -> Option<Finding> {
    if !matches!(file.name(), "mod.rs" | "lib.rs") {
        return None;
    }
    let words = file.source()?.item_words();
    let (word, line) = words.into_iter().find(|(word, _)| !DECLARATIONS.contains(&word.as_str()))?;
    Some(Finding::at_line(
        &file.path,
        line,
        format!("`{word}` in a file that only declares"),
        "move it into a file named after it; this one declares modules and re-exports the paved path",
    ))
}

const LINES_MAX: usize = 600;

/// Files that may be longer, each with its reason.
const EXCEPTED_SIZES: &[(&str, &str)] = &[];

const DECLARATIONS: &[&str] = &["mod", "use", "extern"];

#[cfg(test)]
mod tests {
    use super::{LINES_MAX, check};
    use crate::tidy::tree::Tree;

    #[test]
    fn a_file_with_a_map_line_passes() {
        assert!(check(&Tree::of_files(&[("a.rs", "//! What a is.\nfn f() {}\n")])).is_empty());
    }

    #[test]
    fn a_file_without_a_first_sentence_is_found() {
        assert_eq!(check(&Tree::of_files(&[("a.rs", "fn f() {}\n")])).len(), 1);
    }

    #[test]
    fn a_file_that_grew_too_long_is_found() {
        let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(LINES_MAX));
        assert!(check(&Tree::of_files(&[("a.rs", &long)])).first().unwrap().what.starts_with("601 lines"));
    }

    #[test]
    fn logic_in_a_declaring_file_is_found() {
        let declaring = "//! Map.\n#![no_std]\nextern crate alloc;\nmod a;\npub use a::{A, B};\n";
        assert!(check(&Tree::of_files(&[("src/lib.rs", declaring)])).is_empty());
        let findings = check(&Tree::of_files(&[("src/lib.rs", "//! Map.\nmod a;\npub fn logic() {}\n")]));
        assert_eq!(findings.first().unwrap().place, "src/lib.rs:3");
    }
}
