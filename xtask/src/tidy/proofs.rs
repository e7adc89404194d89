//! Tests that prove something: none is skipped, none waits for time to pass.

use crate::source::Part;
use crate::tidy::finding::Finding;
use crate::tidy::tree::{TextFile, Tree};

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust_files().flat_map(|file| [skipped(file), sleeping(file)].concat()).collect()
}

fn skipped(file: &TextFile) -> Vec<Finding> {
    let Some(source) = file.source() else { return Vec::new() };
    let lines = source.attributes("ignore").into_iter();
    lines
        .map(|line| {
            Finding::at_line(
                &file.path,
                line,
                "a test that does not run",
                "run it small, with a number of rounds that a caller can raise, or remove it",
            )
        })
        .collect()
}

/// Sleeping on tokio's paused clock takes no time and proves order, so it is allowed; and a suite that knows no runtime
/// is handed a clock to bound its waits with, by a function named `sleep`.
fn sleeping(file: &TextFile) -> Vec<Finding> {
    let Some(source) = file.source() else { return Vec::new() };
    let clock_is_paused = file.text.contains("start_paused") || file.text.contains("time::pause");
    let shipped = if file.is_test() { Vec::new() } else { source.paths(Part::Shipped) };
    let in_tests = source.paths(Part::Whole).into_iter().filter(|path| !shipped.contains(path));
    in_tests
        .filter(|path| match path.segments.as_slice() {
            [.., module, call] if call == "sleep" => module == "thread" || (module == "time" && !clock_is_paused),
            _ => false,
        })
        .filter(|path| !file.lines().any(|(line, text)| line + 1 == path.line && text.contains("fn sleep(")))
        .map(|path| {
            Finding::at_line(
                &file.path,
                path.line,
                format!("`{}` in a test", path.segments.join("::")),
                "wait for the condition itself, with a bound: a channel with a time-out, or tokio's paused clock",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tree::Tree;

    #[test]
    fn a_skipped_test_is_found_wherever_it_hides() {
        let text = "//! A.\nmod tests { #[test]\n#[ignore = \"slow\"] fn t() {} }";
        assert_eq!(check(&Tree::of_files(&[("src/a.rs", text)])).first().unwrap().place, "src/a.rs:3");
    }

    #[test]
    fn a_sleep_in_a_test_is_found() {
        let in_file = "fn t() { std::thread::sleep(d); }";
        assert_eq!(check(&Tree::of_files(&[("src/a/tests.rs", in_file)])).len(), 1);
        let inline = "fn f() { thread::sleep(d); } #[cfg(test)] mod tests { fn t() { tokio::time::sleep(d); } }";
        assert_eq!(check(&Tree::of_files(&[("src/a.rs", inline)])).len(), 1);
    }

    #[test]
    fn the_clock_of_a_suite_may_sleep() {
        let text = "async fn sleep(&self, time: Duration) {\n    tokio::time::sleep(time).await;\n}";
        assert!(check(&Tree::of_files(&[("src/a/tests.rs", text)])).is_empty());
    }

    #[test]
    fn a_paused_clock_may_sleep() {
        let text = "#[tokio::test(start_paused = true)] async fn t() { tokio::time::sleep(d).await; }";
        assert!(check(&Tree::of_files(&[("src/a/tests.rs", text)])).is_empty());
    }
}
