//! Arrows between the files of one crate, read from every path that its code names.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result};

use crate::graph;
use crate::source::{NamedPath, Part, Source};

/// The files of one crate that ship, and which of them use which.
#[derive(Debug)]
pub(crate) struct Rooms {
    arrows: graph::Arrows,
    /// Where each arrow was read: (from, to) to (line, path as written).
    proofs: BTreeMap<(String, String), (usize, String)>,
    /// The first line of each file, which says what it is.
    titles: BTreeMap<String, String>,
}

type ModulePath = Vec<String>;

impl Rooms {
    /// Reads `sources`: names relative to the crate's `src` folder, with their text. Tests are left out.
    pub(crate) fn read(sources: &[(String, String)]) -> Result<Self> {
        let has_library = sources.iter().any(|(file, _)| file == "lib.rs");
        let mut parsed: BTreeMap<ModulePath, (String, Source)> = BTreeMap::new();
        for (file, text) in sources {
            let is_second_root = has_library && file == "main.rs";
            if is_second_root || file.starts_with("bin/") {
                continue;
            }
            let source = Source::parse(text).with_context(|| format!("can't read {file}"))?;
            parsed.insert(module_path(file), (file.clone(), source));
        }
        let tests: BTreeSet<ModulePath> = parsed
            .iter()
            .flat_map(|(module, (_, source))| {
                source.test_modules().into_iter().map(|name| [module.as_slice(), &[name]].concat())
            })
            .collect();
        parsed.retain(|module, _| !(0..=module.len()).any(|length| tests.contains(&module[..length])));

        let files: BTreeMap<ModulePath, String> =
            parsed.iter().map(|(module, (file, _))| (module.clone(), file.clone())).collect();
        let titles = sources.iter().filter_map(|(file, text)| Some((file.clone(), title(text)?.to_owned()))).collect();
        let mut rooms = Self { arrows: graph::Arrows::new(), proofs: BTreeMap::new(), titles };
        for (module, (file, source)) in &parsed {
            rooms.arrows.entry(file.clone()).or_default();
            for path in source.paths(Part::Shipped) {
                let Some(used) = resolve(&files, module, &path).filter(|used| used != file) else { continue };
                rooms.arrows.entry(file.clone()).or_default().insert(used.clone());
                rooms.proofs.entry((file.clone(), used)).or_insert((path.line, path.segments.join("::")));
            }
        }
        Ok(rooms)
    }

    pub(crate) fn arrows(&self) -> &graph::Arrows {
        &self.arrows
    }

    /// The files, each before what it uses. A crate of one file is not worth a drawing.
    pub(crate) fn draw(&self, name: &str) -> String {
        if self.arrows.len() < 2 {
            return String::new();
        }
        let width = self.arrows.keys().map(String::len).max().unwrap_or(0);
        let mut drawing = format!("\n{name}\n");
        for file in self.top_down() {
            let line = format!("  {file:<width$}{}", self.arrow(&file));
            writeln!(drawing, "{}", line.trim_end()).expect("a String takes everything");
        }
        drawing
    }

    /// The same for one crate that somebody wants to know: each file with its first line.
    pub(crate) fn tell(&self, name: &str) -> String {
        let mut drawing = format!("\n{name}, each file before what it uses\n");
        for file in self.top_down() {
            let title = self.titles.get(&file).map_or("", String::as_str);
            let lines = format!("\n  {file}: {title}\n    {}", self.arrow(&file));
            writeln!(drawing, "{}", lines.trim_end()).expect("a String takes everything");
        }
        drawing
    }

    fn top_down(&self) -> impl Iterator<Item = String> {
        let (roots, others): (Vec<String>, Vec<String>) =
            graph::top_down(&self.arrows).into_iter().partition(|file| matches!(file.as_str(), "lib.rs" | "main.rs"));
        roots.into_iter().chain(others)
    }

    fn arrow(&self, file: &str) -> String {
        let used: Vec<&str> = self.arrows[file].iter().map(|used| used.trim_end_matches(".rs")).collect();
        if used.is_empty() { String::new() } else { format!("  → {}", used.join(", ")) }
    }

    /// The circles, each with the lines that make it and the remedy.
    pub(crate) fn faults(&self, name: &str) -> Vec<String> {
        graph::circles(&self.arrows)
            .into_iter()
            .map(|circle| {
                let mut fault = format!("The files of {name} run in a circle: {}\n", circle.join(" → "));
                for pair in circle.windows(2) {
                    let [from, to] = pair else { continue };
                    let (line, path) = &self.proofs[&(from.clone(), to.clone())];
                    writeln!(fault, "  {from}:{line} uses `{path}` of {to}").expect("a String takes everything");
                }
                fault.push_str(
                    "  Fix: move what both need into a file below both, or return data instead of calling back.",
                );
                fault
            })
            .collect()
    }
}

