//! The untracked `.cargo/local.toml`: where this machine keeps libclang and RocksDB's library.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Environment variables for every cargo command in this checkout.
///
/// Cargo reads them through the `include` of `.cargo/config.toml`, so plain `cargo build`, editors, clippy and the
/// documentation build all see the same values; a value that differed between two of them would recompile RocksDB.
#[derive(Debug)]
pub(crate) struct LocalConfig {
    path: PathBuf,
    /// What the file says at the moment; empty when there is none.
    before: String,
    variables: BTreeMap<String, String>,
}

impl LocalConfig {
    pub(crate) fn of(workspace: &Workspace) -> Self {
        Self::at(workspace.root().join(".cargo/local.toml"))
    }

    fn at(path: PathBuf) -> Self {
        let before = fs::read_to_string(&path).unwrap_or_default();
        Self { path, before, variables: BTreeMap::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of an environment variable that the user set, as opposed to one that cargo took from this file.
    pub(crate) fn chosen_by_user(&self, name: &str) -> Option<String> {
        let value = std::env::var(name).ok()?;
        let ours = self.before.lines().any(|line| line.starts_with(name) && line.contains(&quoted(&value)));
        (!ours).then_some(value)
    }

    pub(crate) fn extend(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        self.variables.extend(variables);
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The file's text.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from(
            "# Written by `cargo xtask setup` for this machine; not under version control. Without this file cargo\n\
             # compiles RocksDB by itself, once per profile.\n",
        );
        if !self.variables.is_empty() {
            text.push_str("[env]\n");
        }
        for (name, value) in &self.variables {
            text.push_str(&entry(name, value));
            text.push('\n');
        }
        text
    }

    /// Writes the file if it says something else. Cargo rebuilds what depends on a changed variable.
    pub(crate) fn write(&self) -> Result<()> {
        let text = self.render();
        if text == self.before {
            return Ok(());
        }
        let new = self.path.with_extension("toml.new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &self.path))
            .with_context(|| format!("can't write {}", self.path.display()))
    }
}

/// `force`, because cargo hands the variables of an older file down to the commands that xtask starts.
fn entry(name: &str, value: &str) -> String {
    format!("{name} = {{ value = {}, force = true }}", quoted(value))
}

fn quoted(value: &str) -> String {
    serde_json::to_string(value).expect("a string has a JSON form, which is TOML's basic string")
}

#[cfg(test)]
mod tests {
    use super::LocalConfig;

    #[test]
    fn what_is_written_is_read_back_as_our_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("local.toml");
        let home = std::env::var("PATH").unwrap();

        let mut config = LocalConfig::at(path.clone());
        assert_eq!(config.chosen_by_user("PATH"), Some(home.clone()));
        config.extend([("PATH".to_owned(), home)]);
        config.write().unwrap();

        let again = LocalConfig::at(path);
        assert_eq!(again.chosen_by_user("PATH"), None);
    }

    #[test]
    fn a_file_written_by_hand_counts_as_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("local.toml");
        let home = std::env::var("PATH").unwrap();
        std::fs::write(&path, format!("[env]\nPATH = {home:?}\n")).unwrap();
        assert_eq!(LocalConfig::at(path).chosen_by_user("PATH"), None);
    }

    #[test]
    fn quotes_and_backslashes_survive() {
        let mut config = LocalConfig::at("nowhere/local.toml".into());
        config.extend([("LIBCLANG_PATH".to_owned(), "a \"b\" \\c".to_owned())]);
        assert!(config.render().contains(r#"LIBCLANG_PATH = { value = "a \"b\" \\c", force = true }"#));
    }
}
