//! The steps of CI: one line for each thing that must hold on the main branch.

use std::time::Duration;

use anyhow::Result;

use crate::ci::{bare, cluster, deny, seeded};
use crate::process;
use crate::workspace::Workspace;

/// One thing that must hold.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Workspace) -> Result<()>,
}

/// In the order in which they run: the quick ones first.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", about: "the sources look as rustfmt wants them", run: fmt },
    Step { name: "tidy", about: "names, first lines, links, manifests, banned calls", run: tidy },
    Step { name: "arrows", about: "no arrow between crates or files points up or in a circle", run: arrows },
    Step {
        name: "bare",
        about: "the core and the transport seam pull in no storage, network or runtime",
        run: bare::check,
    },
    Step { name: "deny", about: "licences, banned crates and sources of all dependencies", run: deny::check },
    Step { name: "clippy", about: "no warning in any target", run: clippy },
    Step { name: "doc", about: "the documentation builds without a warning", run: doc },
    Step { name: "test", about: "the README's test command", run: test },
    Step {
        name: "cluster",
        about: "processes under kills, pauses and changes of members keep every promise",
        run: cluster::check,
    },
    Step { name: "sim", about: "2,000 simulated clusters break no law and meet every situation", run: sim },
    Step { name: "seeded", about: "tests and simulated clusters notice every known mistake", run: seeded::check },
];

fn fmt(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["fmt", "--all", "--check"]), minutes(2))
}

fn tidy(workspace: &Workspace) -> Result<()> {
    crate::tidy::Tidy {}.run(workspace)
}

fn arrows(workspace: &Workspace) -> Result<()> {
    crate::arrows::Arrows::default().run(workspace)
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    process::run(
        cargo.args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
        minutes(20),
    )
}

fn doc(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings");
    process::run(&mut cargo, minutes(15))
}

/// Through the door itself, so that what a user types is what is checked.
fn test(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["xtask", "test"]), minutes(45))
}

/// As many seeds everywhere, however fast the machine: the same ones meet the same situations.
fn sim(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["xtask", "sim", "--seeds", "2000", "--all-marks"]), minutes(15))
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}
