//! `cargo xtask tidy`: the rules of CONTRIBUTING.md that a machine can check, each finding with its remedy.
//!
//! Every check is a pure function over the tree of files, so each has a test that shows it failing.

mod banned;
mod finding;
mod links;
mod manifests;
mod paths;
mod proofs;
mod shapes;
mod tree;
mod words;

use anyhow::{Result, bail};
use clap::Args;

use crate::tidy::finding::Finding;
use crate::tidy::tree::Tree;
use crate::workspace::Workspace;

/// Check names, first lines, sizes, links, manifests and banned calls
#[derive(Debug, Args)]
pub(crate) struct Tidy {}

impl Tidy {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let tree = Tree::read(workspace)?;
        let findings = findings(&tree);
        for finding in &findings {
            eprintln!("{finding}");
        }
        if !findings.is_empty() {
            bail!("{} findings", findings.len());
        }
        println!("{} files are tidy.", tree.files.len());
        Ok(())
    }
}

fn findings(tree: &Tree) -> Vec<Finding> {
    let checks: [fn(&Tree) -> Vec<Finding>; 7] =
        [manifests::check, shapes::check, words::check, proofs::check, banned::check, links::check, paths::check];
    checks.iter().flat_map(|check| check(tree)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Tree, findings};
    use crate::workspace::Workspace;

    #[test]
    fn this_house_is_tidy() {
        let tree = Tree::read(&Workspace::find().unwrap()).unwrap();
        let findings: Vec<String> = findings(&tree).iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}
