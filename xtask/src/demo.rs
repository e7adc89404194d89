//! `cargo xtask demo`: what this store is for, on this machine and real files, in a minute or two.
//!
//! Three processes form a cluster. A tree of files goes in as blocks and comes back from another node. In the middle of
//! writing the leader is killed; writing goes on without it, it comes back and catches up, and at the end every block
//! that was acknowledged is read from every node. Nothing is left running unless `--keep` says so.

mod report;
mod scene;
mod screen;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::demo::scene::Scene;
use crate::demo::screen::Screen;
use crate::live::members::Members;
use crate::live::node::Lifetime;
use crate::live::programs::{Choice, Profile, Programs};
use crate::live::scratch::Scratch;
use crate::workspace::Workspace;

/// Form a cluster, store real files, kill the leader, and prove that nothing is lost
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leave the cluster running and say how to use it
    #[arg(long)]
    keep: bool,

    /// The files to store, instead of the sources of this project's dependencies
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,

    /// How much of them, in MiB
    #[arg(long, default_value_t = 128)]
    mib: u64,

    /// Where the cluster's folder is made, instead of the system's folder for temporary files
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    #[command(flatten)]
    choice: Choice,
}

impl Demo {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let tree = match &self.tree {
            Some(tree) => fs::canonicalize(tree).with_context(|| format!("can't read {}", tree.display()))?,
            None => sources_of_dependencies(workspace)?,
        };
        let programs = Programs::find_or_build(workspace, &self.choice, Profile::Dev)?;
        let scratch = Scratch::claim(self.dir.as_deref(), "demo")?;
        let folder = scratch.path().join("cluster");

        let screen = Screen::new();
        screen.title("A cluster of three nodes on this machine");
        let lifetime = if self.keep { Lifetime::ItsOwn } else { Lifetime::Ours };
        let members = Members::form(&programs, &folder, 3, lifetime)?;
        let mut scene = Scene { screen, members, tree, bytes_max: self.mib << 20 };
        let played = scene.play();
        let Scene { screen, mut members, .. } = scene;
        let report = match played {
            Ok(report) => report,
            Err(error) => {
                let fallen = members.fallen();
                drop(members);
                bail!("{error:#}{}\nLogs and data are kept in {}", lines(&fallen), scratch.keep()?.display());
            }
        };
        let whole = report.is_whole();
        let next = match (self.keep, whole) {
            (true, _) => stay(&programs, members, &folder),
            (false, true) => {
                stop(members);
                NEXT.to_owned()
            }
            (false, false) => format!("The history, the logs and the data are in {}", folder.display()),
        };
        let text = report.render(&next);
        screen.title("Report");
        print!("{text}");
        if self.keep || !whole {
            let kept = scratch.keep()?;
            fs::write(kept.join("report.txt"), &text).context("can't write the report")?;
        }
        if !whole {
            bail!("the cluster did not keep its promise; everything is kept in {}", folder.display());
        }
        Ok(())
    }
}

/// Leaves the cluster running and tells what the user may do with it.
fn stay(programs: &Programs, members: Members, folder: &Path) -> String {
    let ids: Vec<String> = members.release().iter().map(u32::to_string).collect();
    let blockraft = programs.blockraft.display();
    format!(
        "The cluster stays up. Use it:\n    export BLOCKRAFT_CLIENT={}\n    {blockraft} status\n    \
         echo hello | {blockraft} put -\nStop it, and remove it a few seconds later:\n    kill {}\n    rm -r {}",
        folder.join("client").display(),
        ids.join(" "),
        folder.parent().unwrap_or(folder).display()
    )
}

fn stop(mut members: Members) {
    for place in 0..members.count() {
        if let Some(node) = members.node(place) {
            // One that doesn't stop is killed with its owner, right below.
            let _ = node.stop();
        }
    }
}

fn lines(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| format!("\n{sentence}")).collect()
}

/// Real files that are on every machine that has built this.
fn sources_of_dependencies(workspace: &Workspace) -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let sources = home.map(|home| home.join("registry").join("src")).filter(|folder| folder.is_dir());
    match sources {
        Some(sources) => Ok(sources),
        None => Ok(workspace.root().to_owned()),
    }
}

const NEXT: &str =
    "Next: `cargo xtask demo --keep` leaves a cluster up to play with; `cargo xtask cluster` is much rougher with one.";
