//! What tidy looks at: our crates and every text file under version control, in memory.

use std::fs;

use anyhow::Result;

use crate::source::Source;
use crate::workspace::{Member, Workspace};

/// The crates and files of a workspace.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) members: Vec<Member>,
    pub(crate) files: Vec<TextFile>,
}

/// A file whose bytes are UTF-8.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// Relative to the root, with `/` between folders.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    pub(crate) fn read(workspace: &Workspace) -> Result<Self> {
        let mut files = Vec::new();
        for path in workspace.files()? {
            if let Ok(text) = fs::read_to_string(workspace.root().join(&path)) {
                files.push(TextFile { path: path.to_string_lossy().into_owned(), text });
            }
        }
        Ok(Self { members: workspace.members()?, files })
    }

    pub(crate) fn rust_files(&self) -> impl Iterator<Item = &TextFile> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    pub(crate) fn file(&self, path: &str) -> Option<&TextFile> {
        self.files.iter().find(|file| file.path == path)
    }

    #[cfg(test)]
    pub(crate) fn of_files(files: &[(&str, &str)]) -> Self {
        let files =
            files.iter().map(|(path, text)| TextFile { path: (*path).to_owned(), text: (*text).to_owned() }).collect();
        Self { members: Vec::new(), files }
    }

    #[cfg(test)]
    pub(crate) fn with_member(mut self, name: &str, floor: u8) -> Self {
        self.members.push(Member {
            name: name.to_owned(),
            folder: format!("crates/{name}").into(),
            description: Some("What it is".to_owned()),
            floor: Some(floor),
            needs: std::collections::BTreeSet::new(),
            tests_need: std::collections::BTreeSet::new(),
            features: Vec::new(),
        });
        self
    }
}

impl TextFile {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The tokens, where the file is Rust.
    pub(crate) fn source(&self) -> Option<Source> {
        Source::parse(&self.text).ok()
    }

    /// Whether the whole file is a test: `tests.rs`, or anything in a folder `tests`.
    pub(crate) fn is_test(&self) -> bool {
        self.name() == "tests.rs" || self.path.split('/').any(|folder| folder == "tests")
    }

    /// Lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }
}
