//! The workspace as cargo and git see it: where it is, its crates with their floors and arrows, its files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

/// This repository's checkout.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

/// One of our crates.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Relative to the root of the workspace.
    pub(crate) folder: PathBuf,
    pub(crate) description: Option<String>,
    /// From `[package.metadata.blockraft]`.
    pub(crate) floor: Option<u8>,
    /// Our crates that this one needs to build.
    pub(crate) needs: BTreeSet<String>,
    /// Our crates that only its tests, examples and benchmarks need.
    pub(crate) tests_need: BTreeSet<String>,
    pub(crate) features: Vec<String>,
}

impl Workspace {
    /// The workspace that this command was built from, or, when that moved, the one around the current folder.
    pub(crate) fn find() -> Result<Self> {
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned);
        let current = std::env::current_dir().context("the current folder is gone")?;
        let root = std::env::var_os("CARGO_MANIFEST_DIR")
            .and_then(|folder| Path::new(&folder).parent().map(Path::to_owned))
            .into_iter()
            .chain(current.ancestors().map(Path::to_owned))
            .chain(built_from)
            .find(|folder| folder.join("xtask/Cargo.toml").is_file())
            .context("no blockraft workspace here: run `cargo xtask` inside a checkout")?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `cargo` in the root of the workspace.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = process::cargo();
        cargo.current_dir(&self.root);
        cargo
    }

    /// Our crates, sorted by name.
    pub(crate) fn members(&self) -> Result<Vec<Member>> {
        let text = process::capture(self.cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
        parse_members(&text)
    }

    /// Text files under version control or about to be, relative to the root, sorted.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
        let mut files: Vec<PathBuf> = match process::capture(&mut git) {
            Ok(listing) => listing.split_terminator('\0').map(PathBuf::from).collect(),
            Err(_) => walk(&self.root).context("can't list the files of this folder")?,
        };
        files.retain(|file| self.root.join(file).is_file());
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The locked version of a dependency; `None` when nothing here depends on it.
    pub(crate) fn locked_version(&self, package: &str) -> Result<Option<String>> {
        let lock = self.root.join("Cargo.lock");
        if !lock.is_file() {
            process::capture(self.cargo().arg("generate-lockfile"))?;
        }
        let text = fs::read_to_string(&lock).with_context(|| format!("can't read {}", lock.display()))?;
        Ok(locked_version(&text, package))
    }
}

fn locked_version(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"').map(str::to_owned)
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    description: Option<String>,
    #[serde(default)]
    metadata: serde_json::Value,
    dependencies: Vec<Dependency>,
    features: std::collections::BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

fn parse_members(text: &str) -> Result<Vec<Member>> {
    let metadata: Metadata = serde_json::from_str(text).context("can't understand `cargo metadata`")?;
    let mut members: Vec<Member> = metadata
        .packages
        .into_iter()
        .map(|package| {
            let folder = package.manifest_path.parent().unwrap_or(Path::new(""));
            let mut member = Member {
                name: package.name,
                folder: folder.strip_prefix(&metadata.workspace_root).unwrap_or(folder).to_owned(),
                description: package.description,
                floor: package.metadata["blockraft"]["floor"].as_u64().and_then(|floor| u8::try_from(floor).ok()),
                needs: BTreeSet::new(),
                tests_need: BTreeSet::new(),
                features: package.features.into_keys().collect(),
            };
            for dependency in package.dependencies.into_iter().filter(|dependency| dependency.path.is_some()) {
                match dependency.kind.as_deref() {
                    Some("dev") => member.tests_need.insert(dependency.name),
                    _ => member.needs.insert(dependency.name),
                };
            }
            member
        })
        .collect();
    members.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(members)
}

/// All files below `root` where git can't tell: a source archive, say.
fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let hidden = matches!(path.file_name().and_then(|name| name.to_str()), Some("target" | ".git"));
            if path.is_dir() && !hidden {
                folders.push(path);
            } else if path.is_file() {
                files.push(path.strip_prefix(root)?.to_owned());
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