fn title(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("//! "))
}

fn module_path(file: &str) -> ModulePath {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let mut parts: ModulePath = stem.split('/').map(str::to_owned).collect();
    match parts.last().map(String::as_str) {
        Some("mod") => drop(parts.pop()),
        Some("lib" | "main") if parts.len() == 1 => parts.clear(),
        _ => {}
    }
    parts
}

/// The file that a path named in `module` leads to: the longest module on its way that is a file.
fn resolve(files: &BTreeMap<ModulePath, String>, module: &[String], path: &NamedPath) -> Option<String> {
    let mut base: ModulePath = [module, &path.within].concat();
    let mut rest = path.segments.as_slice();
    match rest.first().map(String::as_str) {
        Some("crate") => {
            base.clear();
            rest = &rest[1..];
        }
        Some("self") => rest = &rest[1..],
        Some("super") => {}
        Some(child) if files.contains_key(&[base.as_slice(), &[child.to_owned()]].concat()) => {}
        _ => return None,
    }
    while let Some("super") = rest.first().map(String::as_str) {
        base.pop();
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    (0..=base.len()).rev().find_map(|length| files.get(&base[..length])).cloned()
}

#[cfg(test)]
mod tests {
    use super::Rooms;

    fn rooms(sources: &[(&str, &str)]) -> Rooms {
        let sources: Vec<(String, String)> =
            sources.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        Rooms::read(&sources).unwrap()
    }

    #[test]
    fn files_are_drawn_before_what_they_use() {
        let rooms = rooms(&[
            ("lib.rs", "mod entry; mod log; pub use log::Log;"),
            ("log.rs", "mod cache; use crate::entry::Entry; use self::cache::Cache;"),
            ("log/cache.rs", "use crate::entry::{Entry, Head};"),
            ("entry.rs", "use std::fmt;"),
        ]);
        assert!(rooms.faults("house").is_empty());
        let expected =
            "\nhouse\n  lib.rs        → log\n  log.rs        → entry, log/cache\n  log/cache.rs  → entry\n  entry.rs\n";
        assert_eq!(rooms.draw("house"), expected);
    }

    #[test]
    fn a_crate_is_told_with_the_first_line_of_each_file() {
        let rooms = rooms(&[
            ("lib.rs", "//! A house.\n//!\n//! Of two rooms.\nmod log; pub use log::Log;"),
            ("log.rs", "//! The log.\npub struct Log;"),
        ]);
        let expected =
            "\nhouse, each file before what it uses\n\n  lib.rs: A house.\n      → log\n\n  log.rs: The log.\n";
        assert_eq!(rooms.tell("house"), expected);
    }

    #[test]
    fn a_circle_between_two_files_is_named_with_its_lines() {
        let rooms = rooms(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "\nfn f() -> crate::a::A { todo!() }"),
        ]);
        let faults = rooms.faults("house");
        let fault = faults.first().unwrap();
        assert!(fault.contains("a.rs → b.rs → a.rs"), "{fault}");
        assert!(fault.contains("b.rs:2 uses `crate::a::A` of a.rs"), "{fault}");
    }

    #[test]
    fn a_child_that_imports_from_its_parent_is_a_circle() {
        let rooms = rooms(&[
            ("lib.rs", "mod log;"),
            ("log.rs", "mod cache; use cache::Cache; pub struct Limit;"),
            ("log/cache.rs", "use super::Limit;"),
        ]);
        assert_eq!(rooms.faults("house").len(), 1);
    }

    #[test]
    fn an_import_through_the_crate_root_is_a_circle() {
        let rooms = rooms(&[("lib.rs", "mod a; mod b; pub use a::A;"), ("a.rs", ""), ("b.rs", "use crate::A;")]);
        assert!(rooms.faults("house").is_empty(), "b is not used by the root");
        let rooms = super::tests::rooms(&[("lib.rs", "mod a; pub use a::B;"), ("a.rs", "use crate::A;")]);
        assert_eq!(rooms.faults("house").len(), 1);
    }

    #[test]
    fn tests_are_no_rooms() {
        let rooms = rooms(&[
            ("lib.rs", "mod a; pub use a::A;"),
            ("a.rs", "#[cfg(test)] mod tests;"),
            ("a/tests.rs", "use super::A; use crate::A;"),
        ]);
        assert!(rooms.faults("house").is_empty());
    }
}
